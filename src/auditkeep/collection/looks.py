"""What a plan is made of, read from the database: open intervals and the baseline.

A plan is made anew when `lens_version` has changed, and not otherwise: whatever changes what is
read here raises it (an interval, the baseline, an account's own settings).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import or_

from auditkeep.clock import Instant
from auditkeep.collection import accounts, baseline
from auditkeep.collection.plan import Look, Plan, Reach, Reason, make
from auditkeep.db.schema import lens_intervals, tenants
from auditkeep.db.tx import Tx
from auditkeep.evidence.memo import Memo
from auditkeep.frameworks.model import Shelf
from auditkeep.mapping import calls
from auditkeep.settings import Settings

TENANTS = 64
"""Tenants whose plans are kept."""


def intervals(tx: Tx, now: Instant) -> Iterator[Look]:
    """The open intervals of lenses, also those that open later."""
    t = lens_intervals.c
    query = tx.select(
        t.assessment_id, t.ordinal, t.match_keys, t.accounts, t.regions, t.opens_at, t.every
    ).where(t.frozen.is_(False), or_(t.closes_at.is_(None), t.closes_at > now))
    sets: dict[str, frozenset[str]] = {}

    def read(text: str) -> frozenset[str]:
        found = sets.get(text)
        if found is None:
            found = sets[text] = msgspec.json.decode(text, type=frozenset[str])
        return found

    for row in tx.all(query):
        yield Look(
            reason=Reason("assessment", row.assessment_id, str(row.ordinal)),
            match_keys=read(row.match_keys),
            accounts=read(row.accounts),
            regions=None if row.regions == "null" else read(row.regions),
            opens_at=Instant(row.opens_at),
            every=row.every,
        )


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

    def of(self, tx: Tx, now: Instant) -> Plan:
        """What must be asked for the transaction's tenant."""
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
        t = tenants.c
        row = tx.first(tx.select(t.lens_version, t.status))
        return None if row is None or row.status != "ACTIVE" else int(row.lens_version)

    def reach(self, tx: Tx) -> Reach:
        own = accounts.listed(tx)
        lists: Mapping[str, frozenset[str]] = {
            a.account: frozenset(a.regions) for a in own if a.regions is not None
        }
        elsewhere = frozenset(self.settings.collect_region_list) or frozenset({tx.tenant.region})
        return Reach(elsewhere, lists, self.everywhere)
