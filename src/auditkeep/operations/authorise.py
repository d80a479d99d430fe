"""The first layer of authorisation: what the caller's identity policies say of a request.

The second layer, roles in one assessment, is asked by the operations themselves, which know the
roles (`access.grants`).
"""

from auditkeep.access import policy, resources
from auditkeep.access.policies import Policies
from auditkeep.access.principals import Principal
from auditkeep.clock import Instant
from auditkeep.db.database import Database
from auditkeep.errors import AccessDenied
from auditkeep.ids import Tenant
from auditkeep.wire.model import AnyOperation, Shape


class Authoriser:
    """Asks identity policies for the dispatcher. Safe to share between threads."""

    def __init__(self, db: Database) -> None:
        self._policies = Policies(db)

    def require(
        self,
        principal: Principal,
        operation: AnyOperation,
        tenant: Tenant,
        ask: Shape,
        now: Instant,
    ) -> None:
        """AccessDenied, naming action, resource and reason, unless a policy allows the request."""
        action = resources.action_of(operation)
        resource = resources.resource_of(operation, tenant, ask)
        decision = policy.decide(self._policies.of(principal, now), action, resource)
        if not decision.allowed:
            raise AccessDenied(
                f"User: {principal.arn} is not authorized to perform: {action} on resource: "
                f"{resource}, because {decision.why}."
            )
