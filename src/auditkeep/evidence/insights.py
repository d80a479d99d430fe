"""One day's evidence in numbers, by control: what dashboards and insights are made of (spec 7).

The day is the UTC day of the events, as in folders. What is added up depends on how an assessment
looks at the day, not on which one it is: assessments whose lenses see the same of it, ordinal by
ordinal, are counted once, from one query of the day's rollups. Only what is pinned to a control
differs, and is added to each.

    what                            is kept under
    who looks alike for good        the assessment's version (`evidence.settled`)
    lenses of those who look alike  the day
    what they showed                the day and the lake's last batch

So that thirty assessments cost what one does: new facts are counted once for all that look alike,
and on a new day their lenses are read once.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from auditkeep.clock import Day, day_start
from auditkeep.db.tx import Tx
from auditkeep.evidence import settled as rest
from auditkeep.evidence.counts import Counts, count
from auditkeep.evidence.ids import pinned_place, pinned_prefix
from auditkeep.evidence.lens import Interval, Lens, load
from auditkeep.evidence.memo import Memo
from auditkeep.evidence.settled import Settled
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


class Watched(Protocol):
    """An assessment as far as this room needs it."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def next_ordinal(self) -> int: ...
    @property
    def frozen_at_batch(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Look:
    """How assessments look at a day, but for what is pinned."""

    lenses: Sequence[Lens]
    match_keys: frozenset[str]
    digest: bytes
    """The same for assessments that see the same of the day, ordinal by ordinal."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Assessments that see the same of a day, but for what is pinned."""

    look: Look
    watched: tuple[Watched, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What some assessments see of one day."""

    shared: Sequence[tuple[Shown, int]]
    """What each group of them is shown, in their order, and how many see that and no more."""
    own: Mapping[str, Shown]
    """What those are shown, by id, to whom something is pinned."""

    def total(self) -> Counts:
        total = Counts()
        for shown, times in self.shared:
            total.merge(shown.total, times)
        for shown in self.own.values():
            total.merge(shown.total)
        return total

    def failing(self) -> int:
        """Assessment controls with non-compliant evidence."""
        alike = sum(shown.failing * times for shown, times in self.shared)
        return alike + sum(shown.failing for shown in self.own.values())


def _settled_ones() -> Memo[Settled]:
    return Memo(10_000)


def _looks() -> Memo[Look]:
    return Memo(256)


def _shown() -> Memo[Shown]:
    return Memo(256)


@dataclass(frozen=True, slots=True)
class InsightsMemo:
    """How the assessments look that are asked about, and what was shown to them."""

    settled: Memo[Settled] = field(default_factory=_settled_ones)
    looks: Memo[Look] = field(default_factory=_looks)
    shown: Memo[Shown] = field(default_factory=_shown)

    def clear(self) -> None:
        """Give up what is remembered."""
        self.settled.clear()
        self.looks.clear()
        self.shown.clear()


def alike(tx: Tx, memo: InsightsMemo, watched: Sequence[Watched], day: Day) -> tuple[Alike, ...]:
    """Some assessments by how they look at a day; the same while none of them changes."""
    begins = day_start(day)
    resting: dict[Hashable, Look] = {}
    found: dict[bytes, tuple[Look, list[Watched]]] = {}
    for one, settled in zip(watched, _at_rest(tx, memo, watched), strict=True):
        if begins < settled.since:
            look = _look(tx, memo, one, (one.id, one.version), day)
        else:
            like = settled.daily, settled.parts, one.frozen_at_batch
            rested = resting.get(like)
            if rested is None:
                who = settled.on(day), one.frozen_at_batch
                rested = resting[like] = _look(tx, memo, one, who, day)
            look = rested
        found.setdefault(look.digest, (look, []))[1].append(one)
    return tuple(Alike(look, tuple(some)) for look, some in found.values())


def of_day(
    tx: Tx, lake: Lake, memo: InsightsMemo, groups: Sequence[Alike], day: Day, reached: int
) -> Seen:
    """What some assessments see of one day; `reached` is the lake's last batch."""
    pinned = _pinned_rows(tx, day)
    shared: list[tuple[Shown, int]] = []
    own: dict[str, Shown] = {}
    for group, shown in _counted(tx, lake, memo, groups, day, reached):
        alone = [one for one in group.watched if one.id in pinned] if pinned else []
        shared.append((shown, len(group.watched) - len(alone)))
        for one in alone:
            own[one.id] = _own(tx, lake, memo, one, shown, pinned[one.id], (day, reached))
    return Seen(shared, own)


def of_one(tx: Tx, lake: Lake, memo: InsightsMemo, one: Watched, day: Day, reached: int) -> Shown:
    """What one assessment sees of one day, whatever others there are."""
    known = memo.shown.get(_own_key(tx, one, (day, reached)))
    if known is None:
        groups = alike(tx, memo, [one], day)
        ((_, shared),) = _counted(tx, lake, memo, groups, day, reached)
        own = _pinned_rows(tx, day, one.id).get(one.id, {})
        known = _own(tx, lake, memo, one, shared, own, (day, reached))
    return known


def _counted(
    tx: Tx, lake: Lake, memo: InsightsMemo, groups: Sequence[Alike], day: Day, reached: int
) -> Iterable[tuple[Alike, Shown]]:
    """What the automated intervals of each show."""
    owner = (tx.tenant.account, tx.tenant.region)
    keys = [(owner, group.look.digest, day, reached) for group in groups]
    found = [memo.shown.get(key) for key in keys]
    missing = [at for at, shown in enumerate(found) if shown is None]
    by_key = _rollups_by_key(tx, (groups[at].look.match_keys for at in missing), day)
    for at, group in enumerate(groups):
        shown = found[at]
        if shown is None:
            look = group.look
            rows = [row for key, some in by_key.items() if key in look.match_keys for row in some]
            shown = Shown.of(_seen(tx, lake, look.lenses, rows))
            memo.shown.put(keys[at], shown)
        yield group, shown


def _own(
    tx: Tx,
    lake: Lake,
    memo: InsightsMemo,
    one: Watched,
    shared: Shown,
    pinned: Mapping[int, list[Rollup]],
    until: tuple[Day, int],
) -> Shown:
    """What one sees, with what people handed in; kept, for it belongs to no other."""
    key = _own_key(tx, one, until)
    known = memo.shown.get(key)
    if known is None:
        known = shared
        if pinned:
            known = Shown.of(_with_pinned(tx, lake, one, shared.by_control, pinned))
        memo.shown.put(key, known)
    return known


def _own_key(tx: Tx, one: Watched, until: tuple[Day, int]) -> Hashable:
    return (tx.tenant.account, tx.tenant.region), one.id, one.version, *until


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


def _at_rest(tx: Tx, memo: InsightsMemo, watched: Sequence[Watched]) -> list[Settled]:
    """How each looks from day to day; what is not known is read at once."""
    owner = (tx.tenant.account, tx.tenant.region)
    keys = [(owner, one.id, one.version) for one in watched]
    known = [memo.settled.get(key) for key in keys]
    missing = [one.id for one, at_rest in zip(watched, known, strict=True) if at_rest is None]
    read = rest.of(tx, missing)
    found = []
    for key, one, at_rest in zip(keys, watched, known, strict=True):
        if at_rest is None:
            at_rest = read[one.id]  # noqa: PLW2901
            memo.settled.put(key, at_rest)
        found.append(at_rest)
    return found


def _look(tx: Tx, memo: InsightsMemo, one: Watched, who: Hashable, day: Day) -> Look:
    """How one looks at a day, or all that are at rest and look alike."""
    key = ((tx.tenant.account, tx.tenant.region), who, day)
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
        look = Look(lenses, keys, _digest(lenses))
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


def _pinned_rows(tx: Tx, day: Day, assessment_id: str = "") -> dict[str, dict[int, list[Rollup]]]:
    """What was handed in on a day, for all assessments or one, by assessment and ordinal."""
    found: dict[str, dict[int, list[Rollup]]] = {}
    for row in manual_of(tx, day, pinned_prefix(assessment_id)):
        place = pinned_place(row.match_key)
        if place is not None:
            found.setdefault(place[0], {}).setdefault(place[1], []).append(row)
    return found
