"""Which of a framework's Config rules are not there, as far as Config has said so.

A rule is *missing* where Config was asked for it, answered, and named it as not there (see
`sources.configpull`). Of an account and region that has not answered since somebody began to look
at all that is looked at there now, nothing is known: neither that a rule is missing nor that it is
there. Pure over the plan and the state of its targets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from auditkeep.collection.plan import Duty, Plan
from auditkeep.collection.targets import NEVER_ASKED, Place, Target

_NOT_YET = "It has not been asked yet."


@dataclass(frozen=True, slots=True)
class Missing:
    """What is known of some match keys: those that some place lacks, and what nobody can say."""

    keys: frozenset[str]
    answered: int
    """In how many places Config answered."""
    silent: tuple[tuple[Place, str], ...]
    """Where it did not, and why."""
    unasked: frozenset[str]
    """What no place was asked for, because nobody looks at it."""


def of(wanted: frozenset[str], plan: Plan, known: Mapping[tuple[Place, str], Target]) -> Missing:
    absent: set[str] = set()
    asked: set[str] = set()
    silent: list[tuple[Place, str]] = []
    answered = 0
    for account, region, duty in plan.questions():
        looked_at = duty.match_keys & wanted
        if duty.question.source != "AWS_Config" or not looked_at:
            continue
        asked |= looked_at
        place = Place(account, region, "AWS_Config")
        state = known.get((place, duty.question.what), NEVER_ASKED)
        if _answered(duty, state):
            answered += 1
            absent |= looked_at & state.faults.keys()
        else:
            silent.append((place, state.message if state.tries else _NOT_YET))
    return Missing(frozenset(absent), answered, tuple(silent), wanted - asked)


def _answered(duty: Duty, state: Target) -> bool:
    """Whether the last answer was to a question for all that is looked at now."""
    return (
        state.done_at is not None and state.looked_at is not None and state.looked_at >= duty.newest
    )
