"""Who does what to an assessment: the second layer of access, asked, and the change log, written.

An id of another tenant is NotFound, never AccessDenied, so that nobody learns what exists
elsewhere (spec section 10.1). The first layer, the identity policy, was decided by the dispatcher.
"""

from auditkeep.access import grants
from auditkeep.assessments import review, store
from auditkeep.assessments.model import Action, Assessment, ChangedObject, Roles
from auditkeep.operations.call import Call

ADMINISTRATOR = Roles(owner=False, delegate_of=frozenset())
"""The roles of someone who needs none; nobody looked whether they have any."""


def assessment_for(
    call: Call, assessment_id: str, action: str, set_id: str | None = None
) -> Assessment:
    """The assessment, if the caller may do `action` to it, or to one of its control sets."""
    assessment = store.get(call.tx, assessment_id)
    require(call, assessment, action, set_id)
    return assessment


def require(call: Call, assessment: Assessment, action: str, set_id: str | None = None) -> Roles:
    """AccessDenied unless the caller's roles in the assessment grant the action there."""
    if grants.is_administrator(call.principal):
        return ADMINISTRATOR
    roles = review.roles_of(call.tx, assessment, call.principal.arn)
    part = assessment.id if set_id is None else f"{assessment.id}/controlSet/{set_id}"
    resource = call.tenant.arn("assessment", part)
    grants.require(call.principal, role_in(roles, set_id), action, resource)
    return roles


def role_in(roles: Roles, set_id: str | None) -> grants.Role | None:
    """The role that counts in an assessment as a whole, or in one of its control sets."""
    if roles.owner:
        return "PROCESS_OWNER"
    return "RESOURCE_OWNER" if set_id in roles.delegate_of else None


def log_assessment(call: Call, assessment: Assessment, action: Action) -> None:
    """A line of the change log about the assessment as a whole."""
    log_part(call, assessment, "ASSESSMENT", assessment.name, action)


def log_part(
    call: Call,
    assessment: Assessment,
    object_type: ChangedObject,
    object_name: str,
    action: Action,
    *,
    set_id: str | None = None,
    control_id: str | None = None,
) -> None:
    """A line about one of its parts, found again under its control set and control."""
    review.log_change(
        call.tx,
        assessment.id,
        object_type,
        object_name,
        action,
        by=call.principal.arn,
        now=call.now,
        set_id=set_id,
        control_id=control_id,
    )
