"""Destruction in a bucket that gives nothing up: what counts is the key."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.lake.destroying import destroy_everything
from tests.lake.making import NOW, TENANT, add, some
from tests.s3 import S3Server, end_locks

from auditkeep.clock import DAY, FixedClock, SystemClock
from auditkeep.db.database import Database
from auditkeep.errors import KeyUnusable, ObjectMissing, StorageError
from auditkeep.lake import governance
from auditkeep.lake.blobs import get_blob, object_name, put_blob, stored_name
from auditkeep.lake.destruction import destroy_class
from auditkeep.lake.lake import Lake
from auditkeep.lake.s3.copies import Copies
from auditkeep.lake.s3.store import S3Objects
from auditkeep.lake.seal import seal
from auditkeep.lake.sweep import clear_away, purge

pytestmark = pytest.mark.server

ASKED = governance.authority(governance.DELETE_ASSESSMENT, "arn:u", "req-1", "a", NOW)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(SystemClock().now())


@pytest.fixture
def store(s3: S3Server, copies: Copies, clock: FixedClock) -> S3Objects:
    s3.bucket(locked=True)
    return S3Objects(s3.place(lock="compliance", lock_days=30), copies, clock)


@pytest.fixture
def lake(lake: Lake, store: S3Objects) -> Lake:
    return replace(lake, objects=store)


def test_what_is_locked_is_unreadable_as_soon_as_it_is_destroyed(
    lake: Lake, db: Database, store: S3Objects, clock: FixedClock, tmp_path: Path
) -> None:
    with db.write(TENANT) as tx:
        put_blob(tx, lake, "manual/a", "manual/policy.txt", b"a policy", NOW)
        name = object_name(TENANT, stored_name(tx, "manual/policy.txt"))
    kept = store.get(name)
    with db.write(TENANT) as tx:
        done = destroy_class(tx, lake, "manual/a", ASKED, NOW)
    assert done is not None
    assert set(lake.keystore.bucket_ids()) & {bucket.id for bucket in done.buckets} == set()
    with db.read(TENANT) as tx, pytest.raises(ObjectMissing):
        get_blob(tx, lake, "manual/policy.txt")
    held = purge(lake, TENANT, clock.now())
    assert held is not None
    assert (held.objects, held.size) == (1, len(kept))
    (version,) = [v for v in store.control.versions("blobs/") if not v.marker]
    assert not store.control.destroy(version)
    with db.read(TENANT) as tx, pytest.raises((KeyUnusable, StorageError)):
        lake.keys.object_key(TENANT, done.buckets[0].id, "any")
    clock.advance(31 * DAY)
    end_locks()
    assert purge(lake, TENANT, clock.now()) is None
    assert list(store.control.versions("blobs/")) == []


def test_a_tenant_is_erased_though_its_objects_are_locked(
    lake: Lake, db: Database, store: S3Objects, clock: FixedClock
) -> None:
    add(lake, "unit-1", some(0, 30))
    assert seal(lake, TENANT, now=NOW, min_rows=1) is not None
    with db.write(TENANT) as tx:
        destroy_everything(tx, lake, ASKED, NOW)
    clear_away(lake, TENANT)
    left = [k for kind in ("segments", "leaves") for k in store.list(f"{kind}/")]
    assert left == []
    held = purge(lake, TENANT, clock.now())
    assert held is not None
    assert held.until is not None


def test_an_object_that_cannot_be_hidden_now_is_swept_later(
    lake: Lake, db: Database, store: S3Objects, s3: S3Server
) -> None:
    """The keys are gone by then: the store's refusal undoes nothing."""
    with db.write(TENANT) as tx:
        put_blob(tx, lake, "manual/a", "manual/policy.txt", b"a policy", NOW)
    s3.denied.add("s3:DeleteObject")
    with db.write(TENANT) as tx:
        done = destroy_class(tx, lake, "manual/a", ASKED, NOW)
    assert done is not None
    assert set(lake.keystore.bucket_ids()) & {bucket.id for bucket in done.buckets} == set()
    assert len(list(store.list("blobs/"))) == 1
    s3.denied.clear()
    assert clear_away(lake, TENANT) == 1
    assert list(store.list("blobs/")) == []
