"""What anybody may know of the log: its key and its newest checkpoint. Needs no secret."""

from auditkeep.app.places import Places
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.errors import ObjectMissing, SetupError
from auditkeep.lake import published
from auditkeep.lake.objects import LocalObjects
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


def published_checkpoint(settings: Settings) -> str:
    """The newest signed checkpoint, as text."""
    try:
        return LocalObjects(Places.of(settings).objects).get(published.NAME).decode()
    except ObjectMissing as error:
        raise SetupError("Nothing has been logged yet, so there is no checkpoint.") from error
