"""The questions of one place while a run asks them: how each stands, and the gaps it has or had.

What changes is held here and written with the pages that a run keeps, in one transaction: `save`.
Whoever writes finds each question as it was left (`require_left`), so that of two runs which ask
the same, because one fell silent for too long, only one keeps anything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from auditkeep.clock import Instant
from auditkeep.collection import gaps, targets
from auditkeep.collection.gaps import Gap
from auditkeep.collection.pulls import Asked
from auditkeep.collection.targets import Missed, Place, PutOff, Target, Todo, Trouble, UnderWay
from auditkeep.db.tx import Tx
from auditkeep.errors import Overtaken
from auditkeep.evidence import slots
from auditkeep.ids import Tenant
from auditkeep.sources.pull import Page

CONTRADICTED = "contradicted"


@dataclass(slots=True)
class Questions:
    """`states` and `opened` are as the run found them; `every` is how long a round is; `told` hears
    of each gap that opens (True) or closes, in the transaction that notes it.
    """

    tenant: Tenant
    place: Place
    run_id: str
    every: int
    states: dict[str, Target]
    opened: dict[str, Gap]
    told: Callable[[Tx, Gap, bool], None]
    _left: dict[str, targets.Standing] = field(init=False)
    _changed: set[str] = field(default_factory=set)
    _ledger: list[Callable[[Tx], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = {what: targets.standing(state) for what, state in self.states.items()}

    def resume(self, todo: Todo) -> str | None:
        """Behind which page a question goes on; None: it begins."""
        under_way = self._state(todo).under_way
        return None if under_way is None or under_way.key != todo.key else under_way.resume

    # --- what becomes of a question -----------------------------------------------------------

    def put(self, todo: Todo, now: Instant) -> None:
        """A question is put: what passed unasked before is a gap."""
        missed = targets.missed(todo, self._state(todo), self.every)
        if missed is not None:
            self._begin(todo.question.what, missed, now)

    def went_on(self, todo: Todo, page: Page, line: Asked) -> None:
        """A page of its answer came."""
        state = self._state(todo)
        before = state.under_way
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
        self._set(todo, msgspec.structs.replace(state, under_way=under_way, put_off=None))

    def put_off(self, todo: Todo, trouble: Trouble, now: Instant) -> None:
        """It was not answered yet, and is tried again soon."""
        why = PutOff(trouble.reason, trouble.detail, trouble.message, now)
        self._set(todo, msgspec.structs.replace(self._state(todo), put_off=why))

    def answered(self, todo: Todo, line: Asked, now: Instant) -> None:
        """It was answered to the end."""
        state = self._state(todo)
        line.ended, line.outcome = now, "partial" if line.faults else "complete"
        under_way = state.under_way or UnderWay(key=todo.key, began=todo.began)
        under_way = msgspec.structs.replace(under_way, items=line.records - line.unmatched)
        done = msgspec.structs.replace(state, under_way=under_way)
        self._set(todo, targets.answered(todo, done, now))
        self._settle(todo, targets.failed_since(todo, state), under_way.faults, now)

    def failed(self, todo: Todo, line: Asked, trouble: Trouble, now: Instant) -> None:
        """It was not answered; it is worth asking again with the next round."""
        state = self._state(todo)
        line.ended, line.outcome, line.message = now, trouble.reason, trouble.message
        again = Instant(targets.round_of(now, self.every) + self.every)
        self._begin(todo.question.what, Missed(targets.failed_since(todo, state), trouble), now)
        self._set(todo, targets.not_answered(state, trouble, again))

    def contradicted(self, line: Asked, often: int, now: Instant) -> None:
        """Some of what it was answered says otherwise of a resource than what is kept already.

        Of an API call that is a fault: for one occasion, a resource is told of once. Other sources
        tell one fact in several ways, and again when it has changed.
        """
        if self.place.source != "AWS_API_Call":
            return
        said = (
            f"{often} of the resources it answered with are called like others that were kept, "
            "and say otherwise: only the first of each name is evidence."
        )
        fault = (CONTRADICTED, "", said)
        line.faults.append((line.what, CONTRADICTED, said))
        state = self.states[line.what]
        going_on = state.under_way
        if going_on is not None:
            faults = {**going_on.faults, line.what: fault}
            state = msgspec.structs.replace(
                state, under_way=msgspec.structs.replace(going_on, faults=faults)
            )
        else:
            line.outcome, line.message = "partial", said
            first = (state.reason, state.detail, state.message) if state.reason else fault
            state = msgspec.structs.replace(
                state,
                reason=first[0],
                detail=first[1],
                message=first[2],
                faults={**state.faults, line.what: fault},
            )
        self.states[line.what] = state
        self._changed.add(line.what)
        since = line.began if line.slot is None else slots.start(line.slot)
        self._begin(line.what, Missed(since, Trouble(*fault)), now)

    def _state(self, todo: Todo) -> Target:
        return self.states.get(todo.question.what, targets.NEVER_ASKED)

    def _set(self, todo: Todo, state: Target) -> None:
        self.states[todo.question.what] = state
        self._changed.add(todo.question.what)

    # --- gaps ---------------------------------------------------------------------------------

    def _settle(self, todo: Todo, since: Instant, faults: targets.Faults, now: Instant) -> None:
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
            self._begin(name, Missed(since, Trouble(*trouble)), now)
        for name in [n for n in self.opened if n == todo.question.what or n in keys]:
            if name not in missing:
                self._close(name, todo, now)

    def _begin(self, what: str, missed: Missed, now: Instant) -> None:
        if what in self.opened:
            return
        gap = gaps.planned(self.tenant, self.place, what, missed, now, self.run_id)
        self.opened[what] = gap

        def note(tx: Tx) -> None:
            gaps.begin(tx, gap)
            self.told(tx, gap, True)

        self._ledger.append(note)

    def _close(self, what: str, todo: Todo, now: Instant) -> None:
        gap = self.opened.pop(what)
        ended = targets.ended(todo, gap.opens_at, now)

        def note(tx: Tx) -> None:
            gaps.close(tx, gap, ended)
            self.told(tx, gap, False)

        self._ledger.append(note)

    # --- keeping ------------------------------------------------------------------------------

    def require_left(self, tx: Tx) -> None:
        """Overtaken unless each question that goes on is as this run left it."""
        found = targets.standings(tx, self.place)
        if any(found.get(what) != self._left.get(what) for what in self._changed):
            raise Overtaken(
                f"Another run went on asking {self.place.name} meanwhile; what is still due there "
                "is looked for again."
            )

    def save(self, tx: Tx) -> None:
        """Write what has changed since it was written last."""
        changed = {what: self.states[what] for what in sorted(self._changed)}
        ledger, self._ledger = self._ledger, []
        self._changed.clear()
        targets.save(tx, self.place, changed)
        for note in ledger:
            note(tx)
        self._left |= {what: targets.standing(state) for what, state in changed.items()}
