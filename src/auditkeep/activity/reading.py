"""The activity log read back: records newest first, from the lake and from what is on its way."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from auditkeep.activity import pending
from auditkeep.activity.model import TOGETHER, match_key, records_of
from auditkeep.clock import MINUTE, SECOND, Instant, parse
from auditkeep.db.schema import buckets, rollups
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.ids import Tenant
from auditkeep.lake.buckets import ACTIVITY
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import View
from auditkeep.lake.read import observations

PAGE = 500
SPAN = MINUTE
"""Records that are kept together are of one minute."""
_END = Instant(1 << 53)
_Order = tuple[int, str]
"""Newest first: the negative time, and the event's id."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records; None in a member asks for nothing of it."""

    account: str | None = None
    region: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    """The first instant that is not wanted any more."""
    user: str | None = None
    """A user's name, a role's, or an ARN."""
    event: str | None = None
    warned: bool = False
    """Only calls whose free text looked doubtful."""

    def admits(self, record: dict[str, Any]) -> bool:
        at = parse(record["eventTime"])
        return (
            (self.account is None or record["recipientAccountId"] == self.account)
            and (self.region is None or record["awsRegion"] == self.region)
            and (self.since is None or at >= self.since - self.since % SECOND)
            and (self.until is None or at < self.until)
            and (self.event is None or record["eventName"] == self.event)
            and (not self.warned or "warnings" in record.get("additionalEventData", {}))
            and (self.user is None or self.user in _names(record.get("userIdentity", {})))
        )


def records(lake: Lake, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Every record that is wanted and durable, newest first."""
    with lake.db.system_read() as tx:
        owners = _owners(tx, wanted)
    streams = [_of_owner(lake, owner, wanted) for owner in owners]
    return (record for _, record in heapq.merge(*streams, key=lambda item: item[0]))


def _owners(tx: SystemTx, wanted: Wanted) -> list[Tenant]:
    """Tenants whose logs may hold what is wanted: the account's own, and the home tenant's."""
    t = buckets.c
    rows = tx.all(tx.select(t.account, t.region).where(t["class"] == ACTIVITY).distinct())
    home = pending.home_of(tx)
    return [
        tenant
        for tenant in sorted(Tenant(r.account, r.region) for r in rows)
        if tenant == home
        or (wanted.account in (None, tenant.account) and wanted.region in (None, tenant.region))
    ]


def _of_owner(lake: Lake, owner: Tenant, wanted: Wanted) -> Iterator[tuple[_Order, dict[str, Any]]]:
    """One owner's records, newest first.

    An observation stands at the time of its oldest record, so those that may be younger than the
    next observation's are held back until it was read.
    """
    held: list[tuple[_Order, dict[str, Any]]] = []
    seen: set[str] = set()
    for at, waits, raws in _observed(lake, owner, wanted):
        while held and held[0][0][0] < -(at + SPAN):
            yield heapq.heappop(held)
        for record in map(_decode, raws):
            if record["eventID"] in seen:
                continue  # it came into the lake since it was read from what was on its way
            if waits:
                seen.add(record["eventID"])
            if wanted.admits(record):
                order = (-parse(record["eventTime"]), record["eventID"])
                heapq.heappush(held, (order, record))
    while held:
        yield heapq.heappop(held)


def _observed(
    lake: Lake, owner: Tenant, wanted: Wanted
) -> Iterator[tuple[Instant, bool, list[bytes]]]:
    """Time, whether it is still on its way, and the records of each observation, newest first."""
    with lake.db.read(owner) as tx:
        on_their_way = pending.oldest(tx, lake.keys).noted
    newest = sorted(on_their_way, key=lambda noted: -noted.at)
    return heapq.merge(
        ((noted.at, True, records_of(noted.raw)) for noted in newest),
        _kept(lake, owner, wanted),
        key=lambda item: -item[0],
    )


def _kept(lake: Lake, owner: Tenant, wanted: Wanted) -> Iterator[tuple[Instant, bool, list[bytes]]]:
    """What the lake holds of an owner's activity that may be wanted, newest first."""
    after: tuple[Instant, bytes] | None = None
    while True:
        with lake.db.read(owner) as tx:
            view = _view(tx, wanted)
            page = observations(tx, lake, [view], after=after, limit=PAGE, klass=ACTIVITY)
        for stored in page:
            yield stored.event_time, False, records_of(stored.raw)
        if len(page) < PAGE:
            return
        after = (page[-1].event_time, page[-1].id)


def _view(tx: Tx, wanted: Wanted) -> View:
    t = rollups.c
    if wanted.event is None:
        rows = tx.all(tx.select(t.match_key).where(t.source == "ACTIVITY").distinct())
        keys = frozenset(str(row.match_key) for row in rows)
    else:
        keys = frozenset({match_key(wanted.event), match_key(TOGETHER)})
    return View(
        match_keys=keys,
        accounts=None if wanted.account is None else frozenset({wanted.account}),
        regions=None if wanted.region is None else frozenset({wanted.region}),
        start=Instant(0 if wanted.since is None else wanted.since - SPAN - SECOND),
        end=_END if wanted.until is None else wanted.until,
    )


def _names(identity: dict[str, Any]) -> set[str]:
    """By what a caller can be asked for."""
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    names = (
        identity.get("userName"),
        identity.get("arn"),
        issuer.get("userName"),
        issuer.get("arn"),
    )
    return {name for name in names if name is not None}
