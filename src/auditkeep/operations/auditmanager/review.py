"""The review of an assessment: statuses of its controls and control sets, and comments on them.

Spec sections 2.3, 2.4 and 10.4. An owner reviews everything; a delegate works on the controls of
one set and hands the set back, and only an owner completes it or takes it back.
"""

from auditkeep.assessments import review, rules, store, wire
from auditkeep.assessments.model import AssessedControl, Assessment, ControlSet, SetStatus
from auditkeep.errors import AccessDenied, InvalidRequest
from auditkeep.evidence import lens
from auditkeep.ids import person_of
from auditkeep.operations.auditmanager import answers, scoping, telling
from auditkeep.operations.auditmanager.standing import ADMINISTRATOR, log_part, require
from auditkeep.operations.call import Call, pair
from auditkeep.wire.models import auditmanager as am


def update_assessment_control(
    call: Call, ask: am.UpdateAssessmentControlRequest
) -> am.UpdateAssessmentControlResponse:
    """A new status, a comment, or both. INACTIVE stops automated collection; leaving it resumes."""
    call.tx.lock_tenant()  # nothing is appended while the control's lens changes
    assessment = store.get(call.tx, ask.assessment_id)
    require(call, assessment, "UpdateAssessmentControl", ask.control_set_id)
    control = store.get_control(call.tx, assessment.id, ask.control_set_id, ask.control_id)
    rules.require_active(assessment.status)
    if ask.control_status is None and not ask.comment_body:
        raise InvalidRequest("Send controlStatus, commentBody, or both: there is nothing to do.")
    if ask.comment_body:
        author = person_of(call.principal.arn)
        review.add_comment(
            call.tx, assessment.id, control.ordinal, author, ask.comment_body, call.now
        )
    reopen = call.deps.settings.allow_reopen_reviewed_controls
    lifecycle = rules.REOPENABLE_CONTROL if reopen else rules.CONTROL
    status = lifecycle.move(control.status, ask.control_status or control.status)
    if status != control.status:
        store.set_control_status(call.tx, assessment.id, [control.ordinal], status)
        if status == "REVIEWED":
            telling.emit(call, assessment, "Assessment Control Reviewed")
        _collect(call, assessment, control, resumed=control.status == "INACTIVE")
    if status != control.status or ask.comment_body:
        log_part(
            call,
            assessment,
            "CONTROL",
            control.copy.name,
            "UPDATE_METADATA" if status == control.status else status,
            set_id=control.set_id,
            control_id=control.control_id,
        )
        store.touch(call.tx, assessment.id, call.now)
    return am.UpdateAssessmentControlResponse(control=_control_answer(call, assessment, control))


def update_assessment_control_set_status(
    call: Call, ask: am.UpdateAssessmentControlSetStatusRequest
) -> am.UpdateAssessmentControlSetStatusResponse:
    """Hand a set back (UNDER_REVIEW) or complete it (REVIEWED); its delegations follow."""
    assessment = store.get(call.tx, ask.assessment_id)
    action = "UpdateAssessmentControlSetStatus"
    roles = require(call, assessment, action, ask.control_set_id)
    one = store.get_set(call.tx, assessment.id, ask.control_set_id)
    rules.require_active(assessment.status)
    if ask.status != "UNDER_REVIEW" and not (roles.owner or roles is ADMINISTRATOR):
        raise AccessDenied(
            "A delegate hands a control set back for review (UNDER_REVIEW); "
            f"only an audit owner can make it {ask.status}."
        )
    status = rules.CONTROL_SET.move(one.status, ask.status)
    if status != one.status:
        store.set_set_status(call.tx, assessment.id, status, one.id)
        _move_delegations(call, assessment, one, status, ask.comment)
        log_part(call, assessment, "CONTROL_SET", one.id, status, set_id=one.id)
        store.touch(call.tx, assessment.id, call.now)
    return am.UpdateAssessmentControlSetStatusResponse(
        control_set=_set_answer(call, assessment, one.id)
    )


def _collect(
    call: Call, assessment: Assessment, control: AssessedControl, *, resumed: bool
) -> None:
    """Open or close the control's lens, as its old and new status ask for."""
    now = store.find_by_ordinal(call.tx, assessment.id, control.ordinal)
    if now is not None and now.status == "INACTIVE":
        lens.close(call.tx, assessment.id, call.now, [control.ordinal])
    elif now is not None and resumed and not assessment.dormant:
        scoping.open_lenses(call, assessment, [now], call.now)


def _move_delegations(
    call: Call, assessment: Assessment, one: ControlSet, status: SetStatus, comment: str
) -> None:
    """Delegations follow their set; who waited for it is told."""
    moved = []
    for delegation in review.delegations_of(call.tx, [assessment.id]):
        after = rules.delegation_after(status, delegation.status)
        if delegation.set_id == one.id and after != delegation.status:
            review.set_delegation_status(call.tx, [delegation.id], after, call.now)
            moved.append(delegation.role_arn)
    if status == "UNDER_REVIEW":
        owners = assessment.document.owners
        telling.tell(call, assessment, one.id, "CONTROL_SET_HANDED_BACK", owners, comment)
    elif status == "REVIEWED":
        telling.tell(call, assessment, one.id, "CONTROL_SET_REVIEWED", moved, comment)
        telling.emit(call, assessment, "Assessment ControlSet Reviewed")


def _control_answer(
    call: Call, assessment: Assessment, before: AssessedControl
) -> am.AssessmentControl:
    control = store.get_control(call.tx, assessment.id, before.set_id, before.control_id)
    comments = review.comments(call.tx, assessment.id, control.ordinal)
    tally = answers.tallies(call, assessment, [control]).get(control.ordinal, wire.Tally())
    return wire.to_control(control, comments, tally)


def _set_answer(call: Call, assessment: Assessment, set_id: str) -> am.AssessmentControlSet:
    one = store.get_set(call.tx, assessment.id, set_id)
    controls = [c for c in store.controls(call.tx, assessment.id) if c.set_id == set_id]
    return wire.to_control_set(
        one,
        controls,
        review.comments(call.tx, assessment.id),
        review.delegations_of(call.tx, [assessment.id]),
        answers.tallies(call, assessment, controls),
        assessment,
    )


OPERATIONS = (
    pair(am.UPDATE_ASSESSMENT_CONTROL, update_assessment_control),
    pair(am.UPDATE_ASSESSMENT_CONTROL_SET_STATUS, update_assessment_control_set_status),
)
