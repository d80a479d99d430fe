"""Retention: how long the classes of a tenant are kept, and which buckets have come to their end.

    kind        what it is                                          kept by default
    facts       observations of sources                             731 days: two years
    manual      manual evidence and its files                       731 days
    activity    the activity log                                    for ever
    reports     report archives                                     for ever

Time runs from when something was collected. A bucket holds what was collected in one month (UTC),
and its end is reckoned from the end of its month: then it goes as a whole, with one key and no
copying. What a legal hold covers of it stays, in the bucket's next generation (`generations`), and
the rest goes. Where a policy is shorter than a month is long beside it, waiting for the month's end
would keep things far longer than asked: then a bucket is cut down as soon as something in it is
over by a quarter of the policy's days, and by a day at least (docs/adr/0029). Nothing ever goes
before its own days have passed. A policy is a governance record, the deployment's default too, and
expiry cites the one that is in force.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from sqlalchemy import Row, func

from auditkeep.clock import DAY, Instant, iso, parse
from auditkeep.db.schema import batches, blobs, buckets, retention
from auditkeep.db.tx import Tx
from auditkeep.errors import InvalidRequest
from auditkeep.lake import governance, holds
from auditkeep.lake.generations import Doomed
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
    """A bucket whose time is over, or that of a `part` of it; `held`: by which hold it is kept."""

    id: str
    klass: str
    month: str
    ended_at: Instant
    held: str | None
    part: bool = False


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
    """The buckets whose time is over, oldest first, with those that a hold keeps.

    Where a hold keeps some of a bucket, and where some of it is over long before the rest, it is
    there as a `part`.
    """
    standing = holds.in_force(tx)
    found = []
    for row in _alive(tx):
        days = _days(row.klass, in_force)
        ended = ends(row.klass, row.month, in_force)
        if days is None or ended is None:
            continue
        if ended > now:
            if _begins(row.month) + _span(days) <= now and _some_over(tx, row, days, standing, now):
                found.append(Due(row.id, row.klass, row.month, ended, None, part=True))
            continue
        held = _holding(tx, standing, row.id, row.klass)
        if held is not None and over(tx, row.id, row.klass, days, standing, now):
            found.append(Due(row.id, row.klass, row.month, ended, None, part=True))
            continue
        found.append(Due(row.id, row.klass, row.month, ended, held))
    return found


def over(
    tx: Tx, bucket_id: str, klass: str, days: int, standing: Sequence[holds.Held], now: Instant
) -> Doomed:
    """What of a bucket its policy keeps no longer, and no hold either."""
    last = Instant(now - days * DAY)
    b, f = batches.c, blobs.c
    rows = tx.select(b.batch_no, b.committed_at).where(
        b.bucket_id == bucket_id, b.committed_at <= last
    )
    files = tx.select(f.id, f.created_at).where(f.bucket_id == bucket_id, f.created_at <= last)

    def free(at: int) -> bool:
        return not any(held.covers(klass, Instant(at), Instant(at)) for held in standing)

    return Doomed(
        batches=frozenset(row.batch_no for row in tx.all(rows) if free(row.committed_at)),
        files=frozenset(row.id for row in tx.all(files) if free(row.created_at)),
    )


def doomed(
    tx: Tx, bucket_id: str, settings: Mapping[RetentionKind, int | None], now: Instant
) -> Doomed:
    """The same under the policy and the holds that are in force for the tenant."""
    row = tx.first(tx.select(buckets).where(buckets.c.id == bucket_id))
    klass = "" if row is None else str(row._mapping["class"])
    days = _days(klass, rules(tx, settings))
    return Doomed() if days is None else over(tx, bucket_id, klass, days, holds.in_force(tx), now)


def following(tx: Tx, in_force: Mapping[RetentionKind, Rule], now: Instant) -> Instant | None:
    """When the next bucket comes to its end, or some of it; None where none ever does."""
    found = set()
    for row in _alive(tx):
        days = _days(row.klass, in_force)
        ended = ends(row.klass, row.month, in_force)
        if days is None or ended is None:
            continue
        found.add(ended)
        if _begins(row.month) + _span(days) < ended:
            spans = _spans(tx, row.id)
            found |= {Instant(first + _span(days)) for first, _ in spans}
    return min((at for at in found if at > now), default=None)


def _alive(tx: Tx) -> Sequence[Row[Any]]:
    b = buckets.c
    alive = tx.select(b.id, b["class"].label("klass"), b.month).where(
        b.destroyed_at.is_(None), b["class"] != governance.CLASS
    )
    return tx.all(alive.order_by(b.month, b.generation, b.id))


def _days(klass: str, in_force: Mapping[RetentionKind, Rule]) -> int | None:
    """How many days a class is kept; None for ever."""
    kind = governance.kind_of(klass)
    return next((rule.days for name, rule in in_force.items() if name == kind), None)


def _span(days: int) -> int:
    """How old something is when it is worth cutting its bucket down before the month's end."""
    return days * DAY + max(DAY, days * DAY // 4)


def _some_over(
    tx: Tx, row: Row[Any], days: int, standing: Sequence[holds.Held], now: Instant
) -> bool:
    """Whether something is over for long enough that no hold keeps."""
    oldest = min((first for first, _ in _spans(tx, row.id)), default=None)
    if oldest is None or oldest + _span(days) > now:
        return False
    late = Instant(now - (_span(days) - days * DAY))
    return bool(over(tx, row.id, row.klass, days, standing, late))


def ends(klass: str, month: str, in_force: Mapping[RetentionKind, Rule]) -> Instant | None:
    """When a bucket has come to its end; None where it is kept for ever."""
    days = _days(klass, in_force)
    return None if days is None else Instant(_end_of(month) + days * DAY)


def _holding(tx: Tx, standing: Sequence[holds.Held], bucket_id: str, klass: str) -> str | None:
    """The hold that keeps anything of a bucket."""
    if not standing:
        return None
    spans = _spans(tx, bucket_id)
    for held in standing:
        if any(held.covers(klass, first, last) for first, last in spans):
            return held.id
    return None


def _spans(tx: Tx, bucket_id: str) -> list[tuple[Instant, Instant]]:
    """When the first and the last batch, and the first and the last file, of a bucket were kept."""
    spans = []
    for table, column in ((batches, batches.c.committed_at), (blobs, blobs.c.created_at)):
        query = tx.select(func.min(column).label("first"), func.max(column).label("last"))
        row = tx.first(query.where(table.c.bucket_id == bucket_id))
        if row is not None and row.first is not None:
            spans.append((Instant(row.first), Instant(row.last)))
    return spans


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
    governance.record_given(tx, lake, given, [given], asked.now)
    row = {"kind": kind, "days": days, "chosen": chosen, "authority": given.id}
    tx.upsert(
        retention,
        [row | {"set_at": asked.now}],
        replace=["days", "chosen", "authority", "set_at"],
    )
    return given


def _begins(month: str) -> Instant:
    return parse(f"{month}-01T00:00:00Z")


def _end_of(month: str) -> Instant:
    """The first moment after a month, UTC."""
    year, number = map(int, month.split("-"))
    year, number = (year + 1, 1) if number == 12 else (year, number + 1)
    return parse(f"{year:04}-{number:02}-01T00:00:00Z")
