"""Settling: judgements of AWS Config that were brought are kept with what their account says.

One job takes what waits of one account and region: it asks which rules there are, if one is named
that is not known, and for the configuration items of the judged resources, as a round would; then
it keeps all of it, in one transaction with the record of its run. It may run twice, or be finished
by another process, and keeps the same.

Invariants
- Nothing that waits is lost: where the account does not answer, as it is paused, denies it or
  cannot be reached for as long as is tried, records are kept without items, and rules of which
  nothing is known are taken by their names; what no job settled is settled with the next round.
- Nothing is asked of AWS while a transaction is open.
"""

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from auditkeep.collection import definitions, pushed
from auditkeep.collection.counts import Counts
from auditkeep.collection.ingest import question
from auditkeep.collection.plan import RULES
from auditkeep.collection.pushed import Waiting
from auditkeep.collection.runs import Run
from auditkeep.collection.targets import Place
from auditkeep.db.tx import Tx
from auditkeep.errors import NotCollected
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import Unit, append
from auditkeep.lake.keeping import FACTS, UNSEEN
from auditkeep.observations import Observation
from auditkeep.sources import config, configpull
from auditkeep.sources.configpull import Through
from auditkeep.sources.pull import Expired, Throttled, Unreachable
from auditkeep.sources.records import Context, Parsed, Rejected, Tally
from auditkeep.sources.rules import Rule, Rules
from auditkeep.sources.secrets import Cutter
from auditkeep.sources.sessions import Who, heed
from auditkeep.work.pump import Handler
from auditkeep.workflows.collect import PATIENCE, Collector


@dataclass
class _Said:
    """What an account said: its rules, the items of resources, and how often it was asked."""

    context: Context
    """What reading takes, without the rules and a run's key."""
    rules: list[Rule]
    wanted: frozenset[str]
    """Match keys that its rules are asked for."""
    items: dict[tuple[str, str], bytes] = field(default_factory=dict)
    anew: bool = False
    """Whether the rules are what it said now, and not what is remembered."""
    calls: dict[str, int] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class Settling:
    """Settles with the parts that collecting has."""

    parts: Collector

    def handler(self) -> Handler:
        return Handler(self.run, self.give_up, PATIENCE)

    def run(self, tenant: Tenant, key: str) -> None:
        """Settle all that waits at one place; NotCollected where trying again soon may help."""
        self._all(tenant, Place(*pushed.place_of(key), "AWS_Config"), "")

    def give_up(self, tenant: Tenant, key: str, reason: str) -> None:
        """The last try failed: what waits is kept as it is."""
        self._all(tenant, Place(*pushed.place_of(key), "AWS_Config"), reason)

    def _all(self, tenant: Tenant, place: Place, given_up: str) -> None:
        parts = self.parts
        while True:
            with parts.db.read(tenant) as tx:
                waiting = pushed.listed(tx, place.account, place.region)
                duty = parts.plans.of(tx, parts.clock.now()).duty(
                    place.account, place.region, RULES
                )
                rules = definitions.known(tx, place.account, place.region)
                asked = parts.asked(tx, place)
                through = parts.through(tx, tenant, place)
            if not waiting:
                return
            wanted = frozenset[str]() if duty is None else duty.match_keys
            said = _Said(parts.context(tenant, b""), rules, wanted)
            if given_up or asked.paused:
                said.trouble = given_up or "The collection of this account is paused."
            elif (name := parts.aggregator(place, through)) and through is not None:
                self._ask(place, through, waiting, said, name)
            else:
                self._ask(place, parts.who(tenant, asked), waiting, said)
            self._keep(tenant, place, waiting, said)

    # --- asking ---------------------------------------------------------------------------------

    def _ask(
        self,
        place: Place,
        who: Who,
        waiting: list[Waiting],
        said: _Said,
        aggregator: str | None = None,
    ) -> None:
        """Ask the account or, where one stands for it, an aggregator, which knows no owners."""
        clients, aggregators = self.parts.clients(who), self.parts.aggregators
        through = None
        try:
            if aggregator is None or aggregators is None:
                client = clients.client("config", place.region)
                self._ask_rules(client, waiting, said)
            else:
                client = clients.client("config", aggregators.where.region)
                through = Through(aggregator, place.account, place.region)
            self._ask_items(client, waiting, said, through)
        except (Throttled, Unreachable, Expired) as error:
            heed(clients, error)
            raise
        except NotCollected as error:
            said.trouble = str(error)

    def _ask_rules(self, client: Any, waiting: list[Waiting], said: _Said) -> None:
        """Which rules there are, if what is remembered does not know one of those named."""
        remembered = {(rule.name, rule.arn) for rule in said.rules}
        names = {rule.name for rule in said.rules}
        for one in waiting:
            for name, arn in config.rules_named(one.record):
                if name not in names or (arn and (name, arn) not in remembered):
                    listed, calls = configpull.defined(client)
                    said.rules, said.anew = list(listed), True
                    said.calls["config:DescribeConfigRules"] = calls
                    return

    def _ask_items(
        self,
        client: Any,
        waiting: list[Waiting],
        said: _Said,
        through: Through | None,
    ) -> None:
        context = self._context(b"", said)
        found = [
            (item.resources[0].type or "", item.resources[0].value)
            for one in waiting
            for item in _read(one, context)
            if not isinstance(item, Rejected) and item.match_key in said.wanted
        ]
        got = configpull.items_of(client, found, through)
        said.items = got.items
        if got.exchanges:
            said.calls[f"config:{got.exchanges[0].operation}"] = len(got.exchanges)
        said.trouble = got.faults[0].sentence if got.faults else ""

    def _context(self, cut_key: bytes, said: _Said) -> Context:
        return replace(said.context, cutter=Cutter(cut_key), rules=Rules(said.rules))

    # --- keeping --------------------------------------------------------------------------------

    def _keep(self, tenant: Tenant, place: Place, waiting: list[Waiting], said: _Said) -> None:
        """Keep records as those who brought them would have, each door's as a run of its own."""
        now = self.parts.clock.now()
        self.parts.make_ready(tenant, now)
        doors: dict[tuple[str, str], list[Waiting]] = {}
        for one in waiting:
            doors.setdefault((one.caller, one.collector), []).append(one)
        with self.parts.db.write(tenant) as tx:
            tx.lock_tenant()
            still = pushed.still(tx, waiting)
            for (caller, collector), some in sorted(doors.items()):
                left = [one for one in some if one.id in still]
                if left:
                    id_ = new_id()
                    key = self.parts.cut_key(id_)
                    run = Run(id_, "config", caller, now, key, collector)
                    self._keep_of(tx, place, left, said, run)
            pushed.drop(tx, waiting)
            if said.anew:
                definitions.remember(tx, place.account, place.region, said.rules, now)

    def _keep_of(self, tx: Tx, place: Place, some: list[Waiting], said: _Said, run: Run) -> None:
        context = self._context(run.cut_key, said)
        asked = question("config", context)
        counts, provenance = Counts(), run.provenance("pushed")
        for one in some:
            tally = Tally()
            found: list[Observation] = []
            for item in _read(one, context, tally):
                if isinstance(item, Rejected):
                    counts.reject("", item.position, item.reason, 0)
                else:
                    found.append(configpull.with_item(item, said.items, context))
            name = sha256(b"auditkeep/pushed/1" + asked + one.record).hexdigest()
            done = append(
                tx,
                self.parts.lake,
                unit=Unit(name, "push", "config"),
                klass=FACTS,
                observations=found,
                provenance=provenance,
                now=run.started,
            )
            counts.records += tally.records
            counts.unmatched += tally.unmatched.total() + done.unkept
            counts.reasons += tally.unmatched
            if done.unkept:
                counts.reasons[UNSEEN] += done.unkept
            counts.observations += done.new
            counts.duplicates += len(found) if done.repeated else done.duplicates
            counts.conflicts += done.conflicts
            counts.cuts += sum(len(o.cuts) for o in found)
            for position, reason in done.refused:
                counts.reject("", position, reason, 0)
        told: dict[str, object] = {
            "account": place.account,
            "calls": said.calls,
            "records": len(some),
            "region": place.region,
        }
        if said.trouble:
            told["trouble"] = said.trouble
        about = run.observation(tx.tenant, told, counts, outcome="completed", ended=run.started)
        append(
            tx,
            self.parts.lake,
            unit=run.unit,
            klass=FACTS,
            observations=[about],
            provenance=provenance,
            now=run.started,
        )


def _read(one: Waiting, context: Context, tally: Tally | None = None) -> Parsed:
    return config.parse(iter([one.record]), context, Tally() if tally is None else tally)
