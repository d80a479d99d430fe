"""What a plan is made of, read from the database: open intervals and the baseline.

A plan is made anew when `lens_version` has changed, and not otherwise: whatever changes what is
read here raises it (an interval, the baseline, an account's own settings, what a trail brings).
What is off in some account (`collection.regions`) is taken out of it when `regions_version` has.

A day's slot belongs to whoever was looked at as the day began. Where an interval was closed and
opened anew since its last slot, as when an account left, the accounts that both hold are looked at
without a break, and their slot is still due; accounts that came in wait for the next one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from sqlalchemy import Row, or_

from auditkeep.clock import Instant, day_of
from auditkeep.collection import accounts, baseline, regions, trails
from auditkeep.collection.plan import Look, Plan, Reach, Reason, make
from auditkeep.db.schema import lens_intervals, tenants
from auditkeep.db.tx import Tx
from auditkeep.evidence import slots
from auditkeep.evidence.memo import Memo
from auditkeep.frameworks.model import Shelf
from auditkeep.mapping import calls
from auditkeep.settings import Settings

TENANTS = 64
"""Tenants whose plans are kept."""


_READ = (
    lens_intervals.c.assessment_id,
    lens_intervals.c.ordinal,
    lens_intervals.c.match_keys,
    lens_intervals.c.accounts,
    lens_intervals.c.regions,
    lens_intervals.c.opens_at,
    lens_intervals.c.closes_at,
    lens_intervals.c.every,
    lens_intervals.c.anchor,
)
_API_CALLS = "api:"
"""How match keys begin that are asked for on slots."""

_Joint = tuple[str, int, str, str, str, int]


def intervals(tx: Tx, now: Instant) -> Iterator[Look]:
    """The open intervals of lenses, also those that open later."""
    t = lens_intervals.c
    query = tx.select(*_READ).where(
        t.frozen.is_(False), or_(t.closes_at.is_(None), t.closes_at > now)
    )
    rows = tx.all(query)
    sets: dict[str, frozenset[str]] = {}

    def read(text: str) -> frozenset[str]:
        found = sets.get(text)
        if found is None:
            found = sets[text] = msgspec.json.decode(text, type=frozenset[str])
        return found

    before = _before(tx, [row for row in rows if _asks_on_slots(read(row.match_keys))], now)
    for row in rows:
        whole = Look(
            reason=Reason("assessment", row.assessment_id, str(row.ordinal)),
            match_keys=read(row.match_keys),
            accounts=read(row.accounts),
            regions=None if row.regions == "null" else read(row.regions),
            opens_at=Instant(row.opens_at),
            every=row.every,
            anchor=Instant(row.anchor),
        )
        yield from _apart(whole, _unbroken(row, before, read))


def _asks_on_slots(match_keys: frozenset[str]) -> bool:
    return any(key.startswith(_API_CALLS) for key in match_keys)


def _before(tx: Tx, rows: Iterable[Row[Any]], now: Instant) -> dict[_Joint, Row[Any]]:
    """What closed as something opened that has had no slot of its own yet, and so on back.

    By where it closed: what goes on there looked at the same keys of the same control. A past that
    was opened afterwards is no such look: nothing was due then.
    """
    t = lens_intervals.c
    fresh: dict[str, Instant] = {}
    today = day_of(now)
    for row in rows:
        last = today if row.every == "DAILY" else slots.latest(row.every, row.anchor, today)
        if last is not None and slots.start(last) < row.opens_at <= now:
            fresh[row.assessment_id] = min(slots.start(last), fresh.get(row.assessment_id, now))
    found: dict[_Joint, Row[Any]] = {}
    for assessment_id, since in sorted(fresh.items()):
        closed = tx.select(*_READ).where(
            t.assessment_id == assessment_id,
            t.frozen.is_(False),
            t.backfilled.is_(False),
            t.closes_at > since,
        )
        for row in tx.all(closed):
            found[_joint(row, row.closes_at)] = row
    return found


def _joint(row: Row[Any], at: int) -> _Joint:
    return row.assessment_id, row.ordinal, row.every, row.match_keys, row.regions, at


def _unbroken(
    row: Row[Any], before: Mapping[_Joint, Row[Any]], read: Callable[[str], frozenset[str]]
) -> dict[str, Instant]:
    """Since when those accounts were looked at that an interval before had, too."""
    since: dict[str, Instant] = {}
    left = read(row.accounts)
    earlier = before.get(_joint(row, row.opens_at))
    while earlier is not None and left:
        left &= read(earlier.accounts)
        since.update(dict.fromkeys(left, Instant(earlier.opens_at)))
        earlier = before.get(_joint(earlier, earlier.opens_at))
    return since


def _apart(whole: Look, since: Mapping[str, Instant]) -> Iterator[Look]:
    """A look by since when its accounts were looked at without a break."""
    if not since:
        yield whole
        return
    parts: dict[Instant, set[str]] = {}
    for account in whole.accounts:
        parts.setdefault(since.get(account, whole.opens_at), set()).add(account)
    for begin, accounts_ in sorted(parts.items()):
        yield replace(whole, accounts=frozenset(accounts_), since=begin)


def everywhere(keyword: str) -> bool:
    """Whether the service of an API call's keyword has no regions."""
    call = calls.find(keyword)
    return isinstance(call, calls.Call) and call.everywhere


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of tenants, each kept until what it was made of changes."""

    library: Shelf
    settings: Settings
    everywhere: Callable[[str], bool] = everywhere
    _known: Memo[Plan] = field(default_factory=lambda: Memo[Plan](TENANTS))
    _applied: Memo[Plan] = field(default_factory=lambda: Memo[Plan](TENANTS))

    def of(self, tx: Tx, now: Instant) -> Plan:
        """What must be asked for the transaction's tenant."""
        versions = self._versions(tx)
        if versions is None:
            return Plan(())
        key = (tx.tenant, *versions)
        plan = self._applied.get(key)
        if plan is None:
            plan = regions.applied(self.whole(tx, now), regions.switched(tx))
            self._applied.put(key, plan)
        return plan

    def whole(self, tx: Tx, now: Instant) -> Plan:
        """The same, were every region on."""
        version = self.version(tx)
        if version is None:
            return Plan(())
        key = (tx.tenant, version)
        plan = self._known.get(key)
        if plan is None:
            looks = [*intervals(tx, now), *baseline.looks(tx, self.library, self.settings)]
            plan = make(looks, self.reach(tx))
            self._known.put(key, plan)
        return plan

    def version(self, tx: Tx) -> int | None:
        """What a plan is made under; None for a tenant that is not registered."""
        versions = self._versions(tx)
        return None if versions is None else versions[0]

    def _versions(self, tx: Tx) -> tuple[int, int] | None:
        t = tenants.c
        row = tx.first(tx.select(t.lens_version, t.regions_version, t.status))
        if row is None or row.status != "ACTIVE":
            return None
        return int(row.lens_version), int(row.regions_version)

    def ever(self, tx: Tx, looks: Iterable[Look]) -> Plan:
        """What some looks need where accounts are asked now, without what is off now."""
        return regions.applied(make(looks, self.reach(tx)), regions.switched(tx))

    def reach(self, tx: Tx) -> Reach:
        own = accounts.listed(tx)
        lists: Mapping[str, frozenset[str]] = {
            a.account: frozenset(a.regions) for a in own if a.regions is not None
        }
        elsewhere = frozenset(self.settings.collect_region_list) or frozenset({tx.tenant.region})
        return Reach(elsewhere, lists, self.everywhere, trails.brought(tx))
