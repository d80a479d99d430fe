"""Evidence folders: one control's evidence of one UTC day (spec section 1.8). They have no rows.

A folder exists while its lens sees something on its day. Lists run newest day first and, within a
day, by ordinal. Days are visited in windows that grow until a page is full, so that a page costs
what it shows. Counts that need observations to be read are kept in a `FolderMemo`, under what the
folder's lens sees of the day and how far the lake has come there: assessments that look the same
way at the same day share them, and a later batch makes a new entry. What is not known of a page's
folders of a day is read at once, for what one control sees most others see too.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditkeep.clock import Day, day_of
from auditkeep.db.tx import Tx
from auditkeep.evidence.counts import Counts, Place, count
from auditkeep.evidence.ids import is_pinned
from auditkeep.evidence.lens import Lens
from auditkeep.evidence.memo import Memo
from auditkeep.evidence.reading import reading_of
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Rollup
from auditkeep.lake.read import observations, rollups

WIDEST = 366
"""Days of the widest window: a longer silence is crossed in steps of this."""


TOGETHER = 100_000
"""Resources of the folders that are counted together: their names are held in memory meanwhile."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is not empty; `author` is known where its first evidence was manual."""

    ordinal: int
    day: Day
    counts: Counts
    author: str | None

    @property
    def place(self) -> Place:
        return self.ordinal, self.day


_Known = tuple[Counts, str | None]
FolderMemo = Memo[_Known]
"""Counts and author of folders, under what their lenses see and how far the lake has come."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A folder, before it is counted."""

    lens: Lens
    """On its day."""
    rows: Sequence[Rollup]
    key: Hashable


def page(
    tx: Tx,
    lake: Lake,
    memo: FolderMemo,
    lenses: Sequence[Lens],
    *,
    after: Place | None,
    limit: int,
    today: Day,
) -> list[Folder]:
    """The newest folders of some controls of one assessment, from behind `after` on."""
    by_ordinal = {lens.ordinal: lens for lens in lenses}
    found: list[Folder] = []
    for day, rows in _days(tx, lenses, after[1] if after else None, today):
        left = lenses
        if after is not None and day == after[1]:
            left = [lens for lens in lenses if lens.ordinal > after[0]]
        seen = sorted(p for p, c in count(tx, lake, left, rows).items() if c.total)
        shown = [by_ordinal[ordinal] for ordinal, _ in seen[: limit - len(found)]]
        found += _folders(tx, lake, memo, shown, day, rows)
        if len(found) == limit:
            break
    return found


def folder(tx: Tx, lake: Lake, memo: FolderMemo, lens: Lens, day: Day) -> Folder | None:
    """One folder, or None while its lens sees nothing on that day."""
    rows = rollups(tx, match_keys=lens.match_keys, first_day=day, last_day=day)
    found = _folders(tx, lake, memo, [lens], day, rows)
    return found[0] if found else None


def _folders(
    tx: Tx, lake: Lake, memo: FolderMemo, lenses: Sequence[Lens], day: Day, rows: Sequence[Rollup]
) -> list[Folder]:
    """The folders of a day that are not empty, in the order of their lenses."""
    by_key: dict[str, list[Rollup]] = {}
    for row in rows:
        by_key.setdefault(row.match_key, []).append(row)
    asked = [one for lens in lenses if (one := _asked(tx, lens.on(day), day, by_key)) is not None]
    answers = [(one, memo.get(one.key)) for one in asked]
    counted: dict[int, _Known] = {}
    for some in _portions([one for one, known in answers if known is None]):
        for one, fresh in _counted(tx, lake, some, day):
            memo.put(one.key, fresh)
            counted[one.lens.ordinal] = fresh
    found = []
    for one, known in answers:
        counts, author = counted[one.lens.ordinal] if known is None else known
        if counts.total:
            found.append(Folder(one.lens.ordinal, day, counts, author))
    return found


def _asked(tx: Tx, daily: Lens, day: Day, by_key: Mapping[str, list[Rollup]]) -> _Asked | None:
    """What a folder is made of; None where there is nothing."""
    mine = [row for key in by_key.keys() & daily.match_keys for row in by_key[key]]
    return _Asked(daily, mine, _memo_key(tx, daily, day, mine)) if mine else None


def _portions(asked: Sequence[_Asked]) -> Iterator[list[_Asked]]:
    """Folders that may be counted together."""
    some: list[_Asked] = []
    size = 0
    for one in asked:
        resources = sum(row.resources for row in one.rows)
        if some and size + resources > TOGETHER:
            yield some
            some, size = [], 0
        some.append(one)
        size += resources
    if some:
        yield some


def _counted(
    tx: Tx, lake: Lake, asked: Sequence[_Asked], day: Day
) -> Iterator[tuple[_Asked, _Known]]:
    rows = {id(row): row for one in asked for row in one.rows}
    found = count(tx, lake, [one.lens for one in asked], rows.values(), distinct=True)
    for one in asked:
        counts = found.get((one.lens.ordinal, day), Counts())
        author = _author(tx, lake, one.lens) if counts.first_source == "MANUAL" else None
        yield one, (counts, author)


def _memo_key(tx: Tx, daily: Lens, day: Day, rows: Sequence[Rollup]) -> Hashable:
    present = {r.match_key for r in rows}
    pinned = any(is_pinned(k) for k in present)
    intervals = tuple(i for i in daily.intervals if pinned or not i.pinned)
    reached = sum(r.items for r in rows), max(r.last_batch for r in rows)
    return tx.tenant, day, intervals, daily.up_to_batch, reached


def _author(tx: Tx, lake: Lake, daily: Lens) -> str | None:
    """Who put the folder's first evidence there, which was done by hand."""
    pinned = [i.view(daily.up_to_batch) for i in daily.intervals if i.pinned]
    after = None
    oldest = None
    while batch := observations(tx, lake, pinned, after=after, limit=1000):
        oldest = batch[-1]
        after = oldest.event_time, oldest.id
        if len(batch) < 1000:
            break
    return None if oldest is None else reading_of(oldest).actor


def _days(
    tx: Tx, lenses: Sequence[Lens], last_day: Day | None, today: Day
) -> Iterator[tuple[Day, Sequence[Rollup]]]:
    """The rollups that some lenses may see, day by day, newest first.

    The first window has no end, for an event may be dated a little ahead of our clock.
    """
    keys = frozenset[str]().union(*(lens.match_keys for lens in lenses))
    if not keys:
        return
    end = last_day
    first = _first_day(lenses)
    if first is not None:
        width = 1 if len(lenses) > 1 else 16
        start = Day(max(first, (today if end is None else end) - width + 1))
        while end is None or end >= first:
            window = rollups(tx, match_keys=keys, first_day=start, last_day=end)
            yield from _newest_first(window)
            end, width = Day(start - 1), min(width * 2, WIDEST)
            start = Day(max(first, end - width + 1))
    yield from _newest_first(_only_pinned(tx, keys, end))


def _only_pinned(tx: Tx, keys: frozenset[str], last_day: Day | None) -> Sequence[Rollup]:
    """Before its first interval a control sees what is pinned to it, and nothing else."""
    if last_day is not None and last_day < 0:
        return []
    pinned = frozenset(k for k in keys if is_pinned(k))
    return rollups(tx, match_keys=pinned, first_day=Day(0), last_day=last_day)


def _newest_first(rows: Sequence[Rollup]) -> Iterator[tuple[Day, Sequence[Rollup]]]:
    by_day: dict[Day, list[Rollup]] = {}
    for row in rows:
        by_day.setdefault(Day(row.day), []).append(row)
    for day in sorted(by_day, reverse=True):
        yield day, by_day[day]


def _first_day(lenses: Sequence[Lens]) -> Day | None:
    """The day of the first interval; None where no control ever had one."""
    opened = [i.opens_at for lens in lenses for i in lens.intervals if not i.pinned]
    return day_of(min(opened)) if opened else None
