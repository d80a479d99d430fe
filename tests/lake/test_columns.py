import pytest
from tests.lake.making import EVERYTHING, NOW, TENANT, add, some

from auditkeep.crypto.keystore import KeyStore
from auditkeep.db.database import Database
from auditkeep.db.schema import batches, tail
from auditkeep.errors import DecryptionFailed, KeyUnusable, StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import buckets
from auditkeep.lake.buckets import CACHED_KEYS, BucketKeys
from auditkeep.lake.columns import Columns, ColumnsCache, Heavy, Light, pack, unpack
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import find, observations

KEY = b"k" * 32


def columns(batch_no: int, rows: int = 1) -> Columns:
    text = ["x"] * rows
    return Columns(
        batch_no,
        Light(
            ids=b"i" * 16 * rows,
            event_times=[1] * rows,
            collected_at=2,
            sources=text,
            match_keys=text,
            accounts=text,
            regions=text,
            verdicts=[""] * rows,
            resources=[["r"]] * rows,
            resource_verdicts=[[""]] * rows,
        ),
        Heavy(envelopes=[b"e"] * rows, raws=[b"w"] * rows, nonces=b"n" * 32 * rows),
    )


def test_a_blob_opens_only_as_the_batch_it_is() -> None:
    blob = pack(KEY, TENANT, columns(7, 2))
    again = unpack(KEY, TENANT, 7, blob)
    assert again.light == columns(7, 2).light
    assert again.heavy == columns(7, 2).heavy
    assert again.stored(1).nonce == b"n" * 32
    assert again.header(1).verdict is None
    other = Tenant("444455556666", "us-east-1")
    for key, tenant, number in ((KEY, TENANT, 8), (KEY, other, 7), (b"j" * 32, TENANT, 7)):
        with pytest.raises(DecryptionFailed):
            unpack(key, tenant, number, blob)


def test_a_cache_forgets_the_longest_unused() -> None:
    cache = ColumnsCache(max_rows=5)
    for number in (1, 2):
        cache.put(TENANT, columns(number, 2), b"root", 10)
    cache.put(TENANT, columns(1, 2), b"root", 10)
    assert cache.get(TENANT, 1, b"root") is not None
    assert cache.get(TENANT, 1, b"other root") is None
    cache.put(TENANT, columns(3, 2), b"root", 10)
    assert cache.get(TENANT, 2, b"root") is None
    assert cache.get(TENANT, 1, b"root") is not None
    cache.put(TENANT, columns(4, 99), b"root", 10)
    assert cache.get(TENANT, 4, b"root") is not None, "one batch may be larger than the cache"
    assert cache.get(TENANT, 1, b"root") is None


def test_a_cache_of_large_records_forgets_by_their_bytes() -> None:
    cache = ColumnsCache(max_rows=1_000, max_size=100)
    for number in (1, 2, 3):
        cache.put(TENANT, columns(number, 2), b"root", 40)
    assert cache.get(TENANT, 1, b"root") is None
    assert cache.get(TENANT, 2, b"root") is not None
    assert cache.get(TENANT, 3, b"root") is not None


def test_a_tail_blob_in_another_batch_s_place_is_refused(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 3))
    add(lake, "unit-2", some(3, 3))
    with db.write(TENANT) as tx:
        first = tx.scalar(tx.select(tail.c.blob).where(tail.c.batch_no == 1))
        tx.run(tx.update(tail).where(tail.c.batch_no == 2).values(blob=first))
    with db.read(TENANT) as tx, pytest.raises(DecryptionFailed):
        observations(tx, lake, [EVERYTHING], limit=10)


def test_a_batch_whose_rows_are_gone_is_named(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 3))
    with db.write(TENANT) as tx:
        ids = [s.id for s in observations(tx, lake, [EVERYTHING], limit=10)]
        tx.run(tx.delete(tail))
        tx.run(tx.update(batches).values(root=b"r" * 32))
        with pytest.raises(StorageError, match="Batch 1 is neither in the tail nor in a segment"):
            find(tx, lake, ids)


@pytest.mark.both_databases
def test_a_bucket_s_key_is_durable_before_its_row(lake: Lake, db: Database) -> None:
    with db.write(TENANT) as tx:
        bucket_id = buckets.current(tx, lake.keys, "facts", NOW)
        assert lake.keystore.bucket_ids() == [bucket_id]
        assert buckets.current(tx, lake.keys, "facts", NOW) == bucket_id
        assert buckets.current(tx, lake.keys, "reports", NOW) != bucket_id
        buckets.require(tx, bucket_id)
        with pytest.raises(StorageError, match="not there, or was destroyed"):
            buckets.require(tx, "another")


def test_object_keys_follow_from_bucket_and_tenant(lake: Lake) -> None:
    lake.keys.make(TENANT, "bucket-1")
    key = lake.keys.object_key(TENANT, "bucket-1", "a")
    assert key != lake.keys.object_key(TENANT, "bucket-1", "b")
    again = BucketKeys(lake.provider, lake.keystore)
    assert again.object_key(TENANT, "bucket-1", "a") == key
    with pytest.raises(DecryptionFailed):
        again.object_key(Tenant("444455556666", "us-east-1"), "bucket-1", "a")


def test_keys_are_forgotten_when_told_or_when_there_are_too_many(lake: Lake) -> None:
    keys = BucketKeys(lake.provider, KeyStore(lake.data / "many"))
    for number in range(CACHED_KEYS + 1):
        keys._remember(TENANT, f"bucket-{number}", KEY)
    with pytest.raises(KeyUnusable):
        keys.object_key(TENANT, "bucket-0", "a")
    keys.object_key(TENANT, "bucket-1", "a")
    keys.forget(TENANT, "bucket-1")
    with pytest.raises(KeyUnusable):
        keys.object_key(TENANT, "bucket-1", "a")
