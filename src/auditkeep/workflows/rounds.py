"""Rounds: what is due becomes jobs.

A round is as long as `collect_minutes`, counted from midnight UTC. With each, what has no slot is
due, and what failed is tried again; with midnight, what has a slot that day; and with each new
lens, what was never asked before. A job's id follows from tenant, account, region, source and slot
or round, so that it is queued once, whoever looks and however often.

An account's jobs run one after the other (they share a lane), and each account's first job is due
before any account's second: no account, and no tenant, waits for another's many. An account that
is to say which regions it has switched on says so first.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from auditkeep.clock import SECOND, Day, Instant, day_name, day_of, day_start, to_datetime
from auditkeep.collection import gaps, pushed, regions, targets, trails
from auditkeep.collection.gaps import Gap
from auditkeep.collection.plan import EVENTS, HOME, Plan, Question
from auditkeep.collection.targets import NEVER_ASKED, Ended, Place, Target
from auditkeep.collection.trails import Progress
from auditkeep.crypto.asking import begun_again
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import tenants
from auditkeep.db.tx import Tx
from auditkeep.ids import GLOBAL_REGION, Tenant
from auditkeep.repeating import Repeating
from auditkeep.work.jobs import enqueue
from auditkeep.workflows.collect import KIND, Collector, job_key, regions_key

AT_ONCE = 5_000
"""Jobs that one transaction queues: writers wait for it on SQLite."""

EVERY_SECONDS = 15.0
"""How long a new lens, or a new round, may go unseen."""

_LOG = logging.getLogger("auditkeep.collect")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a tenant's jobs were made from last."""

    version: int
    round: Instant


@dataclass
class Rounds:
    """Makes jobs of what is due, for all tenants; one process of a deployment does it."""

    collector: Collector
    wake: Callable[[], None] = lambda: None
    _seen: dict[Tenant, _Seen] = field(default_factory=dict)

    def queue(self) -> int:
        """Queue what is due now and was not looked at before; how many jobs."""
        now = self.collector.clock.now()
        return sum(self._queue(tenant, now) for tenant in self._tenants())

    def queue_for(self, tenant: Tenant) -> int:
        """The same for one tenant, whatever was seen before."""
        self._seen.pop(tenant, None)
        return self._queue(tenant, self.collector.clock.now())

    @begun_again
    def _queue(self, tenant: Tenant, now: Instant) -> int:
        every = self.collector.every
        round_ = targets.round_of(now, every)
        with self.collector.db.read(tenant) as tx:
            version = self.collector.plans.version(tx)
            seen = None if version is None else _Seen(version, round_)
            before = self._seen.get(tenant)
            if seen is None or seen == before:
                return 0
            plan = self.collector.plans.of(tx, now)
            known = targets.every(tx)
            asking = self._to_say(tx, plan, now)
            left = pushed.any_before(tx, round_)
        if before is None or before.version != seen.version:
            self._let_go(tenant, plan, now)
        due = due_places(plan, known, now, every)
        queued = len(asking)
        if asking:
            with self.collector.db.write(tenant) as tx:
                for account in asking:
                    key = regions_key(account, _time(round_))
                    enqueue(tx, KIND, key, Instant(now - SECOND), lane=account)
        if left:
            with self.collector.db.write(tenant) as tx:
                queued += pushed.queue_again(tx, round_, now)
        for some in in_pieces(list(in_turn(due)), AT_ONCE):
            with self.collector.db.write(tenant) as tx:
                queue(tx, some, now, every)
            queued += len(some)
        self._seen[tenant] = seen
        if queued:
            self.wake()
        return queued

    def _to_say(self, tx: Tx, plan: Plan, now: Instant) -> list[str]:
        """The accounts that are to say which regions they have switched on."""
        collector = self.collector
        if collector.regions is None:
            return []
        known, elsewhere = regions.listed(tx), collector.asked_elsewhere
        return regions.to_ask(plan, known, elsewhere, now, collector.every)

    def _let_go(self, tenant: Tenant, plan: Plan, now: Instant) -> None:
        """Close the gaps of what nobody is asked for any more; a trail may have filled them."""
        with self.collector.db.read(tenant) as tx:
            lasting = gaps.listed(tx, only_open=True)
            far = trails.read_places(tx) if lasting else {}
        if not lasting:
            return
        looked_at = {
            (Place(account, region, duty.question.source), what)
            for account, region, duty in plan.questions()
            for what in (duty.question.what, *duty.match_keys)
        }
        for gap in lasting:
            if (gap.place, gap.what) not in looked_at:
                filled = _brought(gap, far)
                with self.collector.db.write(tenant) as tx:
                    gaps.close(tx, gap, Ended(now, filled=filled))
                    self.collector.told(tx, gap, False)

    def _tenants(self) -> list[Tenant]:
        with self.collector.db.system_read() as tx:
            query = tx.select(tenants.c.account, tenants.c.region)
            rows = tx.all(query.where(tenants.c.status == "ACTIVE"))
        return sorted(Tenant(r.account, r.region) for r in rows)


def _brought(gap: Gap, far: Mapping[tuple[str, str], Progress]) -> bool:
    """Whether a trail has brought what is missing: it was read from the beginning of the gap on."""
    place = gap.place
    if Question(place.source, gap.what) != EVENTS:
        return False
    region = HOME if place.region == GLOBAL_REGION else place.region
    progress = far.get((place.account, region))
    return progress is not None and progress.read_from <= gap.opens_at


def due_places(
    plan: Plan, known: dict[tuple[Place, str], Target], now: Instant, every: int
) -> list[Place]:
    """Where something is to be asked now."""
    found: dict[Place, None] = {}
    for territory in plan.territories:
        for account in territory.accounts:
            for duty in territory.duties:
                place = Place(account, territory.region, duty.question.source)
                if place in found:
                    continue
                state = known.get((place, duty.question.what), NEVER_ASKED)
                if targets.to_ask(duty, state, now, every):
                    found[place] = None
    return list(found)


def queue(tx: Tx, turns: Iterable[tuple[Place, int]], now: Instant, every: int) -> None:
    """Queue the jobs of some places, all of them due, each in its turn."""
    round_ = targets.round_of(now, every)
    for place, turn in turns:
        key = job_key(place, _when(place, day_of(now), round_))
        enqueue(tx, KIND, key, Instant(now - SECOND + turn), lane=place.account)


def _when(place: Place, today: Day, round_: Instant) -> str:
    """The last part of a job's key: a slot's day, or the round in which it is caught up."""
    if place.source == "AWS_API_Call" and round_ == day_start(today):
        return day_name(today)
    return _time(round_)


def _time(round_: Instant) -> str:
    return to_datetime(round_).strftime("%Y-%m-%dT%H:%MZ")


def in_turn(places: Iterable[Place]) -> Iterator[tuple[Place, int]]:
    """Places, each with its number among those of its account; what is asked first has none."""
    turns: dict[str, int] = {}
    for place in places:
        turn = turns[place.account] = turns.get(place.account, 0) + 1
        yield place, turn


def repeating(rounds: Rounds) -> Repeating:
    """Looks for what is due every few seconds, for as long as the server runs."""
    return Repeating(
        "rounds",
        rounds.queue,
        EVERY_SECONDS,
        log=_LOG,
        put_off="What is due is looked for again soon",
    )
