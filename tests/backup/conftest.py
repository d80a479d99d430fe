"""A lake to back up, a place to back it up to, and what a restore makes of it elsewhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.lake.audit.house import audited, furnish
from tests.lake.making import NOW, TENANT, register

from auditkeep.backup import create as creating
from auditkeep.backup.check import Checked, check
from auditkeep.backup.create import Created
from auditkeep.backup.restore import put_log, put_objects, put_rows
from auditkeep.clock import SystemClock
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.lake.audit.run import Audited
from auditkeep.lake.lake import Lake, Restored
from auditkeep.lake.objects import LocalObjects, ObjectStore
from auditkeep.lake.recovery import recover


def quiet(_doing: str, _count: int, _size: int = 0) -> None:
    return


def back_up(lake: Lake, place: ObjectStore, keep: int | None = None) -> Created:
    return creating.create(lake, place, SystemClock(), quiet, keep=keep)


def checked(lake: Lake, place: ObjectStore, made: Created) -> Checked:
    return check(place, made.manifest.id, [lake.signer.verifier], quiet)


def put_back(lake: Lake, place: ObjectStore, made: Created, url: str, folder: Path) -> Lake:
    """The lake that a restore gives: another database, other objects, the same key store."""
    found = checked(lake, place, made)
    assert found.problems == []
    objects = LocalObjects(folder / "objects")
    put_objects(place, objects, found.objects.values(), quiet)
    db = Database(url)
    db.migrate()
    told = made.manifest
    mark = Restored(told.id, told.taken_at, told.log.size, kept=False)
    put_rows(db, place, told, mark, lake.keys.ring, quiet)
    back = Lake.open(
        db=db,
        data=folder,
        objects=objects,
        provider=lake.provider,
        keystore=lake.keystore,
        signer=lake.signer,
    )
    put_log(back, kept_objects=False)
    return back


def audit_of(lake: Lake, place: ObjectStore, made: Created, folder: Path) -> Audited:
    """The audit of a backup put back into an embedded database, after its log was recovered."""
    folder.mkdir()
    back = put_back(lake, place, made, f"sqlite:///{folder / 'audit.db'}", folder)
    try:
        back, _ = recover(back, TENANT, "test", NOW)
        return audited(back)
    finally:
        back.db.close()


@pytest.fixture
def lived(db: Database, lake: Lake) -> Lake:
    """Segments, leaves, files, a tail, what was destroyed; a key of another deployment's kind."""
    register(db)
    furnish(lake)
    with db.system_write() as tx:
        tx.upsert(meta, [{"key": "log_origin", "value": lake.origin}])
    return lake


@pytest.fixture
def place(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "backups")


class Meddling(LocalObjects):
    """Objects that something happens to just when one of them is opened."""

    def __init__(self, folder: Path, prefix: str, meddle: Callable[[str], None]) -> None:
        super().__init__(folder)
        self._prefix = prefix
        self._meddle: Callable[[str], None] | None = meddle

    def open(self, key: str) -> BinaryIO:
        if self._meddle is not None and key.startswith(self._prefix):
            meddle, self._meddle = self._meddle, None
            meddle(key)
        return super().open(key)


def over(lake: Lake, objects: ObjectStore) -> Lake:
    return replace(lake, objects=objects)
