"""The outbox: jobs are rows written in the transaction of the request that wants them done.

Invariants: the same (tenant, kind, key, attempt) is queued once, whoever asks how often; a job is
held by at most one runner, until its lease runs out; only the holder of the latest lease may end
it (the number of tries is the fencing token). Arguments are ids, never content: the table is not
encrypted.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Select, and_, or_, select

from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.db import dialect
from auditkeep.db.database import Database
from auditkeep.db.schema import jobs
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant

LEASE = MINUTE
"""How long a silent runner keeps its job: what a crash costs in waiting."""

MAX_TRIES = 5
LONGEST_DELAY = 5 * MINUTE
ERROR_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Job:
    """A job in the hands of a runner; `tries` counts this run too."""

    id: str
    tenant: Tenant
    kind: str
    key: str
    tries: int

    @property
    def last_try(self) -> bool:
        return self.tries >= MAX_TRIES

    @property
    def exhausted(self) -> bool:
        """The last try began and never ended: its runner died. It must not be run again."""
        return self.tries > MAX_TRIES


class Jobs(Protocol):
    """What the rest of the house needs of an engine for durable work."""

    def enqueue(self, tx: Tx, kind: str, key: str, now: Instant, attempt: int = 1) -> None:
        """Queue a job in the caller's transaction, and look for it as soon as that commits."""
        ...

    def claim(self, kinds: Collection[str], now: Instant) -> Job | None:
        """The next due job of these kinds, leased to the caller; None when there is none."""
        ...

    def renew(self, job: Job, now: Instant) -> bool:
        """Lengthen the lease; False when the job is no longer the caller's."""
        ...

    def finish(self, job: Job, now: Instant, error: str | None = None) -> bool:
        """End this run: done, or with an error put off, or failed for good after the last try.

        False when the lease was lost: another runner has the job, and this run counts for nothing.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Sleep until there may be work, at most `seconds`."""
        ...


def enqueue(tx: Tx, kind: str, key: str, now: Instant, attempt: int = 1) -> None:
    """Queue a job in the caller's transaction; the same job a second time changes nothing."""
    owner = tx.tenant
    row = {
        "id": "/".join((owner.account, owner.region, kind, key, str(attempt))),
        "account": owner.account,
        "region": owner.region,
        "kind": kind,
        "key": key,
        "state": "queued",
        "tries": 0,
        "due_at": now,
        "created_at": now,
    }
    tx.system().upsert(jobs, [row])


class DatabaseJobs:
    """Jobs in the `jobs` table of SQLite or PostgreSQL. Safe to share between threads."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._bell = threading.Event()

    def enqueue(self, tx: Tx, kind: str, key: str, now: Instant, attempt: int = 1) -> None:
        enqueue(tx, kind, key, now, attempt)
        tx.after_commit(self.wake)

    def wake(self) -> None:
        """End everyone's wait: there may be work."""
        self._bell.set()

    def wait(self, seconds: float) -> None:
        if self._bell.wait(seconds):
            self._bell.clear()

    def claim(self, kinds: Collection[str], now: Instant) -> Job | None:
        due = _due(kinds, now)
        with self._db.system_read() as tx:  # on SQLite a look must not take the writer's place
            if tx.first(due) is None:
                return None
        with self._db.system_write() as tx:
            row = tx.first(dialect.skip_locked(due))
            if row is None:
                return None
            job = Job(row.id, Tenant(row.account, row.region), row.kind, row.key, row.tries + 1)
            tx.run(
                tx.update(jobs)
                .where(jobs.c.id == job.id)
                .values(state="running", tries=job.tries, lease_until=now + LEASE)
            )
        return job

    def renew(self, job: Job, now: Instant) -> bool:
        return self._change(job, {"lease_until": now + LEASE})

    def finish(self, job: Job, now: Instant, error: str | None = None) -> bool:
        if error is None:
            return self._change(job, {"state": "done", "lease_until": None, "error": None})
        values = {"lease_until": None, "error": error[:ERROR_LENGTH]}
        if job.last_try:
            return self._change(job, {**values, "state": "failed"})
        return self._change(job, {**values, "state": "queued", "due_at": now + delay(job.tries)})

    def _change(self, job: Job, values: dict[str, Any]) -> bool:
        mine = and_(jobs.c.id == job.id, jobs.c.state == "running", jobs.c.tries == job.tries)
        with self._db.system_write() as tx:
            return tx.run(tx.update(jobs).where(mine).values(**values)) == 1


def delay(tries: int) -> int:
    """Microseconds before the next try: one second, doubled each time, bounded."""
    return min(SECOND << (tries - 1), LONGEST_DELAY)


def _due(kinds: Collection[str], now: Instant) -> Select[Any]:
    ready = and_(jobs.c.state == "queued", jobs.c.due_at <= now)
    abandoned = and_(jobs.c.state == "running", jobs.c.lease_until <= now)
    return (
        select(jobs)
        .where(jobs.c.kind.in_(sorted(kinds)), or_(ready, abandoned))
        .order_by(jobs.c.due_at, jobs.c.id)
        .limit(1)
    )
