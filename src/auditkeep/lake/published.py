"""The checkpoint the world has seen: the object `log/checkpoint`, and what it demands of us.

After a restore from an older backup the database may be behind what was published. Appending then
would sign a second history, so it is refused until the log is recovered: an honest restore must
not look like an attack (design section 5).
"""

from auditkeep.db.schema import checkpoints
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import LogError, ObjectMissing, ProofError
from auditkeep.lake.lake import Lake
from auditkeep.lake.objects import ObjectStore
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.note import split

FOLDER = "log/"
"""Where the log's public files lie, named as C2SP tlog-tiles does."""
NAME = f"{FOLDER}checkpoint"


def read(objects: ObjectStore) -> Checkpoint | None:
    """The newest published checkpoint, its signature unchecked; None before the first."""
    try:
        text = objects.get(NAME).decode()
        return Checkpoint.parse(split(text)[0])
    except ObjectMissing:
        return None
    except (ProofError, UnicodeDecodeError) as error:
        raise LogError(
            f"The published checkpoint, the object '{NAME}', cannot be read: it was damaged. "
            "Restore it, or run `auditkeep log recover`."
        ) from error


def require_not_behind(tx: Tx | SystemTx, lake: Lake) -> None:
    """LogError if the database does not hold the checkpoint that was published, or may not."""
    if lake.restored is not None:
        raise LogError(
            f"This deployment was restored from the backup of {lake.restored.taken_at}; what its "
            "log published after that is not in it. Nothing is appended until "
            "`auditkeep log recover` was run."
        )
    # The object is read first: its row was committed before it was published.
    seen = read(lake.objects)
    if seen is None:
        return
    system = tx.system() if isinstance(tx, Tx) else tx
    query = system.select(checkpoints.c.root).where(checkpoints.c.size == seen.size)
    root = system.scalar(query)
    if seen.origin != lake.origin:
        raise LogError(
            f"The published checkpoint is of the log {seen.origin}, this deployment's log is "
            f"{lake.origin}. If the log has just begun a new epoch, run `auditkeep log recover`."
        )
    if root is None or bytes(root) != seen.root:
        raise LogError(
            f"The database is behind the newest published checkpoint (of {seen.size} entries): it "
            "was probably restored from a backup. Nothing is appended until "
            "`auditkeep log recover` replays what is missing or opens a new log epoch."
        )
