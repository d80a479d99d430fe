"""Trails are read in turns, every so many minutes: jobs that the server makes and any process runs.

A trail with a queue is read as messages come, and its bucket is listed now and then as well: what a
queue has lost is found there. Once a day each trail is listed further back, and as soon as a lens
looks further back than a place was read, as after a backfill, from there on. What fails is told and
tried again, and holds no other trail.

Invariants: a trail is read by one process at a time (it is the lane of its jobs), and has at most
one turn that waits or runs; when it was listed last is kept with it, so that it does not matter who
did. A process that ends leaves a turn where it is, and another goes on with it.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial

from auditkeep.app.parts import Parts
from auditkeep.app.trails import clients_of, read
from auditkeep.clock import DAY, Instant
from auditkeep.collection import backfills, trails
from auditkeep.collection.keeping import wanted_since
from auditkeep.collection.trails import Trail
from auditkeep.errors import AuditkeepError, Busy, Overtaken, SetupError
from auditkeep.ids import Tenant
from auditkeep.lake import keeping
from auditkeep.repeating import Repeating
from auditkeep.sources.pull import Clients
from auditkeep.work.jobs import under_way
from auditkeep.work.pump import Handler, Pump
from auditkeep.workflows.trail_counts import Interrupted, TrailCounts
from auditkeep.workflows.trails import OVERLAP

JOB = "trail"
"""Jobs that read a trail; keys are NAME/WHEN."""

PRINCIPAL = "auditkeep"
FURTHER_BACK = 14 * DAY
AT_ONCE = 2
"""Trails that one process reads at the same time."""

_LOG = logging.getLogger("auditkeep.trails")


class TrailTurns:
    """What a process does for trails: makes their turns, if it is the server, and takes them."""

    def __init__(
        self,
        parts: Parts,
        *,
        finds: bool,
        clients: Callable[[Trail], Clients] = clients_of,
    ) -> None:
        self._parts = parts
        self._clients = clients
        self._made: dict[Trail, Clients] = {}
        self._ending = threading.Event()
        self._makes = Repeating(
            "trails",
            self.queue,
            parts.settings.trail_minutes * 60.0,
            log=_LOG,
            put_off="Trails are read later",
        )
        self._finds = finds
        handlers = {JOB: Handler(self.turn)}
        self.pump = Pump(parts.jobs, handlers, parts.clock, threads=AT_ONCE, name="trails")

    def start(self) -> None:
        if self._finds:
            self._makes.start()
        self.pump.start()

    def stop(self) -> None:
        """End a reading where it is: what it has kept is kept."""
        self._ending.set()
        if self._finds:
            self._makes.stop()
        self.pump.stop()

    def queue(self) -> None:
        """Make the next turn of every tenant's trails that are not being read."""
        jobs, now = self._parts.jobs, self._parts.clock.now()
        for tenant in self._parts.tenants():
            with self._parts.db.read(tenant) as tx:
                found = trails.listed(tx)
                idle = [t.name for t in found if not under_way(tx, JOB, t.name)]
            if not idle:
                continue
            with self._parts.db.write(tenant) as tx:
                for name in idle:
                    jobs.enqueue(tx, JOB, f"{name}/{now}", now, lane=name)

    def turn(self, tenant: Tenant, key: str) -> None:
        """Read a trail once; Busy where this process ends before that is done.

        Overtaken where another read it meanwhile, because this process was silent for too long.
        """
        name = key.rpartition("/")[0]
        try:
            with self._parts.db.read(tenant) as tx:
                trail, listed, searched = trails.find(tx, name), *trails.last_turns(tx, name)
        except SetupError:
            return  # it was removed
        try:
            self._read(tenant, trail, listed, searched)
        except Interrupted:
            raise Busy(
                f"This process ends: the trail {name} is read on by another, or when it is back."
            ) from None

    def _read(self, tenant: Tenant, trail: Trail, listed: Instant, searched: Instant) -> None:
        now = self._parts.clock.now()
        further = now - searched >= DAY
        listing = further or not trail.queue or now - listed >= trails.LIST_BESIDE_QUEUE
        asked = partial(
            read,
            self._parts,
            tenant,
            trail,
            principal=PRINCIPAL,
            clients=self._made.setdefault(trail, self._clients(trail)),
            progress=self._go_on,
        )
        db = self._parts.db
        try:
            past = self.past(tenant, trail)
            if past is not None:
                for counts in asked(since=past):
                    self._tell(trail, counts)
            for counts in asked(listing=listing and not further):
                self._tell(trail, counts)
            if further:
                for counts in asked(since=Instant(now - FURTHER_BACK)):
                    self._tell(trail, counts)
                db.change(tenant, lambda tx: trails.forget(tx, now))
            with db.write(tenant) as tx:
                far = {place: p.read_from for place, p in trails.read_places(tx).items()}
                backfills.read_by_trails(tx, far)
                if listing:
                    trails.took_turn(tx, trail.name, now, further=further)
        except Overtaken:
            raise  # the trail is well, and is read on from where the other is
        except AuditkeepError as error:
            _LOG.error("The trail %s (%s) is read again later: %s", trail.name, trail.url, error)
            with db.write(tenant) as tx:
                trails.fail(tx, trail.name, str(error), now)

    def past(self, tenant: Tenant, trail: Trail) -> Instant | None:
        """From when on to read, if a lens looks further back than some place was read.

        Where only what is seen is kept, what a place held was passed over unless somebody looked.
        """
        with self._parts.db.read(tenant) as tx:
            looked = trails.looked_at_since(tx)
            places = [p for p in trails.progress_of(tx, trail.name).values() if not p.failure]
            owed = None
            if places and keeping.of(tx).policy == "matched":
                owed = wanted_since(tx, min(p.version for p in places))
        known = [p.read_from for p in places]
        if looked is not None and known and looked < max(known):
            return looked
        recent = self._parts.clock.now() - OVERLAP
        return owed if owed is not None and owed < recent else None

    def _go_on(self, _counts: TrailCounts) -> None:
        if self._ending.is_set():
            raise Interrupted

    def _tell(self, trail: Trail, counts: TrailCounts) -> None:
        for failure in counts.failures[:10]:
            _LOG.error("The trail %s, %s: %s", trail.name, failure.place, failure.error)
        for finding in counts.broken[:10]:
            _LOG.error("The trail %s: %s %s", trail.name, finding.url, finding.sentence)
