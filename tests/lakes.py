"""A lake for tests: over a database, with new keys and objects of its own in a folder."""

from pathlib import Path
from typing import Any

from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.crypto.signing import SigningKey
from auditkeep.db.database import Database
from auditkeep.lake.lake import Lake
from auditkeep.lake.objects import LocalObjects
from auditkeep.tlog.note import Signer


def new_lake(db: Database, folder: Path, **more: Any) -> Lake:
    """Opened; `more` is what else `Lake.open` takes."""
    keys = folder / "keys"
    return Lake.open(
        db=db,
        data=folder,
        objects=LocalObjects(folder / "objects"),
        provider=LocalKeyProvider.create(keys / "master.key"),
        keystore=KeyStore(keys / "buckets"),
        signer=Signer("auditkeep.test/log", SigningKey.create(keys / "log.key")),
        **more,
    )
