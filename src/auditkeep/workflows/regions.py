"""Asking an account which regions it has switched on, before it is asked anything else.

What it says is remembered (`collection.regions`). A region that it switched off is left out of the
plan from then on: what happened there since the last answer cannot be had any more, which is a gap.
A region that it switched on is asked at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from auditkeep.clock import Instant
from auditkeep.collection import accounts, gaps, regions, targets
from auditkeep.collection.coverage import OFF
from auditkeep.collection.gaps import Gap
from auditkeep.collection.plan import TRAIL, Plan
from auditkeep.collection.regions import Known
from auditkeep.collection.targets import Ended, Missed, Place, Trouble
from auditkeep.db.tx import Tx
from auditkeep.errors import NotCollected
from auditkeep.ids import Tenant
from auditkeep.sources.pull import Expired, NotYet, Throttled, Unreachable
from auditkeep.sources.sessions import AccountClients
from auditkeep.work.pump import Handler
from auditkeep.workflows.collect import PATIENCE, Collector
from auditkeep.workflows.rounds import due_places, in_turn, queue


@dataclass(frozen=True)
class AskingRegions:
    """Asks with the parts that collecting has."""

    parts: Collector

    def handler(self) -> Handler:
        return Handler(self.run, self.give_up, PATIENCE)

    def run(self, tenant: Tenant, key: str) -> None:
        """Ask one account; NotCollected where trying again soon may help."""
        account = _account(key)
        with self.parts.db.read(tenant) as tx:
            asked = accounts.find(tx, account)
        if asked.paused:
            return
        clients = self.parts.clients(self.parts.who(tenant, asked))
        try:
            on = self._on(clients)
        except (Throttled, Unreachable) as error:
            if isinstance(error, Throttled) and not isinstance(error, NotYet):
                clients.throttled()
            raise
        except NotCollected:
            on = None  # what is asked there will meet it too, and tell it
        self._said(tenant, account, on)

    def give_up(self, tenant: Tenant, key: str, reason: str) -> None:
        del reason
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

        def keep(tx: Tx) -> bool:
            tx.lock_tenant()
            before = regions.listed(tx).get(account)
            plan = self.parts.plans.of(tx, now)
            known = regions.became(before, on, now)
            changed = regions.save(tx, account, before, known)
            if changed:
                self._note_lost(tx, plan, account, known, now)
            return changed

        if self.parts.db.change(tenant, keep):
            self._queue(tenant, account, now)

    def _note_lost(self, tx: Tx, plan: Plan, account: str, known: Known, now: Instant) -> None:
        """What happened between the last answers and the end of a region is a gap, for good."""
        for place, what in _asked(plan, account, known):
            done_at = targets.load(tx, place).get(what, targets.NEVER_ASKED).done_at
            if done_at is None or what in gaps.open_of(tx, place):
                continue  # it was never asked, or is a gap already, which ends with the plan
            gap = gaps.planned(tx.tenant, place, what, Missed(done_at, Trouble(*OFF)), now)
            gaps.begin(tx, gap)
            gaps.close(tx, gap, Ended(now, filled=False))
            self._tell(tx, gap)

    def _tell(self, tx: Tx, gap: Gap) -> None:
        for opened in (True, False):
            self.parts.told(tx, gap, opened)

    def _queue(self, tenant: Tenant, account: str, now: Instant) -> None:
        """Ask what is due of the account by the new plan; whoever looks for what is due would too,
        some seconds later.
        """
        with self.parts.db.read(tenant) as tx:
            plan = self.parts.plans.of(tx, now)
            own = Plan(tuple(t for t in plan.territories if account in t.accounts))
            due = due_places(own, targets.every(tx), now, self.parts.every)
        mine = [place for place in due if place.account == account]
        queueing = list(in_turn(mine))
        self.parts.db.change(tenant, lambda tx: queue(tx, queueing, now, self.parts.every))


def _asked(plan: Plan, account: str, known: Known) -> Iterator[tuple[Place, str]]:
    """What a plan asks of an account every so often in regions that are off."""
    switched = known.switched
    for territory in plan.territories:
        if account in territory.accounts and switched and switched.is_off(territory.region):
            for duty in territory.duties:
                if not duty.question.scheduled and duty.question != TRAIL:
                    place = Place(account, territory.region, duty.question.source)
                    yield place, duty.question.what


def _account(key: str) -> str:
    return key.split("/", 1)[0]
