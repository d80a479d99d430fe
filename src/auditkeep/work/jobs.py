"""The outbox: jobs are rows written in the transaction of the request that wants them done.

Invariants: the same (tenant, kind, key, attempt) is queued once, whoever asks how often; a job is
held by at most one runner, until its lease runs out; only the holder of the latest lease may end
it (the number of tries is the fencing token). Arguments are ids, never content: the table is not
encrypted.

Jobs of one tenant and kind that are handed to the same party share a *lane*: they run one after the
other, and when that party is found to be down they wait together, behind the one that found it
(on PostgreSQL two runners may once in a while enter a lane together, which is harmless). A job
without a lane has nothing to do with any other.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from sqlalchemy import BigInteger, Select, and_, bindparam, case, exists, not_, select

from auditkeep.clock import MINUTE, Instant
from auditkeep.db import dialect
from auditkeep.db.database import Database
from auditkeep.db.schema import jobs
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant

LEASE = MINUTE
"""How long a silent runner keeps its job: what a crash costs in waiting."""

ERROR_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Job:
    """A job in the hands of a runner; `tries` counts this run too."""

    id: str
    tenant: Tenant
    kind: str
    key: str
    tries: int
    queued_at: Instant
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run failed: tried again after `again` microseconds, or never when that is None."""

    reason: str
    again: int | None
    lane: bool = False
    """Whether the rest of the job's lane would fail as it did, and waits with it."""


class Jobs(Protocol):
    """What the rest of the house needs of an engine for durable work."""

    def enqueue(
        self,
        tx: Tx,
        kind: str,
        key: str,
        now: Instant,
        attempt: int = 1,
        *,
        lane: str | None = None,
    ) -> None:
        """Queue a job in the caller's transaction, and look for it as soon as that commits."""
        ...

    def claim(self, kinds: Collection[str], now: Instant) -> Job | None:
        """The next due job of these kinds, leased to the caller; None when there is none."""
        ...

    def renew(self, job: Job, now: Instant) -> bool:
        """Lengthen the lease; False when the job is no longer the caller's."""
        ...

    def finish(self, job: Job, now: Instant, failure: Failure | None = None) -> bool:
        """End this run: done, or put off, or failed for good.

        False when the lease was lost: another runner has the job, and this run counts for nothing.
        """
        ...

    def wake(self) -> None:
        """End everyone's wait: there may be work."""
        ...

    def wait(self, seconds: float) -> None:
        """Sleep until there may be work, at most `seconds`."""
        ...


def enqueue(
    tx: Tx, kind: str, key: str, now: Instant, attempt: int = 1, *, lane: str | None = None
) -> None:
    """Queue a job in the caller's transaction; the same job a second time changes nothing."""
    owner = tx.tenant
    row = {
        "id": "/".join((owner.account, owner.region, kind, key, str(attempt))),
        "account": owner.account,
        "region": owner.region,
        "kind": kind,
        "key": key,
        "lane": lane,
        "state": "queued",
        "tries": 0,
        "due_at": now,
        "created_at": now,
    }
    tx.system().upsert(jobs, [row])


def under_way(tx: Tx, kind: str, lane: str) -> bool:
    """Whether a job of the tenant's in a lane waits or runs."""
    t, owner, system = jobs.c, tx.tenant, tx.system()
    query = system.select(t.id).where(
        t.account == owner.account,
        t.region == owner.region,
        t.kind == kind,
        t.lane == lane,
        t.state.in_(("queued", "running")),
    )
    return system.first(query.limit(1)) is not None


class DatabaseJobs:
    """Jobs in the `jobs` table of SQLite or PostgreSQL. Safe to share between threads."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._bell = threading.Event()

    def enqueue(
        self,
        tx: Tx,
        kind: str,
        key: str,
        now: Instant,
        attempt: int = 1,
        *,
        lane: str | None = None,
    ) -> None:
        enqueue(tx, kind, key, now, attempt, lane=lane)
        tx.after_commit(self.wake)

    def wake(self) -> None:
        """End everyone's wait: there may be work."""
        self._bell.set()

    def wait(self, seconds: float) -> None:
        if self._bell.wait(seconds):
            self._bell.clear()

    def claim(self, kinds: Collection[str], now: Instant) -> Job | None:
        looks = [look.params(now=now) for look in _looks(frozenset(kinds))]
        with self._db.system_read() as tx:  # on SQLite a look must not take the writer's place
            looks = [look for look in looks if tx.first(look) is not None]
        if not looks:
            return None
        with self._db.system_write() as tx:
            found = (tx.first(dialect.skip_locked(look)) for look in looks)
            row = next((r for r in found if r is not None), None)
            if row is None:
                return None
            job = Job(
                row.id,
                Tenant(row.account, row.region),
                row.kind,
                row.key,
                row.tries + 1,
                Instant(row.created_at),
                row.lane,
            )
            tx.run(
                tx.update(jobs)
                .where(jobs.c.id == job.id)
                .values(state="running", tries=job.tries, lease_until=now + LEASE)
            )
        return job

    def renew(self, job: Job, now: Instant) -> bool:
        return self._change(job, {"lease_until": now + LEASE})

    def finish(self, job: Job, now: Instant, failure: Failure | None = None) -> bool:
        if failure is None:
            done = {"state": "done", "lease_until": None, "error": None, "ended_at": now}
            return self._change(job, done)
        values = {"lease_until": None, "error": failure.reason[:ERROR_LENGTH]}
        if failure.again is None:
            return self._change(job, {**values, "state": "failed", "ended_at": now})
        again = now + failure.again
        with self._db.system_write() as tx:
            waiting = {**values, "state": "queued", "due_at": again, "holds": failure.lane}
            mine = tx.run(tx.update(jobs).where(_held_by(job)).values(**waiting)) == 1
            if mine and failure.lane and job.lane is not None:
                behind = and_(_in_lane(job), jobs.c.state == "queued", jobs.c.id != job.id)
                later = case((jobs.c.due_at <= again, again + 1), else_=jobs.c.due_at)
                tx.run(tx.update(jobs).where(behind).values(due_at=later, holds=False))
            return mine

    def _change(self, job: Job, values: dict[str, Any]) -> bool:
        with self._db.system_write() as tx:
            return tx.run(tx.update(jobs).where(_held_by(job)).values(**values)) == 1


def _held_by(job: Job) -> Any:
    return and_(jobs.c.id == job.id, jobs.c.state == "running", jobs.c.tries == job.tries)


def _in_lane(job: Job) -> Any:
    return and_(
        jobs.c.account == job.tenant.account,
        jobs.c.region == job.tenant.region,
        jobs.c.kind == job.kind,
        jobs.c.lane == job.lane,
    )


_NOW: Any = bindparam("now", type_=BigInteger)


@cache
def _looks(kinds: frozenset[str]) -> tuple[Select[Any], Select[Any]]:
    """Built once: to build them costs more than to ask.

    The job whose runner fell silent first; and the one that has waited longest, in the order of an
    index, however many wait behind it.
    """
    abandoned = and_(jobs.c.state == "running", jobs.c.lease_until <= _NOW)
    ready = and_(jobs.c.state == "queued", jobs.c.due_at <= _NOW)
    return _first(kinds, abandoned), _first(kinds, ready)


def _first(kinds: Collection[str], condition: Any) -> Select[Any]:
    """The first such job whose lane nobody is in, and nobody waits ahead of."""
    other = jobs.alias("other")
    taken = and_(other.c.state == "running", other.c.lease_until > _NOW)
    held = and_(other.c.state == "queued", other.c.holds, not_(jobs.c.holds))
    same_lane = and_(
        other.c.account == jobs.c.account,
        other.c.region == jobs.c.region,
        other.c.kind == jobs.c.kind,
        other.c.lane == jobs.c.lane,  # never true for a job without one
    )
    return (
        select(jobs)
        .where(
            jobs.c.kind.in_(sorted(kinds)),
            condition,
            not_(exists().where(same_lane, taken)),
            not_(exists().where(same_lane, held)),
        )
        .order_by(jobs.c.due_at, jobs.c.id)
        .limit(1)
    )
