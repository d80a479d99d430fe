"""The second layer of authorisation: what being owner or delegate of an assessment grants.

AWS Audit Manager attaches two internal resource policies (specification section 8.6); here they
are data. An action on one assessment needs both this and an identity policy. Who holds which
role is known by `assessments`, which passes it in; this module never looks.
"""

from typing import Final, Literal

from auditkeep.access.principals import Principal
from auditkeep.errors import AccessDenied

Role = Literal["PROCESS_OWNER", "RESOURCE_OWNER"]
"""Audit owner of an assessment, or delegate of one of its control sets."""

ADMINISTRATOR: Final = "AWSAuditManagerAdministratorAccess"
"""The managed policy whose holders need no role in an assessment."""

DELEGATE_ACTIONS: Final = frozenset(
    {
        "BatchImportEvidenceToAssessmentControl",
        "GetEvidence",
        "GetEvidenceByEvidenceFolder",
        "GetEvidenceFolder",
        "GetEvidenceFoldersByAssessmentControl",
        "UpdateAssessmentControl",
        "UpdateAssessmentControlSetStatus",
    }
)
"""On `assessment/ID/controlSet/SET`, for the delegate of that set."""

OWNER_ACTIONS: Final = DELEGATE_ACTIONS | {
    "AssociateAssessmentReportEvidenceFolder",
    "BatchAssociateAssessmentReportEvidence",
    "BatchCreateDelegationByAssessment",
    "BatchDeleteDelegationByAssessment",
    "BatchDisassociateAssessmentReportEvidence",
    "CreateAssessmentReport",
    "DeleteAssessment",
    "DeleteAssessmentReport",
    "DisassociateAssessmentReportEvidenceFolder",
    "GetAssessment",
    "GetAssessmentReportUrl",
    "GetChangeLogs",
    "GetEvidenceFoldersByAssessment",
    "UpdateAssessment",
    "UpdateAssessmentStatus",
}
"""On `assessment/ID` and all below it, for its audit owners."""

_GRANTED: Final = {"PROCESS_OWNER": OWNER_ACTIONS, "RESOURCE_OWNER": DELEGATE_ACTIONS}


def allows(role: Role | None, action: str) -> bool:
    """Whether holding `role` grants `action` (an operation's name, without service prefix)."""
    return role is not None and action in _GRANTED[role]


def is_administrator(principal: Principal) -> bool:
    """Whether the built-in administrator policy spares the principal the second layer."""
    return ADMINISTRATOR in principal.policies


def require(principal: Principal, role: Role | None, action: str, resource: str) -> None:
    """AccessDenied unless the principal is an administrator or `role` grants `action`.

    `resource` is the ARN of the assessment, or of the control set in it, that `role` is held in.
    """
    if is_administrator(principal) or allows(role, action):
        return
    raise AccessDenied(
        f"User: {principal.arn} is not authorized to perform: auditmanager:{action} on resource: "
        f"{resource}, because "
        + (
            "only audit owners and delegates of the assessment may."
            if role is None
            else "this role in the assessment does not grant it."
        )
    )
