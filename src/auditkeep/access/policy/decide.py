"""The decision: what policies say of an action on a resource, and why.

`decide` answers requests and stops as soon as it can; `explain` asks every statement, for people.
Both come to the same decision (a property test holds them together).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from auditkeep.access.policy.conditions import Test
from auditkeep.access.policy.context import NOTHING, Context
from auditkeep.access.policy.statement import Effect, Policy, Statement, one_spelling

Outcome = Literal["applies", "other action", "other resource", "condition"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by what: `policy` and `statement` are None where nothing spoke."""

    allowed: bool
    policy: str | None = None
    statement: str | None = None

    @property
    def why(self) -> str:
        """The end of a sentence that begins with what was asked."""
        if self.policy is None:
            return "no identity-based policy allows it"
        verb = "allows" if self.allowed else "explicitly denies"
        return f"{self.statement} of the policy {self.policy} {verb} it"


@dataclass(frozen=True, slots=True)
class Considered:
    """One statement, and whether it applies; where its condition does not hold, by which test."""

    policy: str
    statement: str
    effect: Effect
    outcome: Outcome
    test: Test | None = None
    given: tuple[str, ...] = ()
    """What the request holds for that test's key."""


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    considered: tuple[Considered, ...]


def decide(
    policies: Iterable[Policy], action: str, resource: str, context: Context = NOTHING
) -> Decision:
    """IAM's answer for `action` (`auditmanager:GetControl`) on `resource` (an ARN, or `*`)."""
    action, resource = action.lower(), one_spelling(resource)
    decision = Decision(allowed=False)
    for policy in policies:
        for statement in policy.about(action):
            if statement.effect == "Allow" and decision.allowed:
                continue
            if statement.applies(resource, context):
                if statement.effect == "Deny":
                    return Decision(False, policy.name, statement.name)
                decision = Decision(True, policy.name, statement.name)
    return decision


def explain(
    policies: Iterable[Policy], action: str, resource: str, context: Context = NOTHING
) -> Explanation:
    """The same decision, with what came of every statement."""
    policies = tuple(policies)
    considered = tuple(
        _consider(policy, statement, action.lower(), one_spelling(resource), context)
        for policy in policies
        for statement in policy.statements
    )
    return Explanation(decide(policies, action, resource, context), considered)


def _consider(
    policy: Policy, statement: Statement, action: str, resource: str, context: Context
) -> Considered:
    outcome: Outcome = "applies"
    test: Test | None = None
    if not statement.speaks_of(action):
        outcome = "other action"
    elif not statement.reaches(resource, context):
        outcome = "other resource"
    elif (test := statement.failing(context)) is not None:
        outcome = "condition"
    given = () if test is None else context.values(test.key)
    return Considered(policy.name, statement.name, statement.effect, outcome, test, given)
