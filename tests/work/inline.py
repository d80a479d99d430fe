"""Jobs without a database or threads: the test's twin of the outbox.

Same protocol and same rules as `DatabaseJobs`, kept in memory; it forgets what a rolled-back
transaction queued, as the table would.
"""

from collections.abc import Collection
from dataclasses import replace

from auditkeep.clock import Instant
from auditkeep.db.tx import Tx
from auditkeep.work.jobs import LEASE, Failure, Job


class InlineJobs:
    """A queue in memory, for one thread."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[Instant, Job]] = {}
        self.running: dict[str, tuple[Instant, Job]] = {}
        self.ended: dict[str, str | None] = {}
        self.holding: set[str] = set()

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
        owner = tx.tenant
        job_id = "/".join((owner.account, owner.region, kind, key, str(attempt)))
        job = Job(job_id, owner, kind, key, 0, now, lane)

        def queue() -> None:
            if job_id not in self.ended and job_id not in self.running:
                self.waiting.setdefault(job_id, (now, job))

        tx.after_commit(queue)

    def claim(self, kinds: Collection[str], now: Instant) -> Job | None:
        for job_id, (lease, job) in list(self.running.items()):
            if lease <= now:
                del self.running[job_id]
                self.waiting[job_id] = (lease, job)
        due = sorted(
            (at, job_id)
            for job_id, (at, job) in self.waiting.items()
            if at <= now and job.kind in kinds and not self._busy(job)
        )
        if not due:
            return None
        _, job = self.waiting.pop(due[0][1])
        job = replace(job, tries=job.tries + 1)
        self.running[job.id] = (Instant(now + LEASE), job)
        return job

    def renew(self, job: Job, now: Instant) -> bool:
        if not self._mine(job):
            return False
        self.running[job.id] = (Instant(now + LEASE), job)
        return True

    def finish(self, job: Job, now: Instant, failure: Failure | None = None) -> bool:
        if not self._mine(job):
            return False
        del self.running[job.id]
        self.holding.discard(job.id)
        if failure is None or failure.again is None:
            self.ended[job.id] = None if failure is None else failure.reason
            return True
        again = Instant(now + failure.again)
        self.waiting[job.id] = (again, job)
        if failure.lane and job.lane is not None:
            self.holding.add(job.id)
            for other_id, (at, other) in self.waiting.items():
                if other_id != job.id and _lane(other) == _lane(job):
                    self.waiting[other_id] = (max(at, Instant(again + 1)), other)
                    self.holding.discard(other_id)
        return True

    def wake(self) -> None:
        """Nobody waits: there is one thread."""

    def wait(self, seconds: float) -> None:
        """Nothing is ever under way elsewhere."""

    def _mine(self, job: Job) -> bool:
        held = self.running.get(job.id)
        return held is not None and held[1].tries == job.tries

    def _busy(self, job: Job) -> bool:
        if job.lane is None:
            return False
        holding = [self.waiting[i][1] for i in self.holding - {job.id} if i in self.waiting]
        before = [] if job.id in self.holding else holding
        return any(
            _lane(o) == _lane(job) for o in [*before, *(j for _, j in self.running.values())]
        )


def _lane(job: Job) -> tuple[object, ...]:
    return job.tenant, job.kind, job.lane
