"""Which regions accounts have switched on: what they said last, and what follows for the plan.

    state            it names its regions                    it does not say
    never asked      known                                   unknown: every region is taken for on
    known            known; of what it names newly, it is    known for a day; then doubted: what was
                     remembered until when it was off        off is asked, and refuses by itself
    doubted          the same                                doubted
    unknown          known                                   unknown

An account is asked again with each round, at most once an hour, and only where a region that may be
off is looked at and asked of the account itself, or where one was off when it said so last. What a
plan is made of does not depend on it: `applied` takes out of a plan what is off, and
`regions_version` tells when that is another.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Row

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.collection.plan import NEVER, TRAIL, Duty, Plan, Territory
from auditkeep.collection.targets import Place, round_of
from auditkeep.db.schema import collection_regions, tenants
from auditkeep.db.tx import Tx
from auditkeep.observations import SourceType
from auditkeep.sources.refusals import always_on

OFTEN = 60 * MINUTE
"""How often an account is asked, at most."""

TRUSTED = DAY
"""For how long it is taken as true what an account said that says nothing any more."""

REMEMBERED = 45 * DAY
"""For how long it matters until when a region was off: longer than from one slot to the next."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What a plan needs to know of an account: the regions that are `on`, and those of them that
    were off until some moment. Since it says nothing any more, what was off then is `doubted`.
    """

    on: frozenset[str]
    found: frozenset[tuple[str, Instant]] = frozenset()
    doubted: Instant | None = None

    def is_off(self, region: str) -> bool:
        return self.doubted is None and region not in self.on

    def off_until(self, region: str) -> Instant:
        """The last moment at which a region that is asked was off; NEVER: it was not."""
        if self.doubted is not None and region not in self.on:
            return self.doubted
        return next((at for name, at in self.found if name == region), NEVER)


class Regions(msgspec.Struct, frozen=True, kw_only=True):
    """What an account said: the regions that are on, and until when some of them were off."""

    on: frozenset[str]
    off_until: dict[str, Instant] = {}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one account; see the columns of `collection_regions`."""

    asked_at: Instant
    said_at: Instant | None = None
    said: Regions | None = None
    sure: bool = False
    """Whether that is taken as true."""

    @property
    def switched(self) -> Switched | None:
        """What a plan needs to know of it."""
        if self.said is None:
            return None
        doubted = None if self.sure else self.said_at
        return Switched(self.said.on, frozenset(self.said.off_until.items()), doubted)


def became(before: Known | None, on: frozenset[str] | None, now: Instant) -> Known:
    """What is known after an account was asked; `on` is None where it did not say."""
    if on is None:
        if before is None or before.said_at is None:
            return Known(asked_at=now)
        sure = before.sure and before.said_at > now - TRUSTED
        return msgspec.structs.replace(before, asked_at=now, sure=sure)
    off_until: dict[str, Instant] = {}
    if before is not None and before.said is not None and before.said_at is not None:
        known = {**before.said.off_until, **dict.fromkeys(on - before.said.on, before.said_at)}
        off_until = {r: at for r, at in known.items() if r in on and at >= now - REMEMBERED}
    said = Regions(on=on, off_until=off_until)
    return Known(asked_at=now, said_at=now, said=said, sure=True)


def applied(plan: Plan, switched: Mapping[str, Switched]) -> Plan:
    """A plan without what is off; in a region that was off, its duties begin when that ended."""
    asked: list[Territory] = []
    left_out: list[Territory] = []
    for territory in plan.territories:
        region = territory.region
        parts: dict[Instant | None, list[str]] = {}
        for account in () if always_on(region) else territory.accounts:
            said = switched.get(account)
            since = NEVER if said is None else said.off_until(region)
            is_off = said is not None and said.is_off(region)
            parts.setdefault(None if is_off else since, []).append(account)
        if parts.keys() <= {NEVER}:
            asked.append(territory)
            continue
        for since_or_off, accounts in parts.items():
            if since_or_off is None:
                left_out.append(replace(territory, accounts=tuple(accounts)))
            else:
                duties = tuple(_on_since(duty, since_or_off) for duty in territory.duties)
                asked.append(Territory(tuple(accounts), region, duties))
    return Plan(tuple(asked), tuple(left_out))


def _on_since(duty: Duty, off_until: Instant) -> Duty:
    """A duty in a region that was off until some moment, as if its looks had opened then."""
    if off_until == NEVER:
        return duty
    return replace(
        duty,
        rhythms=frozenset(replace(r, since=max(r.since, off_until)) for r in duty.rhythms),
        opens_at=max(duty.opens_at, off_until),
        newest=max(duty.newest, off_until),
        off_until=off_until,
    )


def concerned(plan: Plan, elsewhere: Container[SourceType]) -> Iterator[Place]:
    """Where it matters whether a region is on: where one may be off in which an account itself is
    asked, and where one was off, whoever would tell of it.

    `elsewhere` are sources that another account tells of.
    """
    for territory in plan.territories:
        if not always_on(territory.region):
            asked = {d.question.source for d in territory.duties if d.question != TRAIL}
            yield from _places(territory, (s for s in asked if s not in elsewhere))
    for territory in plan.left_out:
        yield from _places(territory, {d.question.source for d in territory.duties})


def _places(territory: Territory, sources: Iterable[SourceType]) -> Iterator[Place]:
    for source in sorted(sources):
        for account in territory.accounts:
            yield Place(account, territory.region, source)


def to_ask(
    plan: Plan,
    known: Mapping[str, Known],
    elsewhere: Container[SourceType],
    now: Instant,
    every: int,
) -> list[str]:
    """The accounts that are to say now which regions are on; `every` is how long a round is."""
    begun = round_of(now, max(every, OFTEN))
    return sorted(
        account
        for account in {place.account for place in concerned(plan, elsewhere)}
        if account not in known or known[account].asked_at < begun
    )


# --- queries ----------------------------------------------------------------------------------


def listed(tx: Tx) -> dict[str, Known]:
    """All that is known, by account."""
    return {row.origin_account: _known(row) for row in tx.all(tx.select(collection_regions))}


def find(tx: Tx, account: str) -> Known | None:
    """What is known of one account; None: it was never asked."""
    t = collection_regions.c
    row = tx.first(tx.select(collection_regions).where(t.origin_account == account))
    return None if row is None else _known(row)


def switched(tx: Tx) -> dict[str, Switched]:
    """What accounts have switched on, of those that have ever said."""
    found = ((account, known.switched) for account, known in listed(tx).items())
    return {account: one for account, one in found if one is not None}


def save(tx: Tx, account: str, known: Known, *, changed: bool) -> None:
    """Keep what is known of an account now; `changed`: the plan is another by it."""
    said = None if known.said is None else msgspec.json.encode(known.said, order="sorted").decode()
    row = {
        "origin_account": account,
        "regions": said,
        "said_at": known.said_at,
        "asked_at": known.asked_at,
        "sure": known.sure,
    }
    replaced = ["regions", "said_at", "asked_at", "sure"]
    tx.upsert(collection_regions, [row], replace=replaced)
    if changed:
        tx.run(tx.update(tenants).values(regions_version=tenants.c.regions_version + 1))


def _known(row: Row[Any]) -> Known:
    return Known(
        asked_at=Instant(row.asked_at),
        said_at=None if row.said_at is None else Instant(row.said_at),
        said=None if row.regions is None else msgspec.json.decode(row.regions, type=Regions),
        sure=bool(row.sure),
    )
