"""Lifecycles of assessments and their parts (spec sections 2.2-2.5), as tables.

    assessment    ACTIVE        → INACTIVE                     INACTIVE is final
    control       UNDER_REVIEW  → REVIEWED, INACTIVE           initial
                  INACTIVE      → UNDER_REVIEW, REVIEWED
                  REVIEWED      → (nothing)                    final
                                → UNDER_REVIEW, INACTIVE       if reopening is allowed by setting
    control set   ACTIVE        → UNDER_REVIEW, REVIEWED       initial
                  UNDER_REVIEW  → ACTIVE (owner), REVIEWED
                  REVIEWED      → (nothing)                    final
    delegation    IN_PROGRESS   → UNDER_REVIEW, COMPLETE       initial
                  UNDER_REVIEW  → COMPLETE
                  COMPLETE      → (nothing)                    final

Asking for the state that already is succeeds and changes nothing, everywhere. What is not in a
table is refused with ValidationException, and the sentence names both states. Pure.

What a move does to its neighbours:

    assessment    INACTIVE      control sets → REVIEWED; controls UNDER_REVIEW → REVIEWED (INACTIVE
                                ones stay); delegates lose access; collection stops; nothing but
                                reports and what they hold can be changed any more
    control       INACTIVE      collection by itself stops, and manual evidence is refused
                  (from it)     both are allowed again
                  REVIEWED      nothing: collection and manual evidence go on
    control set   UNDER_REVIEW  its delegations IN_PROGRESS → UNDER_REVIEW; owners are told
                  REVIEWED      its delegations → COMPLETE; their delegates are told; controls stay
                  ACTIVE        nothing
    delegation    (made)        neither the set nor its controls; the delegate is told
                  (deleted)     nothing; in any state
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from auditkeep.assessments.model import (
    AssessmentStatus,
    ControlStatus,
    DelegationStatus,
    SetStatus,
)
from auditkeep.errors import InvalidRequest

State = TypeVar("State", bound=str)


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[State]):
    """The moves one kind of thing may make."""

    noun: str
    initial: State
    moves: Mapping[State, frozenset[State]]

    def move(self, state: State, to: State) -> State:
        """The state after asking for `to`; InvalidRequest where the table has no such move."""
        if to == state or to in self.moves[state]:
            return to
        if not self.moves[state]:
            raise InvalidRequest(f"This {self.noun} is {state}, which is final.")
        raise InvalidRequest(f"This {self.noun} is {state} and cannot become {to}.")


ASSESSMENT: Lifecycle[AssessmentStatus] = Lifecycle(
    "assessment", "ACTIVE", {"ACTIVE": frozenset({"INACTIVE"}), "INACTIVE": frozenset()}
)
CONTROL: Lifecycle[ControlStatus] = Lifecycle(
    "control",
    "UNDER_REVIEW",
    {
        "UNDER_REVIEW": frozenset({"REVIEWED", "INACTIVE"}),
        "INACTIVE": frozenset({"UNDER_REVIEW", "REVIEWED"}),
        "REVIEWED": frozenset(),
    },
)
REOPENABLE_CONTROL: Lifecycle[ControlStatus] = Lifecycle(
    "control",
    "UNDER_REVIEW",
    {**CONTROL.moves, "REVIEWED": frozenset({"UNDER_REVIEW", "INACTIVE"})},
)
"""Where the operator has decided that a review may be taken up again."""

CONTROL_SET: Lifecycle[SetStatus] = Lifecycle(
    "control set",
    "ACTIVE",
    {
        "ACTIVE": frozenset({"UNDER_REVIEW", "REVIEWED"}),
        "UNDER_REVIEW": frozenset({"ACTIVE", "REVIEWED"}),
        "REVIEWED": frozenset(),
    },
)
DELEGATION: Lifecycle[DelegationStatus] = Lifecycle(
    "delegation",
    "IN_PROGRESS",
    {
        "IN_PROGRESS": frozenset({"UNDER_REVIEW", "COMPLETE"}),
        "UNDER_REVIEW": frozenset({"COMPLETE"}),
        "COMPLETE": frozenset(),
    },
)


def require_active(status: AssessmentStatus) -> None:
    """An INACTIVE assessment can be read and reported on, and nothing else (spec 2.2)."""
    if status != "ACTIVE":
        raise InvalidRequest("This assessment is INACTIVE and can no longer be changed.")


def closed_control(status: ControlStatus) -> ControlStatus:
    """A control's status once its assessment is INACTIVE: open reviews end, INACTIVE stays."""
    return "REVIEWED" if status == "UNDER_REVIEW" else status


def delegation_after(set_status: SetStatus, status: DelegationStatus) -> DelegationStatus:
    """A delegation's status once its control set has moved (spec 2.5); back moves change none."""
    if set_status == "REVIEWED":
        return "COMPLETE"
    if set_status == "UNDER_REVIEW" and status == "IN_PROGRESS":
        return "UNDER_REVIEW"
    return status
