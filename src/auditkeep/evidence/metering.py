"""Which new observations an active lens sees: what a resource assessment is (spec 9.4).

All intervals of a tenant's assessments that are not frozen are merged into *windows*: for each
match key the places and stretches of event time in which anything is seen at all. How many
assessments look the same way does not matter to them. They are kept in memory under the tenant's
`lens_version`, which every change of an interval raises.

A batch is judged by its rollups: a group of observations alike in key and origin lies wholly
within a window or wholly outside nearly always, and only otherwise are its event times looked at.
An assessment that is INACTIVE is frozen and sees no new batch; one that is dormant, or a control
that was set INACTIVE, still sees what happened before its interval closed. What is seen only by an
interval that opens later, as a backfill's does, was not seen at append and is not counted.
Manual evidence is seen by its control, and counted as MANUAL.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import case, func

from auditkeep.clock import DAY, Day, Instant, day_of
from auditkeep.db.schema import lens_intervals
from auditkeep.db.tx import Tx
from auditkeep.evidence.ids import is_pinned
from auditkeep.evidence.lens import BEGINNING, FOREVER
from auditkeep.evidence.memo import Memo
from auditkeep.evidence.slots import Every, is_slot
from auditkeep.lake.metering import Origin
from auditkeep.lake.rollups import Groups
from auditkeep.observations import Observation

TENANTS = 64
"""Tenants whose windows are kept; reading those of one anew takes some milliseconds."""

_Key = tuple[int, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Window:
    """Places, and the stretch [opens, closes) of event time in which they are seen."""

    accounts: frozenset[str]
    regions: frozenset[str] | None
    opens_at: Instant
    closes_at: Instant
    every: Every = "DAILY"
    anchor: Instant = BEGINNING

    def looks_on(self, day: Day) -> bool:
        return self.every == "DAILY" or is_slot(self.every, self.anchor, day)

    def sees(self, observation: Observation) -> bool:
        """Whether one observation of its match key lies in it."""
        at = observation.event_time
        return self.touches(observation.account, observation.region, at, at)

    def touches(self, account: str, region: str, first: Instant, last: Instant) -> bool:
        """Whether it sees anything that may have happened somewhere between two moments of a day,
        both included.
        """
        return (
            self.opens_at <= last
            and first < self.closes_at
            and account in self.accounts
            and (self.regions is None or region in self.regions)
            and self.looks_on(day_of(last))
        )


Windows = Mapping[str, Sequence[Window]]


def _memo() -> Memo[Windows]:
    return Memo(TENANTS)


@dataclass(frozen=True, slots=True)
class LensMeter:
    """The lake's meter: asks the lenses. Safe to share between threads."""

    _known: Memo[Windows] = field(default_factory=_memo)

    def seen(
        self, tx: Tx, lens_version: int, observations: Sequence[Observation], groups: Groups
    ) -> Mapping[Origin, int]:
        """See `lake.metering.Meter`."""
        windows = self.windows(tx, lens_version)
        counts: dict[Origin, int] = {}
        partial: dict[_Key, list[Window]] = {}
        for key, sums in groups.items():
            day, match_key, account, region, source, _ = key
            whole, touching = False, []
            for w in windows.get(match_key, ()):
                placed = account in w.accounts and (w.regions is None or region in w.regions)
                if placed and w.looks_on(Day(day)):
                    if w.opens_at <= sums[3] and sums[4] < w.closes_at:
                        whole = True
                        break
                    touching.append(w)
            if whole or (source == "MANUAL" and is_pinned(match_key)):
                origin = (account, region, source)
                counts[origin] = counts.get(origin, 0) + sums[0]
            elif touching:
                partial[key] = touching
        if partial:
            _count_each(observations, partial, counts)
        return counts

    def windows(self, tx: Tx, lens_version: int) -> Windows:
        """Where and when something of each match key is seen."""
        key = (tx.tenant, lens_version)
        windows = self._known.get(key)
        if windows is None:
            windows = read_windows(tx)
            self._known.put(key, windows)
        return windows


def _count_each(
    observations: Iterable[Observation],
    partial: Mapping[_Key, Sequence[Window]],
    counts: dict[Origin, int],
) -> None:
    """Add those observations of some groups that lie in one of their windows."""
    for o in observations:
        key = (o.event_time // DAY, o.match_key, o.account, o.region, o.source, o.verdict or "")
        for window in partial.get(key, ()):
            if window.opens_at <= o.event_time < window.closes_at:
                origin = (o.account, o.region, o.source)
                counts[origin] = counts.get(origin, 0) + 1
                break


def read_windows(tx: Tx, *, frozen: bool = False, version: int | None = None) -> Windows:
    """The windows of everything that is not frozen, or of what is frozen, too.

    With `version`, only of what was opened while no more was wanted than at that version.
    """
    t = lens_intervals.c
    closes = func.coalesce(t.closes_at, FOREVER)
    places = (t.match_keys, t.accounts, t.regions, t.every)
    # What looks every day is merged below; of what looks less often, each anchor has its own days.
    opened = case((t.every == "DAILY", 0), else_=t.opens_at)
    anchor = case((t.every == "DAILY", 0), else_=t.anchor)
    # Thirty assessments of one framework and scope are one row here where they are open.
    query = (
        tx.select(*places, func.min(t.opens_at), closes, anchor)
        .where(t.frozen.in_([False, frozen]))
        .group_by(*places, opened, closes, anchor)
    )
    if version is not None:
        query = query.where(t.version <= version)
    texts: dict[str, list[Window]] = {}
    sets: dict[str, frozenset[str]] = {}
    for match_keys, accounts, regions, every, *times in map(tuple, tx.all(query)):
        opens_at, closes_at, counted = map(Instant, times)
        window = Window(
            accounts=_set(accounts, sets),
            regions=None if regions == "null" else _set(regions, sets),
            opens_at=opens_at,
            closes_at=closes_at,
            every=every,
            anchor=counted,
        )
        texts.setdefault(match_keys, []).append(window)
    by_key: dict[str, set[Window]] = {}
    for text, windows in texts.items():
        merged = _merged(windows)
        for match_key in msgspec.json.decode(text, type=list[str]):
            by_key.setdefault(match_key, set()).update(merged)
    return {key: _merged(windows) for key, windows in by_key.items()}


def _set(text: str, known: dict[str, frozenset[str]]) -> frozenset[str]:
    found = known.get(text)
    if found is None:
        found = known[text] = msgspec.json.decode(text, type=frozenset[str])
    return found


def _merged(windows: Iterable[Window]) -> list[Window]:
    """Windows of the same places that overlap or touch become one, if they look every day."""
    found: list[Window] = []
    open_in: dict[tuple[frozenset[str], frozenset[str] | None], int] = {}
    for window in sorted(windows, key=lambda w: w.opens_at):
        if window.every != "DAILY":
            found.append(window)
            continue
        place = (window.accounts, window.regions)
        at = open_in.get(place)
        if at is not None and window.opens_at <= found[at].closes_at:
            longer = max(found[at].closes_at, window.closes_at)
            found[at] = Window(*place, found[at].opens_at, longer)
        else:
            open_in[place] = len(found)
            found.append(window)
    return found
