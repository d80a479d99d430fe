"""The parts that collect: built once from the others, started and stopped by whoever runs them.

Nothing of AWS's libraries is loaded until something is asked.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial

from auditkeep.app.parts import Parts
from auditkeep.clock import Clock
from auditkeep.collection import backfills, pushed
from auditkeep.collection.looks import Plans
from auditkeep.observations import SourceType
from auditkeep.settings import Settings
from auditkeep.sources.aggregator import Aggregators, Where
from auditkeep.sources.apicalls import ApiCalls
from auditkeep.sources.configpull import ConfigEvaluations
from auditkeep.sources.event_lake import EventLake, EventStore
from auditkeep.sources.lookup import LookupEvents
from auditkeep.sources.pull import Puller
from auditkeep.sources.regions import enabled
from auditkeep.sources.securityhubpull import SecurityHubFindings
from auditkeep.sources.sessions import Sessions, Wait, sleep
from auditkeep.work.pump import Handler, Pump
from auditkeep.workflows import gap_notices
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.backfill import Backfilling
from auditkeep.workflows.collect import KIND, Collector
from auditkeep.workflows.gap_notices import GapNotices
from auditkeep.workflows.rounds import Rounds, repeating
from auditkeep.workflows.settling import Settling

ASIDE = 4
"""Jobs that wait for their account, for each that is worked at; their threads take memory."""

LONG_SECONDS = 0.6
"""A wait for which a thread is worth giving away."""


def pullers(
    settings: Settings, clock: Clock, pause: Callable[[float], None] = time.sleep
) -> Mapping[SourceType, Puller]:
    """Who asks each source."""
    store, reads = event_store(settings), settings.cloudtrail_reads
    events: Puller = LookupEvents(reads=reads, pause=pause)
    if store is not None:
        events = EventLake(store, clock, reads=reads, pause=pause)
    found: tuple[Puller, ...] = (
        ApiCalls(),
        ConfigEvaluations(),
        SecurityHubFindings(),
        events,
    )
    return {one.source: one for one in found}


def event_store(settings: Settings) -> EventStore | None:
    """The store of CloudTrail Lake that has all accounts' events, if the operator named one."""
    return EventStore.of(settings.collect_event_store) if settings.collect_event_store else None


def aggregators_of(settings: Settings, clock: Clock) -> Aggregators | None:
    """The aggregators of AWS Config that stand for accounts, if the operator said where."""
    where = settings.collect_aggregator
    return Aggregators(Where.of(where), clock) if where else None


def collector_of(parts: Parts, wait: Wait = sleep) -> Collector:
    """`wait` is how a job waits for its account."""
    settings = parts.settings
    sessions = Sessions(settings.collect_rate, parts.clock, wait)
    store = event_store(settings)
    return Collector(
        db=parts.db,
        lake=parts.lake,
        settings=settings,
        clock=parts.clock,
        plans=Plans(parts.deps.library, settings),
        pullers=pullers(settings, parts.clock, partial(_pause, wait)),
        aggregators=aggregators_of(settings, parts.clock),
        asked_elsewhere={} if store is None else {"AWS_Cloudtrail": store.account},
        clients=sessions.of,
        regions=enabled,
        interest=parts.interest,
        secret=parts.deps.id_secret,
        told=notices_of(parts).hear,
    )


def _pause(wait: Wait, seconds: float) -> None:
    """A pause that is made in any case."""
    if not wait(seconds):
        time.sleep(seconds)


def notices_of(parts: Parts) -> GapNotices:
    """Who tells owners of gaps."""
    plans = Plans(parts.deps.library, parts.settings)
    return GapNotices(parts.db, parts.settings, parts.clock, plans, parts.jobs.wake)


def handlers_of(collector: Collector, notices: GapNotices) -> Mapping[str, Handler]:
    """The kinds of jobs that ask AWS, and tell of what was not had."""
    return {
        KIND: Asking(collector).handler(),
        backfills.JOB: Backfilling(collector).handler(),
        pushed.JOB: Settling(collector).handler(),
        gap_notices.KIND: notices.handler(),
    }


class Collecting:
    """What a process does of collecting: finds what is due, if it is the server, and asks."""

    def __init__(self, parts: Parts, *, finds: bool) -> None:
        settings = parts.settings
        self._on = settings.collects
        collector = collector_of(parts, self._wait)
        handlers = handlers_of(collector, notices_of(parts))
        count = settings.collect_threads
        aside = count * ASIDE
        self._pump = Pump(
            parts.jobs, handlers, parts.clock, threads=count, aside=aside, name="collect"
        )
        rounds = Rounds(collector, parts.jobs.wake)
        self._rounds = repeating(rounds) if finds else None

    def _wait(self, seconds: float) -> bool:
        """Wait in a job for its account; others go on meanwhile if that is long."""
        if seconds < LONG_SECONDS:
            return sleep(seconds)
        return self._pump.stand_aside(seconds)

    def start(self) -> None:
        if not self._on:
            return
        if self._rounds is not None:
            self._rounds.start()
        self._pump.start()

    def stop(self) -> None:
        if self._rounds is not None:
            self._rounds.stop()
        self._pump.stop()
