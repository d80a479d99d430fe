"""The lens: how one control of one assessment looks at observations (design section 1).

A lens is a list of intervals, each *match keys* × accounts × regions × event time in [opens_at,
closes_at), and the pinned match key of its control, which has neither account, region nor time.
Intervals are only ever opened and closed: a changed scope, an edited control, an account that
leaves rewrite nothing that is kept. Once its assessment is INACTIVE a lens sees no batch later
than the one it froze at. Assessment ids and ordinals are opaque here.

Whoever opens, closes, freezes or deletes intervals holds the tenant's lock: what is appended at the
same time is metered by the intervals before or after, and `lens_version` tells them apart.

What is asked for on a schedule may be wanted less often than every day: such an interval sees the
days that are its slots, and nothing else (`evidence.slots`). They are counted from its anchor: its
own opening, unless it continues an interval before it, whose anchor it keeps.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec
from sqlalchemy import or_

from auditkeep.clock import Day, Instant, day_of, day_start, parse
from auditkeep.db.schema import lens_intervals, tenants
from auditkeep.db.tx import Tx
from auditkeep.evidence import slots
from auditkeep.evidence.ids import pinned_key
from auditkeep.evidence.slots import Every
from auditkeep.ids import GLOBAL_REGION, Tenant, new_id
from auditkeep.lake.admission import FUTURE
from auditkeep.lake.model import View

BEGINNING = Instant(0)
FOREVER = parse("9999-12-31T00:00:00Z")
"""The end of an interval that is open: later than any event time that is accepted."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How wide an interval looks: which origin accounts, and which origin regions (None: all)."""

    accounts: frozenset[str]
    regions: frozenset[str] | None

    @classmethod
    def of(cls, tenant: Tenant, accounts: Iterable[str], assessment_regions: str) -> "Reach":
        """As the setting `assessment_regions` decides: the tenant's own region, or every one."""
        own = frozenset({tenant.region, GLOBAL_REGION})
        return cls(frozenset(accounts), None if assessment_regions == "all" else own)


@dataclass(frozen=True, slots=True)
class Interval:
    """One stretch of event time and what is seen in it."""

    match_keys: frozenset[str]
    accounts: frozenset[str] | None
    regions: frozenset[str] | None
    opens_at: Instant
    closes_at: Instant
    every: Every = "DAILY"
    anchor: Instant = BEGINNING
    backfilled: bool = False
    """Whether it opened a past afterwards (`evidence.reaching`)."""

    @property
    def pinned(self) -> bool:
        """The interval of what belongs to one control only: it alone knows no accounts."""
        return self.accounts is None

    def admits(self, match_key: str, account: str, region: str) -> bool:
        return (
            match_key in self.match_keys
            and (self.accounts is None or account in self.accounts)
            and (self.regions is None or region in self.regions)
        )

    def holds(self, event_time: Instant) -> bool:
        """Whether an event time lies in it, on a day that is one of its slots."""
        return self.opens_at <= event_time < self.closes_at and self.looks_on(day_of(event_time))

    def looks_on(self, day: Day) -> bool:
        """Whether a day is one of its slots; every day is, unless it looks less often."""
        return self.every == "DAILY" or slots.is_slot(self.every, self.anchor, day)

    def view(self, up_to_batch: int | None) -> View:
        """What it sees, or more: of its slots the view knows nothing."""
        return View(
            match_keys=self.match_keys,
            accounts=self.accounts,
            regions=self.regions,
            start=self.opens_at,
            end=self.closes_at,
            up_to_batch=up_to_batch,
        )


@dataclass(frozen=True)
class Lens:
    """One control's lens; `intervals` end with the pinned one."""

    assessment_id: str
    ordinal: int
    intervals: tuple[Interval, ...]
    up_to_batch: int | None = None

    @cached_property
    def match_keys(self) -> frozenset[str]:
        return frozenset().union(*(i.match_keys for i in self.intervals))

    def views(self) -> list[View]:
        """What is seen of one day (see `on`), or more of it: `sees` tells what that is."""
        return [i.view(self.up_to_batch) for i in self.intervals]

    def on(self, day: Day) -> "Lens":
        """The same lens, seeing one day only."""
        start, end = day_start(day), day_start(Day(day + 1))
        clipped = (
            replace(
                i, opens_at=max(i.opens_at, start), closes_at=min(i.closes_at, end), every="DAILY"
            )
            for i in self.intervals
            if i.looks_on(day)
        )
        return replace(self, intervals=tuple(i for i in clipped if i.opens_at < i.closes_at))

    def up_to(self, batch_no: int) -> "Lens":
        """The same lens, seeing nothing that was committed after a batch."""
        known = batch_no if self.up_to_batch is None else min(batch_no, self.up_to_batch)
        return replace(self, up_to_batch=known)

    def sees(
        self, match_key: str, account: str, region: str, event_time: Instant, batch_no: int
    ) -> bool:
        """Whether an observation is evidence of this control."""
        if self.up_to_batch is not None and batch_no > self.up_to_batch:
            return False
        return any(
            i.holds(event_time) and i.admits(match_key, account, region) for i in self.intervals
        )


def open_for_control(
    tx: Tx,
    assessment_id: str,
    ordinal: int,
    match_keys: Iterable[str],
    reach: Reach,
    opens_at: Instant,
    closes_at: Instant | None = None,
    *,
    every: Every = "DAILY",
    anchor: Instant | None = None,
) -> None:
    """Open an interval for one control; none where it has nothing automated to see."""
    keys = {ordinal: match_keys}
    open_for_controls(
        tx, assessment_id, keys, reach, opens_at, closes_at, every=every, anchor=anchor
    )


def open_for_controls(
    tx: Tx,
    assessment_id: str,
    keys: Mapping[int, Iterable[str]],
    reach: Reach,
    opens_at: Instant,
    closes_at: Instant | None = None,
    *,
    every: Every = "DAILY",
    anchor: Instant | None = None,
    backfilled: bool = False,
) -> None:
    """Open one interval per control, all of the same reach, time and rhythm.

    `anchor` is from when slots are counted; None: from the opening.
    """
    accounts = _list_text(reach.accounts)
    regions = "null" if reach.regions is None else _list_text(reach.regions)
    rows = [
        {
            "id": new_id(),
            "assessment_id": assessment_id,
            "ordinal": ordinal,
            "opens_at": opens_at,
            "closes_at": closes_at,
            "match_keys": _list_text(match_keys),
            "accounts": accounts,
            "regions": regions,
            "every": every,
            "anchor": opens_at if anchor is None else anchor,
            "backfilled": backfilled,
        }
        for ordinal, match_keys in ((o, frozenset(k)) for o, k in keys.items())
        if match_keys
    ]
    if rows:
        version = widened(tx)
        tx.insert(lens_intervals, *(row | {"version": version} for row in rows))


def close(tx: Tx, assessment_id: str, at: Instant, ordinals: Collection[int] | None = None) -> None:
    """End the open intervals of an assessment, or of some of its controls, at an event time.

    An interval that would open only later has never seen anything and goes.
    """
    table = lens_intervals.c
    chosen = [table.assessment_id == assessment_id, table.closes_at.is_(None)]
    if ordinals is not None:
        chosen.append(table.ordinal.in_(sorted(ordinals)))
    tx.run(tx.delete(lens_intervals).where(*chosen, table.opens_at >= at))
    tx.run(tx.update(lens_intervals).where(*chosen).values(closes_at=at))
    changed(tx)


def freeze(tx: Tx, assessment_id: str, now: Instant) -> None:
    """End the open intervals of an assessment whose lenses see no later batch from now on.

    The batch is what ends them: an event that was dated a little ahead of our clock, and is
    evidence already, stays so.
    """
    table = lens_intervals.c
    opened = (table.assessment_id == assessment_id, table.closes_at.is_(None))
    tx.run(tx.delete(lens_intervals).where(*opened, table.opens_at >= now))
    tx.run(tx.update(lens_intervals).where(*opened).values(closes_at=now + FUTURE + 1))
    tx.run(tx.update(lens_intervals).where(opened[0]).values(frozen=True))
    changed(tx)


def delete(tx: Tx, assessment_id: str) -> None:
    """Forget how an assessment looked at anything."""
    tx.run(tx.delete(lens_intervals).where(lens_intervals.c.assessment_id == assessment_id))
    changed(tx)


def changed(tx: Tx) -> None:
    """What was remembered of the tenant's lenses, or follows from them, holds no longer."""
    tx.run(tx.update(tenants).values(lens_version=tenants.c.lens_version + 1))


def widened(tx: Tx) -> int:
    """The same where something is seen that was not before; the version of what is wanted now.

    Whoever passed over something that nobody saw did so under an earlier version, and looks again.
    """
    changed(tx)
    tx.run(tx.update(tenants).values(wanted_version=tenants.c.wanted_version + 1))
    return int(tx.scalar(tx.select(tenants.c.wanted_version)) or 0)


def first_openings(tx: Tx, assessment_id: str) -> dict[int, Instant]:
    """For each control that ever had an interval, the event time its first one opens at."""
    table = lens_intervals.c
    rows = tx.all(
        tx.select(table.ordinal, table.opens_at).where(table.assessment_id == assessment_id)
    )
    first: dict[int, Instant] = {}
    for row in rows:
        first[row.ordinal] = min(first.get(row.ordinal, FOREVER), row.opens_at)
    return first


Mapped = tuple[int, Every, str]
"""A control's ordinal, how often it looks, and at which match key."""


def anchors(tx: Tx, assessment_id: str) -> dict[Mapped, Instant]:
    """From when the slots of each mapping are counted that is wanted less often than every day.

    What a backfill opened has days of its own, and counts for none.
    """
    t = lens_intervals.c
    own = (t.assessment_id == assessment_id, t.backfilled.is_(False))
    query = (
        tx.select(t.ordinal, t.every, t.match_keys, t.anchor)
        .where(*own, t.every != "DAILY")
        .order_by(t.opens_at)
    )
    return {
        (row.ordinal, row.every, key): Instant(row.anchor)
        for row in tx.all(query)
        for key in msgspec.json.decode(row.match_keys, type=list[str])
    }


def load(
    tx: Tx,
    assessment_id: str,
    ordinals: Iterable[int],
    up_to_batch: int | None,
    since: Instant | None = None,
) -> list[Lens]:
    """The lenses of some controls of one assessment, in the order asked for.

    With `since`, intervals that closed at or before it are left out: they see nothing after it.
    """
    wanted = list(ordinals)
    table = lens_intervals.c
    query = tx.select(
        table.ordinal,
        table.opens_at,
        table.closes_at,
        table.match_keys,
        table.accounts,
        table.regions,
        table.every,
        table.anchor,
        table.backfilled,
    ).where(table.assessment_id == assessment_id)
    if len(wanted) == 1:
        query = query.where(table.ordinal == wanted[0])
    if since is not None:
        query = query.where(or_(table.closes_at.is_(None), table.closes_at > since))
    sets = _Sets()
    found: dict[int, list[Interval]] = {}
    for row in tx.all(query):
        found.setdefault(row.ordinal, []).append(
            Interval(
                match_keys=sets.read(row.match_keys),
                accounts=sets.read(row.accounts),
                regions=None if row.regions == "null" else sets.read(row.regions),
                opens_at=row.opens_at,
                closes_at=FOREVER if row.closes_at is None else row.closes_at,
                every=row.every,
                anchor=Instant(row.anchor),
                backfilled=row.backfilled,
            )
        )
    return [
        Lens(
            assessment_id,
            ordinal,
            (*_in_time(found.get(ordinal, [])), _pinned(assessment_id, ordinal)),
            up_to_batch,
        )
        for ordinal in wanted
    ]


class _Sets:
    """Decoded JSON lists of one reading: equal texts become one and the same set."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}

    def read(self, text: str) -> frozenset[str]:
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = msgspec.json.decode(text, type=frozenset[str])
        return known


def _pinned(assessment_id: str, ordinal: int) -> Interval:
    keys = frozenset({pinned_key(assessment_id, ordinal)})
    return Interval(keys, None, None, BEGINNING, FOREVER)


def _in_time(intervals: Sequence[Interval]) -> list[Interval]:
    return sorted(intervals, key=lambda i: i.opens_at)


def _list_text(values: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(values)).decode()
