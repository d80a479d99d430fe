"""The gap ledger: every time in which something due was not collected.

A gap is opened when that is noticed and closed when the question is answered again, or when nobody
looks any more; see `collection.targets` for when that is. At most one gap of a question is open.
Lines of the ledger are never taken out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, or_

from auditkeep.clock import Instant
from auditkeep.collection.targets import Ended, Missed, Place
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import collection_gaps
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant, named_id

NOTHING, OPENED, ALL = 0, 1, 2
"""What owners know of a gap: nothing, that it opened, all of it."""

_OPEN = collection_gaps.c.closes_at.is_(None)


@dataclass(frozen=True, slots=True)
class Gap:
    """One line; `closes_at` is None while it lasts."""

    id: str
    place: Place
    what: str
    opens_at: Instant
    closes_at: Instant | None
    reason: str
    detail: str
    message: str
    filled: bool
    noted_at: Instant
    run: str = ""
    """The run that noted it; empty where none did."""

    @property
    def lost(self) -> bool:
        """Whether something was missed that cannot be had any more, or not yet."""
        return not self.filled


def open_of(tx: Tx, place: Place) -> dict[str, Gap]:
    """The gaps of one place that last, by what is missing."""
    t = collection_gaps.c
    here = (
        t.origin_account == place.account,
        t.origin_region == place.region,
        t.source == place.source,
    )
    return {g.what: g for g in map(_gap, tx.all(tx.select(collection_gaps).where(*here, _OPEN)))}


def listed(
    tx: Tx,
    *,
    since: Instant | None = None,
    until: Instant | None = None,
    only_open: bool = False,
    after: tuple[Instant, str] | None = None,
    limit: int | None = None,
) -> list[Gap]:
    """Gaps that touch a time, in the order they opened, from behind `after` on."""
    t = collection_gaps.c
    query = tx.select(collection_gaps).order_by(t.opens_at, t.id)
    if only_open:
        query = query.where(_OPEN)
    if since is not None:
        query = query.where(or_(_OPEN, t.closes_at > since))
    if until is not None:
        query = query.where(t.opens_at < until)
    if after is not None:
        behind = (t.opens_at == after[0]) & (t.id > after[1])
        query = query.where(or_(t.opens_at > after[0], behind))
    return [_gap(row) for row in tx.all(query.limit(limit))]


def planned(
    tenant: Tenant, place: Place, what: str, missed: Missed, now: Instant, run: str = ""
) -> Gap:
    """A line to be written; its id follows from where and when, so that it is written once."""
    owner = (tenant.account, tenant.region)
    named = (*owner, place.account, place.region, place.source, what, str(missed.opens_at))
    return Gap(
        id=named_id("gap", *named),
        place=place,
        what=what,
        opens_at=missed.opens_at,
        closes_at=None,
        reason=missed.trouble.reason,
        detail=missed.trouble.detail,
        message=missed.trouble.message,
        filled=False,
        noted_at=now,
        run=run,
    )


def begin(tx: Tx, gap: Gap) -> None:
    """Write a new line; one that was closed and begins at the same time again is open again."""
    tx.upsert(collection_gaps, [_row(gap)], replace=["closes_at", "filled", "told"])


def close(tx: Tx, gap: Gap, ended: Ended) -> None:
    closes_at = max(ended.closes_at, gap.opens_at)
    changed = {"closes_at": closes_at, "filled": ended.filled}
    tx.run(tx.update(collection_gaps).where(collection_gaps.c.id == gap.id).values(**changed))


def untold(tx: Tx) -> list[tuple[Gap, bool]]:
    """Gaps of which owners do not know yet that they opened, or are over; and whether they know
    that it opened.
    """
    t = collection_gaps.c
    news = or_(t.told == NOTHING, and_(t.told == OPENED, t.closes_at.is_not(None)))
    rows = tx.all(tx.select(collection_gaps).where(news).order_by(t.opens_at, t.id))
    return [(_gap(row), row.told == OPENED) for row in rows]


def told(tx: Tx, some: Iterable[Gap]) -> None:
    """Note that owners know of gaps what there is to know by now."""
    t = collection_gaps.c
    known: dict[int, list[str]] = {}
    for gap in some:
        known.setdefault(OPENED if gap.closes_at is None else ALL, []).append(gap.id)
    for what, ids in known.items():
        for those in in_pieces(ids):
            chosen = t.id.in_(those)
            tx.run(tx.update(collection_gaps).where(chosen).values(told=what))


def _row(gap: Gap) -> Mapping[str, Any]:
    return {
        "id": gap.id,
        "origin_account": gap.place.account,
        "origin_region": gap.place.region,
        "source": gap.place.source,
        "what": gap.what,
        "opens_at": gap.opens_at,
        "closes_at": gap.closes_at,
        "reason": gap.reason,
        "detail": gap.detail,
        "message": gap.message,
        "filled": gap.filled,
        "noted_at": gap.noted_at,
        "run": gap.run,
        "told": NOTHING,
    }


def _gap(row: Row[Any]) -> Gap:
    return Gap(
        id=row.id,
        place=Place(row.origin_account, row.origin_region, row.source),
        what=row.what,
        opens_at=Instant(row.opens_at),
        closes_at=None if row.closes_at is None else Instant(row.closes_at),
        reason=row.reason,
        detail=row.detail,
        message=row.message,
        filled=bool(row.filled),
        noted_at=Instant(row.noted_at),
        run=row.run,
    )
