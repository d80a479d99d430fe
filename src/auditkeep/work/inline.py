"""Jobs without a database or threads: the test's twin of the outbox.

Same protocol and same rules as `DatabaseJobs`, kept in memory; it forgets what a rolled-back
transaction queued, as the table would.
"""

from collections.abc import Collection
from dataclasses import replace

from auditkeep.clock import Instant
from auditkeep.db.tx import Tx
from auditkeep.work.jobs import LEASE, Job, delay


class InlineJobs:
    """A queue in memory, for one thread."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[Instant, Job]] = {}
        self.running: dict[str, tuple[Instant, Job]] = {}
        self.ended: dict[str, str | None] = {}

    def enqueue(self, tx: Tx, kind: str, key: str, now: Instant, attempt: int = 1) -> None:
        owner = tx.tenant
        job_id = "/".join((owner.account, owner.region, kind, key, str(attempt)))
        job = Job(job_id, owner, kind, key, 0)

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
            if at <= now and job.kind in kinds
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

    def finish(self, job: Job, now: Instant, error: str | None = None) -> bool:
        if not self._mine(job):
            return False
        del self.running[job.id]
        if error is None or job.last_try:
            self.ended[job.id] = error
        else:
            self.waiting[job.id] = (Instant(now + delay(job.tries)), job)
        return True

    def wait(self, seconds: float) -> None:
        """Nothing is ever under way elsewhere."""

    def _mine(self, job: Job) -> bool:
        held = self.running.get(job.id)
        return held is not None and held[1].tries == job.tries
