"""Folders, items, selections and manual evidence through their rooms, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.evidence.making import ACCOUNT, NOW, fact, keep, register

from auditkeep.clock import DAY, MINUTE, Instant, day_of
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.evidence import folders, insights, items, lens, manual, selection
from auditkeep.evidence.counts import count
from auditkeep.evidence.folders import FolderMemo
from auditkeep.evidence.insights import InsightsMemo
from auditkeep.evidence.lens import Lens, Reach
from auditkeep.evidence.manual import Pin, Text
from auditkeep.evidence.progress import last_batch_no
from auditkeep.evidence.totals import Total, totals
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import seal

A = "a0000000-0000-4000-8000-000000000000"
SECRET = b"s" * 32
TODAY = day_of(NOW)
PLACE = (1, TODAY)

pytestmark = pytest.mark.both_databases


@pytest.fixture
def tx(db: Database, lake: Lake, tenant: Tenant) -> Iterator[Tx]:
    with db.write(tenant) as tx:
        register(tx)
        reach = Reach(frozenset({ACCOUNT}), None)
        lens.open_for_control(tx, A, 1, {"iam:CreateUser", "config:RULE"}, reach, NOW)
        keep(tx, lake, [fact(_minute(m)) for m in (-1, 1, 2)])
        failed = fact(
            _minute(3),
            match_key="config:RULE",
            source="AWS_Config",
            verdict="NON_COMPLIANT",
            resources=["x", "y"],
        )
        keep(tx, lake, [failed])
        yield tx


def test_a_day_with_an_edge_is_counted_by_its_observations(tx: Tx, lake: Lake) -> None:
    found = folders.folder(tx, lake, FolderMemo(9), _lens(tx), TODAY)
    assert found is not None
    counts = found.counts
    assert (counts.total, counts.activity, counts.compliance, counts.issues) == (3, 2, 1, 1)
    assert (counts.resources, counts.distinct) == (2, 2)


def test_totals_add_up_all_days_and_stop_at_a_freeze(tx: Tx, lake: Lake) -> None:
    reached = last_batch_no(tx)
    pin = Pin(A, 1, "arn:aws:iam::111122223333:user/jane", "request", NOW)
    manual.import_all(tx, lake, pin, [Text("a")], largest=10, daily=100)
    keep(tx, lake, [fact(Instant(NOW + 20 * 60 * MINUTE)) for _ in range(5)])
    assert totals(tx, lake, [_lens(tx)]) == {1: Total(system=8, manual=1)}
    assert totals(tx, lake, [_lens(tx).up_to(reached)]) == {1: Total(system=3)}
    assert totals(tx, lake, []) == {}


def test_items_are_found_again_by_their_ids(tx: Tx, lake: Lake) -> None:
    one = _lens(tx)
    whole = items.page(tx, lake, SECRET, one, TODAY, after=None, limit=9)
    assert [i.stored.event_time for i in whole] == [_minute(m) for m in (3, 2, 1)]
    for item in whole:
        assert items.get(tx, lake, SECRET, one, TODAY, item.evidence_id) == item


def test_a_selection_is_what_a_report_holds(tx: Tx, lake: Lake) -> None:
    selection.select_folder(tx, A, PLACE, last_batch_no(tx))
    keep(tx, lake, [fact(_minute(4))])
    whole = items.page(tx, lake, SECRET, _lens(tx), TODAY, after=None, limit=9)
    first = {whole[0].stored.id: whole[0].stored.batch_no}
    last = {whole[-1].stored.id: whole[-1].stored.batch_no}
    selection.choose(tx, A, PLACE, first, chosen=True)
    selection.choose(tx, A, PLACE, last, chosen=False)
    held = list(items.selected(tx, lake, SECRET, A, None))
    assert held == whole[:3]
    assert items.count_selected(tx, lake, A, None) == 3
    selection.spell_out(tx, lake, A, [_lens(tx)])
    assert selection.of_folder(tx, A, PLACE).up_to_batch is None
    assert list(items.selected(tx, lake, SECRET, A, None)) == held
    selection.delete(tx, A)
    assert selection.of_assessment(tx, A) == {}


def test_manual_evidence_stands_among_the_rest(tx: Tx, lake: Lake) -> None:
    pin = Pin(A, 1, "arn:aws:iam::111122223333:user/jane", "request", _minute(9))
    assert manual.import_all(tx, lake, pin, [Text("we looked")], largest=10, daily=100) == [None]
    item = items.page(tx, lake, SECRET, _lens(tx), TODAY, after=None, limit=1)[0]
    assert item.kind == "Manual"
    assert item.iam_id == pin.uploader
    assert manual.file_of(item.stored) is None


def test_a_days_insights_are_those_of_its_folders(tx: Tx, lake: Lake) -> None:
    memo = InsightsMemo()
    one = _Watched(A)
    for _ in range(2):
        shown = insights.of_one(tx, lake, memo, one, TODAY, last_batch_no(tx))
        assert (shown.total.noncompliant, shown.total.inconclusive, shown.failing) == (1, 2, 1)
        assert list(shown.by_control) == [1]


def test_sealing_changes_nothing_that_is_shown(db: Database, lake: Lake, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        register(tx)
        reach = Reach(frozenset({ACCOUNT}), None)
        lens.open_for_control(tx, A, 1, {"iam:CreateUser"}, reach, NOW)
        keep(tx, lake, [fact(_minute(m), resources=["x"]) for m in (-2, 1, 1, 5)])
    before = _shown(db, lake, tenant)
    assert seal(lake, tenant, now=NOW, min_rows=1) is not None
    assert _shown(db, lake, tenant) == before


def _shown(db: Database, lake: Lake, tenant: Tenant) -> object:
    with db.read(tenant) as tx:
        one = _lens(tx)
        folder = folders.folder(tx, lake, FolderMemo(9), one, TODAY)
        return folder, items.page(tx, lake, SECRET, one, TODAY, after=None, limit=9)


def _lens(tx: Tx) -> Lens:
    return lens.load(tx, A, [1], None)[0]


@dataclass(frozen=True)
class _Watched:
    id: str
    version: int = 1
    next_ordinal: int = 3
    frozen_at_batch: int | None = None


def _minute(minutes: int) -> Instant:
    return Instant(NOW + minutes * MINUTE)


def test_assessments_that_look_alike_are_counted_once(
    tx: Tx, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, and whatever is pinned to one of them alone."""
    reach = Reach(frozenset({ACCOUNT}), None)
    ids = [f"{n:08d}-0000-4000-8000-000000000000" for n in range(30)]
    for one in ids:
        lens.open_for_control(tx, one, 1, {"iam:CreateUser"}, reach, Instant(NOW - DAY))
    asked: list[int] = []

    def counted(*arguments: Any, **how: Any) -> Any:
        asked.append(len(arguments[2]))
        return count(*arguments, **how)

    monkeypatch.setattr("auditkeep.evidence.insights.count", counted)
    pin = Pin(ids[3], 1, "arn:aws:iam::111122223333:user/jane", "request", NOW)
    manual.import_all(tx, lake, pin, [Text("a")], largest=10, daily=100)
    watched = [_Watched(one) for one in ids]
    memo = InsightsMemo()
    (alike,) = insights.alike(tx, memo, watched, TODAY)
    seen = insights.of_day(tx, lake, memo, [alike], TODAY, last_batch_no(tx))
    assert len(asked) == 2
    ((plain, times),) = seen.shared
    assert (plain.total.total, times) == (3, 29)
    assert {one: shown.total.total for one, shown in seen.own.items()} == {ids[3]: 4}
    assert seen.total().total == 29 * 3 + 4
    assert insights.of_day(tx, lake, memo, [alike], TODAY, last_batch_no(tx)) == seen
    for each in watched:
        alone = insights.of_one(tx, lake, memo, each, TODAY, last_batch_no(tx))
        assert alone == seen.own.get(each.id, plain)
    assert len(asked) == 2


@pytest.mark.parametrize(("together", "readings"), [(100_000, 1), (5, 3), (0, 4)])
def test_a_pages_folders_are_read_together_and_not_too_many_at_once(
    tx: Tx, lake: Lake, monkeypatch: pytest.MonkeyPatch, together: int, readings: int
) -> None:
    reach = Reach(frozenset({ACCOUNT}), None)
    for ordinal, keys in enumerate(({"b"}, {"b", "config:RULE"}, {"c"}, {"c", "b"}), 2):
        lens.open_for_control(tx, A, ordinal, keys, reach, Instant(NOW - DAY))
    for key, resources in (("b", ["x", "y"]), ("c", ["z"]), ("b", ["y"])):
        keep(tx, lake, [fact(_minute(5), match_key=key, resources=resources)])
    lenses = lens.load(tx, A, range(2, 6), None)
    alone = [folders.folder(tx, lake, FolderMemo(9), one, TODAY) for one in lenses]
    read: list[int] = []

    def counted(*arguments: Any, **how: Any) -> Any:
        read.extend([len(arguments[2])] if how else [])
        return count(*arguments, **how)

    monkeypatch.setattr(folders, "count", counted)
    monkeypatch.setattr(folders, "TOGETHER", together)
    memo = FolderMemo(9)
    for _ in range(2):
        page = folders.page(tx, lake, memo, lenses, after=None, limit=9, today=TODAY)
        assert page == alone
        assert len(read) == readings
        assert sum(read) == 4
        assert [one.counts.distinct for one in page] == [2, 2, 1, 3]
