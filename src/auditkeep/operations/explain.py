"""Why somebody may do something, or may not: every layer asked as a request would ask it.

The layers, in the order in which requests meet them: identity policies, the tenant's registration,
and the caller's role in the assessment that is named. All must allow; the first that does not is
the one that decides. Nothing is changed, and nobody's credentials are used.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from auditkeep.access import grants, policy, resources
from auditkeep.access.principals import Principal
from auditkeep.accounts import store as accounts
from auditkeep.assessments import review, store
from auditkeep.clock import Instant
from auditkeep.db.tx import Tx
from auditkeep.errors import SetupError
from auditkeep.operations.auditmanager.standing import role_in
from auditkeep.operations.authorise import tags_of
from auditkeep.operations.context import of_principal
from auditkeep.operations.table import OPEN_TO_UNREGISTERED, OPERATIONS
from auditkeep.wire.model import AnyOperation

IDENTITY: Final = "identity policies"
REGISTRATION: Final = "registration"
ROLES: Final = "roles in the assessment"

_ASSESSMENT = re.compile(
    r"arn:[^:]*:auditmanager:[^:]*:[^:]*:assessment/([^/]+)(?:/controlSet/(.+))?"
)
_ROLE_NAMES: Final = {"PROCESS_OWNER": "audit owner", "RESOURCE_OWNER": "delegate"}


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer says, and why: the end of a sentence."""

    name: str
    allowed: bool
    why: str
    asked: bool = True
    """Whether it weighed anything of the caller; False where it lets everybody pass."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole answer."""

    principal: str
    action: str
    resource: str
    layers: tuple[Layer, ...]
    statements: tuple[policy.Considered, ...]
    deciding: policy.Decision
    """What the identity policies decided."""
    absent: tuple[str, ...]
    """Keys that policies asked for and that the request was not said to have."""
    note: str = ""
    """Where no request could name that resource for that action."""

    @property
    def allowed(self) -> bool:
        return all(layer.allowed for layer in self.layers)

    @property
    def decided_by(self) -> Layer:
        """The first layer that denies; where all allow, the last that weighed who asks."""
        denying = [layer for layer in self.layers if not layer.allowed]
        return denying[0] if denying else [layer for layer in self.layers if layer.asked][-1]


def operation_of(action: str) -> AnyOperation:
    """The operation of `auditmanager:GetControl`, or `GetControl`; SetupError names near ones."""
    service, colon, name = action.rpartition(":")
    wanted = f"{service if colon else 'auditmanager'}:{name}"
    known = {resources.action_of(o).lower(): o for o in OPERATIONS}
    if wanted.lower() in known:
        return known[wanted.lower()]
    near = get_close_matches(wanted.lower(), known, n=3)
    hint = f" Did you mean {' or '.join(resources.action_of(known[n]) for n in near)}?"
    raise SetupError(f"There is no action '{wanted}'.{hint if near else ''}")


def explain(
    tx: Tx,
    attached: Sequence[policy.Policy],
    principal: Principal,
    operation: AnyOperation,
    resource: str,
    given: Mapping[str, tuple[str, ...]],
    now: Instant,
) -> Verdict:
    """What would become of a request of `principal`; `given` holds what is said of the request.

    `tx` is a snapshot of the tenant that the request would speak of. NotFound when the resource
    names an assessment that is not there.
    """
    resource = policy.one_spelling(resource)
    action = resources.action_of(operation)
    context = _Watched(_facts(tx, principal, resource, given, now))
    identity = policy.explain(attached, action, resource, context)
    layers = [Layer(IDENTITY, identity.decision.allowed, identity.decision.why)]
    if operation not in OPEN_TO_UNREGISTERED:
        layers.append(_registration(tx))
    if operation.service == "auditmanager" and (found := _ASSESSMENT.fullmatch(resource)):
        layers.append(_roles(tx, principal, operation.name, found[1], found[2]))
    note = ""
    if not resources.fits(operation, resource):
        note = f"Requests for {action} name another resource: {resources.form_of(operation)}."
    return Verdict(
        principal.arn,
        action,
        resource,
        tuple(layers),
        identity.considered,
        identity.decision,
        tuple(sorted(context.absent)),
        note,
    )


class _Watched:
    """Facts that remember which keys were asked for in vain."""

    def __init__(self, facts: policy.Facts) -> None:
        self._facts = facts
        self.absent: set[str] = set()

    def values(self, key: str) -> tuple[str, ...]:
        found = self._facts.values(key)
        if not found:
            self.absent.add(key)
        return found


def _facts(
    tx: Tx,
    principal: Principal,
    resource: str,
    given: Mapping[str, tuple[str, ...]],
    now: Instant,
) -> policy.Facts:
    """What is known without a request; what is said of the request goes before it."""
    facts: dict[str, tuple[str, ...]] = {
        **of_principal(principal, now),
        "aws:requestedregion": (tx.tenant.region,),
    }
    for family, tags in (
        ("aws:principaltag", dict(principal.tags)),
        ("aws:resourcetag", tags_of(tx, resource)),
    ):
        facts |= {f"{family}/{key.lower()}": (value,) for key, value in tags.items()}
    return policy.Facts({**facts, **{key.lower(): values for key, values in given.items()}})


def _registration(tx: Tx) -> Layer:
    tenant = tx.tenant
    active = accounts.status(tx) == "ACTIVE"
    return Layer(
        REGISTRATION,
        active,
        f"account {tenant.account} is {'' if active else 'not '}registered in {tenant.region}",
        asked=False,
    )


def _roles(
    tx: Tx, principal: Principal, name: str, assessment_id: str, set_id: str | None
) -> Layer:
    """The second layer, for operations that ask it."""
    if name not in grants.OWNER_ACTIONS:
        return Layer(ROLES, True, f"{name} asks for no role in the assessment", asked=False)
    assessment = store.get(tx, assessment_id)
    if grants.is_administrator(principal):
        why = f"holders of {grants.ADMINISTRATOR} need no role"
        return Layer(ROLES, True, why, asked=False)
    role = role_in(review.roles_of(tx, assessment, principal.arn), set_id)
    if role is None:
        where = "it or in this control set" if set_id else "it as a whole"
        return Layer(ROLES, False, f"the caller has no role in {where}")
    allowed = grants.allows(role, name)
    verb = "grants" if allowed else "does not grant"
    return Layer(ROLES, allowed, f"the caller is its {_ROLE_NAMES[role]}, which {verb} {name}")
