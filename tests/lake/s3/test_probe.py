import pytest
from tests.s3 import S3Server, end_locks

from auditkeep.clock import SystemClock
from auditkeep.errors import StoreAway
from auditkeep.lake.s3.copies import Copies
from auditkeep.lake.s3.place import Place
from auditkeep.lake.s3.probe import prove, told
from auditkeep.lake.s3.store import S3Objects

pytestmark = pytest.mark.server


def test_a_bucket_that_works_is_left_as_it_was(s3: S3Server, store: S3Objects) -> None:
    prove(store)
    assert s3.shown() == []
    assert list(told(store)) == []


def test_a_store_that_takes_a_key_twice_is_refused(s3: S3Server, store: S3Objects) -> None:
    s3.forgetful = True
    with pytest.raises(StoreAway, match="does not honour If-None-Match"):
        prove(store)


@pytest.mark.parametrize(
    "action", ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
)
def test_an_action_that_is_denied_is_named(s3: S3Server, store: S3Objects, action: str) -> None:
    s3.denied.add(action)
    with pytest.raises(StoreAway, match=f"denies {action}"):
        prove(store)


def test_a_bucket_that_is_not_there_is_named(s3: S3Server, copies: Copies) -> None:
    place = Place("another-bucket", region=s3.place().region, endpoint=s3.url)
    with pytest.raises(StoreAway, match="no bucket another-bucket"):
        prove(S3Objects(place, copies, SystemClock()))


def test_a_bucket_that_locks_must_let_this_process_lock(s3: S3Server, store: S3Objects) -> None:
    s3.bucket(locked=True)
    s3.denied.add("s3:PutObjectRetention")
    with pytest.raises(StoreAway, match="denies s3:PutObjectRetention"):
        prove(store)
    s3.denied.clear()
    prove(store)
    end_locks()
    prove(store)
    left = [v for v in store.control.versions("") if not v.marker]
    assert len(left) == 1, "what earlier starts locked is not taken away"


def test_an_operator_is_told_of_locks_and_of_what_may_not_be_seen(
    s3: S3Server, copies: Copies
) -> None:
    s3.bucket(locked=True)
    s3.denied.add("s3:ListBucketVersions")
    store = S3Objects(s3.place(lock_days=30), copies, SystemClock())
    prove(store)
    lock, versions = told(store)
    assert "objects are locked (governance) for 30 days" in lock
    assert "s3:ListBucketVersions" in versions
    s3.denied = {"s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"}
    (unknown,) = told(S3Objects(s3.place(), copies, SystemClock()))
    assert "s3:GetBucketVersioning" in unknown
