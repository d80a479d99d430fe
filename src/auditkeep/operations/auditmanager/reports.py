"""Assessment reports (spec 2.7, 5 and 10.6): asked for here, made by `workflows.report`."""

from auditkeep import clock
from auditkeep.errors import InvalidRequest
from auditkeep.evidence import items
from auditkeep.ids import new_id, person_of
from auditkeep.lake import governance
from auditkeep.lake.destruction import destroy_class
from auditkeep.operations.auditmanager.holding import require_report_free
from auditkeep.operations.auditmanager.pages import time_key
from auditkeep.operations.auditmanager.standing import assessment_for, log_part
from auditkeep.operations.call import Call, pair
from auditkeep.operations.limits import limit
from auditkeep.reports import checking, destination, store
from auditkeep.reports.model import JOB, Report
from auditkeep.verify.findings import Verdict
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am
from auditkeep.work.jobs import enqueue

_LONGEST_ERROR = 2048
"""Characters of a `validationErrors` member (shape NonEmptyString)."""


def create_assessment_report(
    call: Call, ask: am.CreateAssessmentReportRequest
) -> am.CreateAssessmentReportResponse:
    """What is selected now; the report itself follows in the background."""
    assessment = assessment_for(call, ask.assessment_id, "CreateAssessmentReport")
    if ask.query_statement is not None:
        raise InvalidRequest.of_field(
            "queryStatement",
            "cannot be used: evidence finder is not enabled. Select evidence instead.",
        )
    report_id = new_id()
    place = destination.place_of(
        assessment.document.destination,
        assessment=(assessment.name, assessment.id),
        report=(ask.name, report_id),
    )
    _require_selection(call, assessment.id, assessment.frozen_at_batch)
    report = Report(
        id=report_id,
        assessment_id=assessment.id,
        name=ask.name,
        status="IN_PROGRESS",
        created_at=call.now,
        assessment_name=assessment.name,
        author=person_of(call.principal.arn),
        author_arn=call.principal.arn,
        bucket=place.bucket,
        key=place.key,
        description=ask.description,
    )
    store.insert(call.tx, report)
    log_part(call, assessment, "ASSESSMENT_REPORT", report.name, "CREATE")
    enqueue(call.tx, JOB, report.id, call.now)
    call.tx.after_commit(call.deps.wake)
    return am.CreateAssessmentReportResponse(
        assessment_report=am.AssessmentReport(
            id=report.id,
            name=report.name,
            description=report.description,
            aws_account_id=call.tenant.account,
            assessment_id=report.assessment_id,
            assessment_name=report.assessment_name,
            author=report.author,
            status=report.status,
            creation_time=clock.wire(report.created_at),
        )
    )


def list_assessment_reports(
    call: Call, ask: am.ListAssessmentReportsRequest
) -> am.ListAssessmentReportsResponse:
    """Of all assessments, newest first; also the only way to learn one report's status."""
    secret = call.deps.id_secret
    scope = paging.scope("ListAssessmentReports", call.tenant)
    after = time_key(paging.read(ask.next_token, secret, scope))
    found = store.page(call.tx, after, paging.size(ask.max_results) + 1)
    shown, token = paging.page(
        found, ask.max_results, lambda r: (r.created_at, r.id), secret, scope
    )
    return am.ListAssessmentReportsResponse(
        assessment_reports=tuple(_metadata(r) for r in shown), next_token=token
    )


def get_assessment_report_url(
    call: Call, ask: am.GetAssessmentReportUrlRequest
) -> am.GetAssessmentReportUrlResponse:
    assessment_for(call, ask.assessment_id, "GetAssessmentReportUrl")
    report = store.get(call.tx, ask.assessment_id, ask.assessment_report_id)
    if report.status == "IN_PROGRESS":
        raise InvalidRequest("This report is still being generated. Try again in a moment.")
    if report.status == "FAILED":
        raise InvalidRequest(f"This report could not be generated: {report.reason}")
    place = store.place(report)
    link = call.deps.links.make(call.base_url, place.path, call.now, tenant=call.tenant)
    name = place.key.rsplit("/", 1)[-1]
    return am.GetAssessmentReportUrlResponse(pre_signed_url=am.URL(hyperlink_name=name, link=link))


def delete_assessment_report(
    call: Call, ask: am.DeleteAssessmentReportRequest
) -> am.DeleteAssessmentReportResponse:
    """The report's row, and its archive, key first: what lies in backups opens no more either."""
    call.tx.lock_tenant()
    assessment = assessment_for(call, ask.assessment_id, "DeleteAssessmentReport")
    report = store.get(call.tx, ask.assessment_id, ask.assessment_report_id)
    if report.status == "IN_PROGRESS":
        raise InvalidRequest(
            "This report is being generated. Only reports that are complete or failed can be "
            "deleted."
        )
    require_report_free(call, report)
    store.delete(call.tx, report.id)
    log_part(call, assessment, "ASSESSMENT_REPORT", report.name, "DELETE")
    asked = call.authority(governance.DELETE_REPORT, f"{assessment.id}/{report.id}")
    destroy_class(call.tx, call.deps.lake, store.klass(report), asked, call.now)
    return am.DeleteAssessmentReportResponse()


def validate_assessment_report_integrity(
    call: Call, ask: am.ValidateAssessmentReportIntegrityRequest
) -> am.ValidateAssessmentReportIntegrityResponse:
    """The checks of `auditkeep verify`, with this deployment's log key as the trusted one."""
    place = destination.place(ask.s3_relative_path, "s3RelativePath")
    verdict = checking.check(call.tx, call.deps.lake, place)
    signed = bool(verdict.signed_at)
    return am.ValidateAssessmentReportIntegrityResponse(
        signature_valid=verdict.state == "valid",
        signature_algorithm="SHA256withRSA" if signed else None,
        signature_date_time=verdict.signed_at or None,
        signature_key_id=verdict.report_key_fingerprint or None,
        validation_errors=_errors(verdict),
    )


def _require_selection(call: Call, assessment_id: str, frozen_at_batch: int | None) -> None:
    chosen = items.count_selected(call.tx, call.deps.lake, assessment_id, frozen_at_batch)
    most = limit(call, "report-items")
    if chosen == 0:
        raise InvalidRequest(
            "No evidence is selected for this report. Add evidence to the assessment report first."
        )
    if chosen > most:
        raise InvalidRequest(
            f"{chosen:,} evidence items are selected; a report may hold {most:,}. Select fewer, "
            "or have the quota report-items raised."
        )


def _metadata(report: Report) -> am.AssessmentReportMetadata:
    return am.AssessmentReportMetadata(
        id=report.id,
        name=report.name,
        description=report.description,
        assessment_id=report.assessment_id,
        assessment_name=report.assessment_name,
        author=report.author,
        status=report.status,
        creation_time=clock.wire(report.created_at),
    )


def _errors(verdict: Verdict) -> tuple[str, ...] | None:
    sentences = (*verdict.problems, *verdict.doubts)
    return tuple(s.replace("\n", " ")[:_LONGEST_ERROR] for s in sentences) or None


OPERATIONS = (
    pair(am.CREATE_ASSESSMENT_REPORT, create_assessment_report),
    pair(am.LIST_ASSESSMENT_REPORTS, list_assessment_reports),
    pair(am.GET_ASSESSMENT_REPORT_URL, get_assessment_report_url),
    pair(am.DELETE_ASSESSMENT_REPORT, delete_assessment_report),
    pair(am.VALIDATE_ASSESSMENT_REPORT_INTEGRITY, validate_assessment_report_integrity),
)
