"""How complete the evidence of an assessment is: the statement that its reports make.

For each control, account, region and source: what was due from the opening of its lens on, what
was answered, what arrived, and what is known of the rest: the lines of the gap ledger that touch
the time in which it looked, what is lacking at this moment, and keywords that no list knows. It is
read in the report's own snapshot. docs/formats.md, "Statement of completeness", says what each
number is.

What arrived is counted from roll-ups, and observation by observation where a lens opened or closed
within a day, so that the numbers are those of the evidence itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from auditkeep.assessments import store
from auditkeep.assessments.model import AssessedControl, Assessment
from auditkeep.clock import DAY, MINUTE, Day, Instant, day_of, day_start, iso
from auditkeep.collection import coverage, gaps
from auditkeep.collection.coverage import NOT_YET, Coverage, Why
from auditkeep.collection.gaps import Gap
from auditkeep.collection.knowing import known, looking
from auditkeep.collection.looks import Plans
from auditkeep.collection.plan import Duty, Plan, Question, question_of
from auditkeep.collection.targets import NEVER_ASKED, NOT_RUNNING, Place, Target
from auditkeep.collection.touching import Touching, duties, left_out, looks
from auditkeep.db.tx import Tx
from auditkeep.evidence import lens, slots
from auditkeep.evidence.ids import is_pinned
from auditkeep.evidence.lens import Interval, Lens
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Rollup, View
from auditkeep.lake.read import headers, rollups
from auditkeep.verify.statement import ControlLine, DoubtLine, GapLine, PlaceLine, State, Stated

MOST_PLACES = 100_000
"""Lines of places that are all listed; of more, only those at which something is missing."""


def of_assessment(tx: Tx, lake: Lake, plans: Plans, assessment: Assessment, now: Instant) -> Stated:
    """How complete an assessment's evidence is."""
    asks, every = plans.settings.collects, plans.settings.collect_every
    controls = [c for c in store.controls(tx, assessment.id) if not c.removed]
    ordinals = [c.ordinal for c in controls]
    lenses = lens.load(tx, assessment.id, ordinals, assessment.frozen_at_batch)
    first, last = _time(lenses, assessment, now)
    plan, states = plans.of(tx, now), known(tx, now)
    mine = looking(tx, assessment.id)
    covered = coverage.of(mine, plan, states, {}, now, asks=asks, every=every)
    work = _Work(
        controls={c.ordinal: c for c in controls},
        lenses={one.ordinal: one for one in lenses},
        now=plan,
        ever=plans.ever(tx, looks(lenses, now)),
        known=states,
        covered={int(one.reason.control): one for one in covered},
        asks=asks,
        every=every,
        at=now,
    )
    work.place_all()
    work.arrived(tx, lake, first)
    work.ledger(gaps.listed(tx, since=first, until=now))
    return work.told(first, last, assessment.created_at)


def _time(lenses: Sequence[Lens], assessment: Assessment, now: Instant) -> tuple[Instant, Instant]:
    """From the first opening of a lens to now, or to when the last one closed."""
    timed = [i for one in lenses for i in one.intervals if not i.pinned]
    first = min((i.opens_at for i in timed), default=assessment.created_at)
    last = max((min(i.closes_at, now) for i in timed), default=now)
    return min(first, now), max(last, first) if timed else now


_Key = tuple[int, str, str, str]
"""A control's ordinal, and the account, region and source."""


@dataclass(slots=True)
class _At:
    """A control at one place, while it is gathered."""

    expected: int = 0
    answered: int = 0
    ended: bool = True
    last_answer: Instant | None = None
    lacks: list[tuple[str, str, str, str]] = field(default_factory=list)
    due: set[Day] = field(default_factory=set)
    items: int = 0
    days: set[Day] = field(default_factory=set)
    last_evidence: Instant | None = None
    off: bool = False

    def answer(self, at: Instant | None) -> None:
        if at is not None:
            self.last_answer = at if self.last_answer is None else max(self.last_answer, at)

    def take(self, items: int, day: Day, last: Instant) -> None:
        self.items += items
        self.days.add(day)
        self.last_evidence = last if self.last_evidence is None else max(self.last_evidence, last)


@dataclass
class _Work:
    """One statement under way."""

    controls: Mapping[int, AssessedControl]
    lenses: Mapping[int, Lens]
    now: Plan
    ever: Plan
    known: Mapping[tuple[Place, str], Target]
    covered: Mapping[int, Coverage]
    asks: bool
    every: int
    at: Instant
    _places: dict[_Key, _At] = field(default_factory=dict)
    _gaps: list[GapLine] = field(default_factory=list)
    _touched: dict[int, int] = field(default_factory=dict)

    # --- what was due ---------------------------------------------------------------------------

    def place_all(self) -> None:
        """Everything that is asked for now, and what was asked for until its interval closed."""
        open_now: set[tuple[Place, Question, int]] = set()
        states = coverage.States.of(self.known)
        for place, duty, ordinals in duties(self.now, self.lenses):
            for ordinal in ordinals:
                open_now.add((place, duty.question, ordinal))
                state = states.at(place, duty.question.what)
                why = coverage.missing(duty, state, self.at, self.every, asks=self.asks)
                keys = self.lenses[ordinal].match_keys
                self._question(
                    place, ordinal, state, [*why, *coverage.missing_of(duty, state, keys)]
                ).ended = False
        for place, duty, ordinals in duties(self.ever, self.lenses):
            for ordinal in ordinals:
                if (place, duty.question, ordinal) not in open_now:
                    state = self.known.get((place, duty.question.what), NEVER_ASKED)
                    self._question(place, ordinal, state, _never(duty.question.what, state))
                self._slots(place, duty, ordinal)
        for place, _, ordinals in left_out(self.now, self.lenses) if self.asks else ():
            for ordinal in ordinals:
                self._of(ordinal, place.account, place.region, place.source).off = True

    def _question(
        self, place: Place, ordinal: int, state: Target, lacking: list[tuple[str, Why]]
    ) -> _At:
        one = self._of(ordinal, place.account, place.region, place.source)
        one.expected += 1
        one.answered += not lacking
        one.lacks += [(*why, what) for what, why in lacking]
        one.answer(state.done_at)
        return one

    def _slots(self, place: Place, duty: Duty, ordinal: int) -> None:
        """The days on which a question with slots was due for a control."""
        if not duty.question.scheduled:
            return
        found = self._of(ordinal, place.account, place.region, place.source).due
        for i in self.lenses[ordinal].intervals:
            if i.accounts is None or place.account not in i.accounts:
                continue
            if not any(question_of(k) == duty.question for k in i.match_keys):
                continue
            found.update(_days(i, self.at))

    # --- what arrived ---------------------------------------------------------------------------

    def arrived(self, tx: Tx, lake: Lake, first: Instant) -> None:
        """Count what the lenses saw, by place and source."""
        looking_for: dict[str, list[Lens]] = {}
        for one in self.lenses.values():
            for key in one.match_keys:
                looking_for.setdefault(key, []).append(one)
        pinned = [k for k in looking_for if is_pinned(k)]
        timed = looking_for.keys() - set(pinned)
        rows = rollups(tx, match_keys=timed, first_day=day_of(first), last_day=None)
        rows += rollups(tx, match_keys=pinned, first_day=Day(0), last_day=None)
        partly: dict[tuple[Day, str, str, str], list[Lens]] = {}
        for row in rows:
            for one in looking_for[row.match_key]:
                seen = _seen(one, row)
                if seen:
                    self._took(one.ordinal, row)
                elif seen is None:
                    group = (row.day, row.match_key, row.origin_account, row.origin_region)
                    some = partly.setdefault(group, [])
                    if one not in some:
                        some.append(one)
        self._count(tx, lake, partly)

    def _took(self, ordinal: int, row: Rollup) -> None:
        at = self._of(ordinal, row.origin_account, row.origin_region, row.source)
        at.take(row.items, row.day, row.last_time)

    def _count(
        self, tx: Tx, lake: Lake, partly: Mapping[tuple[Day, str, str, str], list[Lens]]
    ) -> None:
        """Days that hold the edge of an interval, observation by observation."""
        by_day: dict[Day, set[str]] = {}
        for day, key, _, _ in partly:
            by_day.setdefault(day, set()).add(key)
        views = [
            View(frozenset(keys), None, None, day_start(day), Instant(day_start(day) + DAY))
            for day, keys in sorted(by_day.items())
        ]
        for o in headers(tx, lake, views):
            group = (day_of(o.event_time), o.match_key, o.account, o.region)
            for one in partly.get(group, ()):
                if one.sees(o.match_key, o.account, o.region, o.event_time, o.batch_no):
                    at = self._of(one.ordinal, o.account, o.region, o.source)
                    at.take(1, group[0], o.event_time)

    # --- what did not ---------------------------------------------------------------------------

    def ledger(self, listed: Iterable[Gap]) -> None:
        """The lines of the ledger that touch a control while it looked."""
        touching = Touching(self.ever, self.lenses)
        for gap in listed:
            touched = touching.ordinals(gap)
            if touched:
                self._gaps.append(_line(gap, touched))
                for ordinal in touched:
                    self._touched[ordinal] = self._touched.get(ordinal, 0) + 1

    # --- the whole ------------------------------------------------------------------------------

    def _of(self, ordinal: int, account: str, region: str, source: str) -> _At:
        return self._places.setdefault((ordinal, account, region, source), _At())

    def told(self, first: Instant, last: Instant, created: Instant) -> Stated:
        doubts = tuple(
            DoubtLine(
                control=ordinal,
                source=d.source,
                keyword=d.keyword,
                message=d.message,
                suggestions=d.suggestions,
            )
            for ordinal, one in sorted(self.covered.items())
            if ordinal in self.controls
            for d in one.doubts
        )
        places = [_place_line(key, at) for key, at in sorted(self._places.items())]
        mine: dict[int, list[_At]] = {}
        for key, at in self._places.items():
            mine.setdefault(key[0], []).append(at)
        all_places = len(places) <= MOST_PLACES
        return Stated(
            state=self._state(doubts),
            first=iso(first),
            last=iso(last),
            created=iso(created),
            minutes=self.every // MINUTE,
            expected=sum(p.expected for p in places),
            answered=sum(p.answered for p in places),
            controls=tuple(self._control_line(o, mine.get(o, ())) for o in sorted(self.controls)),
            places=tuple(p for p in places if all_places or p.lacks or p.off),
            all_places=all_places,
            gaps=tuple(self._gaps),
            doubts=doubts,
        )

    def _state(self, doubts: Sequence[DoubtLine]) -> State:
        automated = any(question_of(k) for one in self.lenses.values() for k in one.match_keys)
        if not automated:
            return "missing" if doubts else "by-hand"
        if not self.asks:
            return "nobody-asks"
        lacking = any(lack[0] != NOT_YET for at in self._places.values() for lack in at.lacks)
        lost = any(not g.filled for g in self._gaps)
        return "missing" if lacking or lost or doubts else "nothing-missing"

    def _control_line(self, ordinal: int, mine: Sequence[_At]) -> ControlLine:
        control = self.controls[ordinal]
        answers = [at.last_answer for at in mine if at.last_answer is not None]
        events = [at.last_evidence for at in mine if at.last_evidence is not None]
        found = self.covered.get(ordinal)
        asked = [at for at in mine if at.expected]
        ended = bool(asked) and all(at.ended for at in asked)
        state: str = "by-hand" if found is None else found.state
        if state == "nobody-asks" and self.asks and ended:
            state = "ended"
        return ControlLine(
            control=ordinal,
            name=control.copy.name,
            set=control.set_id,
            state=state,
            expected=sum(at.expected for at in mine),
            answered=sum(at.answered for at in mine),
            items=sum(at.items for at in mine),
            selected=0,
            gaps=self._touched.get(ordinal, 0),
            last_answer=iso(max(answers)) if answers else None,
            last_evidence=iso(max(events)) if events else None,
        )


def _never(what: str, state: Target) -> list[tuple[str, Why]]:
    """Why a question that is not asked any more was never answered; nothing where it was."""
    if state.done_at is not None:
        return []
    if state.reason:
        return [(what, (state.reason, state.detail, state.message))]
    return [(what, (NOT_RUNNING, "", "It was never asked before its interval closed."))]


def _days(interval: Interval, now: Instant) -> Iterator[Day]:
    """The slots of an interval up to now."""
    closes = min(interval.closes_at, Instant(now + 1))
    anchor = interval.opens_at if interval.every == "DAILY" else interval.anchor
    day = slots.following(interval.every, anchor, Day(slots.first(interval.opens_at) - 1))
    while day_start(day) < closes:
        yield day
        day = slots.following(interval.every, anchor, day)


def _seen(one: Lens, row: Rollup) -> bool | None:
    """Whether a lens saw all that a roll-up counts; None where it must be looked at closer."""
    late = one.up_to_batch is not None and row.last_batch > one.up_to_batch
    touched = False
    for i in one.intervals:
        if not i.admits(row.match_key, row.origin_account, row.origin_region):
            continue
        if not i.looks_on(row.day) or row.last_time < i.opens_at or row.first_time >= i.closes_at:
            continue
        if i.opens_at <= row.first_time and row.last_time < i.closes_at and not late:
            return True
        touched = True
    return None if touched else False


def _place_line(key: _Key, at: _At) -> PlaceLine:
    ordinal, account, region, source = key
    return PlaceLine(
        control=ordinal,
        account=account,
        region=region,
        source=source,
        expected=at.expected,
        answered=at.answered,
        items=at.items,
        days=len(at.days),
        slots=len(at.due) if source == "AWS_API_Call" and at.expected else None,
        ended=at.ended and at.expected > 0,
        off=at.off,
        last_answer=None if at.last_answer is None else iso(at.last_answer),
        last_evidence=None if at.last_evidence is None else iso(at.last_evidence),
        lacks=tuple(sorted(set(at.lacks))),
    )


def _line(gap: Gap, touched: Iterable[int]) -> GapLine:
    return GapLine(
        id=gap.id,
        account=gap.place.account,
        region=gap.place.region,
        source=gap.place.source,
        what=gap.what,
        opens=iso(gap.opens_at),
        closes=None if gap.closes_at is None else iso(gap.closes_at),
        reason=gap.reason,
        detail=gap.detail,
        message=gap.message,
        filled=gap.filled,
        run=gap.run,
        controls=tuple(sorted(touched)),
    )
