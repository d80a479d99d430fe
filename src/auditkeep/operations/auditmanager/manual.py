"""Manual evidence: asking where to upload a file, and importing what people hand in (spec 3.9)."""

from collections.abc import Sequence

from auditkeep.assessments import rules, store
from auditkeep.errors import InvalidRequest
from auditkeep.evidence import manual
from auditkeep.evidence.formats import name_fault
from auditkeep.evidence.manual import Brought, Offer, Pin, Refused, Stocked, Text, Uploaded
from auditkeep.operations.auditmanager.standing import log_part, require
from auditkeep.operations.call import Call, pair
from auditkeep.operations.limits import limit
from auditkeep.reports import destination
from auditkeep.wire.models import auditmanager as am

_LONGEST_MESSAGE = 300
"""Characters of the shape ErrorMessage."""


def get_evidence_file_upload_url(
    call: Call, ask: am.GetEvidenceFileUploadUrlRequest
) -> am.GetEvidenceFileUploadUrlResponse:
    """A name to import the file by, and a link that takes it with PUT for a while."""
    fault = name_fault(ask.file_name)
    if fault is not None:
        raise InvalidRequest.of_field("fileName", fault)
    name = manual.expect_upload(call.tx, call.deps.lake, ask.file_name, call.now)
    link = call.deps.links.make(
        call.base_url, f"/files/uploads/{name}", call.now, tenant=call.tenant, method="PUT"
    )
    return am.GetEvidenceFileUploadUrlResponse(evidence_file_name=name, upload_url=link)


def batch_import_evidence(
    call: Call, ask: am.BatchImportEvidenceToAssessmentControlRequest
) -> am.BatchImportEvidenceToAssessmentControlResponse:
    """Each item is imported, or answered with an error of its own; the others are not touched."""
    call.tx.lock_tenant()  # or the assessment could end, or go, before its evidence is kept
    assessment = store.get(call.tx, ask.assessment_id)
    require(call, assessment, "BatchImportEvidenceToAssessmentControl", ask.control_set_id)
    control = store.get_control(call.tx, assessment.id, ask.control_set_id, ask.control_id)
    rules.require_active(assessment.status)
    if control.status == "INACTIVE":
        raise InvalidRequest(
            f"The control '{control.copy.name}' is INACTIVE. Set it UNDER_REVIEW to add evidence."
        )
    outcomes = _import(call, assessment.id, control.ordinal, ask.manual_evidence)
    if None in outcomes:
        log_part(
            call,
            assessment,
            "CONTROL",
            control.copy.name,
            "IMPORT_EVIDENCE",
            set_id=control.set_id,
            control_id=control.control_id,
        )
        store.touch(call.tx, assessment.id)
    return am.BatchImportEvidenceToAssessmentControlResponse(
        errors=tuple(
            am.BatchImportEvidenceToAssessmentControlError(
                manual_evidence=asked,
                error_code=refused.code,
                error_message=refused.message[:_LONGEST_MESSAGE],
            )
            for asked, refused in zip(ask.manual_evidence, outcomes, strict=True)
            if refused is not None
        )
    )


def _import(
    call: Call, assessment_id: str, ordinal: int, asked: Sequence[am.ManualEvidence]
) -> list[Refused | None]:
    pin = Pin(
        assessment_id=assessment_id,
        ordinal=ordinal,
        uploader=call.principal.arn,
        request_id=call.request_id,
        now=call.now,
    )
    meant = [_offer(call, one) for one in asked]
    offers = [o for o in meant if not isinstance(o, Refused)]
    largest, daily = limit(call, "manual-file-bytes"), limit(call, "manual-items-per-day")
    done = iter(
        manual.import_all(call.tx, call.deps.lake, pin, offers, largest=largest, daily=daily)
    )
    return [o if isinstance(o, Refused) else next(done) for o in meant]


def _offer(call: Call, asked: am.ManualEvidence) -> Offer | Refused:
    """What one item offers; InvalidRequest unless it is exactly one of the three forms."""
    forms = (asked.text_response, asked.evidence_file_name, asked.s3_resource_path)
    if sum(form is not None for form in forms) != 1:
        raise InvalidRequest.of_field(
            "manualEvidence",
            "must hold exactly one of textResponse, evidenceFileName and s3ResourcePath each.",
        )
    if asked.text_response is not None:
        return Text(asked.text_response)
    if asked.evidence_file_name is not None:
        return Uploaded(asked.evidence_file_name)
    url = asked.s3_resource_path or ""
    try:
        place = destination.place(url, "s3ResourcePath")
    except InvalidRequest as error:
        return Refused("400", str(error))
    brought = call.fetched.get(url)
    if brought is not None:
        return brought if isinstance(brought, Refused) else Brought(url, brought)
    return Stocked(url, manual.stocked(place.bucket, place.key))


OPERATIONS = (
    pair(am.GET_EVIDENCE_FILE_UPLOAD_URL, get_evidence_file_upload_url),
    pair(am.BATCH_IMPORT_EVIDENCE_TO_ASSESSMENT_CONTROL, batch_import_evidence),
)
