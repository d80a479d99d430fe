import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from tests.lake.making import EVERYTHING, NOW, TENANT, add, observation, register, some
from tests.threads import at_once

from auditkeep.clock import DAY, MINUTE, Instant, SystemClock
from auditkeep.db.database import Database
from auditkeep.db.schema import batches, segments, tail
from auditkeep.errors import DecryptionFailed, StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import parquet
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import headers, observations
from auditkeep.lake.seal import Sealed, _in_tail, seal
from auditkeep.lake.segments import object_name
from auditkeep.lake.sweep import sweep
from auditkeep.observations import Observation

LATER = Instant(NOW + 2 * DAY)


def sealed(lake: Lake, **arguments: int) -> Sealed:
    result = seal(lake, TENANT, now=NOW, **arguments)
    assert result is not None
    return result


@pytest.mark.both_databases
def test_sealing_moves_rows_and_changes_nothing_that_is_read(lake: Lake, db: Database) -> None:
    for number in range(4):
        add(lake, f"unit-{number}", some(number * 10, 10))
    with db.read(TENANT) as tx:
        before = observations(tx, lake, [EVERYTHING], limit=100)
    result = sealed(lake, min_rows=25)
    assert (result.batches, result.rows) == (3, 30)
    with db.read(TENANT) as tx:
        assert observations(tx, lake, [EVERYTHING], limit=100) == before
        assert [row.batch_no for row in tx.all(tx.select(tail.c.batch_no))] == [4]
        row = tx.first(tx.select(segments))
    assert row is not None
    assert (row.rows, row.min_batch, row.max_batch) == (30, 1, 3)
    assert row.size == lake.objects.size(object_name(TENANT, row.id))


def test_few_rows_wait_until_they_are_old(lake: Lake) -> None:
    add(lake, "unit-1", some(0, 10))
    assert seal(lake, TENANT, now=NOW) is None
    assert seal(lake, TENANT, now=LATER) is not None
    assert seal(lake, TENANT, now=LATER) is None


def large(first: int, count: int, size: int = 40_000) -> list[Observation]:
    """Observations whose raw bytes are many and compress well, so that they stay in the tail."""
    return [
        observation(n, raw=b'{"n":%d,"padding":"%s"}' % (n, b"x" * size))
        for n in range(first, first + count)
    ]


@pytest.mark.both_databases
def test_large_records_are_sealed_by_their_bytes(lake: Lake, db: Database) -> None:
    for number in range(6):
        add(lake, f"unit-{number}", large(number * 10, 10))
    with db.read(TENANT) as tx:
        sizes = [row.size for row in tx.all(tx.select(batches.c.size))]
    assert all(400_000 < size < 410_000 for size in sizes), "ten of 40,000 bytes, and envelopes"
    results = []
    while (result := seal(lake, TENANT, now=NOW, max_size=1_000_000)) is not None:
        results.append(result)
    assert [r.batches for r in results] == [3, 3]
    add(lake, "unit-6", large(60, 10))
    assert seal(lake, TENANT, now=NOW, max_size=1_000_000) is None, "too little to be worth it"
    with db.read(TENANT) as tx:
        assert len(observations(tx, lake, [EVERYTHING], limit=100)) == 70


@pytest.mark.slow
def test_a_sealer_s_memory_follows_the_bytes_it_was_allowed(tmp_path: Path) -> None:
    """Measured: a tail of 256 MB of huge records, sealed 16 MB at a time."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.lake.sealer", str(tmp_path / "data"), "256", "16"],
        cwd=Path(__file__).parent.parent.parent,
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=True,
    )
    segments_written, grown = map(int, done.stdout.split())
    assert segments_written >= 12
    assert grown < 128, (
        "megabytes; sealed as one segment it would be more than the 256 of its records"
    )


def test_a_segment_lies_in_one_bucket(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 10))
    add(lake, "unit-2", some(10, 10), klass="manual/a")
    add(lake, "unit-3", some(20, 10))
    assert [sealed(lake, min_rows=1, max_age=0).rows for _ in range(3)] == [10, 10, 10]
    with db.read(TENANT) as tx:
        rows = tx.all(
            tx.select(batches.c.bucket_id, segments.c.bucket_id.label("segment_bucket")).where(
                batches.c.segment_id == segments.c.id
            )
        )
    assert len(rows) == 3
    assert all(row.bucket_id == row.segment_bucket for row in rows)


@pytest.mark.both_databases
def test_many_sealers_at_once_seal_each_row_once(lake: Lake, db: Database) -> None:
    for number in range(6):
        add(lake, f"unit-{number}", some(number * 10, 10))

    def work() -> list[Sealed | None]:
        return [seal(lake, TENANT, now=LATER, min_rows=20) for _ in range(4)]

    results = list(chain.from_iterable(at_once([work] * 3)))
    while (last := seal(lake, TENANT, now=LATER, min_rows=20)) is not None:
        results.append(last)
    assert sum(r.rows for r in results if r is not None) == 60
    with db.read(TENANT) as tx:
        assert len(observations(tx, lake, [EVERYTHING], limit=100)) == 60
        kept = {object_name(TENANT, row.id) for row in tx.all(tx.select(segments.c.id))}
    assert set(lake.objects.list("segments/")) == kept, "who came second left nothing"


@pytest.mark.both_databases
def test_each_tenant_is_sealed_by_itself(lake: Lake, db: Database) -> None:
    other = Tenant("444455556666", "us-east-1")
    register(db, other)
    add(lake, "unit-1", some(0, 10))
    add(lake, "unit-1", some(0, 10), tenant=other)
    assert sealed(lake, min_rows=1).rows == 10
    # Another sealer was faster: that the other tenant has a batch of this number changes nothing.
    chosen = [1]
    with db.write(TENANT) as tx:
        assert _in_tail(tx, chosen) == 0
    result = seal(lake, other, now=NOW, min_rows=1)
    assert result is not None
    assert result.rows == 10
    for tenant in (TENANT, other):
        with db.read(tenant) as tx:
            assert len(observations(tx, lake, [EVERYTHING], limit=100)) == 10


def test_rows_are_sorted_into_small_groups(lake: Lake) -> None:
    for number in range(3):
        add(lake, f"unit-{number}", some(number * 1000, 1000))
    result = sealed(lake, min_rows=3000)
    key = lake.keys.object_key(TENANT, result.bucket_id, result.segment_id)
    (url,) = lake.objects.near([object_name(TENANT, result.segment_id)])
    frame = pl.read_parquet(url, decryption=_decryption(key, result.segment_id))
    order = ["source", "match_key", "event_time", "account"]
    assert frame.equals(frame.sort(order, descending=[False, False, True, False]))
    reader = pq.ParquetFile(url, decryption_properties=_pyarrow(key, result.segment_id))
    groups = [reader.metadata.row_group(n).num_rows for n in range(reader.num_row_groups)]
    assert max(groups) <= parquet.ROW_GROUP
    assert len(groups) >= 2


def test_pyarrow_reads_the_same_encrypted_rows(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 50))
    result = sealed(lake, min_rows=1)
    key = lake.keys.object_key(TENANT, result.bucket_id, result.segment_id)
    (url,) = lake.objects.near([object_name(TENANT, result.segment_id)])
    table = pq.ParquetFile(url, decryption_properties=_pyarrow(key, result.segment_id)).read()
    with db.read(TENANT) as tx:
        ours = {s.id: s for s in observations(tx, lake, [EVERYTHING], limit=100)}
    assert table.num_rows == len(ours) == 50
    for row in table.to_pylist():
        stored = ours[row["id"]]
        assert (row["raw"], row["envelope"], row["nonce"]) == (
            stored.raw,
            stored.envelope,
            stored.nonce,
        )
        assert (row["batch_no"], row["index"]) == (stored.batch_no, stored.index)
    with pytest.raises(OSError, match="decrypt"):
        pq.ParquetFile(url, decryption_properties=_pyarrow(key, "another-segment"))


def test_a_swapped_segment_is_refused(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 10))
    first = sealed(lake, min_rows=1)
    add(lake, "unit-2", some(10, 10))
    second = sealed(lake, min_rows=1)
    assert first.bucket_id == second.bucket_id
    content = lake.objects.get(object_name(TENANT, first.segment_id))
    lake.objects.replace(object_name(TENANT, second.segment_id), content)
    with db.read(TENANT) as tx, pytest.raises(DecryptionFailed, match=second.segment_id):
        observations(tx, lake, [EVERYTHING], limit=100)


def test_a_flipped_byte_anywhere_is_noticed_or_harmless(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 200))
    result = sealed(lake, min_rows=1)
    name = object_name(TENANT, result.segment_id)
    content = lake.objects.get(name)
    with db.read(TENANT) as tx:
        whole = observations(tx, lake, [EVERYTHING], limit=1000)
        light = list(headers(tx, lake, [EVERYTHING]))
    refused = 0
    for at in range(0, len(content), 97):
        changed = bytearray(content)
        changed[at] ^= 1
        lake.objects.replace(name, bytes(changed))
        with db.read(TENANT) as tx:
            try:
                assert list(headers(tx, lake, [EVERYTHING])) == light
                assert observations(tx, lake, [EVERYTHING], limit=1000) == whole
            except (DecryptionFailed, StorageError):
                refused += 1
    # What changed without being refused changed nothing that is read: magic words, page indexes.
    assert refused > len(range(0, len(content), 97)) * 0.9


def test_another_month_s_key_opens_nothing(lake: Lake) -> None:
    add(lake, "unit-1", some(0, 10))
    result = sealed(lake, min_rows=1)
    name = object_name(TENANT, result.segment_id)
    opening = parquet.Opening(result.segment_id, lake.objects, name, b"k" * 32)
    with pytest.raises(DecryptionFailed, match="does not open"):
        list(parquet.headers(opening, [EVERYTHING]))
    assert "kkk" not in repr(opening)


def test_a_sweep_takes_only_what_is_old_and_unused(lake: Lake) -> None:
    add(lake, "unit-1", some(0, 1_100))
    sealed(lake, min_rows=1)
    used = {*lake.objects.list("segments/"), *lake.objects.list("leaves/")}
    assert len(used) == 2
    orphan_segment = object_name(TENANT, "orphan")
    orphan_leaves = f"leaves/{TENANT.account}/{TENANT.region}/1-{'ab' * 32}"
    for name in (orphan_segment, orphan_leaves):
        lake.objects.put(name, b"left behind")
    now = SystemClock().now()
    assert sweep(lake, TENANT, Instant(now + 59 * MINUTE)) == []
    swept = sweep(lake, TENANT, Instant(now + 61 * MINUTE))
    assert set(swept) == {orphan_segment, orphan_leaves}
    assert {*lake.objects.list("segments/"), *lake.objects.list("leaves/")} == used


def _decryption(key: bytes, segment_id: str) -> pl.ParquetDecryptionProperties:
    return pl.ParquetDecryptionProperties(footer_key=key, aad_prefix=segment_id.encode())


def _pyarrow(key: bytes, segment_id: str) -> object:
    from pyarrow import parquet as _  # noqa: F401 - loads what the next import needs
    from pyarrow._parquet_encryption import create_decryption_properties

    return create_decryption_properties(
        footer_key=key, aad_prefix=segment_id.encode(), check_footer_integrity=True
    )
