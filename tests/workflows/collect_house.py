"""A house that collects from sources made of lists, at a clock that moves when told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from auditkeep import settings as settings_room
from auditkeep.accounts import store as accounts
from auditkeep.clock import DAY, MINUTE, FixedClock, Instant, day_name, day_of, day_start, parse
from auditkeep.collection import gaps
from auditkeep.collection.gaps import Gap
from auditkeep.collection.looks import Plans
from auditkeep.db.schema import rollups
from auditkeep.evidence import lens
from auditkeep.evidence.lens import Reach
from auditkeep.evidence.slots import Every
from auditkeep.ids import GLOBAL_REGION, Tenant
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import View
from auditkeep.lake.read import observations
from auditkeep.library.library import Library
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation, Resource, SourceType
from auditkeep.sources.pull import Ask, Clients, Fault, Page, Request, unit_of
from auditkeep.sources.records import Context, Parsed, Tally
from auditkeep.sources.sessions import Who
from auditkeep.work.jobs import DatabaseJobs
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND, Collector
from auditkeep.workflows.rounds import Rounds

ONE, TWO = "111122223333", "444455556666"
HERE = "us-east-1"
A = "a0000000-0000-4000-8000-000000000000"


class Nobody:
    """Clients of an account that needs none."""

    caller = "arn:aws:iam::111122223333:role/AuditkeepCollector"

    def __init__(self) -> None:
        self.renewed = 0
        self.slowed = 0

    def client(self, service: str, region: str) -> Any:
        raise AssertionError((service, region))

    def renew(self) -> None:
        self.renewed += 1

    def throttled(self) -> None:
        self.slowed += 1


class Made:
    """A source that answers with the resources it was given, some to a page."""

    reader = "made/1"

    def __init__(self, source: SourceType, clock: FixedClock, page: int = 2) -> None:
        self.source: SourceType = source
        self.resources: dict[tuple[str, str], list[str]] = {}
        self.troubles: dict[tuple[str, str], list[Exception | None]] = {}
        """By account and what: raised instead of the next pages, None lets one pass."""
        self.faults: dict[str, Fault] = {}
        self.called: dict[str, str] = {}
        """What a resource is called, where that is not its own name."""
        self.asked: list[Ask] = []
        self.pages = 0
        self._clock = clock
        self._page = page

    def actions(self, what: str) -> frozenset[str]:
        return frozenset({what.replace("_", ":")})

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        del clients
        self.asked.append(ask)
        names = self.resources.get((ask.account, ask.what), [])
        begin = int(resume or 0)
        while True:
            trouble = self.troubles.get((ask.account, ask.what), [])
            if trouble and (error := trouble.pop(0)) is not None:
                raise error
            some = names[begin : begin + self._page]
            begin += self._page
            after = str(begin) if begin < len(names) else None
            body = msgspec.json.encode([some, begin])
            faults = tuple(self.faults[n] for n in some if n in self.faults)
            self.pages += 1
            request = Request("made", "List", {"Max": self._page, "NextToken": "secret"})
            unit = unit_of(ask, self.reader, body)
            yield Page(ask, unit, body, (request,), after, len(names), faults)
            if after is None:
                return

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        del context
        ask = page.ask
        some, _ = msgspec.json.decode(page.body, type=tuple[list[str], int])
        at = ask.at if ask.slot is None else day_start(ask.slot)
        for name in some:
            tally.records += 1
            for key in sorted(ask.wanted.keys or ()):
                yield Observation(
                    source=self.source,
                    natural_key=(
                        ask.account,
                        key,
                        self.called.get(name, name),
                        str(ask.slot),
                        str(ask.at),
                        str(at),
                    ),
                    event_time=self._clock.now() if at is None else at,
                    match_key=key,
                    account=ask.account,
                    region=ask.region,
                    raw=name.encode(),
                    reader=self.reader,
                    position=name,
                    resources=(Resource(value=name),),
                )


class House:
    """One deployment with one tenant, collecting for it step by step."""

    def __init__(self, lake: Lake, tenant: Tenant, folder: Path, **settings: Any) -> None:
        self.lake, self.tenant = lake, tenant
        self.clock = FixedClock(parse("2026-05-01T12:00:00Z"))
        self.api = Made("AWS_API_Call", self.clock)
        self.config = Made("AWS_Config", self.clock)
        self.trail = Made("AWS_Cloudtrail", self.clock)
        self.clients = Nobody()
        self.who: list[Who] = []
        self.told: list[tuple[str, bool]] = []
        self.library = Library.of([])
        chosen = settings_room.load(folder).model_copy(update=settings)
        self.settings = chosen
        self.jobs = DatabaseJobs(lake.db)
        with lake.db.write(tenant) as tx:
            accounts.register(tx, None, self.clock.now())
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is remembered but what is in the database."""
        self.collector = Collector(
            db=self.lake.db,
            lake=self.lake,
            settings=self.settings,
            clock=self.clock,
            plans=Plans(self.library, self.settings),
            pullers={p.source: p for p in (self.api, self.config, self.trail)},
            clients=self._clients,
            interest=lambda _: Interest.everything(),
            secret=b"s" * 32,
            told=lambda _tx, gap, opened: self.told.append((gap.what, opened)),
        )
        self.rounds = Rounds(self.collector)
        handlers = {KIND: Asking(self.collector).handler()}
        self.pump = Pump(self.jobs, handlers, self.clock, threads=1)

    def _clients(self, who: Who) -> Nobody:
        self.who.append(who)
        return self.clients

    def look(
        self,
        *keys: str,
        accounts: tuple[str, ...] = (ONE,),
        every: Every = "DAILY",
        ordinal: int = 1,
        assessment: str = A,
        at: Instant | None = None,
        anchor: Instant | None = None,
    ) -> None:
        """A control looks at some keys from now on."""
        opens = self.clock.now() if at is None else at
        reach = Reach(frozenset(accounts), frozenset({HERE, GLOBAL_REGION}))
        with self.lake.db.write(self.tenant) as tx:
            lens.open_for_control(
                tx, assessment, ordinal, keys, reach, opens, every=every, anchor=anchor
            )

    def look_no_more(self, assessment: str = A) -> None:
        """Nothing is looked at from now on."""
        with self.lake.db.write(self.tenant) as tx:
            lens.close(tx, assessment, self.clock.now())

    def collect(self) -> int:
        """Queue what is due now, and run what is due now; how many runs that took."""
        self.rounds.queue()
        return self.pump.drain()

    def until(self, at: Instant, step: int = 60 * MINUTE) -> None:
        """Collect as a server does that runs all the time, up to an instant."""
        while self.clock.now() < at:
            self.clock.at = Instant(min(at, self.clock.at + step))
            self.collect()

    def days(self, count: int) -> None:
        self.until(Instant(self.clock.now() + count * DAY))

    def kept(self, *keys: str) -> list[tuple[str, str, str]]:
        """Account, resource and day of what was kept, in order."""
        view = View(frozenset(keys), None, None, Instant(0), lens.FOREVER)
        with self.lake.db.read(self.tenant) as tx:
            found = observations(tx, self.lake, [view], limit=10_000)
        return sorted((o.account, o.raw.decode(), _day(o.event_time)) for o in found)

    def runs(self) -> list[dict[str, Any]]:
        """The records of all runs, oldest first."""
        view = View(frozenset({"run:collect"}), None, None, Instant(0), lens.FOREVER)
        with self.lake.db.read(self.tenant) as tx:
            found = observations(tx, self.lake, [view], limit=10_000)
        bodies = [msgspec.json.decode(o.raw) for o in found]
        return sorted(bodies, key=lambda b: (b["started"], b["run"]))

    def gaps(self) -> list[Gap]:
        with self.lake.db.read(self.tenant) as tx:
            return gaps.listed(tx)

    def evidence(self, ordinal: int = 1, assessment: str = A) -> list[str]:
        """The days on which a control has evidence."""
        with self.lake.db.read(self.tenant) as tx:
            (one,) = lens.load(tx, assessment, [ordinal], None)
            t = rollups.c
            days = sorted({r.day for r in tx.all(tx.select(t.day))})
            return [
                _day(day_start(day))
                for day in days
                if observations(tx, self.lake, one.on(day).views(), limit=1)
            ]


def _day(at: Instant) -> str:
    return day_name(day_of(at))
