"""Segments read from copies of what lies in a bucket."""

from dataclasses import replace

import pytest
from tests.lake.making import EVERYTHING, NOW, TENANT, add, some
from tests.s3 import S3Server

from auditkeep.db.database import Database
from auditkeep.errors import DecryptionFailed, StorageError
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import find, headers, observations
from auditkeep.lake.s3.store import S3Objects
from auditkeep.lake.seal import seal

pytestmark = pytest.mark.server


@pytest.fixture
def lake(lake: Lake, store: S3Objects) -> Lake:
    return replace(lake, objects=store)


def test_a_second_query_asks_the_bucket_for_nothing(lake: Lake, db: Database, s3: S3Server) -> None:
    for number in range(3):
        add(lake, f"unit-{number}", some(number * 20, 20))
        assert seal(lake, TENANT, now=NOW, min_rows=1) is not None
    s3.asked.clear()
    for expected in (3, 0):
        with db.read(TENANT) as tx:
            stored = observations(tx, lake, [EVERYTHING], limit=100)
            assert len(stored) == 60
            assert len(list(headers(tx, lake, [EVERYTHING]))) == 60
            assert len(find(tx, lake, [s.id for s in stored[:5]])) == 5
        assert len(s3.asked) == expected
        s3.asked.clear()


def test_a_copy_that_rotted_is_refused_once_and_then_fetched_anew(
    lake: Lake, db: Database, store: S3Objects
) -> None:
    add(lake, "unit-1", some(0, 20))
    assert seal(lake, TENANT, now=NOW, min_rows=1) is not None
    (copy,) = store.near(list(store.list("segments/")))
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-40] + bytes(40))
    with db.read(TENANT) as tx, pytest.raises((DecryptionFailed, StorageError)):
        observations(tx, lake, [EVERYTHING], limit=100)
    with db.read(TENANT) as tx:
        assert len(observations(tx, lake, [EVERYTHING], limit=100)) == 20


def test_what_was_changed_in_the_bucket_is_refused_however_often(
    lake: Lake, db: Database, store: S3Objects, s3: S3Server
) -> None:
    add(lake, "unit-1", some(0, 20))
    assert seal(lake, TENANT, now=NOW, min_rows=1) is not None
    (name,) = store.list("segments/")
    whole = bytearray(store.get(name))
    whole[len(whole) // 2] ^= 1
    store.replace(name, bytes(whole))
    for _ in range(2):
        with db.read(TENANT) as tx, pytest.raises(DecryptionFailed, match="does not open"):
            observations(tx, lake, [EVERYTHING], limit=100)
