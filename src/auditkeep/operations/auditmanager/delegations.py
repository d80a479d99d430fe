"""Delegations: control sets handed to those who know about them (spec sections 2.5 and 10.4)."""

from auditkeep.assessments import review, rules, store, wire
from auditkeep.assessments.model import Assessment, Delegation
from auditkeep.errors import AuditkeepError, InvalidRequest, NotFound
from auditkeep.ids import new_id, person_of, same_principal
from auditkeep.operations.auditmanager import telling
from auditkeep.operations.auditmanager.pages import time_key
from auditkeep.operations.auditmanager.people import require_known
from auditkeep.operations.auditmanager.standing import assessment_for, log_part
from auditkeep.operations.call import Call, pair
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am


def batch_create_delegation(
    call: Call, ask: am.BatchCreateDelegationByAssessmentRequest
) -> am.BatchCreateDelegationByAssessmentResponse:
    """The answer lists all delegations of the assessment, as AWS does."""
    assessment = assessment_for(call, ask.assessment_id, "BatchCreateDelegationByAssessment")
    rules.require_active(assessment.status)
    errors = []
    for asked in ask.create_delegation_requests:
        try:
            _create(call, assessment, asked)
        except (InvalidRequest, NotFound) as error:
            errors.append(
                am.BatchCreateDelegationByAssessmentError(
                    create_delegation_request=asked,
                    error_code=str(error.status),
                    error_message=_message(error),
                )
            )
    store.touch(call.tx, assessment.id)
    return am.BatchCreateDelegationByAssessmentResponse(
        delegations=tuple(
            wire.to_delegation(d, assessment.name)
            for d in review.delegations_of(call.tx, [assessment.id])
        ),
        errors=tuple(errors),
    )


def batch_delete_delegation(
    call: Call, ask: am.BatchDeleteDelegationByAssessmentRequest
) -> am.BatchDeleteDelegationByAssessmentResponse:
    """In any state: an active one is called off, a completed one tidied away."""
    assessment = assessment_for(call, ask.assessment_id, "BatchDeleteDelegationByAssessment")
    rules.require_active(assessment.status)
    known = {d.id: d for d in review.delegations_of(call.tx, [assessment.id])}
    errors = []
    for delegation_id in ask.delegation_ids:
        delegation = known.pop(delegation_id, None)
        if delegation is None:
            errors.append(
                am.BatchDeleteDelegationByAssessmentError(
                    delegation_id=delegation_id,
                    error_code="404",
                    error_message="This assessment has no delegation with this id.",
                )
            )
        else:
            review.delete_delegation(call.tx, delegation.id)
            log_part(
                call,
                assessment,
                "DELEGATION",
                delegation.set_id,
                "DELETE",
                set_id=delegation.set_id,
            )
    store.touch(call.tx, assessment.id)
    return am.BatchDeleteDelegationByAssessmentResponse(errors=tuple(errors))


def get_delegations(call: Call, ask: am.GetDelegationsRequest) -> am.GetDelegationsResponse:
    """Those that were sent in this account, newest first."""
    secret = call.deps.id_secret
    scope = paging.scope("GetDelegations", call.tenant)
    after = time_key(paging.read(ask.next_token, secret, scope))
    found = review.delegation_page(call.tx, after, paging.size(ask.max_results) + 1)
    shown, token = paging.page(
        found, ask.max_results, lambda d: (d.created_at, d.id), secret, scope
    )
    names = store.names(call.tx, {d.assessment_id for d in shown})
    return am.GetDelegationsResponse(
        delegations=tuple(wire.to_delegation_metadata(d, names[d.assessment_id]) for d in shown),
        next_token=token,
    )


def _create(call: Call, assessment: Assessment, asked: am.CreateDelegationRequest) -> None:
    if asked.control_set_id is None or asked.role_arn is None:
        raise InvalidRequest("A delegation names its controlSetId and its roleArn.")
    if asked.role_type != "RESOURCE_OWNER":
        raise InvalidRequest("The roleType of a delegate is RESOURCE_OWNER.")
    one = store.get_set(call.tx, assessment.id, asked.control_set_id)
    require_known(call, [asked.role_arn])
    for other in review.delegations_of(call.tx, [assessment.id]):
        same = other.set_id == one.id and same_principal(other.role_arn, asked.role_arn)
        if same and other.status != "COMPLETE":
            raise InvalidRequest(
                f"The control set '{one.id}' is already delegated to {asked.role_arn}."
            )
    review.add_delegation(
        call.tx,
        Delegation(
            id=new_id(),
            assessment_id=assessment.id,
            set_id=one.id,
            role_arn=asked.role_arn,
            status=rules.DELEGATION.initial,
            comment=asked.comment,
            created_by=person_of(call.principal.arn),
            created_at=call.now,
            updated_at=call.now,
        ),
    )
    log_part(call, assessment, "DELEGATION", one.id, "CREATE", set_id=one.id)
    telling.tell(call, assessment, one.id, "CONTROL_SET_DELEGATED", [asked.role_arn], asked.comment)
    telling.emit(call, assessment, "Assessment ControlSet Delegation Created")


def _message(error: AuditkeepError) -> str:
    """What fits the shape ErrorMessage."""
    return str(error)[:300]


OPERATIONS = (
    pair(am.BATCH_CREATE_DELEGATION_BY_ASSESSMENT, batch_create_delegation),
    pair(am.BATCH_DELETE_DELEGATION_BY_ASSESSMENT, batch_delete_delegation),
    pair(am.GET_DELEGATIONS, get_delegations),
)
