"""Asking an account which regions it has switched on, before it is asked anything else.

What it says is remembered (`collection.regions`), and what follows is written with it. A region
that it switched off is left out of the plan from then on: what happened there since the last answer
cannot be had any more, which is a gap. A region that it switched on is asked at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from auditkeep.clock import Instant
from auditkeep.collection import accounts, gaps, regions, targets
from auditkeep.collection.coverage import OFF
from auditkeep.collection.gaps import Gap
from auditkeep.collection.plan import TRAIL, Duty, Plan
from auditkeep.collection.regions import Known, applied, became, concerned
from auditkeep.collection.targets import Ended, Missed, Place, Trouble
from auditkeep.db.tx import Tx
from auditkeep.errors import NotCollected
from auditkeep.ids import Tenant
from auditkeep.sources.pull import Expired, Throttled, Unreachable
from auditkeep.sources.sessions import AccountClients, heed
from auditkeep.workflows.collect import Collector
from auditkeep.workflows.rounds import due_places, in_turn, queue


@dataclass(frozen=True)
class AskingRegions:
    """Asks with the parts that collecting has."""

    parts: Collector

    def run(self, tenant: Tenant, key: str) -> None:
        """Ask one account; NotCollected where trying again soon may help."""
        account = _account(key)
        with self.parts.db.read(tenant) as tx:
            asked = accounts.find(tx, account)
            known = regions.find(tx, account)
            plan = self.parts.plans.of(tx, self.parts.clock.now()).of_account(account)
            places = list(concerned(plan, self.parts.asked_elsewhere))
            through = {place: self.parts.through(tx, tenant, place) for place in places}
        if asked.paused or not places:
            return
        # an aggregator sees a place only if its region is on
        if all(self.parts.aggregator(p, through[p]) is not None for p in places):
            if known is not None and known.said is not None:
                seen = {place.region for place in places}
                self._said(tenant, account, known.said.on | seen)
            return
        clients = self.parts.clients(self.parts.who(tenant, asked))
        try:
            on = self._on(clients)
        except (Throttled, Unreachable) as error:
            heed(clients, error)
            raise
        except NotCollected:
            on = None  # what is asked there will meet it too, and tell it
        self._said(tenant, account, on)

    def give_up(self, tenant: Tenant, key: str) -> None:
        """The last try failed: it does not say."""
        self._said(tenant, _account(key), None)

    def _on(self, clients: AccountClients) -> frozenset[str] | None:
        ask = self.parts.regions
        if ask is None:
            return None
        try:
            return ask(clients)
        except Expired:
            clients.renew()
            return ask(clients)

    def _said(self, tenant: Tenant, account: str, on: frozenset[str] | None) -> None:
        """Keep what it said, and what follows."""
        now = self.parts.clock.now()

        def keep(tx: Tx) -> None:
            tx.lock_tenant()
            before = regions.find(tx, account)
            known = became(before, on, now)
            changed = known.switched != (None if before is None else before.switched)
            regions.save(tx, account, known, changed=changed)
            if changed:
                whole = self.parts.plans.whole(tx, now).of_account(account)
                was, now_is = _without(whole, account, before), _without(whole, account, known)
                self._let_go(tx, was, now_is, now)
                self._begin(tx, was, now_is, now)

        self.parts.db.change(tenant, keep)

    def _let_go(self, tx: Tx, was: Plan, now_is: Plan, now: Instant) -> None:
        """End what is asked no more: what happened since the last answers is a gap, for good."""
        before = {(place, duty.question) for place, duty in _asked(was)}
        for place, duty in _places(now_is.not_asked()):
            if (place, duty.question) not in before:
                continue
            lasting = gaps.open_of(tx, place)
            for what in {duty.question.what, *duty.match_keys} & lasting.keys():
                self._close(tx, lasting[what], now)
            done_at = targets.load(tx, place).get(duty.question.what, targets.NEVER_ASKED).done_at
            polled = not duty.question.scheduled and duty.question != TRAIL
            if polled and done_at is not None and duty.question.what not in lasting:
                missed = Missed(done_at, Trouble(*OFF))
                gap = gaps.planned(tx.tenant, place, duty.question.what, missed, now)
                gaps.begin(tx, gap)
                self.parts.told(tx, gap, True)
                self._close(tx, gap, now)

    def _close(self, tx: Tx, gap: Gap, now: Instant) -> None:
        gaps.close(tx, gap, Ended(now, filled=False))
        self.parts.told(tx, gap, False)

    def _begin(self, tx: Tx, was: Plan, now_is: Plan, now: Instant) -> None:
        """Ask what is asked newly, and due."""
        before = {place for place, _ in _places(was.not_asked())}
        fresh = {place for place, _ in _asked(now_is)} & before
        known = {(p, what): state for p in fresh for what, state in targets.load(tx, p).items()}
        due = [p for p in due_places(now_is, known, now, self.parts.every) if p in fresh]
        queue(tx, in_turn(due), now, self.parts.every)


def _without(whole: Plan, account: str, known: Known | None) -> Plan:
    """An account's plan as far as its regions were known to be on."""
    switched = None if known is None else known.switched
    return applied(whole, {} if switched is None else {account: switched})


def _asked(plan: Plan) -> Iterator[tuple[Place, Duty]]:
    return _places(plan.questions())


def _places(questions: Iterator[tuple[str, str, Duty]]) -> Iterator[tuple[Place, Duty]]:
    for account, region, duty in questions:
        yield Place(account, region, duty.question.source), duty


def _account(key: str) -> str:
    return key.split("/", 1)[0]
