"""Choosing what the next report holds: whole folders, or single evidence (spec section 10.5).

Also in an INACTIVE assessment, of which reports can still be made.
"""

from auditkeep.assessments import store
from auditkeep.errors import NotFound
from auditkeep.evidence import folders, items, selection
from auditkeep.evidence.progress import last_batch_no
from auditkeep.operations.auditmanager.evidence import opened_folder
from auditkeep.operations.auditmanager.standing import assessment_for
from auditkeep.operations.call import Call, pair
from auditkeep.wire.models import auditmanager as am


def associate_folder(
    call: Call, ask: am.AssociateAssessmentReportEvidenceFolderRequest
) -> am.AssociateAssessmentReportEvidenceFolderResponse:
    """Selects all that is in the folder now; what comes later is not selected by this."""
    action = "AssociateAssessmentReportEvidenceFolder"
    assessment = assessment_for(call, ask.assessment_id, action)
    control, one, day = opened_folder(call, assessment, ask.evidence_folder_id)
    lake, memo = call.deps.lake, call.deps.caches.folders
    call.tx.lock_tenant()  # so that no batch commits between the reading of its number and this
    if folders.folder(call.tx, lake, memo, one, day) is None:
        raise NotFound("evidence folder", ask.evidence_folder_id)
    place = (control.ordinal, day)
    selection.select_folder(call.tx, assessment.id, place, last_batch_no(call.tx))
    store.touch(call.tx, assessment.id)
    return am.AssociateAssessmentReportEvidenceFolderResponse()


def disassociate_folder(
    call: Call, ask: am.DisassociateAssessmentReportEvidenceFolderRequest
) -> am.DisassociateAssessmentReportEvidenceFolderResponse:
    action = "DisassociateAssessmentReportEvidenceFolder"
    assessment = assessment_for(call, ask.assessment_id, action)
    control, _, day = opened_folder(call, assessment, ask.evidence_folder_id)
    selection.clear_folder(call.tx, assessment.id, (control.ordinal, day))
    store.touch(call.tx, assessment.id)
    return am.DisassociateAssessmentReportEvidenceFolderResponse()


def associate_evidence(
    call: Call, ask: am.BatchAssociateAssessmentReportEvidenceRequest
) -> am.BatchAssociateAssessmentReportEvidenceResponse:
    done, errors = _choose(call, ask, "BatchAssociateAssessmentReportEvidence", chosen=True)
    return am.BatchAssociateAssessmentReportEvidenceResponse(evidence_ids=done, errors=errors)


def disassociate_evidence(
    call: Call, ask: am.BatchDisassociateAssessmentReportEvidenceRequest
) -> am.BatchDisassociateAssessmentReportEvidenceResponse:
    done, errors = _choose(call, ask, "BatchDisassociateAssessmentReportEvidence", chosen=False)
    return am.BatchDisassociateAssessmentReportEvidenceResponse(evidence_ids=done, errors=errors)


def _choose(
    call: Call,
    ask: am.BatchAssociateAssessmentReportEvidenceRequest
    | am.BatchDisassociateAssessmentReportEvidenceRequest,
    action: str,
    *,
    chosen: bool,
) -> tuple[tuple[str, ...], tuple[am.AssessmentReportEvidenceError, ...]]:
    assessment = assessment_for(call, ask.assessment_id, action)
    control, one, day = opened_folder(call, assessment, ask.evidence_folder_id)
    wanted = list(dict.fromkeys(ask.evidence_ids))
    found = items.many(call.tx, call.deps.lake, call.deps.id_secret, one, day, wanted)
    batches = {i.stored.id: i.stored.batch_no for i in found.values()}
    selection.choose(call.tx, assessment.id, (control.ordinal, day), batches, chosen=chosen)
    store.touch(call.tx, assessment.id)
    return tuple(e for e in wanted if e in found), tuple(
        am.AssessmentReportEvidenceError(
            evidence_id=e,
            error_code="404",
            error_message="There is no evidence with this id in this folder.",
        )
        for e in wanted
        if e not in found
    )


OPERATIONS = (
    pair(am.ASSOCIATE_ASSESSMENT_REPORT_EVIDENCE_FOLDER, associate_folder),
    pair(am.DISASSOCIATE_ASSESSMENT_REPORT_EVIDENCE_FOLDER, disassociate_folder),
    pair(am.BATCH_ASSOCIATE_ASSESSMENT_REPORT_EVIDENCE, associate_evidence),
    pair(am.BATCH_DISASSOCIATE_ASSESSMENT_REPORT_EVIDENCE, disassociate_evidence),
)
