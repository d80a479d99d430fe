"""How often a kind of job is tried, and how long it waits in between.

    failed, by an error that may pass      waits, each time twice as long, and is tried again
    failed, by an error that will not      failed for good at once
    failed, and tried or waited enough     failed for good
    its runner died at the last try        failed for good, without another run

Waits are spread by a share that follows from the job's id and try, so that what failed together
does not come back together.
"""

import hashlib
from dataclasses import dataclass

from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.errors import AuditkeepError
from auditkeep.work.jobs import Failure, Job

FEWEST_TRIES = 5
"""Made before time alone ends a job: nothing may have run in all that time."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The rule for one kind of job; the defaults suit work that is expected to succeed."""

    tries: int = 5
    """After so many it has failed, whatever the time."""
    within: int | None = None
    """Microseconds from its queueing in which a further try may begin; None: only tries count."""
    first: int = SECOND
    longest: int = 5 * MINUTE
    spread: float = 0.0
    """The largest share that is taken off a wait, from 0 to 1."""
    final: tuple[type[AuditkeepError], ...] = ()
    """Errors that trying again would only meet again."""
    lane: tuple[type[AuditkeepError], ...] = ()
    """Errors that whatever else waits in the job's lane would meet too."""

    def delay(self, job: Job) -> int:
        """Microseconds before the try after this one: doubled each time, bounded, spread."""
        whole = min(self.first << min(job.tries - 1, 40), self.longest)
        digest = hashlib.sha256(f"{job.id}/{job.tries}".encode()).digest()
        share = int.from_bytes(digest[:4], "big") / 2**32
        return int(whole * (1 - self.spread * share))

    def exhausted(self, job: Job) -> bool:
        """The last try began and never ended: its runner died. It must not be run again."""
        return job.tries > self.tries

    def failure(
        self, job: Job, reason: str, now: Instant, error: Exception | None = None
    ) -> Failure:
        """What becomes of a job whose run has just failed."""
        over = isinstance(error, self.final) or self._was_last(job, now)
        return Failure(reason, None if over else self.delay(job), lane=isinstance(error, self.lane))

    def _was_last(self, job: Job, now: Instant) -> bool:
        if job.tries >= self.tries:
            return True
        if self.within is None or job.tries < FEWEST_TRIES:
            return False
        return now + self.delay(job) > job.queued_at + self.within


STANDARD = Retry()
