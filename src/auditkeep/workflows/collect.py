"""Collecting: one job asks one source of one account and region all that is due, and keeps it.

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
  a page finds its question as it was left (`Overtaken`). Both would date a look at the state to a
  moment of their own.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import msgspec

from auditkeep.clock import MINUTE, SECOND, Clock, Instant
from auditkeep.collection import accounts, gaps, pulls, targets
from auditkeep.collection.accounts import Asked
from auditkeep.collection.gaps import Gap
from auditkeep.collection.looks import Plans
from auditkeep.collection.pulls import Pulling
from auditkeep.collection.targets import Place, Target, Todo, Trouble, UnderWay
from auditkeep.crypto.derive import hkdf
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import NotCollected, Overtaken
from auditkeep.ids import Tenant
from auditkeep.lake.append import Unit, append
from auditkeep.lake.buckets import make_ready
from auditkeep.lake.keeping import FACTS
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation, SourceType
from auditkeep.settings import Settings
from auditkeep.sources.aggregator import Aggregated, Aggregators, or_none
from auditkeep.sources.pull import (
    Ask,
    Clients,
    Denied,
    Expired,
    Gone,
    NotYet,
    Page,
    Puller,
    RegionOff,
    SwitchedOff,
    Unreachable,
)
from auditkeep.sources.pull import Throttled as AwsThrottled
from auditkeep.sources.records import Context, Rejected, Tally
from auditkeep.sources.secrets import Cutter
from auditkeep.sources.sessions import AccountClients, Who
from auditkeep.work.pump import Handler
from auditkeep.work.retry import Retry

KIND = "collect"
"""Jobs of this room; keys are ACCOUNT/REGION/SOURCE/WHEN."""

TOGETHER_PAGES = 64
TOGETHER_ROWS = 16_384
TOGETHER_BYTES = 32 * 1024 * 1024
TOGETHER_SECONDS = 2.0
"""Pages share a transaction until they are so many, or the first has waited so long."""

PATIENCE = Retry(tries=8, first=2 * SECOND, longest=5 * MINUTE, spread=0.5, lane=(AwsThrottled,))
"""Of an account that throttles or cannot be reached; then it is a gap, until the next round."""

PAUSED = Trouble("paused", "", "Somebody paused the collection of this account.")
NOBODY_KNOWS = Trouble("no-collector", "", "This version cannot ask this source.")

_LOG = logging.getLogger("auditkeep.collect")


@dataclass(frozen=True)
class Collector:
    """What collecting takes; built once. Safe to share between threads."""

    db: Database
    lake: Lake
    settings: Settings
    clock: Clock
    plans: Plans
    pullers: Mapping[SourceType, Puller]
    clients: Callable[[Who], AccountClients]
    interest: Callable[[Tenant], Interest]
    secret: bytes
    """From which the keys of cuts follow, a run each."""
    asked_elsewhere: Mapping[SourceType, str] = field(default_factory=dict)
    """Sources that one account is asked about for all accounts, and which that is."""
    aggregators: Aggregators | None = None
    """Those of AWS Config that are asked instead of the accounts they see."""
    regions: Callable[[Clients], frozenset[str]] | None = None
    """Asks an account which it has switched on; None: nobody asks, every region is taken for on."""
    told: Callable[[Tx, Gap, bool], None] = lambda _tx, _gap, _opened: None
    """Hears of each gap that opens (True) or closes, in the transaction that notes it."""

    @property
    def every(self) -> int:
        """How long a round is."""
        return self.settings.collect_minutes * MINUTE

    def handler(self) -> Handler:
        return Handler(self.run, self.give_up, PATIENCE)

    def run(self, tenant: Tenant, key: str) -> None:
        """Ask what is due at one place; NotCollected where trying again soon may help."""
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
        work = self._open(tenant, key)
        if work is not None:
            work.leave(Trouble(*(work.run.trouble or ("failed", "", reason))))
            work.conclude("given up")

    def asked(self, tx: Tx, place: Place) -> Asked:
        """How the account is asked that tells of a place: another than its own for some sources.

        Nothing is asked about an account that is paused, whoever would tell.
        """
        own = accounts.find(tx, place.account)
        elsewhere = self.asked_elsewhere.get(place.source)
        if elsewhere is None or own.paused:
            return own
        return accounts.find(tx, elsewhere)

    def who(self, tenant: Tenant, asked: Asked) -> Who:
        """As whom an account is asked."""
        settings = self.settings
        external = settings.collect_external_id.replace("{tenant}", tenant.account)
        return Who(
            account=asked.account,
            role=settings.collect_role if asked.role is None else asked.role,
            external_id=external if asked.external_id is None else asked.external_id,
            session_name=settings.collect_session_name,
        )

    def make_ready(self, tenant: Tenant, now: Instant) -> None:
        """What is counted while it is kept is counted once: no key is missed in the midst of it."""
        make_ready(self.db, self.lake.keys, tenant, FACTS, now)

    def _open(self, tenant: Tenant, key: str) -> "_Work | None":
        """What a job finds: nothing to do where nobody looks any more."""
        account, region, source, _ = key.split("/", 3)
        place = Place(account, region, _SOURCES[source])
        now = self.clock.now()
        with self.db.read(tenant) as tx:
            territory = self.plans.of(tx, now).at(account, region)
            duties = () if territory is None else territory.of_source(place.source)
            states = targets.load(tx, place)
            opened = gaps.open_of(tx, place)
            asked = self.asked(tx, place)
            through = self._through(tx, tenant, place)
            id_ = pulls.run_id(tenant, key)
            run = pulls.find(tx, id_)
        todo = [
            one
            for duty in duties
            for one in targets.to_ask(
                duty, states.get(duty.question.what, targets.NEVER_ASKED), now, self.every
            )
        ]
        if not todo and run is None:
            return None
        who = self.who(tenant, asked)
        begun = run or Pulling(id=id_, key=key, caller=who.caller, role=who.arn, started=now)
        return _Work(self, tenant, place, begun, who, asked.paused, todo, states, opened, through)

    def _through(self, tx: Tx, tenant: Tenant, place: Place) -> Who | None:
        """As whom aggregators are asked about a place, where there may be some that see it."""
        if self.aggregators is None or place.source != "AWS_Config":
            return None
        return self.who(tenant, accounts.find(tx, self.aggregators.where.account))


@dataclass(slots=True)
class _Part:
    """A page, or what of it fits one append."""

    unit: Unit
    observations: list[Observation]
    line: pulls.Asked


@dataclass
class _Work:
    """One job's way through what is due."""

    parts: Collector
    tenant: Tenant
    place: Place
    run: Pulling
    who: Who
    paused: bool
    todo: list[Todo]
    states: dict[str, Target]
    opened: dict[str, Gap]
    through: Who | None
    _waiting: list[_Part] = field(default_factory=list)
    _changed: set[str] = field(default_factory=set)
    _ledger: list[Callable[[Tx], None]] = field(default_factory=list)
    _size: int = 0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._left = {what: targets.standing(state) for what, state in self.states.items()}
        key = hkdf(self.parts.secret, f"auditkeep/cuts/1{self.run.id}".encode(), 32)
        self._cut_key = key
        self._context = Context(
            self.tenant,
            self.parts.interest(self.tenant),
            Cutter(key),
            reads=self.parts.settings.cloudtrail_reads,
        )

    # --- asking -------------------------------------------------------------------------------

    def ask_all(self) -> None:
        puller = self.parts.pullers.get(self.place.source)
        if puller is None or self.paused:
            self.leave(NOBODY_KNOWS if puller is None else PAUSED)
            return
        puller, who = self._whom(puller)
        clients = self.parts.clients(who)
        self.run.caller, self.run.role = who.caller, who.arn
        over: Trouble | None = None
        for number, todo in enumerate(self.todo):
            over = self._ask(puller, clients, todo)
            if (
                over is not None
            ):  # the account's or the region's own trouble: the rest would meet it
                self._fail_all(self.todo[number + 1 :], over)
                break

    def _whom(self, direct: Puller) -> tuple[Puller, Who]:
        """Who is asked: an aggregator that sees the place, or the account itself."""
        seen, through, place = self.parts.aggregators, self.through, self.place
        if seen is None or through is None:
            return direct, self.who
        clients = partial(self.parts.clients, through)
        name = or_none(partial(seen.seeing, clients, place.account, place.region))
        if name is None:
            return direct, self.who
        return Aggregated(name, seen.where.region), through

    def _ask(self, puller: Puller, clients: AccountClients, todo: Todo) -> Trouble | None:
        """Put one question; what the rest of the place would meet too, if it failed by that."""
        what = todo.question.what
        renewed = False
        self._note_missed(todo)
        while True:
            state = self._state(what)
            under_way = state.under_way
            mine = under_way is not None and under_way.key == todo.key
            resume = under_way.resume if mine and under_way is not None else None
            try:
                for page in puller.get(clients, self._asked(todo), resume):
                    self._take(puller, todo, page)
                    if page.resume is not None:  # the last page goes with the end of its question
                        self._commit_if_full()
            except Expired as error:
                if renewed:
                    return self._fail(todo, error)
                renewed = True
                clients.renew()
                continue
            except (AwsThrottled, Unreachable) as error:
                if isinstance(error, AwsThrottled) and not isinstance(error, NotYet):
                    clients.throttled()
                raise
            except NotCollected as error:
                return self._fail(todo, error)
            self._answered(todo)
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
            wanted=Interest.of(todo.duty.match_keys, self._context.interest.version),
        )

    def _take(self, puller: Puller, todo: Todo, page: Page) -> None:
        """Read a page; it waits for others to be kept with."""
        if not self._waiting:
            self._since = time.monotonic()
        line = self.run.of(todo)
        line.took(page)
        tally = Tally()
        found = puller.parse(page, self._context, tally)
        number = 0
        kept: list[Observation] = []
        for item in found:
            if isinstance(item, Rejected):
                line.refuse([(item.position, item.reason)])
                continue
            if len(kept) == TOGETHER_ROWS:
                number += 1
                self._wait(_Part(self._unit(page, f"/part-{number}"), kept, line))
                kept = []
            kept.append(item)
        line.records += tally.records
        line.unmatched += tally.unmatched.total()
        self._wait(_Part(self._unit(page, ""), kept, line))
        self._went_on(todo, page, line)

    def _commit_if_full(self) -> None:
        if (
            len(self._waiting) >= TOGETHER_PAGES
            or self._size >= TOGETHER_BYTES
            or sum(len(p.observations) for p in self._waiting) >= TOGETHER_ROWS
            or (self._waiting and time.monotonic() - self._since >= TOGETHER_SECONDS)
        ):
            self._commit()

    def _unit(self, page: Page, suffix: str) -> Unit:
        name = "/".join((*_named(self.place), page.ask.what)).rstrip("/")
        return Unit(page.unit + suffix, self.place.source, name)

    def _wait(self, part: _Part) -> None:
        self._waiting.append(part)
        self._size += sum(len(o.raw) for o in part.observations)

    # --- the state of questions ---------------------------------------------------------------

    def _state(self, what: str) -> Target:
        return self.states.get(what, targets.NEVER_ASKED)

    def _set(self, what: str, state: Target) -> None:
        self.states[what] = state
        self._changed.add(what)

    def _went_on(self, todo: Todo, page: Page, line: pulls.Asked) -> None:
        what = todo.question.what
        before = self._state(what).under_way
        faults = dict(before.faults) if before is not None and before.key == todo.key else {}
        for fault in page.faults[: targets.MOST_FAULTS - len(faults)]:
            faults[fault.resource] = (fault.reason, fault.action, fault.sentence)
        under_way = UnderWay(
            key=todo.key,
            began=todo.began,
            resume=page.resume,
            calls=sum(line.operations.values()),
            counted=line.counted,
            faults=faults,
        )
        self._set(what, msgspec.structs.replace(self._state(what), under_way=under_way))

    def _answered(self, todo: Todo) -> None:
        what = todo.question.what
        state = self._state(what)
        line = self.run.of(todo)
        now = self.parts.clock.now()
        line.ended, line.outcome = now, "partial" if line.faults else "complete"
        under_way = state.under_way or UnderWay(key=todo.key, began=todo.began)
        under_way = msgspec.structs.replace(under_way, items=line.records - line.unmatched)
        done = msgspec.structs.replace(state, under_way=under_way)
        self._set(what, targets.answered(todo, done, now))
        self._settle_gaps(todo, targets.failed_since(todo, state), under_way.faults, now)

    def _settle_gaps(
        self, todo: Todo, since: Instant, faults: targets.Faults, now: Instant
    ) -> None:
        """After an answer: what is missing of it is a gap, and of all else the gap is over.

        What is missing may be all about one match key, as a rule that is not there: that is a gap
        of its own.
        """
        keys = todo.duty.match_keys if not todo.question.scheduled else frozenset()
        others = [trouble for name, trouble in faults.items() if name not in keys]
        missing = {name: trouble for name, trouble in faults.items() if name in keys}
        if others:
            missing[todo.question.what] = others[0]
        for name, trouble in missing.items():
            self._begin(name, since, Trouble(*trouble))
        for name in [n for n in self.opened if n == todo.question.what or n in keys]:
            if name not in missing:
                self._close(name, todo, now)

    def _fail(self, todo: Todo, error: NotCollected) -> Trouble | None:
        """Note a question that was refused; the trouble, where all others would meet it too."""
        trouble = trouble_of(error)
        self._failed(todo, trouble)
        whole = isinstance(error, (Gone, RegionOff, Expired))
        return trouble if whole or trouble.detail == "sts:AssumeRole" else None

    def _failed(self, todo: Todo, trouble: Trouble) -> None:
        what = todo.question.what
        state = self._state(what)
        line = self.run.of(todo)
        now = self.parts.clock.now()
        line.ended, line.outcome, line.message = now, trouble.reason, trouble.message
        again = Instant(targets.round_of(now, self.parts.every) + self.parts.every)
        self._begin(what, targets.failed_since(todo, state), trouble)
        self._set(what, targets.not_answered(state, trouble, again))

    def _fail_all(self, left: list[Todo], trouble: Trouble) -> None:
        for todo in left:
            self._failed(todo, trouble)

    def leave(self, trouble: Trouble) -> None:
        """Ask nothing more: all that is due is not answered, by one trouble."""
        self._fail_all(self.todo, trouble)

    # --- gaps ---------------------------------------------------------------------------------

    def _note_missed(self, todo: Todo) -> None:
        what = todo.question.what
        missed = targets.missed(todo, self._state(what), self.parts.every)
        if missed is not None:
            self._begin(what, missed.opens_at, missed.trouble)

    def _begin(self, what: str, opens_at: Instant, trouble: Trouble) -> None:
        if what in self.opened:
            return
        now = self.parts.clock.now()
        missed = targets.Missed(opens_at, trouble)
        self.opened[what] = gap = gaps.planned(
            self.tenant, self.place, what, missed, now, self.run.id
        )

        def note(tx: Tx) -> None:
            gaps.begin(tx, gap)
            self.parts.told(tx, gap, True)

        self._ledger.append(note)

    def _close(self, what: str, todo: Todo, now: Instant) -> None:
        gap = self.opened.pop(what, None)
        if gap is None:
            return
        ended = targets.ended(todo, gap.opens_at, now)

        def note(tx: Tx) -> None:
            gaps.close(tx, gap, ended)
            self.parts.told(tx, gap, False)

        self._ledger.append(note)

    # --- keeping ------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Keep what waits, with the state of its questions, in one transaction."""
        if not (self._waiting or self._ledger or self._changed):
            return
        self._keep_run()

    def _keep_run(self) -> None:
        """The same, and the run's notes, also where nothing waits."""
        now = self.parts.clock.now()
        self.parts.make_ready(self.tenant, now)
        with self.parts.db.write(self.tenant) as tx:
            tx.lock_tenant()
            self._keep(tx, now)
            pulls.keep(tx, self.run)

    def _keep(self, tx: Tx, now: Instant) -> None:
        """The same, in a transaction that holds the tenant's lock."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        ledger, self._ledger = self._ledger, []
        self._require_left(tx)
        for part in waiting:
            self._append(tx, part, now)
        changed = {what: self.states[what] for what in sorted(self._changed)}
        self._changed.clear()
        targets.save(tx, self.place, changed)
        for note in ledger:
            note(tx)
        self._left |= {what: targets.standing(state) for what, state in changed.items()}

    def _require_left(self, tx: Tx) -> None:
        """Overtaken unless each question that goes on is as this run left it."""
        found = targets.standings(tx, self.place)
        if any(found.get(what) != self._left.get(what) for what in self._changed):
            raise Overtaken(
                f"Another run went on asking {'/'.join(_named(self.place))} meanwhile; what is "
                "still due there is looked for again."
            )

    def _append(self, tx: Tx, part: _Part, now: Instant) -> None:
        result = append(
            tx,
            self.parts.lake,
            unit=part.unit,
            klass=FACTS,
            observations=part.observations,
            provenance=self.run.provenance(self.place),
            now=now,
        )
        part.line.kept(result, part.observations)

    def put_off(self, error: NotCollected) -> None:
        """Keep what there is, and why it goes on later."""
        trouble = trouble_of(error)
        self.run.trouble = (trouble.reason, trouble.detail, trouble.message)
        self._keep_run()

    def conclude(self, outcome: str) -> None:
        """Keep what still waits, and make the run a fact, in one transaction."""
        now = self.parts.clock.now()
        failed = [one for one in self.run.asked if one.outcome not in ("complete", "")]
        told = "partial" if failed and outcome == "completed" else outcome
        self.parts.make_ready(self.tenant, now)
        with self.parts.db.write(self.tenant) as tx:
            tx.lock_tenant()
            self._keep(tx, now)
            record = self.run.observation(
                self.tenant, self.place, outcome=told, ended=now, cut_key=self._cut_key
            )
            append(
                tx,
                self.parts.lake,
                unit=self.run.unit,
                klass=FACTS,
                observations=[record],
                provenance=self.run.provenance(self.place),
                now=now,
            )
            pulls.forget(tx, self.run)
        for one in islice(failed, 3):
            _LOG.warning("%s: %s", "/".join((*_named(self.place), one.what)), one.message)


def trouble_of(error: NotCollected) -> Trouble:
    """Why something was not collected, as coverage and gaps tell it."""
    detail = ""
    if isinstance(error, Denied):
        detail = error.action
    elif isinstance(error, SwitchedOff):
        detail = error.feature
    return Trouble(str(getattr(error, "reason", "refused")), detail, str(error))


def job_key(place: Place, when: str) -> str:
    """The key of the job that asks a place, for a slot's day or a round."""
    return "/".join((place.account, place.region, SHORT[place.source], when))


def _named(place: Place) -> tuple[str, str, str]:
    return place.account, place.region, place.source


SHORT: Mapping[SourceType, str] = {
    "AWS_API_Call": "api",
    "AWS_Config": "config",
    "AWS_Security_Hub": "securityhub",
    "AWS_Cloudtrail": "cloudtrail",
}
"""How sources are called in the keys of jobs, and on the command line."""

_SOURCES: Mapping[str, SourceType] = {short: source for source, short in SHORT.items()}
