"""`auditkeep backup …`: backups of data and of keys, checked and put back."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Data, Json, checkpoint_text, report

Source = Annotated[Path, Parameter(name="--from", help="The place where backups of data are kept.")]
Point = Annotated[str, Parameter(help="The id of a backup; the newest one where none is named.")]
KeysAt = Annotated[Path | None, Parameter(help="The place where backups of keys are kept.")]
Keys = Annotated[
    list[str] | None,
    Parameter(name="--key", help="The log's public key, as `auditkeep log key` prints it."),
]


def create(
    *,
    data: Data,
    to: Annotated[Path, Parameter(help="The folder that takes backups of data.")],
    keys: Annotated[
        Path | None, Parameter(help="The folder, elsewhere, that takes backups of keys.")
    ] = None,
    keep: Annotated[
        int | None, Parameter(help="How many backups of data stay there; all, unless said.")
    ] = None,
    json: Json = False,
) -> int:
    """Back up database and objects, beside a running server; and the key store, apart from them.

    Only objects that are not there yet are copied. Interrupted, nothing is left that looks like a
    backup, and the next run goes on with what was copied. Backups of keys that are older than
    AUDITKEEP_KEY_BACKUP_DAYS are taken away. The master key is in none: `auditkeep keys escrow`.
    """
    from auditkeep.app import backups
    from auditkeep.cli.progress import BackupProgress

    with deployment(data) as parts, BackupProgress() as progress:
        body = backups.create(parts, to, keys, keep, progress)
    report(body, as_json=json)
    return 0


def verify(
    *,
    source: Source,
    point: Point = "",
    keys: KeysAt = None,
    key: Keys = None,
    data: Annotated[
        Path | None, Parameter(help="A data directory whose log's key is taken for the right one.")
    ] = None,
    json: Json = False,
) -> int:
    """Check a backup without restoring it: every part, every object, the database, the log.

    Exit code 0: whole, and signed by the log's key. 1: not whole, and what is wrong. 2: whole, but
    no key of the log was given, pinned or found, so that anybody could have made it.
    """
    from auditkeep import app
    from auditkeep.app import backups
    from auditkeep.cli.progress import BackupProgress
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load
    from auditkeep.verify.pins import pinned

    settings = load(data or Path())
    vkeys = list(key or ())
    if data is not None:
        vkeys.append(app.log_key(settings))
    with BackupProgress() as progress:
        body = backups.verify(
            source,
            point,
            keys,
            vkeys,
            pinned(),
            settings.key_backup_days,
            SystemClock().now(),
            progress,
        )
    report(body, as_json=json)
    return {"whole": 0, "not whole": 1, "cannot tell": 2}[body["state"]]


def restore(
    *,
    source: Source,
    data: Data,
    keys: Annotated[
        Path | None,
        Parameter(help="The place of backups of keys; the key store that is there, without it."),
    ] = None,
    point: Point = "",
    keys_point: Annotated[
        str, Parameter(help="The id of a backup of keys, if it is not to be the newest.")
    ] = "",
    outdated_keys: Annotated[
        bool, Parameter(negative="", help="Take a backup of keys that had to be gone by now.")
    ] = False,
    checkpoint: Annotated[
        Path | None, Parameter(help="The newest checkpoint that the log has published.")
    ] = None,
    keep_objects: Annotated[
        bool, Parameter(negative="", help="The objects survived: go on with those that are there.")
    ] = False,
    drill: Annotated[
        bool, Parameter(negative="", help="Only to try it: the log is left as it is, and held.")
    ] = False,
    key: Keys = None,
    json: Json = False,
) -> int:
    """Put a backup back into a new directory, with the newest backup of keys or the store there is.

    The backup is checked first. What was destroyed after it stays destroyed. Nothing here knows
    what the log had published since, so a new epoch of it begins, which names the one before; with
    `--checkpoint`, the newest one that an auditor or a witness has, only if more was published.
    Interrupted, run it again. Exit code 0: done. 1: refused, and why.
    """
    from auditkeep.app import backups
    from auditkeep.cli.progress import BackupProgress
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load
    from auditkeep.verify.pins import pinned

    newest = checkpoint_text(checkpoint)
    wanted = backups.Wanted(
        source,
        point,
        keys,
        keys_point,
        outdated_keys,
        keep_objects,
        drill,
        newest,
        tuple(key or ()),
        pinned(),
    )
    with BackupProgress() as progress:
        body = backups.restore(load(data), SystemClock(), wanted, progress)
    report(body, as_json=json)
    print(f"auditkeep: now run: auditkeep log audit --data {data}", file=sys.stderr)
    return 0


def list_backups(
    *,
    source: Annotated[
        Path | None, Parameter(name="--from", help="The place where backups of data are kept.")
    ] = None,
    keys: KeysAt = None,
    json: Json = False,
) -> int:
    """The backups of a place, oldest first."""
    from auditkeep.app import backups
    from auditkeep.errors import SetupError

    if source is None and keys is None:
        raise SetupError("Name a place: --from FOLDER for data, --keys FOLDER for keys.")
    report(backups.listed(source, keys), as_json=json)
    return 0


def prune(
    *,
    data: Data,
    keys: Annotated[Path, Parameter(help="The place where backups of keys are kept.")],
    json: Json = False,
) -> int:
    """Take away backups of keys that are as old as AUDITKEEP_KEY_BACKUP_DAYS allows."""
    from auditkeep.app import backups
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load

    gone = backups.prune_keys_of(load(data), keys, SystemClock().now())
    report({"pruned": gone}, as_json=json)
    return 0
