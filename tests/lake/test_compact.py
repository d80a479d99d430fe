"""Small segments become large ones, and nothing that is read, proven or audited changes."""

import itertools
import threading
from collections.abc import Sequence
from itertools import chain

import pytest
from tests.lake.checking import check_log, check_proofs, check_rows
from tests.lake.making import EVERYTHING, NOW, TENANT, add, register, some
from tests.lake.paging import paging
from tests.threads import at_once

from auditkeep.clock import DAY, MINUTE, Instant, SystemClock
from auditkeep.db.database import Database
from auditkeep.db.schema import batches, buckets, replaced, segments
from auditkeep.errors import ObjectMissing, StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import compact as compact_module
from auditkeep.lake import governance, parquet
from auditkeep.lake.audit.run import audit
from auditkeep.lake.buckets import fetching
from auditkeep.lake.compact import Bounds, Merged, compact, waiting
from auditkeep.lake.destruction import destroy_class
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored
from auditkeep.lake.read import find, observations
from auditkeep.lake.seal import seal
from auditkeep.lake.segments import object_name, opening_of
from auditkeep.lake.sequencer import Sequencer
from auditkeep.lake.sweep import GRACE, sweep

NEXT_MONTH = Instant(NOW + 40 * DAY)
SMALL = Bounds(rows=100, size=1 << 20)


def sealed(lake: Lake, counts: Sequence[int], *, first: int = 0, klass: str = "facts") -> None:
    """A segment of each count."""
    for number, count in enumerate(counts):
        add(lake, f"{klass}-{first}-{number}", some(first, count), klass=klass)
        assert seal(lake, TENANT, now=NOW, min_rows=1) is not None
        first += count


def merged(lake: Lake, now: Instant, bounds: Bounds = SMALL, *, everything: bool = False) -> Merged:
    done = compact(lake, TENANT, now=now, bounds=bounds, everything=everything)
    assert done is not None
    return done


def sizes(db: Database) -> list[int]:
    with db.read(TENANT) as tx:
        return sorted(row.rows for row in tx.all(tx.select(segments.c.rows)))


def everything(lake: Lake, db: Database) -> list[Stored]:
    with db.read(TENANT) as tx:
        return observations(tx, lake, [EVERYTHING], limit=1000)


@pytest.mark.both_databases
def test_merging_changes_nothing_that_is_read_proven_or_audited(lake: Lake, db: Database) -> None:
    sealed(lake, [10, 20, 30])
    with Sequencer(lake) as sequencer:
        assert sequencer.step(NOW) is not None
    before = everything(lake, db)
    done = merged(lake, NEXT_MONTH)
    assert (done.replaced, done.rows) == (3, 60)
    assert everything(lake, db) == before
    with db.read(TENANT) as tx:
        assert find(tx, lake, [one.id for one in before]) == {one.id: one for one in before}
        (row,) = tx.all(tx.select(segments))
        assert {r.segment_id for r in tx.all(tx.select(batches.c.segment_id))} == {row.id}
    assert (row.rows, row.min_batch, row.max_batch) == (60, 1, 3)
    assert row.unpacked == sum(len(one.raw) + len(one.envelope) for one in before)
    assert check_rows(lake, some(0, 60)) is not None
    check_log(lake, [])
    check_proofs(lake, before)
    found = audit(lake, now=SystemClock().now())
    assert (found.problems, found.counts.observations, found.counts.segments) == ((), 60, 1)
    assert compact(lake, TENANT, now=NEXT_MONTH, bounds=SMALL) is None


def test_a_merged_segment_is_sorted_into_small_groups(lake: Lake) -> None:
    sealed(lake, [1500, 1500])
    done = merged(lake, NEXT_MONTH, Bounds())
    rows = parquet._scan(opening_of(lake, TENANT, done.bucket_id, done.segment_id)).collect()
    order = ["source", "match_key", "event_time", "account"]
    assert rows.equals(rows.sort(order, descending=[False, False, True, False]))
    assert done.rows == 3000 > parquet.ROW_GROUP


def test_where_more_is_written_four_of_one_size_become_one(lake: Lake, db: Database) -> None:
    sealed(lake, [5, 5, 5])
    assert compact(lake, TENANT, now=NOW, bounds=SMALL) is None, "three are not worth it"
    assert waiting(lake, TENANT, now=NOW, bounds=SMALL) == 0
    sealed(lake, [5], first=15)
    assert waiting(lake, TENANT, now=NOW, bounds=SMALL) == 4
    merged(lake, NOW)
    assert sizes(db) == [20]
    sealed(lake, [5, 5, 5], first=20)
    assert compact(lake, TENANT, now=NOW, bounds=SMALL) is None, "the one of twenty is another size"
    assert merged(lake, NOW, everything=True).rows == 35


def test_each_observation_is_written_few_times_over(lake: Lake, db: Database) -> None:
    """Forty days of a segment each: far fewer rows are written again than days times rows."""
    written = 0
    for day in range(40):
        sealed(lake, [2], first=day * 2)
        while (done := compact(lake, TENANT, now=NOW, bounds=SMALL)) is not None:
            written += done.rows
    assert len(sizes(db)) <= 9
    assert written <= 80 * 3, "at most once for each tier: 2 to 8 to 32"
    assert waiting(lake, TENANT, now=NOW, bounds=SMALL) == 0


def test_after_the_month_whatever_fits_goes_together_and_then_nothing_more(
    lake: Lake, db: Database
) -> None:
    sealed(lake, [5, 60, 40, 30, 20, 7])
    while compact(lake, TENANT, now=NEXT_MONTH, bounds=SMALL) is not None:
        assert sum(sizes(db)) == 162
    assert max(sizes(db)) <= 100
    assert sum(1 for rows in sizes(db) if rows < 50) <= 1
    assert waiting(lake, TENANT, now=NEXT_MONTH, bounds=SMALL) == 0


def test_bytes_bound_a_segment_too(lake: Lake, db: Database) -> None:
    sealed(lake, [10, 10, 10, 10])
    with db.read(TENANT) as tx:
        size = max(row.unpacked for row in tx.all(tx.select(segments.c.unpacked)))
    bounds = Bounds(rows=50_000, size=int(size * 2.5))
    assert merged(lake, NEXT_MONTH, bounds).replaced == 2
    assert merged(lake, NEXT_MONTH, bounds).replaced == 2
    assert compact(lake, TENANT, now=NEXT_MONTH, bounds=bounds) is None


def test_buckets_and_tenants_are_not_mixed(lake: Lake, db: Database) -> None:
    other = Tenant("444455556666", "us-east-1")
    register(db, other)
    sealed(lake, [5, 5])
    sealed(lake, [6, 6], first=20, klass="manual/a")
    add(lake, "theirs", some(0, 5), tenant=other)
    assert seal(lake, other, now=NOW, min_rows=1) is not None
    assert {merged(lake, NEXT_MONTH).rows, merged(lake, NEXT_MONTH).rows} == {10, 12}
    assert compact(lake, TENANT, now=NEXT_MONTH, bounds=SMALL) is None
    assert compact(lake, other, now=NEXT_MONTH, bounds=SMALL) is None


@pytest.mark.both_databases
def test_two_compactors_at_once_merge_each_segment_once(lake: Lake, db: Database) -> None:
    sealed(lake, [5] * 8)
    before = everything(lake, db)

    def work() -> list[Merged | None]:
        return [compact(lake, TENANT, now=NEXT_MONTH, bounds=SMALL) for _ in range(3)]

    results = chain.from_iterable(at_once([work] * 3))
    assert sum(done.rows for done in results if done is not None) == 40
    assert everything(lake, db) == before
    sweep(lake, TENANT, Instant(SystemClock().now() + 2 * GRACE))
    with db.read(TENANT) as tx:
        kept = {object_name(TENANT, row.id) for row in tx.all(tx.select(segments.c.id))}
    assert set(lake.objects.list("segments/")) == kept, "who came second left nothing"


@pytest.mark.both_databases
def test_a_reader_pages_on_while_segments_are_merged(lake: Lake, db: Database) -> None:
    sealed(lake, [9] * 10)
    whole = everything(lake, db)

    def fault(pages: list[Stored]) -> str | None:
        return None if pages == whole else f"{len(pages)} of {len(whole)}"

    with paging(lake, db, fault) as another_page:
        for rows in (20, 40, 95):
            while compact(lake, TENANT, now=NEXT_MONTH, bounds=Bounds(rows, 1 << 20)) is not None:
                sweep(lake, TENANT, Instant(SystemClock().now() + 2 * GRACE))  # without any grace
                another_page()
    assert sizes(db) == [90]


def test_replaced_files_stay_for_a_day(lake: Lake, db: Database) -> None:
    sealed(lake, [10, 20])
    old = set(lake.objects.list("segments/"))
    now = SystemClock().now()
    assert compact(lake, TENANT, now=now, bounds=SMALL, everything=True) is not None
    assert sweep(lake, TENANT, Instant(now + GRACE - MINUTE)) == []
    assert old < set(lake.objects.list("segments/"))
    assert set(sweep(lake, TENANT, Instant(now + GRACE + MINUTE))) == old
    with db.read(TENANT) as tx:
        assert tx.all(tx.select(replaced)) == []
    assert len(everything(lake, db)) == 30


def test_a_snapshot_of_before_the_grace_says_what_is_gone_and_a_new_one_finds_it(
    lake: Lake, db: Database
) -> None:
    sealed(lake, [10, 20])
    looks = itertools.count()

    def look() -> int:
        with db.read(TENANT) as tx:
            tx.all(tx.select(segments.c.id))  # the snapshot is taken
            if next(looks) == 0:
                merging = threading.Thread(target=merge_and_sweep)
                merging.start()
                merging.join()
            return len(observations(tx, lake, [EVERYTHING], limit=100))

    def merge_and_sweep() -> None:
        assert compact(lake, TENANT, now=NEXT_MONTH, bounds=SMALL) is not None
        for name in sweep(lake, TENANT, Instant(NEXT_MONTH + 365 * DAY)):
            assert name.startswith("segments/")

    assert fetching(look) == 30
    assert next(looks) == 2, "the first snapshot did not do"


def test_a_file_that_is_lost_is_looked_for_three_times(lake: Lake, db: Database) -> None:
    sealed(lake, [10])
    (name,) = lake.objects.list("segments/")
    lake.objects.delete(name)
    looks = itertools.count()

    def look() -> None:
        next(looks)
        with db.read(TENANT) as tx:
            observations(tx, lake, [EVERYTHING], limit=100)

    with pytest.raises(ObjectMissing, match="Restore it from a backup"):
        fetching(look)
    assert next(looks) == 3


@pytest.mark.both_databases
def test_nothing_is_merged_under_destruction(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(lake, [10, 20], klass="manual/a")

    def destroy(name: str) -> None:
        if name != "compact.segment-kept":
            return
        given = governance.authority("DeleteAssessment", "arn:x", "r", "a", NOW)
        with db.write(TENANT) as tx:
            assert destroy_class(tx, lake, "manual/a", given, NOW) is not None

    monkeypatch.setattr(compact_module, "reach", destroy)
    assert compact(lake, TENANT, now=NEXT_MONTH, bounds=SMALL) is None
    assert list(lake.objects.list("segments/")) == []
    with db.read(TENANT) as tx:
        assert tx.all(tx.select(segments)) == []
        assert tx.all(tx.select(replaced)) == []


def test_what_was_replaced_goes_with_its_bucket_at_once(lake: Lake, db: Database) -> None:
    sealed(lake, [10, 20], klass="manual/a")
    merged(lake, NEXT_MONTH)
    assert len(list(lake.objects.list("segments/"))) == 3
    given = governance.authority("DeleteAssessment", "arn:x", "r", "a", NOW)
    with db.write(TENANT) as tx:
        destroy_class(tx, lake, "manual/a", given, NOW)
    assert list(lake.objects.list("segments/")) == []


def test_a_segment_that_does_not_hold_what_it_should_stays_as_it_is(
    lake: Lake, db: Database
) -> None:
    sealed(lake, [10, 20])
    with db.write(TENANT) as tx:
        tx.run(tx.update(batches).where(batches.c.batch_no == 1).values(rows=11))
    before = set(lake.objects.list("segments/"))
    with pytest.raises(StorageError, match="auditkeep log audit"):
        compact(lake, TENANT, now=NEXT_MONTH, bounds=SMALL)
    assert set(lake.objects.list("segments/")) == before
    assert sizes(db) == [10, 20]


def test_a_bucket_that_is_being_cut_down_is_left_alone(lake: Lake, db: Database) -> None:
    sealed(lake, [10, 20])
    with db.write(TENANT) as tx:
        tx.run(tx.update(buckets).values(successor="next"))
    assert compact(lake, TENANT, now=NEXT_MONTH, bounds=SMALL) is None
