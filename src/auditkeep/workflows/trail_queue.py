"""A trail's queue: what S3 says has arrived is read, and only then is the message deleted.

Digests are judged as they come; a log file waits for the digest that names it by staying in the
queue, hidden, for `digest_times.WAIT` at most. A message that tells of nothing that can be read is
told and left for the queue's own dead-letter rule; where there is none it is deleted when it was
taken `POISON` times, so that it does not come for ever. Whatever a queue loses, the next listing
finds.
"""

from dataclasses import dataclass, field

from auditkeep.clock import SECOND, Clock, SystemClock
from auditkeep.collection.trails import Trail
from auditkeep.errors import InputError
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.sources import digest_times
from auditkeep.sources.notices import Arrived, arrived
from auditkeep.sources.pull import Clients, Denied
from auditkeep.sources.queue import Message, Queue
from auditkeep.sources.s3 import Vanished, Version
from auditkeep.sources.trail_layout import LOGS, Key, read_key
from auditkeep.workflows import trail_bucket
from auditkeep.workflows.trail_counts import (
    MOST_TOLD,
    Failure,
    TrailCounts,
    TrailProgress,
    outcome_of,
)
from auditkeep.workflows.trail_reading import NO_BEGINNING, TrailReading

POISON = 5
LOTS = 1_000
"""Lots of one run: ten thousand messages, after which its record is written."""

CHAIN_SECONDS = 900
"""How long a digest is hidden whose predecessor may still come."""


@dataclass(slots=True)
class QueueCounts:
    """What came of a queue: messages taken, done with, left for later, and not understood."""

    trail: TrailCounts
    taken: int = 0
    done: int = 0
    later: int = 0
    poison: int = 0
    told: list[str] = field(default_factory=list)


def drain(
    lake: Lake,
    tenant: Tenant,
    trail: Trail,
    clients: Clients,
    interest: Interest,
    *,
    principal: str,
    reads: bool = False,
    wait_seconds: int = 0,
    clock: Clock | None = None,
    progress: TrailProgress | None = None,
) -> QueueCounts:
    """Read what a trail's queue tells of, until it is empty (for `wait_seconds`) or long enough.

    NotCollected where queue or bucket cannot be asked: what was not kept comes again.
    """
    present = clock or SystemClock()
    queue = Queue(clients.client("sqs", _region_of(trail)), trail.queue)
    work = TrailReading(lake, tenant, trail, clients, interest, principal, reads, present, progress)
    reader = _Reader(work, queue, QueueCounts(work.counts))
    try:
        for _ in range(LOTS):
            lot = queue.take(wait_seconds)
            if not lot:
                break
            reader.lot(lot)
    except BaseException as error:
        reader.conclude(outcome_of(error))
        raise
    reader.conclude("incomplete" if work.counts.failures else "completed")
    return reader.counts


class _Reader:
    def __init__(self, work: TrailReading, queue: Queue, counts: QueueCounts) -> None:
        self.counts = counts
        self._work = work
        self._queue = queue
        self._done: list[Message] = []

    def conclude(self, outcome: str) -> None:
        """Append the run's record, unless there was nothing to read."""
        counts = self.counts
        self._work.conclude(
            outcome,
            quiet=counts.taken == 0,
            queue={
                "url": self._queue.url,
                "taken": counts.taken,
                "done": counts.done,
                "later": counts.later,
                "poison": counts.told,
            },
        )

    def lot(self, lot: list[Message]) -> None:
        """Read what some messages tell of; those whose objects are kept then are deleted."""
        self.counts.taken += len(lot)
        for message in lot:
            try:
                self._message(message)
            except InputError as error:
                self._poison(message, str(error))
            except Denied as error:
                # it comes again, and holds nothing else meanwhile
                self._work.counts.failures.append(Failure(message.id, error))
        self._work.settle()
        self._queue.delete(self._done)
        self.counts.done += len(self._done)
        self._done = []
        self._work.told()

    def _message(self, message: Message) -> None:
        """One message; it is done with when all that it tells of is."""
        wait = 0
        for told in arrived(message.body):
            if told.bucket != self._work.objects.main.name:
                raise InputError(f"The message is about another bucket, {told.bucket!r:.80}.")
            wait = max(wait, self._arrived(told))
        if wait:
            self._queue.later(message, wait)
            self.counts.later += 1
        else:
            self._done.append(message)

    def _arrived(self, told: Arrived) -> int:
        """Read an object that arrived; how many seconds to wait before it is looked at again."""
        key, work = read_key(told.key), self._work
        trail = work.trail
        if key is None or not told.key.startswith(trail.prefix):
            return 0
        if trail.accounts and key.place.account not in trail.accounts:
            return 0
        if key.kind != LOGS and trail.digests == "off":
            return 0
        try:
            version = work.objects.main.version(told.key, most=trail_bucket.SMALL)
        except Vanished as error:
            # deleted since: a digest that names it will say so
            work.reading.reject(work.objects.main.url(told.key), str(error))
            return 0
        if work.memory.is_known(version):
            return 0
        return self._log(key, version) if key.kind == LOGS else self._digest(key, version)

    def _log(self, key: Key, version: Version) -> int:
        work = self._work
        if work.trail.digests == "wait" and work.memory.of(key.place).links:
            left = digest_times.WAIT - (work.now - version.modified)
            if left > 0:
                work.counts.waiting += 1
                return left // SECOND + 1
        work.counts.objects += 1
        work.plain(version)
        return 0

    def _digest(self, key: Key, version: Version) -> int:
        work = self._work
        for checked in work.follow([key], NO_BEGINNING):
            work.judged(checked, work.memory.version_id(version))
            work.later(lambda tx: work.memory.write(tx, key.place))
            return 0
        return CHAIN_SECONDS

    def _poison(self, message: Message, reason: str) -> None:
        counts = self.counts
        counts.poison += 1
        last = message.times >= POISON
        end = " It came too often and is deleted." if last else ""
        if len(counts.told) < MOST_TOLD:
            counts.told.append(f"{message.id}: {reason}{end} It began: {message.body[:200]}")
        self._work.reading.reject(f"{self._queue.url} {message.id}", f"{reason}{end}")
        if last:
            self._done.append(message)


def _region_of(trail: Trail) -> str:
    """A queue's region stands in its URL; elsewhere it is taken to be the bucket's."""
    host = trail.queue.split("/")[2].split(".") if trail.queue.count("/") > 2 else []
    return host[1] if len(host) > 3 and host[0] == "sqs" else trail.region
