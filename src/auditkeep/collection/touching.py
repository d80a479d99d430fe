"""Which controls of an assessment a gap touches: those that looked at what was not collected.

Pure. A control is touched while one of its intervals was open, also by gaps of the time before it
closed: what was missed then stays missing. Who brings events of CloudTrail, an account that is
asked or a trail, may change meanwhile: a gap of either is one of those events.
"""

from collections.abc import Iterable, Iterator, Mapping

from auditkeep.clock import Instant
from auditkeep.collection.gaps import Gap
from auditkeep.collection.plan import EVENTS, TRAIL, Duty, Look, Plan, Question, Reason, question_of
from auditkeep.collection.targets import Place
from auditkeep.evidence.lens import FOREVER, Lens
from auditkeep.mapping import config


def looks(lenses: Iterable[Lens], now: Instant) -> Iterator[Look]:
    """All that was ever looked at, also through intervals that have closed."""
    for one in lenses:
        for interval in one.intervals:
            if interval.accounts is not None and interval.opens_at <= now:
                yield Look(
                    reason=Reason("assessment", one.assessment_id, str(one.ordinal)),
                    match_keys=interval.match_keys,
                    accounts=interval.accounts,
                    regions=interval.regions,
                    opens_at=interval.opens_at,
                    every=interval.every,
                    anchor=interval.anchor,
                )


def duties(plan: Plan, lenses: Mapping[int, Lens]) -> Iterator[tuple[Place, Duty, list[int]]]:
    """What a plan asks for the controls of one assessment, given by their lenses."""
    yield from _duties(plan.questions(), lenses)


def left_out(plan: Plan, lenses: Mapping[int, Lens]) -> Iterator[tuple[Place, Duty, list[int]]]:
    """The same of what it leaves out."""
    yield from _duties(plan.not_asked(), lenses)


def _duties(
    questions: Iterable[tuple[str, str, Duty]], lenses: Mapping[int, Lens]
) -> Iterator[tuple[Place, Duty, list[int]]]:
    assessment = next(iter(lenses.values())).assessment_id if lenses else ""
    for account, region, duty in questions:
        ordinals = sorted(
            int(r.control)
            for r in duty.reasons
            if r.of == "assessment" and r.id == assessment and int(r.control) in lenses
        )
        if ordinals:
            yield Place(account, region, duty.question.source), duty, ordinals


class Touching:
    """The gaps of one assessment; `plan` is made of all that its lenses ever looked at."""

    def __init__(self, plan: Plan, lenses: Mapping[int, Lens]) -> None:
        self._lenses = lenses
        self._asking: dict[tuple[Place, str], list[tuple[Question, list[int]]]] = {}
        # a region that is off now was perhaps on when something was missed there
        for place, duty, ordinals in (*duties(plan, lenses), *left_out(plan, lenses)):
            question, names = _whole(duty.question)
            for what in (*names, *sorted(duty.match_keys)):
                self._asking.setdefault((place, what), []).append((question, ordinals))

    def ordinals(self, gap: Gap) -> set[int]:
        """The controls that a gap touches."""
        return {
            ordinal
            for question, ordinals in self._asking.get((gap.place, gap.what), ())
            for ordinal in ordinals
            if self._looked(ordinal, question, gap)
        }

    def _looked(self, ordinal: int, question: Question, gap: Gap) -> bool:
        """Whether a control looked at what a gap is about while it lasted."""
        closes = gap.closes_at if gap.closes_at is not None else FOREVER
        return any(
            i.opens_at < closes
            and gap.opens_at < i.closes_at
            and i.accounts is not None
            and gap.place.account in i.accounts
            and (
                gap.what in i.match_keys - config.spare(i.match_keys)
                or (
                    gap.what in _whole(question)[1]
                    and any(question_of(k) == question for k in i.match_keys)
                )
            )
            for i in self._lenses[ordinal].intervals
        )


def _whole(question: Question) -> tuple[Question, tuple[str, ...]]:
    """The question that match keys lead to, and how gaps of the whole of it are named."""
    if question in (EVENTS, TRAIL):
        return EVENTS, (EVENTS.what, TRAIL.what)
    return question, (question.what,)
