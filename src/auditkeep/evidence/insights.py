"""One day's evidence in numbers, by control: what dashboards and insights are made of (spec 7).

The day is the UTC day of the events, as in folders. What is added up depends on how an assessment
looks at the day, not on which one it is: assessments whose lenses see the same of it, ordinal by
ordinal, are counted once, from one query of the day's rollups. Only what is pinned to a control
differs, and is added to each. Lenses are kept under the assessment's version and what they showed
also under the lake's last batch, so that thirty assessments over a day cost about what one does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from auditkeep.clock import Day, day_start
from auditkeep.db.tx import Tx
from auditkeep.evidence.counts import Counts, count
from auditkeep.evidence.ids import pinned_place
from auditkeep.evidence.lens import Interval, Lens, load
from auditkeep.evidence.memo import Memo
from auditkeep.evidence.progress import last_batch_no
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Rollup
from auditkeep.lake.read import rollups
from auditkeep.lake.sums import manual_of

ByControl = Mapping[int, Counts]


@dataclass(frozen=True, slots=True)
class Shown:
    """What one assessment sees of one day; never changed once made, for it is shared."""

    by_control: ByControl
    """Of the controls that saw anything, by ordinal."""
    total: Counts
    failing: int
    """Controls with non-compliant evidence."""

    @classmethod
    def of(cls, by_control: ByControl) -> "Shown":
        total = Counts()
        for counts in by_control.values():
            total.merge(counts)
        return cls(by_control, total, sum(1 for c in by_control.values() if c.noncompliant))


@dataclass(frozen=True, slots=True)
class Watched:
    """An assessment as far as this room needs it."""

    id: str
    version: int
    next_ordinal: int
    frozen_at_batch: int | None


@dataclass(frozen=True, slots=True)
class _Look:
    """How an assessment looks at a day, but for what is pinned."""

    lenses: Sequence[Lens]
    match_keys: frozenset[str]
    digest: bytes
    """The same for assessments that see the same of the day, ordinal by ordinal."""


def _looks() -> Memo[_Look]:
    return Memo(256)


def _shown() -> Memo[Shown]:
    return Memo(256)


@dataclass(frozen=True, slots=True)
class InsightsMemo:
    """Lenses, and what they showed, of the assessments that are asked about."""

    looks: Memo[_Look] = field(default_factory=_looks)
    shown: Memo[Shown] = field(default_factory=_shown)

    def clear(self) -> None:
        """Give up what is remembered."""
        self.looks.clear()
        self.shown.clear()


def of_day(
    tx: Tx, lake: Lake, memo: InsightsMemo, watched: Sequence[Watched], day: Day
) -> dict[str, Shown]:
    """What each of some assessments sees of one day, by assessment id."""
    reached = last_batch_no(tx)
    owner = (tx.tenant.account, tx.tenant.region)
    keys = {one.id: (owner, one.id, one.version, day, reached) for one in watched}
    known = {one.id: memo.shown.get(keys[one.id]) for one in watched}
    missing = [one for one in watched if known[one.id] is None]
    found = {id_: shown for id_, shown in known.items() if shown is not None}
    if missing:
        pinned = _pinned_rows(tx, day)
        for one, shared in _counted(tx, lake, memo, missing, day):
            own = pinned.get(one.id)
            shown = shared
            if own:
                shown = Shown.of(_with_pinned(tx, lake, one, shared.by_control, own))
            found[one.id] = shown
            memo.shown.put(keys[one.id], shown)
    return found


def _counted(
    tx: Tx, lake: Lake, memo: InsightsMemo, missing: Iterable[Watched], day: Day
) -> Iterable[tuple[Watched, Shown]]:
    """What the automated intervals of each show; alike ones are counted once."""
    looks = [(one, _look(tx, memo, one, day)) for one in missing]
    distinct = {look.digest: look for _, look in looks}
    by_key = _rollups_by_key(tx, (look.match_keys for look in distinct.values()), day)
    shared: dict[bytes, Shown] = {}
    for digest, look in distinct.items():
        rows = [row for key, some in by_key.items() if key in look.match_keys for row in some]
        shared[digest] = Shown.of(_seen(tx, lake, look.lenses, rows))
    return [(one, shared[look.digest]) for one, look in looks]


def _seen(tx: Tx, lake: Lake, lenses: Sequence[Lens], rows: Sequence[Rollup]) -> ByControl:
    counts = count(tx, lake, lenses, rows)
    return {ordinal: c for (ordinal, _), c in counts.items() if c.total}


def _with_pinned(
    tx: Tx, lake: Lake, one: Watched, by_control: ByControl, rows: Mapping[int, list[Rollup]]
) -> ByControl:
    """The same, with what people handed in for some controls."""
    lenses = load(tx, one.id, sorted(rows), one.frozen_at_batch)
    only = [Lens(x.assessment_id, x.ordinal, x.intervals[-1:], x.up_to_batch) for x in lenses]
    by_hand = _seen(tx, lake, only, [row for some in rows.values() for row in some])
    merged = dict(by_control)
    for ordinal, counts in by_hand.items():
        both = Counts()
        for part in (by_control.get(ordinal), counts):
            if part is not None:
                both.merge(part)
        merged[ordinal] = both
    return merged


def _look(tx: Tx, memo: InsightsMemo, one: Watched, day: Day) -> _Look:
    key = ((tx.tenant.account, tx.tenant.region), one.id, one.version, day)
    look = memo.looks.get(key)
    if look is None:
        ordinals = range(1, one.next_ordinal)
        whole = load(tx, one.id, ordinals, one.frozen_at_batch, since=day_start(day))
        lenses = [
            Lens(x.assessment_id, x.ordinal, automated, x.up_to_batch)
            for x in (lens.on(day) for lens in whole)
            if (automated := tuple(i for i in x.intervals if not i.pinned))
        ]
        keys = frozenset[str]().union(*(lens.match_keys for lens in lenses))
        look = _Look(lenses, keys, _digest(lenses))
        memo.looks.put(key, look)
    return look


def _digest(lenses: Sequence[Lens]) -> bytes:
    digest = sha256()
    for lens in lenses:
        digest.update(f"{lens.ordinal}/{lens.up_to_batch}".encode())
        for interval in lens.intervals:
            digest.update(_text(interval).encode())
    return digest.digest()


def _text(interval: Interval) -> str:
    places = (interval.match_keys, interval.accounts, interval.regions)
    sets = (None if names is None else sorted(names) for names in places)
    return repr((*sets, interval.opens_at, interval.closes_at, interval.every, interval.anchor))


def _rollups_by_key(tx: Tx, keys: Iterable[frozenset[str]], day: Day) -> dict[str, list[Rollup]]:
    found: dict[str, list[Rollup]] = {}
    wanted = frozenset[str]().union(*keys)
    for row in rollups(tx, match_keys=wanted, first_day=day, last_day=day):
        found.setdefault(row.match_key, []).append(row)
    return found


def _pinned_rows(tx: Tx, day: Day) -> dict[str, dict[int, list[Rollup]]]:
    """What was handed in on a day, by assessment and ordinal."""
    found: dict[str, dict[int, list[Rollup]]] = {}
    for row in manual_of(tx, day):
        place = pinned_place(row.match_key)
        if place is not None:
            found.setdefault(place[0], {}).setdefault(place[1], []).append(row)
    return found
