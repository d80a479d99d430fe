"""Fetching what a source still knows of the past, for an assessment that reaches back.

A page, the state of its fetch and the run's notes are one transaction (`collection.backfills`).
What was kept before is a duplicate, so a backfill may overlap what was collected at its time.
"""

from dataclasses import dataclass, replace

from auditkeep.collection import backfills, pulls
from auditkeep.collection.backfills import Fetch
from auditkeep.collection.plan import TRAIL, Duty
from auditkeep.collection.pulls import Pulling
from auditkeep.collection.targets import Todo
from auditkeep.db.tx import Tx
from auditkeep.errors import NotCollected
from auditkeep.ids import Tenant
from auditkeep.lake.append import Appended, Unit
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation
from auditkeep.sources.pull import Ask, Expired, Page, Puller, Throttled, Unreachable
from auditkeep.sources.sessions import AccountClients, heed
from auditkeep.work.pump import Handler
from auditkeep.workflows import pages
from auditkeep.workflows.collect import PATIENCE, Collector


@dataclass(frozen=True)
class Backfilling:
    """Fetches with the parts that collecting has."""

    parts: Collector

    def handler(self) -> Handler:
        return Handler(self.run, self.give_up, PATIENCE)

    def run(self, tenant: Tenant, fetch_id: str) -> None:
        """Go on with one fetch, to its end; NotCollected where trying again soon may help."""
        now = self.parts.clock.now()
        with self.parts.db.read(tenant) as tx:
            fetch = backfills.find(tx, fetch_id)
            if fetch is None or fetch.state != "RUNNING" or backfills.question(fetch) == TRAIL:
                return
            place = fetch.place
            plan = self.parts.plans.of(tx, now)
            duty = plan.duty(place.account, place.region, backfills.question(fetch))
            asked = self.parts.asked(tx, place)
            run = pulls.find(tx, pulls.run_id(tenant, _key(fetch)))
        puller = self.parts.pullers.get(place.source)
        if duty is None or puller is None or asked.paused:
            self._end(tenant, fetch, "Nobody looks there any more, or it is paused.")
            return
        who = self.parts.who(tenant, asked)
        begun = run or Pulling(
            id=pulls.run_id(tenant, _key(fetch)),
            key=_key(fetch),
            caller=who.caller,
            role=who.arn,
            started=now,
        )
        clients = self.parts.clients(who)
        work = _Fetching(self.parts, tenant, fetch, duty, begun)
        try:
            work.fetch_all(puller, clients)
        except (Throttled, Unreachable, Expired) as error:
            heed(clients, error)
            raise
        except NotCollected as error:
            work.conclude("failed", str(error))
            return
        work.conclude("completed", "")

    def give_up(self, tenant: Tenant, fetch_id: str, reason: str) -> None:
        with self.parts.db.read(tenant) as tx:
            fetch = backfills.find(tx, fetch_id)
        if fetch is not None and fetch.state == "RUNNING":
            self._end(tenant, fetch, reason)

    def _end(self, tenant: Tenant, fetch: Fetch, reason: str) -> None:
        failed = replace(fetch, state="FAILED", message=reason)
        self.parts.db.change(tenant, lambda tx: backfills.save(tx, [failed]))


@dataclass
class _Fetching:
    """One fetch on its way."""

    parts: Collector
    tenant: Tenant
    fetch: Fetch
    duty: Duty
    run: Pulling

    def __post_init__(self) -> None:
        self._cut_key = self.parts.cut_key(self.run.id)
        self._todo = Todo(self.duty, "backfill", self.fetch.created_at, since=self.fetch.start)
        self._context = self.parts.context(self.tenant, self._cut_key)

    def fetch_all(self, puller: Puller, clients: AccountClients) -> None:
        place = self.fetch.place
        ask = Ask(
            source=place.source,
            account=place.account,
            region=place.region,
            since=self.fetch.start,
            until=self.fetch.end,
            wanted=Interest.of(self.duty.match_keys, self._context.interest.version),
            spare=self.duty.spare,
        )
        for page in puller.get(clients, ask, self.fetch.resume):
            self._keep(puller, page)

    def _keep(self, puller: Puller, page: Page) -> None:
        """Keep a page, and that it is kept."""
        line = self.run.of(self._todo)
        found = pages.read(puller, page, self._context, line)
        unit = Unit(page.unit, self.fetch.place.source, f"backfill/{self.fetch.id}")
        self.parts.make_ready(self.tenant, self.parts.clock.now())
        with self.parts.db.write(self.tenant) as tx:
            result = self._append(tx, unit, found)
            line.kept(result, found)
            self.fetch = self.fetch.went_on(page.resume, result.new)
            backfills.save(tx, [self.fetch])
            pulls.keep(tx, self.run)

    def conclude(self, outcome: str, message: str) -> None:
        """The fetch and its run are over."""
        now = self.parts.clock.now()
        line = self.run.of(self._todo)
        line.ended, line.message = now, message
        line.outcome = "complete" if outcome == "completed" else outcome
        record = self.run.observation(
            self.tenant, self.fetch.place, outcome=outcome, ended=now, cut_key=self._cut_key
        )
        done = replace(
            self.fetch, state="FAILED" if message else "COMPLETE", message=message, resume=None
        )
        self.parts.make_ready(self.tenant, now)
        with self.parts.db.write(self.tenant) as tx:
            self._append(tx, self.run.unit, [record])
            backfills.save(tx, [done])
            pulls.forget(tx, self.run)

    def _append(self, tx: Tx, unit: Unit, found: list[Observation]) -> Appended:
        now, provenance = self.parts.clock.now(), self.run.provenance(self.fetch.place)
        return pages.keep(tx, self.parts.lake, unit, found, provenance, now)


def _key(fetch: Fetch) -> str:
    return f"backfill/{fetch.id}/{fetch.created_at}"
