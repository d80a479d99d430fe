"""All that some controls ever saw, in two numbers each, without visiting every day.

Between two days on which some interval opens or closes, each interval sees all or nothing, so the
database may add those days up. Only the days with an edge, what grew after a freeze, and what some
interval sees less often than daily are counted as folders are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from auditkeep.clock import Day, Instant, day_of, day_start
from auditkeep.db.tx import Tx
from auditkeep.evidence.counts import by_match_key, count
from auditkeep.evidence.ids import is_pinned
from auditkeep.evidence.lens import FOREVER, Lens
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import rollups
from auditkeep.lake.sums import Sum, sums

_Stretch = tuple[Day, Day | None]
"""Days from the first to the last, both included; None: to the newest."""


@dataclass(slots=True)
class Total:
    """How much evidence a control has: found by itself, and put there by people."""

    system: int = 0
    manual: int = 0

    def add(self, source: str, items: int) -> None:
        if source == "MANUAL":
            self.manual += items
        else:
            self.system += items


def totals(tx: Tx, lake: Lake, lenses: Sequence[Lens]) -> dict[int, Total]:
    """By ordinal, of some controls of one assessment; nothing for those that saw nothing."""
    found: dict[int, Total] = {}
    keys = frozenset[str]().union(*(lens.match_keys for lens in lenses))
    automated = frozenset(k for k in keys if not is_pinned(k))
    edges = _edges(lenses)
    for day in edges:
        _count(tx, lake, lenses, automated, (day, day), found)
    for stretch in _between(edges):
        grown = _add(lenses, _sums(tx, automated, stretch), stretch, found)
        if grown:
            _count(tx, lake, lenses, grown, stretch, found)
    always: _Stretch = (Day(0), None)
    grown = _add(lenses, _sums(tx, keys - automated, always), always, found)
    if grown:
        _count(tx, lake, lenses, grown, always, found)
    return found


def _add(
    lenses: Sequence[Lens], summed: Iterable[Sum], stretch: _Stretch, found: dict[int, Total]
) -> frozenset[str]:
    """Add what is seen of a stretch; the match keys that cannot be added up and were not."""
    lenses_of = by_match_key(lenses)
    rows = list(summed)
    frozen = min((x.up_to_batch for x in lenses if x.up_to_batch is not None), default=None)
    grown = frozenset(r.match_key for r in rows if frozen is not None and r.last_batch > frozen)
    rare = (i.match_keys for x in lenses for i in x.intervals if i.every != "DAILY")
    grown |= frozenset(r.match_key for r in rows) & frozenset[str]().union(*rare)
    start = day_start(stretch[0])
    end = FOREVER if stretch[1] is None else day_start(Day(stretch[1] + 1))
    for row in rows:
        if row.match_key in grown:
            continue
        for lens in lenses_of.get(row.match_key, ()):
            if _covers(lens, row, start, end):
                found.setdefault(lens.ordinal, Total()).add(row.source, row.items)
    return grown


def _covers(lens: Lens, row: Sum, start: Instant, end: Instant) -> bool:
    return any(
        i.opens_at <= start
        and end <= i.closes_at
        and i.admits(row.match_key, row.origin_account, row.origin_region)
        for i in lens.intervals
    )


def _count(
    tx: Tx,
    lake: Lake,
    lenses: Sequence[Lens],
    match_keys: frozenset[str],
    stretch: _Stretch,
    found: dict[int, Total],
) -> None:
    """Add what is seen of some keys in some days, as folders count it."""
    first, last = stretch
    rows = rollups(tx, match_keys=match_keys, first_day=first, last_day=last)
    for (ordinal, _), counts in count(tx, lake, lenses, rows).items():
        if counts.total:
            total = found.setdefault(ordinal, Total())
            total.system += counts.system
            total.manual += counts.manual


def _edges(lenses: Iterable[Lens]) -> list[Day]:
    """The days on which an interval opens or closes, in order."""
    intervals = {(i.opens_at, i.closes_at) for x in lenses for i in x.intervals if not i.pinned}
    times = {t for pair in intervals for t in pair if t != FOREVER}
    return sorted({day_of(t) for t in times})


def _between(edges: Sequence[Day]) -> Iterator[_Stretch]:
    """The stretches after each edge; before the first one nothing automated is seen."""
    for number, day in enumerate(edges):
        last = edges[number + 1] if number + 1 < len(edges) else None
        if last is None or last - day > 1:
            yield Day(day + 1), None if last is None else Day(last - 1)


def _sums(tx: Tx, match_keys: frozenset[str], stretch: _Stretch) -> Iterator[Sum]:
    first, last = stretch
    return sums(tx, match_keys=match_keys, first_day=first, last_day=last)
