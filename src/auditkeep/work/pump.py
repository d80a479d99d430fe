"""The pump: threads that claim due jobs, run them, and keep their leases fresh meanwhile.

Invariants: every claimed job ends as done, put off or failed, unless the process dies, and then its
lease runs out and another runner has it; a job that failed for good is told to whoever gave the
handler, with the reason; `stop` lets runs that have begun come to their end.

A run that waits for something of its own may stand aside: another thread takes its place meanwhile,
and no more than so many jobs are worked at, at the same time.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from auditkeep.clock import SECOND, Clock
from auditkeep.crypto.asking import with_keys
from auditkeep.errors import AuditkeepError
from auditkeep.ids import Tenant
from auditkeep.work.jobs import LEASE, Failure, Job, Jobs
from auditkeep.work.places import Places
from auditkeep.work.retry import STANDARD, Retry

_log = logging.getLogger("auditkeep.work")

POLL_SECONDS = 1.0
"""How long a job may lie unseen when nobody rang: queued by another process, or put off."""

LINGER_SECONDS = 60.0
"""How long a thread stays that stood in for another: it may be wanted again soon."""


@dataclass(frozen=True, slots=True)
class Handler:
    """What a kind of job does; `give_up` hears the reason when the last try has failed."""

    run: Callable[[Tenant, str], None]
    give_up: Callable[[Tenant, str, str], None] | None = None
    retry: Retry = STANDARD


class Pump:
    """Runs jobs of the kinds it has handlers for, each in one of its threads."""

    def __init__(
        self,
        jobs: Jobs,
        handlers: Mapping[str, Handler],
        clock: Clock,
        *,
        threads: int = 2,
        aside: int = 0,
        name: str = "work",
    ) -> None:
        """`threads` work at the same time, and up to `aside` more may wait beside them."""
        self._jobs = jobs
        self._handlers = dict(handlers)
        self._clock = clock
        self._count = threads
        self._most_aside = aside
        self._aside = 0
        self._name = name
        self._stopping = threading.Event()
        self._places = Places(threads)
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def start(self) -> None:
        with self._lock:
            self._fill()

    def stop(self, seconds: float = 30.0) -> bool:
        """Take no more jobs and wait for those begun; False when some still ran after `seconds`."""
        self._stopping.set()
        self._jobs.wake()
        with self._lock:
            threads = list(self._threads)
        ends = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def stand_aside(self, seconds: float) -> bool:
        """Wait in one of the pump's runs, while another run has its place.

        False, at once, where too many stand aside already, or when the pump stops.
        """
        if threading.current_thread() not in self._threads:
            time.sleep(seconds)  # whoever runs a job by hand has nobody behind it
            return True
        with self._lock:
            if self._aside >= self._most_aside or self._stopping.is_set():
                return False
            self._aside += 1
            self._fill()
        self._places.leave()
        try:
            return not self._stopping.wait(seconds)
        finally:
            self._jobs.wake()  # who looks for work in vain gives way
            self._places.come_back()
            with self._lock:
                self._aside -= 1

    def step(self) -> bool:
        """Run one due job to its end; False when there was none."""
        job = self._jobs.claim(self._handlers.keys(), self._clock.now())
        if job is None:
            return False
        self._run(job)
        return True

    def drain(self) -> int:
        """Run what is due until nothing is; how many runs that took."""
        runs = 0
        while self.step():
            runs += 1
        return runs

    def _fill(self) -> None:
        """Have as many threads as work and wait beside; with the lock held."""
        while len(self._threads) < self._count + self._aside and not self._stopping.is_set():
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._turn, name=name, daemon=True)
            self._threads.add(thread)
            thread.start()

    def _turn(self) -> None:
        while not self._stopping.is_set():
            if self._places.enter(LINGER_SECONDS):
                try:
                    self._work()
                finally:
                    self._places.leave()
            elif self._leaves():
                return

    def _leaves(self) -> bool:
        """Whether this thread, for which there was no place, goes: there are enough without it."""
        with self._lock:
            if len(self._threads) <= self._count + self._aside:
                return False
            self._threads.discard(threading.current_thread())
            return True

    def _work(self) -> None:
        """Run what is due, until the pump stops or the place is wanted by who was here before."""
        while not (self._stopping.is_set() or self._places.wanted):
            try:
                if self.step():
                    continue
            except Exception:  # noqa: BLE001
                # The thread is the only one that would notice: whatever it is, work goes on.
                _log.exception("Looking for work failed; it is tried again.")
            self._jobs.wait(POLL_SECONDS)

    def _run(self, job: Job) -> None:
        handler = self._handlers[job.kind]
        failure = (
            Failure(_DIED, None) if handler.retry.exhausted(job) else self._attempt(handler, job)
        )
        if failure is not None and failure.again is None and handler.give_up is not None:
            handler.give_up(job.tenant, job.key, failure.reason)
        if not self._jobs.finish(job, self._clock.now(), failure):
            _log.warning("Job %s went to another runner before this one was done.", job.id)

    def _attempt(self, handler: Handler, job: Job) -> Failure | None:
        """Run the handler; how it failed, or None."""
        with _KeepingLease(self._jobs, job, self._clock):
            try:
                with_keys(partial(handler.run, job.tenant, job.key))
            except AuditkeepError as error:
                _log.warning("Job %s, try %d: %s", job.id, job.tries, error)
                return handler.retry.failure(job, str(error), self._clock.now(), error)
            except Exception as error:  # noqa: BLE001
                # A defect of ours: the job's state must say so, and the pump must live on.
                _log.exception("Job %s, try %d, met a defect.", job.id, job.tries)
                reason = (
                    f"An unexpected {type(error).__name__} stopped it; the log has the details."
                )
                return handler.retry.failure(job, reason, self._clock.now(), error)
        return None


_DIED = "The process that ran it died every time."


class _KeepingLease:
    """Renews a job's lease in the background for as long as the block runs."""

    def __init__(self, jobs: Jobs, job: Job, clock: Clock) -> None:
        self._jobs = jobs
        self._job = job
        self._clock = clock
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="work-lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._done.wait(LEASE / SECOND / 3):
            try:
                if not self._jobs.renew(self._job, self._clock.now()):
                    return
            except AuditkeepError:
                _log.exception("The lease of job %s could not be renewed.", self._job.id)
