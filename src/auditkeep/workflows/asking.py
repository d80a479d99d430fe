"""Asking: one job asks one source of one account and region all that is due, and keeps it; or it
asks an account which regions it has (`workflows.regions`), before any other of its jobs.

Jobs are made by `workflows.rounds` and run by any worker. What a job does follows from the state of
its targets (`collection.targets`) and the plan as it is now, never from the job: it may run twice,
or be finished by another process, and keeps the same.

Invariants
- A page is an ingest unit. It is committed together with the state of its question and the run's
  own notes, so that a run that was killed goes on behind the last page that was kept.
- A question that fails is noted and holds no other. An account that throttles, or cannot be
  reached, is left alone for a while: its jobs wait together, and nobody else's.
- Nothing is asked of AWS while a transaction is open.
- A run that fell silent for so long that another took its place keeps nothing more: whoever keeps
  a page finds its question as it was left (`collection.questions`). Both would date a look at the
  state to a moment of their own.
"""

import logging
from dataclasses import dataclass, field
from itertools import islice

from auditkeep.clock import Instant
from auditkeep.collection import definitions, gaps, pulls, targets
from auditkeep.collection.pulls import Pulling
from auditkeep.collection.questions import Questions
from auditkeep.collection.targets import Place, Todo, Trouble
from auditkeep.db.tx import Tx
from auditkeep.errors import NotCollected
from auditkeep.ids import Tenant
from auditkeep.mapping.interest import Interest
from auditkeep.sources.aggregator import Aggregated
from auditkeep.sources.pull import (
    Ask,
    Denied,
    Expired,
    Gone,
    Puller,
    RegionOff,
    SwitchedOff,
    Throttled,
    Unreachable,
)
from auditkeep.sources.rules import Rule
from auditkeep.sources.sessions import AccountClients, Who, heed
from auditkeep.work.pump import Handler
from auditkeep.workflows import pages
from auditkeep.workflows.collect import PATIENCE, Collector, asks_for_regions, place_of
from auditkeep.workflows.pages import Pages
from auditkeep.workflows.regions import AskingRegions

PAUSED = Trouble("paused", "", "Somebody paused the collection of this account.")
NOBODY_KNOWS = Trouble("no-collector", "", "This version cannot ask this source.")

_LOG = logging.getLogger("auditkeep.collect")


@dataclass(frozen=True)
class Asking:
    """Asks with the parts that collecting has."""

    parts: Collector

    def handler(self) -> Handler:
        return Handler(self.run, self.give_up, PATIENCE)

    def run(self, tenant: Tenant, key: str) -> None:
        """Ask what is due at one place; NotCollected where trying again soon may help."""
        if asks_for_regions(key):
            self._regions.run(tenant, key)
            return
        work = self._open(tenant, key)
        if work is None:
            return
        try:
            work.ask_all()
        except NotCollected as error:
            work.put_off(error)
            raise
        work.conclude("completed")

    def give_up(self, tenant: Tenant, key: str, reason: str) -> None:
        """The last try failed: what is still due is a gap now."""
        if asks_for_regions(key):
            self._regions.give_up(tenant, key)
            return
        work = self._open(tenant, key)
        if work is not None:
            work.leave(Trouble(*(work.run.trouble or ("failed", "", reason))))
            work.conclude("given up")

    @property
    def _regions(self) -> AskingRegions:
        return AskingRegions(self.parts)

    def _open(self, tenant: Tenant, key: str) -> "_Work | None":
        """What a job finds: nothing to do where nobody looks any more."""
        parts, place = self.parts, place_of(key)
        now = parts.clock.now()
        with parts.db.read(tenant) as tx:
            territory = parts.plans.of(tx, now).at(place.account, place.region)
            duties = () if territory is None else territory.of_source(place.source)
            states = targets.load(tx, place)
            opened = gaps.open_of(tx, place)
            asked = parts.asked(tx, place)
            through = parts.through(tx, tenant, place)
            id_ = pulls.run_id(tenant, key)
            run = pulls.find(tx, id_)
        todo = [
            one
            for duty in duties
            for one in targets.to_ask(
                duty, states.get(duty.question.what, targets.NEVER_ASKED), now, parts.every
            )
        ]
        if not todo and run is None:
            return None
        who = parts.who(tenant, asked)
        begun = run or Pulling(id=id_, key=key, caller=who.caller, role=who.arn, started=now)
        questions = Questions(tenant, place, id_, parts.every, states, opened, parts.told)
        return _Work(parts, tenant, place, begun, who, asked.paused, todo, questions, through)


@dataclass(slots=True)
class _Work:
    """One job's way through what is due."""

    parts: Collector
    tenant: Tenant
    place: Place
    run: Pulling
    who: Who
    paused: bool
    todo: list[Todo]
    questions: Questions
    through: Who | None
    _pages: Pages = field(init=False)
    _cut_key: bytes = field(init=False)
    _rules: tuple[Rule, ...] | None = None
    """Of AWS Config there, as it told them."""
    _open: list[Todo] = field(default_factory=list)
    """What is not answered yet, beginning with what is being asked."""

    def __post_init__(self) -> None:
        self._cut_key = self.parts.cut_key(self.run.id)
        context = self.parts.context(self.tenant, self._cut_key)
        self._pages = Pages(self.parts.lake, self.place, self.run, context)

    def ask_all(self) -> None:
        puller = self.parts.pullers.get(self.place.source)
        if puller is None or self.paused:
            self.leave(NOBODY_KNOWS if puller is None else PAUSED)
            return
        puller, who = self._whom(puller)
        clients = self.parts.clients(who)
        self.run.caller, self.run.role = who.caller, who.arn
        for number, todo in enumerate(self.todo):
            self._open = self.todo[number:]
            over = self._ask(puller, clients, todo)
            if over is not None:
                # the account's or the region's own trouble: the rest would meet it
                self._fail_all(self.todo[number + 1 :], over)
                break

    def _whom(self, direct: Puller) -> tuple[Puller, Who]:
        """Who is asked: an aggregator that sees the place, or the account itself."""
        seen, through = self.parts.aggregators, self.through
        name = self.parts.aggregator(self.place, through)
        if seen is None or through is None or name is None:
            return direct, self.who
        return Aggregated(name, seen.where.region), through

    def _ask(self, puller: Puller, clients: AccountClients, todo: Todo) -> Trouble | None:
        """Put one question; what the rest of the place would meet too, if it failed by that."""
        renewed = False
        self.questions.put(todo, self._now())
        while True:
            try:
                for page in puller.get(clients, self._asked(todo), self.questions.resume(todo)):
                    line = self.run.of(todo)
                    self._rules = self._rules if page.rules is None else page.rules
                    self._pages.take(puller, page, line)
                    self.questions.went_on(todo, page, line)
                    if page.resume is not None:  # the last page goes with the end of its question
                        self._commit_if_full()
            except Expired as error:
                if renewed:
                    return self._fail(todo, error)
                renewed = True
                clients.renew()
                continue
            except (Throttled, Unreachable) as error:
                heed(clients, error)
                raise
            except NotCollected as error:
                return self._fail(todo, error)
            self.questions.answered(todo, self.run.of(todo), self._now())
            self._commit_if_full()
            return None

    def _asked(self, todo: Todo) -> Ask:
        return Ask(
            source=self.place.source,
            account=self.place.account,
            region=self.place.region,
            what=todo.question.what,
            slot=todo.slot,
            since=todo.since,
            at=todo.at,
            wanted=Interest.of(todo.duty.match_keys, self._pages.context.interest.version),
            spare=todo.duty.spare,
        )

    def _fail(self, todo: Todo, error: NotCollected) -> Trouble | None:
        """Note a question that was refused; the trouble, where all others would meet it too."""
        trouble = trouble_of(error)
        self._fail_all([todo], trouble)
        whole = isinstance(error, (Gone, RegionOff, Expired))
        return trouble if whole or trouble.detail == "sts:AssumeRole" else None

    def _fail_all(self, left: list[Todo], trouble: Trouble) -> None:
        for todo in left:
            self.questions.failed(todo, self.run.of(todo), trouble, self._now())

    def leave(self, trouble: Trouble) -> None:
        """Ask nothing more: all that is due is not answered, by one trouble."""
        self._fail_all(self.todo, trouble)

    def _now(self) -> Instant:
        return self.parts.clock.now()

    # --- keeping ------------------------------------------------------------------------------

    def _commit_if_full(self) -> None:
        if self._pages.full:
            self._commit()

    def _commit(self) -> None:
        """Keep what waits, the state of its questions and the run's notes, in one transaction."""
        now = self._now()
        self.parts.make_ready(self.tenant, now)
        with self.parts.db.write(self.tenant) as tx:
            tx.lock_tenant()
            self._keep(tx, now)
            pulls.keep(tx, self.run)

    def _keep(self, tx: Tx, now: Instant) -> None:
        """The first two, in a transaction that holds the tenant's lock."""
        self.questions.require_left(tx)
        for line, often in self._pages.keep(tx, now):
            self.questions.contradicted(line, often, now)
        self.questions.save(tx)
        if self._rules is not None:
            definitions.remember(tx, self.place.account, self.place.region, self._rules, now)
            self._rules = None

    def put_off(self, error: NotCollected) -> None:
        """Keep what there is, and why it goes on later."""
        trouble = trouble_of(error)
        for todo in self._open:
            self.questions.put_off(todo, trouble, self._now())
        self.run.trouble = (trouble.reason, trouble.detail, trouble.message)
        self._commit()

    def conclude(self, outcome: str) -> None:
        """Keep what still waits, and make the run a fact, in one transaction."""
        now = self._now()
        self.parts.make_ready(self.tenant, now)
        with self.parts.db.write(self.tenant) as tx:
            tx.lock_tenant()
            self._keep(tx, now)
            failed = [one for one in self.run.asked if one.outcome not in ("complete", "")]
            told = "partial" if failed and outcome == "completed" else outcome
            record = self.run.observation(
                self.tenant, self.place, outcome=told, ended=now, cut_key=self._cut_key
            )
            provenance = self.run.provenance(self.place)
            pages.keep(tx, self.parts.lake, self.run.unit, [record], provenance, now)
            pulls.forget(tx, self.run)
        for one in islice(failed, 3):
            asked = "/".join(filter(None, (self.place.name, one.what)))
            _LOG.warning("%s: %s", asked, one.lack)


def trouble_of(error: NotCollected) -> Trouble:
    """Why something was not collected, as coverage and gaps tell it."""
    detail = ""
    if isinstance(error, Denied):
        detail = error.action
    elif isinstance(error, SwitchedOff):
        detail = error.feature
    return Trouble(str(getattr(error, "reason", "refused")), detail, str(error))
