"""Retention: how long the classes of a tenant are kept, and which buckets have come to their end.

    kind        what it is                                          kept by default
    facts       observations of sources                             731 days: two years
    manual      manual evidence and its files                       731 days
    activity    the activity log                                    for ever
    reports     report archives                                     for ever

Time runs from when something was collected. A bucket holds what was collected in one month (UTC)
and goes as a whole, so that its end is reckoned from the end of its month: nothing goes too early,
and what is collected on a month's first day stays a month longer. A policy is a governance record,
the deployment's default too, and expiry cites the one that is in force.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from sqlalchemy import func

from auditkeep.clock import DAY, Instant, iso, parse
from auditkeep.db.schema import batches, blobs, buckets, retention
from auditkeep.db.tx import Tx
from auditkeep.errors import InvalidRequest
from auditkeep.lake import governance, holds
from auditkeep.lake.governance import Authority
from auditkeep.lake.lake import Lake
from auditkeep.settings import RetentionKind

KINDS: Final[tuple[RetentionKind, ...]] = get_args(RetentionKind)
TWO_YEARS: Final = 731
"""Days; a leap day included, so that it is never less."""
MOST_DAYS: Final = 36_500
_DEFAULTS: Final[Mapping[RetentionKind, int | None]] = {
    "facts": TWO_YEARS,
    "manual": TWO_YEARS,
    "activity": None,
    "reports": None,
}
BY_DEFAULT: Final = "the deployment's settings"
"""Who is named in the record of a policy that nobody chose for the tenant."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a kind of class is kept, None for ever; `chosen` for this tenant, and when."""

    days: int | None
    chosen: bool = False
    set_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A bucket whose time is over; `held` names the hold that keeps it."""

    id: str
    klass: str
    month: str
    ended_at: Instant
    held: str | None


def rules(tx: Tx, settings: Mapping[RetentionKind, int | None]) -> dict[RetentionKind, Rule]:
    """What is in force for the tenant: what was chosen for it, or else the deployment's value."""
    found = {kind: Rule(days) for kind, days in {**_DEFAULTS, **settings}.items()}
    for row in tx.all(tx.select(retention).where(retention.c.chosen.is_(True))):
        if row.kind in found:
            found[row.kind] = Rule(row.days, chosen=True, set_at=Instant(row.set_at))
    return found


def put(tx: Tx, lake: Lake, kind: RetentionKind, days: int | None, asked: holds.Asked) -> None:
    """Keep a kind of class for so many days, None for ever, from the caller's commit on."""
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise InvalidRequest.of_field("days", f"must be between 1 and {MOST_DAYS:,}.")
    tx.lock_tenant()
    _log(tx, lake, kind, days, asked, chosen=True)


def use_default(
    tx: Tx,
    lake: Lake,
    kind: RetentionKind,
    settings: Mapping[RetentionKind, int | None],
    asked: holds.Asked,
) -> None:
    """Keep a kind of class for as long as the deployment does, from the caller's commit on."""
    tx.lock_tenant()
    _log(tx, lake, kind, {**_DEFAULTS, **settings}[kind], asked, chosen=False)


def authority(tx: Tx, lake: Lake, kind: RetentionKind, rule: Rule, now: Instant) -> Authority:
    """The logged policy that expiry of a kind cites now; a default is logged when first needed."""
    row = tx.first(tx.select(retention).where(retention.c.kind == kind))
    if row is None or (not rule.chosen and (row.chosen or row.days != rule.days)):
        asked = holds.Asked(BY_DEFAULT, "retention", "", now)
        return _log(tx, lake, kind, rule.days, asked, chosen=False)
    return Authority(
        action=governance.PUT_RETENTION,
        at=iso(Instant(row.set_at)),
        id=row.authority,
        principal=BY_DEFAULT,
        request="retention",
        subject=governance.policy(kind, rule.days),
    )


def due(tx: Tx, in_force: Mapping[RetentionKind, Rule], now: Instant) -> list[Due]:
    """The buckets whose time is over, oldest first, with those that a hold keeps."""
    b = buckets.c
    alive = tx.select(b.id, b["class"].label("klass"), b.month, b.created_at).where(
        b.destroyed_at.is_(None), b["class"] != governance.CLASS
    )
    over = [
        (row, ended)
        for row in tx.all(alive.order_by(b.month, b.id))
        if (ended := ends(row.klass, row.month, in_force)) is not None and ended <= now
    ]
    standing = holds.in_force(tx) if over else []
    return [
        Due(row.id, row.klass, row.month, ended, _holding(tx, standing, row.id, row.klass))
        for row, ended in over
    ]


def following(tx: Tx, in_force: Mapping[RetentionKind, Rule], now: Instant) -> Instant | None:
    """When the next bucket comes to its end; None where none ever does."""
    b = buckets.c
    alive = tx.select(b["class"].label("klass"), b.month).where(b.destroyed_at.is_(None))
    found = {ends(row.klass, row.month, in_force) for row in tx.all(alive.distinct())}
    return min((at for at in found if at is not None and at > now), default=None)


def ends(klass: str, month: str, in_force: Mapping[RetentionKind, Rule]) -> Instant | None:
    """When a bucket has come to its end; None where it is kept for ever."""
    for kind, rule in in_force.items():
        if kind == governance.kind_of(klass):
            return None if rule.days is None else Instant(_end_of(month) + rule.days * DAY)
    return None


def _holding(tx: Tx, standing: Sequence[holds.Held], bucket_id: str, klass: str) -> str | None:
    """The hold that keeps a bucket: one that covers anything in it keeps all of it."""
    if not standing:
        return None
    spans = []
    for table, column in ((batches, batches.c.committed_at), (blobs, blobs.c.created_at)):
        query = tx.select(func.min(column).label("first"), func.max(column).label("last"))
        row = tx.first(query.where(table.c.bucket_id == bucket_id))
        if row is not None and row.first is not None:
            spans.append((Instant(row.first), Instant(row.last)))
    for held in standing:
        if any(held.covers(klass, first, last) for first, last in spans):
            return held.id
    return None


def _log(
    tx: Tx, lake: Lake, kind: str, days: int | None, asked: holds.Asked, *, chosen: bool
) -> Authority:
    given = governance.authority(
        governance.PUT_RETENTION,
        asked.principal,
        asked.request,
        governance.policy(kind, days),
        asked.now,
    )
    governance.record(
        tx, lake, [given], principal=asked.principal, run=asked.request, now=asked.now
    )
    row = {"kind": kind, "days": days, "chosen": chosen, "authority": given.id}
    tx.upsert(
        retention,
        [row | {"set_at": asked.now}],
        replace=["days", "chosen", "authority", "set_at"],
    )
    return given


def _end_of(month: str) -> Instant:
    """The first moment after a month, UTC."""
    year, number = map(int, month.split("-"))
    year, number = (year + 1, 1) if number == 12 else (year, number + 1)
    return parse(f"{year:04}-{number:02}-01T00:00:00Z")
