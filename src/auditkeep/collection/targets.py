"""Targets: one question to one source of one account and region, and what became of it.

    state                  answered to the end            not answered
    never asked            done; nothing was missed       failing; a gap opens
    done                   done                           failing; a gap opens
    failing                done; its gap closes           failing; the gap stays

What passes without anybody asking is a gap too, found when it is asked again (`missed`). A gap of
slots begins with the first slot that was not asked for, any other when the last answer was had. It
is *filled* where the source told afterwards all that was missed: the slot was made late but made,
or events were read from the source's own history.

An answer of several pages is *under way* between them: the state of its target is written with each
page that is kept, in the same transaction, so that whoever takes over goes on behind it. The rules
are pure; `load` and `save` are the queries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row

from auditkeep.clock import Day, Instant, day_of
from auditkeep.collection.plan import TRAIL, Duty, Question
from auditkeep.db.schema import collection_targets
from auditkeep.db.tx import Tx
from auditkeep.evidence import slots
from auditkeep.observations import SourceType

NOT_RUNNING = "not-running"
"""Nobody asked: the server was down, or too busy."""
REGION_OFF = "region-off"
"""The account has not switched the region on: nothing is due there, and nobody asks."""

STATES: frozenset[SourceType] = frozenset({"AWS_Config", "AWS_Security_Hub"})
"""Sources that say how things are, and not only what happens: there is a first look at them."""

LATE_ROUNDS = 2
"""Rounds that may pass between two answers before that is a gap."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of whom a source is asked."""

    account: str
    region: str
    source: SourceType

    @property
    def name(self) -> str:
        return f"{self.account}/{self.region}/{self.source}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something was not collected: see `sources.pull.Reason`, and what is missing."""

    reason: str
    detail: str
    message: str


Faults = dict[str, tuple[str, str, str]]
"""What of an answer is missing and why (a `Trouble`'s members), by match key or resource."""

MOST_FAULTS = 1_000
"""Faults of one question that are kept one by one."""


class UnderWay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer whose first pages are kept: `key` names the question, put at `began`."""

    key: str
    began: Instant
    resume: str | None = None
    items: int = 0
    calls: int = 0
    counted: int | None = None
    faults: Faults = {}


class PutOff(msgspec.Struct, frozen=True):
    """A question that is tried again soon: by what trouble, and when that was met last."""

    reason: str
    detail: str
    message: str
    at: Instant


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one question; see the columns of `collection_targets`."""

    slot: Day | None = None
    since: Instant | None = None
    looked_at: Instant | None = None
    done_at: Instant | None = None
    items: int = 0
    calls: int = 0
    counted: int | None = None
    reason: str = ""
    detail: str = ""
    message: str = ""
    faults: Faults = {}
    tries: int = 0
    again_at: Instant | None = None
    under_way: UnderWay | None = None
    put_off: PutOff | None = None


NEVER_ASKED = Target()


@dataclass(frozen=True, slots=True)
class Todo:
    """One question to put now: for a slot, or for a round; `at` makes it a look at the state."""

    duty: Duty
    key: str
    began: Instant
    slot: Day | None = None
    since: Instant | None = None
    at: Instant | None = None

    @property
    def question(self) -> Question:
        return self.duty.question


def round_of(now: Instant, every: int) -> Instant:
    """The beginning of the round that an instant lies in: rounds are counted from midnight."""
    start = slots.start(day_of(now))
    return Instant(start + (now - start) // every * every)


def to_ask(duty: Duty, target: Target, now: Instant, every: int) -> list[Todo]:
    """What to ask of a target now; `every` is how long a round of what has no slot is."""
    if duty.question == TRAIL:
        return []
    if target.again_at is not None and target.again_at > now:
        return []
    under_way = target.under_way
    if duty.question.scheduled:
        due = duty.slots_due(target.slot, day_of(now))
        named = ((f"slot:{day}", day) for day in due)
        return [Todo(duty, key, _began(under_way, key, now), day) for key, day in named]
    if under_way is not None:
        return [_again(duty, target, under_way)]
    if duty.opens_at > now:
        return []
    if target.done_at is not None and target.done_at >= round_of(now, every):
        return []
    return [_round(duty, target, now)]


def _began(under_way: UnderWay | None, key: str, now: Instant) -> Instant:
    return under_way.began if under_way is not None and under_way.key == key else now


def _round(duty: Duty, target: Target, began: Instant) -> Todo:
    """A new round: a look at the whole state if a lens opened since the last one."""
    if duty.question.source in STATES:
        looked = target.looked_at
        if looked is None or looked < duty.newest <= began:
            return Todo(duty, f"look:{began}", began, at=began)
        return Todo(duty, f"round:{began}", began, since=target.since)
    return Todo(duty, f"round:{began}", began, since=target.since or duty.opens_at)


def _again(duty: Duty, target: Target, under_way: UnderWay) -> Todo:
    """The question whose answer is under way, put as it was."""
    began = under_way.began
    if under_way.key.startswith("look:"):
        return Todo(duty, under_way.key, began, at=began)
    since = target.since
    if duty.question.source not in STATES:
        since = since or duty.opens_at
    return Todo(duty, under_way.key, began, since=since)


@dataclass(frozen=True, slots=True)
class Missed:
    """A time in which something due was not collected, as an answer shows it."""

    opens_at: Instant
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Ended:
    """How a gap closes: when, and whether what was missed was had all the same."""

    closes_at: Instant
    filled: bool


def missed(todo: Todo, target: Target, every: int) -> Missed | None:
    """What passed unasked before a question is put, if anything did."""
    never = Trouble(NOT_RUNNING, "", "Nobody asked in this time.")
    if todo.slot is not None:
        first = todo.duty.first_missed(target.slot, todo.slot)
        return None if first is None else Missed(slots.start(first), never)
    if target.done_at is None:
        return None
    last = max(target.done_at, todo.duty.off_until)
    if todo.began - last <= LATE_ROUNDS * every:
        return None
    return Missed(last, never)


def failed_since(todo: Todo, target: Target) -> Instant:
    """From when on something is missing, if a question is not answered."""
    if todo.slot is not None:
        first = todo.duty.first_missed(target.slot, todo.slot)
        return slots.start(todo.slot if first is None else first)
    return max(target.done_at or todo.duty.opens_at, todo.duty.off_until)


def ended(todo: Todo, opened: Instant, now: Instant) -> Ended:
    """How a gap that opened at `opened` closes when a question is answered."""
    if todo.slot is not None:
        due = slots.start(todo.slot)
        return Ended(now, filled=True) if due <= opened else Ended(due, filled=False)
    return Ended(now, filled=todo.question.source not in STATES)


def answered(todo: Todo, target: Target, now: Instant) -> Target:
    """A question was answered to the end; its `under_way` holds what came of it.

    A look tells what holds at its moment, not when that came about: the round after it goes back
    to where the round before it began.
    """
    done = target.under_way or UnderWay(key=todo.key, began=todo.began)
    fault = next(iter(done.faults.values()), ("", "", ""))
    looked = todo.began if todo.at is not None else target.looked_at
    slot = target.slot if todo.slot is None else max(todo.slot, target.slot or todo.slot)
    return Target(
        slot=slot,
        since=_next_since(todo, target),
        looked_at=looked,
        done_at=now,
        items=done.items,
        calls=done.calls,
        counted=done.counted,
        reason=fault[0],
        detail=fault[1],
        message=fault[2],
        faults=done.faults,
    )


def _next_since(todo: Todo, target: Target) -> Instant | None:
    if todo.slot is not None:
        return None
    return todo.began if todo.at is None else target.since or todo.duty.opens_at


def not_answered(target: Target, trouble: Trouble, again_at: Instant) -> Target:
    """A question was not answered; what is kept of its answer is gone on with later."""
    return msgspec.structs.replace(
        target,
        reason=trouble.reason,
        detail=trouble.detail,
        message=trouble.message,
        tries=target.tries + 1,
        again_at=again_at,
        put_off=None,
    )


# --- queries ----------------------------------------------------------------------------------


def load(tx: Tx, place: Place) -> dict[str, Target]:
    """The targets of one place that were asked before, by what was asked."""
    t = collection_targets.c
    rows = tx.all(
        tx.select(collection_targets).where(
            t.origin_account == place.account,
            t.origin_region == place.region,
            t.source == place.source,
        )
    )
    return {row.what: _target(row) for row in rows}


def every(tx: Tx) -> dict[tuple[Place, str], Target]:
    """All targets of a tenant."""
    return {
        (Place(row.origin_account, row.origin_region, row.source), row.what): _target(row)
        for row in tx.stream(tx.select(collection_targets))
    }


def again(tx: Tx, now: Instant) -> set[Place]:
    """Where something is worth asking again by now."""
    t = collection_targets.c
    rows = tx.all(
        tx.select(t.origin_account, t.origin_region, t.source).where(t.again_at <= now).distinct()
    )
    return {Place(r.origin_account, r.origin_region, r.source) for r in rows}


Standing = tuple[Day | None, Instant | None, int, str | None]
"""How far a question is: what changes with every page, answer and failure."""


def standing(state: Target) -> Standing:
    return state.slot, state.done_at, state.tries, _written(state.under_way)


def standings(tx: Tx, place: Place) -> dict[str, Standing]:
    """How far the questions of one place are, by what was asked."""
    t = collection_targets.c
    query = tx.select(t.what, t.slot, t.done_at, t.tries, t.under_way).where(
        t.origin_account == place.account,
        t.origin_region == place.region,
        t.source == place.source,
    )
    return {r.what: (r.slot, r.done_at, r.tries, r.under_way) for r in tx.all(query)}


def save(tx: Tx, place: Place, states: Mapping[str, Target]) -> None:
    rows = [
        {
            "origin_account": place.account,
            "origin_region": place.region,
            "source": place.source,
            "what": what,
            **_columns(state),
        }
        for what, state in states.items()
    ]
    tx.upsert(collection_targets, rows, replace=list(Target.__struct_fields__))


def _columns(state: Target) -> dict[str, Any]:
    row = msgspec.structs.asdict(state)
    row["under_way"] = _written(state.under_way)
    row["put_off"] = msgspec.json.encode(state.put_off).decode() if state.put_off else None
    row["faults"] = msgspec.json.encode(state.faults).decode() if state.faults else None
    return row


def _written(under_way: UnderWay | None) -> str | None:
    return None if under_way is None else msgspec.json.encode(under_way).decode()


def _target(row: Row[Any]) -> Target:
    values = {name: getattr(row, name) for name in Target.__struct_fields__}
    if row.under_way is not None:
        values["under_way"] = msgspec.json.decode(row.under_way, type=UnderWay)
    if row.put_off is not None:
        values["put_off"] = msgspec.json.decode(row.put_off, type=PutOff)
    values["faults"] = msgspec.json.decode(row.faults, type=Faults) if row.faults else {}
    return Target(**values)
