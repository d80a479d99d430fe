"""The first layer of authorisation: what the caller's identity policies say of a request.

Decided before a transaction opens, except where a policy asks for tags of the resource: those are
read, and the decision made, inside the request's own transaction and before anything else happens
there. The second layer, roles in one assessment, is asked by the operations themselves, which know
the roles (`access.grants`).
"""

from collections.abc import Callable, Mapping, Sequence

from auditkeep.access import policy, resources
from auditkeep.access.policies import Policies
from auditkeep.access.principals import Principal
from auditkeep.accounts import tags
from auditkeep.clock import Instant
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import AccessDenied
from auditkeep.ids import Tenant
from auditkeep.operations.context import RequestContext
from auditkeep.wire.messages import Request
from auditkeep.wire.model import AnyOperation, Shape
from auditkeep.wire.peers import Proxies

Pending = Callable[[Tx], None]
"""The decision that is left for the request's transaction; AccessDenied when it is a denial."""


class Authoriser:
    """Asks identity policies for the dispatcher. Safe to share between threads."""

    def __init__(self, db: Database, proxies: Proxies) -> None:
        self._policies = Policies(db)
        self._proxies = proxies

    def require(
        self,
        request: Request,
        principal: Principal,
        operation: AnyOperation,
        tenant: Tenant,
        ask: Shape,
        now: Instant,
    ) -> Pending | None:
        """AccessDenied, naming action, resource and reason, unless a policy allows the request.

        What comes back, if anything, must be asked first thing in the request's transaction.
        """
        action = resources.action_of(operation)
        resource = resources.resource_of(operation, tenant, ask)
        attached = self._policies.of(principal, now)
        all_of_them = (*attached, *principal.limits)
        if not any(p.asks for p in all_of_them):
            _decide(attached, principal, action, resource, policy.NOTHING)
            return None

        def context(read_tags: Callable[[], Mapping[str, str]]) -> RequestContext:
            return RequestContext(
                request=request,
                proxies=self._proxies,
                principal=principal,
                tenant=tenant,
                ask=ask,
                now=now,
                tags=read_tags,
            )

        if not any(p.asks_resource for p in all_of_them):
            _decide(attached, principal, action, resource, context(dict))
            return None

        def inside(tx: Tx) -> None:
            facts = context(lambda: tags_of(tx, resource))
            _decide(attached, principal, action, resource, facts)

        return inside

    def at_once(
        self,
        principal: Principal,
        operation: AnyOperation,
        tenant: Tenant,
        ask: Shape,
        now: Instant,
    ) -> bool:
        """Whether policies that are known, and ask for nothing of the request, allow it."""
        attached = self._policies.peek(principal, now)
        if attached is None or any(p.asks for p in (*attached, *principal.limits)):
            return False
        action = resources.action_of(operation)
        resource = resources.resource_of(operation, tenant, ask)
        return all(
            policy.decide(policies, action, resource, policy.NOTHING).allowed
            for policies in ((attached, principal.limits) if principal.limits else (attached,))
        )


def tags_of(tx: Tx, resource: str) -> dict[str, str]:
    """The tags that `aws:ResourceTag` speaks of."""
    arn = resources.tagged(resource)
    return {} if arn is None else tags.of(tx, arn)


def _decide(
    attached: Sequence[policy.Policy],
    principal: Principal,
    action: str,
    resource: str,
    context: policy.Context,
) -> None:
    decision = policy.decide(attached, action, resource, context)
    if decision.allowed and principal.limits:
        attached = principal.limits
        decision = policy.decide(attached, action, resource, context)
    if not decision.allowed:
        raise AccessDenied(
            f"User: {principal.arn} is not authorized to perform: {action} on resource: "
            f"{resource}, because {decision.why}{_missed(attached, action, resource, context)}."
        )


def _missed(
    attached: Sequence[policy.Policy], action: str, resource: str, context: policy.Context
) -> str:
    """Which conditions stood between the request and a statement that would have allowed it."""
    explained = policy.explain(attached, action, resource, context)
    if explained.decision.policy is not None:
        return ""
    missed = [
        f"{c.statement} of the policy {c.policy} ({c.test.operator} {c.test.key})"
        for c in explained.considered
        if c.effect == "Allow" and c.test is not None
    ]
    return f"; conditions that do not hold: {', '.join(missed)}" if missed else ""
