"""Coverage: for every control, what should arrive, what did, when last, and why not.

Pure over a plan, the state of its targets and the newest evidence of each match key. A control is

    by-hand         it has no source that could be asked
    nobody-asks     this deployment asks nobody, no lens of it is open, or all it looks at is off
    collecting      every question it needs was answered, lately enough
    partly          some were
    waiting         nothing was asked yet that is due, and nothing has failed
    silent          none was

Lately enough is the latest slot that is due or, of what has none, within two rounds. In a region
that an account has not switched on nothing is due; it is told with what does not arrive, by the
reason `region-off`, and does not count as a question. A keyword that no list knows is told with its
control: it will probably never bring anything. What is tried again soon is told by the trouble that
it met; an account that throttles is left alone in all it is asked, so that all of it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from auditkeep.clock import MINUTE, Instant, day_of
from auditkeep.collection.plan import TRAIL, Duty, Plan, Reason, question_of
from auditkeep.collection.targets import (
    LATE_ROUNDS,
    NEVER_ASKED,
    NOT_RUNNING,
    REGION_OFF,
    Place,
    PutOff,
    Target,
)
from auditkeep.evidence import slots
from auditkeep.frameworks import warnings
from auditkeep.mapping import config, keywords

State = Literal["by-hand", "nobody-asks", "waiting", "collecting", "partly", "silent"]

NOBODY_ASKS = "nobody-asks"
NOT_YET = "not-yet"
THROTTLED = "throttled"
OFF = (
    REGION_OFF,
    "region",
    "The account has not switched this region on, so nobody is asked there.",
)
_SHOWN = 3
PUT_OFF_FOR = 15 * MINUTE
"""How long a trouble stands for why nothing came: longer than any wait before the next try."""

Why = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that does not arrive: why, what is missing for it, and where (the first places)."""

    reason: str
    detail: str
    message: str
    what: str
    places: tuple[Place, ...]
    count: int
    """In how many places."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A keyword that no list knows, and at most three that are close to it."""

    source: str
    keyword: str
    suggestions: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """One control's: `expected` and `answered` count questions, by account and region."""

    reason: Reason
    name: str
    state: State
    expected: int
    answered: int
    last_answer: Instant | None
    last_evidence: Instant | None
    lacks: tuple[Lack, ...]
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class Looking:
    """A control as coverage needs it: `sources` are types and keywords of its mapping sources."""

    reason: Reason
    name: str
    match_keys: frozenset[str]
    sources: tuple[tuple[str, str | None], ...]


_Lacks = dict[tuple[str, str, str, str], list[Place]]


@dataclass(slots=True)
class _Tally:
    expected: int = 0
    answered: int = 0
    last: Instant | None = None
    lacks: _Lacks = field(default_factory=dict)
    off: _Lacks = field(default_factory=dict)
    """What is not due, because its region is off."""


def of(
    controls: Iterable[Looking],
    plan: Plan,
    known: Mapping[tuple[Place, str], Target],
    newest: Mapping[str, Instant],
    now: Instant,
    *,
    asks: bool,
    every: int,
) -> list[Coverage]:
    """The coverage of some controls.

    `newest` is the last event time of each match key; `asks` whether this deployment asks anybody;
    `every` how long a round is.
    """
    wanted = list(controls)
    tallies = {one.reason: _Tally() for one in wanted}
    keys = {one.reason: one.match_keys for one in wanted}
    states = States.of(known)
    for account, region, duty in plan.questions():
        place = Place(account, region, duty.question.source)
        state = states.at(place, duty.question.what)
        whole = missing(duty, state, now, every, asks=asks)
        for reason in duty.reasons & tallies.keys():
            tally = tallies[reason]
            lacking = [*whole, *missing_of(duty, state, keys[reason])]
            for what, why in lacking:
                tally.lacks.setdefault((*why, what), []).append(place)
            tally.expected += 1
            tally.answered += not lacking
            if state.done_at is not None:
                tally.last = max(tally.last or state.done_at, state.done_at)
    for account, region, duty in plan.not_asked() if asks else ():
        place = Place(account, region, duty.question.source)
        for reason in duty.reasons & tallies.keys():
            tallies[reason].off.setdefault((*OFF, duty.question.what), []).append(place)
    return [_coverage(one, tallies[one.reason], newest, asks=asks) for one in wanted]


@dataclass(frozen=True, slots=True)
class States:
    """The targets of a tenant, and which accounts are left alone because they throttled."""

    known: Mapping[tuple[Place, str], Target]
    aside: Mapping[str, PutOff]

    @classmethod
    def of(cls, known: Mapping[tuple[Place, str], Target]) -> "States":
        aside: dict[str, PutOff] = {}
        for (place, _), state in known.items():
            why = state.put_off
            if why is not None and why.reason == THROTTLED:
                before = aside.get(place.account, why)
                aside[place.account] = max(why, before, key=lambda w: w.at)
        return cls(known, aside)

    def at(self, place: Place, what: str) -> Target:
        state = self.known.get((place, what), NEVER_ASKED)
        why = self.aside.get(place.account)
        if state.put_off is not None or why is None or what == TRAIL.what:
            return state
        return msgspec.structs.replace(state, put_off=why)


def missing(
    duty: Duty, state: Target, now: Instant, every: int, *, asks: bool
) -> list[tuple[str, Why]]:
    """Why a question as a whole is not answered; nothing where it is."""
    what = duty.question.what
    if not asks:
        said = "Nobody is asked: this deployment collects nothing from AWS by itself."
        return [(what, (NOBODY_ASKS, "", said))]
    waiting, late = _lateness(duty, state, now, LATE_ROUNDS * every)
    aside = state.put_off
    lacking = late or state.tries or (waiting and _is_due(duty, state, now))
    if aside is not None and now - aside.at <= PUT_OFF_FOR and lacking:
        return [(what, (aside.reason, aside.detail, aside.message))]
    if state.tries:
        return [(what, (state.reason, state.detail, state.message))]
    if late:
        return [(what, (NOT_RUNNING, "", "Nobody has asked lately."))]
    if waiting:
        return [(what, (NOT_YET, "", "It is asked for the first time when it is due."))]
    faults = [why for name, why in state.faults.items() if name not in duty.match_keys]
    return [(what, faults[0])] if faults else []


def _is_due(duty: Duty, state: Target, now: Instant) -> bool:
    """Whether a question would be put now, if its account were not left alone."""
    if duty.question.scheduled:
        return bool(duty.slots_due(state.slot, day_of(now)))
    return duty.opens_at <= now


def _lateness(duty: Duty, state: Target, now: Instant, slack: int) -> tuple[bool, bool]:
    """Whether a question still waits for its first turn, and whether its turn has passed."""
    if duty.question.scheduled:
        due = duty.slots_due(state.slot, day_of(now))
        late = bool(due) and now - slots.start(due[0]) > slack
        return state.slot is None and not late, late
    since = duty.opens_at if state.done_at is None else max(state.done_at, duty.off_until)
    late = now - since > slack
    return state.done_at is None and not late, late


def missing_of(duty: Duty, state: Target, keys: frozenset[str]) -> Iterator[tuple[str, Why]]:
    """What of an answer is missing for a control's own match keys."""
    if not state.faults:
        return
    needed = keys - config.spare(keys)
    for name, why in state.faults.items():
        if name in needed and name in duty.match_keys:
            yield name, why


def _coverage(
    one: Looking, tally: _Tally, newest: Mapping[str, Instant], *, asks: bool
) -> Coverage:
    lacks = tuple(
        Lack(reason, detail, message, what, tuple(places[:_SHOWN]), len(places))
        for some in (tally.lacks, tally.off)
        for (reason, detail, message, what), places in sorted(some.items())
    )
    return Coverage(
        reason=one.reason,
        name=one.name,
        state=_state(one, tally, asks=asks),
        expected=tally.expected,
        answered=tally.answered,
        last_answer=tally.last,
        last_evidence=max((newest[k] for k in one.match_keys if k in newest), default=None),
        lacks=lacks,
        doubts=tuple(doubts(one.sources)),
    )


def _state(one: Looking, tally: _Tally, *, asks: bool) -> State:
    if not any(question_of(k) for k in one.match_keys):
        return "by-hand"
    if not asks or tally.expected == 0:
        return "nobody-asks"
    if tally.answered == tally.expected:
        return "collecting"
    if {reason for reason, *_ in tally.lacks} == {NOT_YET}:
        return "waiting"
    return "partly" if tally.answered else "silent"


def doubts(sources: Iterable[tuple[str, str | None]]) -> Iterator[Doubt]:
    """The keywords that no list knows, or that name what is never asked for or no evidence."""
    for source, word in sources:
        if word is None or not warnings.is_doubtful(source, word):
            continue
        near = () if keywords.is_listed(source, word) else tuple(keywords.suggest(source, word))
        why = warnings.reason(source, word) or f"No list of {source} knows '{word}'."
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        yield Doubt(source, word, near, why + meant)
