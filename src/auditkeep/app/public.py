"""What anybody may know of the log: its key and its newest checkpoint. Needs no secret."""

from auditkeep.app.stores import store_of
from auditkeep.clock import SystemClock
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.errors import SetupError
from auditkeep.lake import handed_out, published
from auditkeep.settings import Settings


def log_key(settings: Settings) -> str:
    """The log's verifier key: origin, key id and public key."""
    if not settings.database_url and not (settings.data / "audit.db").exists():
        raise SetupError(f"There is no deployment in {settings.data}; run 'auditkeep init' first.")
    db = Database(settings.database)
    try:
        with db.system_read() as tx:
            key = tx.scalar(tx.select(meta.c.value).where(meta.c.key == "log_key"))
    finally:
        db.close()
    if key is None:
        raise SetupError(f"There is no deployment in {settings.data}; run 'auditkeep init' first.")
    return str(key)


def hand_out_checkpoint(settings: Settings) -> str:
    """The newest signed checkpoint, as text; later reports carry a proof that they continue it."""
    objects = store_of(settings, SystemClock())
    checkpoint = published.read(objects)
    if checkpoint is None:
        raise SetupError("Nothing has been logged yet, so there is no checkpoint.")
    db = Database(settings.database)
    try:
        with db.system_write() as tx:
            handed_out.note(tx, checkpoint.size)
    finally:
        db.close()
    return objects.get(published.NAME).decode()
