"""Jobs that are over, or in trouble: seen, tried once more, and in the end forgotten.

A job that is done is kept for a day, so that the same one queued again is still known; one that
failed for good for thirty, so that somebody can see why and try it again.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, or_

from auditkeep.clock import DAY, Instant
from auditkeep.db.schema import jobs
from auditkeep.db.tx import SystemTx
from auditkeep.ids import Tenant

KEEP_DONE = DAY
KEEP_FAILED = 30 * DAY
_AT_ONCE = 5000
"""Rows that one transaction deletes: writers wait for it on SQLite."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A job that failed at least once and is not done; `again_at` is None when it is given up."""

    tenant: Tenant
    kind: str
    key: str
    tries: int
    error: str
    queued_at: Instant
    again_at: Instant | None


def troubles(tx: SystemTx, kinds: Collection[str]) -> list[Trouble]:
    """What of these kinds has failed for good, and what is waiting to be tried again."""
    table = jobs.c
    failing = and_(table.state == "queued", table.error.is_not(None))
    rows = tx.all(
        tx.select(jobs)
        .where(table.kind.in_(sorted(kinds)), or_(table.state == "failed", failing))
        .order_by(table.created_at, table.id)
    )
    return [
        Trouble(
            tenant=Tenant(r.account, r.region),
            kind=r.kind,
            key=r.key,
            tries=r.tries,
            error=r.error or "",
            queued_at=Instant(r.created_at),
            again_at=None if r.state == "failed" else Instant(r.due_at),
        )
        for r in rows
    ]


def try_again(tx: SystemTx, kinds: Collection[str], now: Instant) -> int:
    """Queue everything of these kinds that has failed, or waits to be tried again; how many.

    What waits behind such a job, without having been tried, waits no longer.
    """
    table = jobs.c
    ours = table.kind.in_(sorted(kinds))
    failing = and_(table.state == "queued", table.error.is_not(None))
    fresh = {"state": "queued", "tries": 0, "due_at": now, "created_at": now, "holds": False}
    again = tx.update(jobs).where(ours, or_(table.state == "failed", failing))
    count = tx.run(again.values(**fresh, error=None, ended_at=None))
    tx.run(
        tx.update(jobs).where(ours, table.state == "queued", table.due_at > now).values(due_at=now)
    )
    return count


def prune(tx: SystemTx, now: Instant) -> int:
    """Forget some of what was over long ago; how many, none when nothing is left to forget."""
    table = jobs.c
    old = or_(
        and_(table.state == "done", table.ended_at < now - KEEP_DONE),
        and_(table.state == "failed", table.ended_at < now - KEEP_FAILED),
    )
    some = tx.select(table.id).where(old).limit(_AT_ONCE)
    return tx.run(tx.delete(jobs).where(table.id.in_(some)))
