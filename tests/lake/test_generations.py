"""Cutting a bucket down: what stays is there for every reader, what goes is gone with its key."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO

import msgspec
import pytest
from sqlalchemy import Table
from tests.lake.checking import check_log, check_proofs
from tests.lake.destroying import destroy_everything
from tests.lake.making import EVERYTHING, NOW, PROVENANCE, TENANT, add, file_name, observation, some
from tests.lake.paging import paging
from tests.threads import at_once

from auditkeep.clock import DAY, MINUTE, Day, Instant, SystemClock
from auditkeep.db.database import Database
from auditkeep.db.schema import (
    activity_pending,
    batches,
    blobs,
    buckets,
    observation_ids,
    replaced,
    segments,
)
from auditkeep.db.tx import Tx
from auditkeep.errors import KeyDestroyed, ObjectMissing
from auditkeep.lake import destruction, governance
from auditkeep.lake import generations as room
from auditkeep.lake.append import Unit, append
from auditkeep.lake.audit.run import audit
from auditkeep.lake.blobs import delete_blob, get_blob, put_blob
from auditkeep.lake.compact import BOUNDS, Bounds, compact
from auditkeep.lake.generations import Doomed, cut
from auditkeep.lake.governance import Authority, Destruction
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Rollup, Stored
from auditkeep.lake.read import find, observations, rollups
from auditkeep.lake.remains import forget_ids
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.lake.sweep import sweep
from auditkeep.observations import Resource, verdict_of

LATER = Instant(NOW + 3 * DAY)


def given(tx: Tx, lake: Lake, subject: str = "facts 1") -> Authority:
    """A policy, logged."""
    authority = governance.authority("PutRetention", "arn:x", "r", subject, NOW)
    governance.record(tx, lake, [authority], principal="x", run="r", now=LATER)
    return authority


def chosen(doomed: Doomed) -> Callable[[Tx, str], Doomed]:
    return lambda _tx, _bucket: doomed


def bucket_of(db: Database, batch_no: int) -> str:
    with db.read(TENANT) as tx:
        found = tx.scalar(tx.select(batches.c.bucket_id).where(batches.c.batch_no == batch_no))
    return str(found)


def run(
    lake: Lake,
    doomed: Doomed,
    *,
    bucket: str | None = None,
    now: Instant = LATER,
    bounds: Bounds = BOUNDS,
) -> Destruction | None:
    authority = partial(given, lake=lake)
    old = bucket or bucket_of(lake.db, 1)
    done = cut(lake, TENANT, old, chosen(doomed), authority, now, bounds=bounds)
    forget_ids(lake, TENANT)
    return done


def seen(lake: Lake) -> dict[bytes, Stored]:
    with lake.db.read(TENANT) as tx:
        return {one.id: one for one in observations(tx, lake, [EVERYTHING], limit=10_000)}


def counts(lake: Lake) -> Counter[tuple[str, ...]]:
    """What rollups say, over all buckets."""
    with lake.db.read(TENANT) as tx:
        found = rollups(tx, match_keys=EVERYTHING.match_keys, first_day=Day(0), last_day=None)
    told: Counter[tuple[str, ...]] = Counter()
    for row in found:
        for name in ("items", "resources", "issues"):
            told[(*_key(row), name)] += getattr(row, name)
    return told


def _key(row: Rollup) -> tuple[str, ...]:
    return str(row.day), row.match_key, row.origin_account, row.origin_region, row.verdict


def problems(lake: Lake) -> tuple[str, ...]:
    with Sequencer(lake) as sequencer:
        sequencer.step(LATER)
    return audit(lake, now=SystemClock().now(), fresh=True).problems


def furnish(lake: Lake) -> None:
    """One bucket: batches 1 to 4 in two segments, 5 and 6 in the tail."""
    judged = [
        observation(
            n, verdict="FAILED" if n % 2 else "PASSED", resources=(Resource("a", "FAILED"),)
        )
        if n % 3
        else observation(n, verdict="FAILED")
        for n in range(10)
    ]
    add(lake, "unit-1", judged)
    add(lake, "unit-2", some(10, 10))
    assert seal(lake, TENANT, now=NOW, min_rows=20) is not None
    add(lake, "unit-3", some(20, 10))
    add(lake, "unit-4", some(30, 10))
    assert seal(lake, TENANT, now=NOW, min_rows=20) is not None
    add(lake, "unit-5", some(40, 10))
    add(lake, "unit-6", some(50, 10))


def rows_in(db: Database, table: Table) -> int:
    with db.read(TENANT) as tx:
        return len(tx.all(tx.select(table)))


@pytest.mark.both_databases
def test_what_stays_is_as_it_was_and_what_goes_is_gone(lake: Lake, db: Database) -> None:
    furnish(lake)
    before, counted = seen(lake), counts(lake)
    old = bucket_of(db, 1)
    done = run(lake, Doomed(frozenset({2, 3, 4, 5})))
    assert done is not None
    assert (done.batches, done.rows, done.parts) == (((2, 5),), 40, ())
    (bucket,) = done.buckets
    following = bucket_of(db, 1)
    assert (bucket.id, bucket.generation, bucket.next) == (old, 1, following)
    after = seen(lake)
    assert after == {i: one for i, one in before.items() if one.batch_no in {1, 6}}
    with db.read(TENANT) as tx:
        assert find(tx, lake, list(before)) == after
        row = tx.first(tx.select(buckets).where(buckets.c.id == following))
    assert row is not None
    assert (row.generation, row.month, row._mapping["class"]) == (2, "2026-05", "facts")
    left = Counter(one.batch_no for one in after.values())
    assert left == {1: 10, 6: 10}
    assert counts(lake) == expected_counts(lake, counted)
    with pytest.raises(KeyDestroyed):
        lake.keys.object_key(TENANT, old, "x")
    assert len(list(lake.objects.list("segments/"))) == 1, "what was copied from is gone"
    assert rows_in(db, observation_ids) == 20 + 3, "and those of the records"
    assert problems(lake) == ()
    check_log(lake, [])
    check_proofs(lake, list(after.values()))


@pytest.mark.both_databases
def test_what_fills_several_segments_is_counted_once_over_all(lake: Lake, db: Database) -> None:
    furnish(lake)
    counted = counts(lake)
    assert run(lake, Doomed(frozenset({2})), bounds=Bounds(rows=10)) is not None
    with db.read(TENANT) as tx:
        made = tx.all(tx.select(batches.c.segment_id).distinct())
    assert len(made) >= 5, "a key's days lie in many of them"
    assert counts(lake) == expected_counts(lake, counted)
    assert problems(lake) == ()


def expected_counts(lake: Lake, before: Mapping[tuple[str, ...], int]) -> Counter[tuple[str, ...]]:
    """The counts that the survivors would have if they alone had ever been appended."""
    told: Counter[tuple[str, ...]] = Counter()
    for one in seen(lake).values():
        reading = msgspec.json.decode(one.envelope)["reading"]
        named = reading.get("resources", [])
        judged = [r.get("verdict", "") for r in named] if named else [one.verdict or ""]
        key = str(one.event_time // DAY), one.match_key, one.account, one.region
        told[(*key, one.verdict or "", "items")] += 1
        told[(*key, one.verdict or "", "resources")] += len(named)
        bad = sum(1 for v in judged if v and verdict_of(v) == "non-compliant")
        told[(*key, one.verdict or "", "issues")] += bad
    assert sum(told.values()) < sum(before.values())
    assert any(count for key, count in told.items() if key[-1] == "issues")
    return told


@pytest.mark.both_databases
def test_single_observations_go_and_the_audit_accepts_exactly_these(
    lake: Lake, db: Database
) -> None:
    furnish(lake)
    before = seen(lake)
    gone = {1: frozenset({0, 1, 2, 7}), 5: frozenset({9})}
    done = run(lake, Doomed(frozenset({2}), gone))
    assert done is not None
    assert done.parts == ((1, ((0, 2), (7, 7))), (5, ((9, 9),)))
    assert (done.batches, done.rows) == (((2, 2),), 15)
    after = seen(lake)
    assert set(after) == {
        i
        for i, one in before.items()
        if one.batch_no != 2 and one.index not in gone.get(one.batch_no, ())
    }
    with db.read(TENANT) as tx:
        assert find(tx, lake, list(before)).keys() == after.keys()
    assert problems(lake) == ()
    check_proofs(lake, list(after.values()))
    with db.write(TENANT) as tx:  # as if more had gone than was recorded
        told = msgspec.json.encode([(0, 3), (7, 7)]).decode()
        tx.run(tx.update(batches).where(batches.c.batch_no == 1).values(gone=told))
    (wrong,) = problems(lake)
    assert "observations are found by their ids" in wrong


def test_a_row_that_goes_without_record_is_named(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator cuts a bucket down with the product's own code, and records less."""
    furnish(lake)
    told = destruction.destroy_rest
    monkeypatch.setattr(
        room, "destroy_rest", lambda *a, **k: told(*a, **{**k, "parts": {1: ((0, 0),)}})
    )
    run(lake, Doomed(rows={1: frozenset({0, 4})}))
    (wrong,) = problems(lake)
    assert "2 of its 10 observations are missing, the first is number 0" in wrong
    assert "no destruction record names them" in wrong


@pytest.mark.parametrize(
    ("subject", "at", "sentence"),
    [
        ("facts 30", LATER, "earlier than the retention policy it cites allowed"),
        ("manual 1", LATER, "which may not destroy what is kept as 'facts'"),
    ],
)
def test_rows_that_went_without_right_are_named(
    lake: Lake, db: Database, subject: str, at: Instant, sentence: str
) -> None:
    furnish(lake)
    old = bucket_of(db, 1)
    doomed = Doomed(frozenset({2}), {1: frozenset({3})})
    assert cut(lake, TENANT, old, chosen(doomed), lambda tx: given(tx, lake, subject), at)
    found = problems(lake)
    assert len(found) == 2, "the batch, and the observation of the other"
    assert all(sentence in one for one in found)


def test_a_batch_of_which_nothing_would_be_left_goes_whole(lake: Lake, db: Database) -> None:
    furnish(lake)
    assert run(lake, Doomed(rows={1: frozenset(range(6))})) is not None
    done = run(lake, Doomed(rows={1: frozenset(range(4, 10))}))
    assert done is not None
    assert (done.batches, done.parts, done.rows) == (((1, 1),), (), 4)
    assert [b.generation for b in done.buckets] == [2]
    with db.read(TENANT) as tx:
        row = tx.first(tx.select(buckets).where(buckets.c.id == bucket_of(db, 2)))
    assert row is not None
    assert row.generation == 3
    assert len(seen(lake)) == 50
    assert problems(lake) == (), "its logged bucket is two generations away"


def test_what_is_cut_again_is_merged_and_proven_as_ever(lake: Lake, db: Database) -> None:
    furnish(lake)
    run(lake, Doomed(rows={1: frozenset({0}), 3: frozenset({1})}))
    run(lake, Doomed(rows={1: frozenset({5}), 4: frozenset({2})}))
    add(lake, "unit-7", some(60, 10), now=LATER)
    assert seal(lake, TENANT, now=Instant(NOW + 90 * DAY)) is not None
    while compact(lake, TENANT, now=Instant(NOW + 90 * DAY)) is not None:
        pass
    with db.read(TENANT) as tx:
        told = {r.batch_no: r.gone for r in tx.all(tx.select(batches.c.batch_no, batches.c.gone))}
    assert (told[1], told[3], told[4], told[7]) == ("[[0,0],[5,5]]", "[[1,1]]", "[[2,2]]", None)
    assert len(seen(lake)) == 66
    assert problems(lake) == ()
    check_proofs(lake, list(seen(lake).values()))


@pytest.mark.both_databases
def test_files_stay_or_go_by_themselves(lake: Lake, db: Database) -> None:
    large = bytes(range(256)) * 10_000  # three parts
    with db.write(TENANT) as tx:
        for name, data in (("f/large", large), ("f/empty", b""), ("f/gone", b"secret")):
            put_blob(tx, lake, "reports", name, BytesIO(data), NOW)
        put_blob(tx, lake, "stock", "f/else", b"elsewhere", NOW)
    gone = file_name(lake, "f/gone")
    with db.read(TENANT) as tx:
        f = blobs.c
        row = tx.first(tx.select(f.id, f.bucket_id).where(f.size == len(b"secret")))
    assert row is not None
    authority = partial(given, lake=lake, subject="reports 1")
    doomed = Doomed(files=frozenset({row.id}))
    done = cut(lake, TENANT, row.bucket_id, chosen(doomed), authority, LATER)
    assert done is not None
    assert (done.files, done.rows, done.batches) == (1, 0, ())
    with db.read(TENANT) as tx:
        assert b"".join(get_blob(tx, lake, "f/large")) == large
        assert b"".join(get_blob(tx, lake, "f/empty")) == b""
        assert b"".join(get_blob(tx, lake, "f/else")) == b"elsewhere"
        with pytest.raises(ObjectMissing):
            b"".join(get_blob(tx, lake, "f/gone"))
    objects = set(lake.objects.list("blobs/"))
    assert gone not in objects
    assert len(objects) == 3
    assert sweep(lake, TENANT, Instant(SystemClock().now() + 2 * DAY)) == []
    assert problems(lake) == ()
    with db.write(TENANT) as tx:
        delete_blob(tx, lake, "f/large")
    assert len(set(lake.objects.list("blobs/"))) == 2


@pytest.mark.both_databases
def test_what_arrives_meanwhile_goes_to_the_next_generation(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(lake)
    old = bucket_of(db, 1)

    def arrive(name: str) -> None:
        if name == "cut.copied":
            add(lake, "late", some(60, 5))
            assert seal(lake, TENANT, now=NOW, min_rows=1) is not None

    monkeypatch.setattr(room, "reach", arrive)
    done = run(lake, Doomed(frozenset({2})))
    assert done is not None
    assert bucket_of(db, 7) == bucket_of(db, 1) != old
    assert len(seen(lake)) == 55
    assert problems(lake) == ()


@pytest.mark.both_databases
def test_a_bucket_that_was_sealed_meanwhile_is_copied_again(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(lake)
    turns = []

    def disturb(name: str) -> None:
        if name == "cut.copied":
            turns.append(1)
            if len(turns) == 1:
                assert seal(lake, TENANT, now=NOW, min_rows=1) is not None

    monkeypatch.setattr(room, "reach", disturb)
    assert run(lake, Doomed(frozenset({2}))) is not None
    assert len(turns) == 2
    assert len(seen(lake)) == 50
    assert problems(lake) == ()
    with db.read(TENANT) as tx:
        named = {r.id for r in tx.all(tx.select(segments.c.id))}
    assert len(set(lake.objects.list("segments/"))) == len(named), "the first copies are gone"


def test_a_choice_that_changed_destroys_nothing(lake: Lake, db: Database) -> None:
    """A hold is placed while survivors are copied: what it covers was not copied, and stays."""
    furnish(lake)
    answers = [Doomed(frozenset({2, 3})), Doomed(frozenset({2, 3})), *[Doomed()] * 9]
    before = seen(lake)
    done = cut(lake, TENANT, bucket_of(db, 1), lambda *_: answers.pop(0), lambda tx: given(tx, lake),
               LATER)  # fmt: skip
    assert done is None
    assert seen(lake) == before
    assert problems(lake) == ()


def test_records_that_wait_for_the_log_are_waited_for(lake: Lake, db: Database) -> None:
    furnish(lake)
    row = {"id": "x", "bucket_id": bucket_of(db, 1), "blob": b""}
    with db.write(TENANT) as tx:
        names = {c.name for c in activity_pending.c} - {"account", "region", *row}
        tx.insert(activity_pending, row | dict.fromkeys(names, 0))
    assert run(lake, Doomed(frozenset({2}))) is None
    assert len(seen(lake)) == 60


@pytest.mark.both_databases
def test_two_cutters_at_once_cut_once(lake: Lake, db: Database) -> None:
    furnish(lake)
    old = bucket_of(db, 1)
    cutting = partial(run, lake, Doomed(frozenset({1, 6})), bucket=old)
    assert sum(1 for one in at_once([cutting] * 2) if one is not None) == 1
    assert len(seen(lake)) == 40
    assert problems(lake) == ()


@pytest.mark.both_databases
def test_a_reader_pages_on_while_a_bucket_is_cut_down(lake: Lake, db: Database) -> None:
    furnish(lake)
    stays = {i for i, one in seen(lake).items() if one.batch_no in {1, 6}}

    def fault(pages: list[Stored]) -> str | None:
        found = [one.id for one in pages]
        if len(set(found)) == len(found) and stays <= set(found):
            return None
        return f"{len(found)}, {len(set(found))} different"

    with paging(lake, db, fault) as another_page:
        for number in (2, 3, 4, 5):
            assert run(lake, Doomed(frozenset({number}))) is not None
            another_page()
    assert set(seen(lake)) == stays
    assert problems(lake) == ()


def test_everything_destroyed_meanwhile_stays_destroyed(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(lake)

    def erase(name: str) -> None:
        if name == "cut.copied":
            asked = governance.authority("DeregisterAccount", "arn:x", "r", "", LATER)
            with db.write(TENANT) as tx:
                destroy_everything(tx, lake, asked, LATER)

    monkeypatch.setattr(room, "reach", erase)
    assert run(lake, Doomed(frozenset({2}))) is None
    assert list(lake.objects.list("segments/")) == []
    with db.read(TENANT) as tx:
        alive = tx.select(buckets).where(
            buckets.c.destroyed_at.is_(None), buckets.c["class"] == "facts"
        )
        assert tx.all(alive) == []
    assert problems(lake) == ()


def test_what_was_replaced_before_goes_with_the_old_key(lake: Lake, db: Database) -> None:
    furnish(lake)
    assert compact(lake, TENANT, now=Instant(NOW + 90 * DAY)) is not None
    assert rows_in(db, replaced) == 2
    assert run(lake, Doomed(frozenset({1}))) is not None
    assert rows_in(db, replaced) == 0
    assert len(list(lake.objects.list("segments/"))) == 1


def test_a_cut_that_is_begun_again_uses_the_generation_that_was_opened(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(lake)

    def stop(name: str) -> None:
        if name == "cut.copied":
            raise KeyboardInterrupt

    monkeypatch.setattr(room, "reach", stop)
    with pytest.raises(KeyboardInterrupt):
        run(lake, Doomed(frozenset({2})))
    monkeypatch.undo()
    assert len(seen(lake)) == 60
    assert compact(lake, TENANT, now=Instant(NOW + 90 * DAY)) is None, "it is being cut down"
    assert run(lake, Doomed(frozenset({2}))) is not None
    with db.read(TENANT) as tx:
        facts = tx.all(tx.select(buckets).where(buckets.c["class"] == "facts"))
    assert sorted(row.generation for row in facts) == [1, 2]
    assert len(sweep(lake, TENANT, Instant(SystemClock().now() + 61 * MINUTE))) == 1
    assert len(seen(lake)) == 50


def test_an_append_under_way_when_it_begins_is_seen(lake: Lake, db: Database) -> None:
    """Both take the tenant's lock: an append comes before, and is copied, or goes elsewhere."""
    furnish(lake)
    appended = threading.Event()

    def choose(tx: Tx, _bucket: str) -> Doomed:
        if not tx.writable and not appended.is_set():
            appended.set()
            slow = threading.Thread(target=late)
            slow.start()
            slow.join()
        return Doomed(frozenset({2}))

    def late() -> None:
        with db.write(TENANT) as tx:
            made = append(
                tx, lake, unit=Unit("late", "file"), klass="facts", observations=some(60, 5),
                provenance=PROVENANCE, now=NOW,
            )  # fmt: skip
        assert made.new == 5

    assert cut(lake, TENANT, bucket_of(db, 1), choose, lambda tx: given(tx, lake), LATER)
    assert len(seen(lake)) == 55
    assert problems(lake) == ()
