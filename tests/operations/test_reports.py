"""Report operations: what may be asked, by whom, and what each state of a report answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.operations.making import ACCOUNT, assessment, at, by, observe, rows_of, select_all, shown

from auditkeep.clock import SECOND, Instant
from auditkeep.db.schema import change_logs, jobs
from auditkeep.errors import AccessDenied, InvalidRequest, NotFound
from auditkeep.lake.blobs import put_blob
from auditkeep.operations.auditmanager import reports
from auditkeep.operations.call import Call
from auditkeep.reports import store
from auditkeep.wire.models import auditmanager as am

ABSENT = "00000000-0000-4000-8000-000000000000"


def selected(call: Call, **members: Any) -> str:
    """The id of an assessment with three selected evidence items."""
    made = assessment(call, **members)["metadata"]["id"]
    observe(call, *(Instant(call.now + n * SECOND) for n in range(3)))
    select_all(call, made)
    return str(made)


def create(call: Call, assessment_id: str, name: str = "q2", **members: Any) -> dict[str, Any]:
    ask = am.CreateAssessmentReportRequest(name=name, assessment_id=assessment_id, **members)
    made: dict[str, Any] = shown(reports.create_assessment_report(call, ask))["assessmentReport"]
    return made


def become(call: Call, report_id: str, status: Any, reason: str | None = None) -> None:
    report = store.find(call.tx, report_id)
    assert report
    store.save(call.tx, msgspec.structs.replace(report, status=status, reason=reason))


def listed(call: Call, **members: Any) -> dict[str, Any]:
    answer: dict[str, Any] = shown(
        reports.list_assessment_reports(call, am.ListAssessmentReportsRequest(**members))
    )
    return answer


def url(call: Call, assessment_id: str, report_id: str) -> dict[str, Any]:
    ask = am.GetAssessmentReportUrlRequest(
        assessment_id=assessment_id, assessment_report_id=report_id
    )
    answer: dict[str, Any] = shown(reports.get_assessment_report_url(call, ask))["preSignedUrl"]
    return answer


def delete(call: Call, assessment_id: str, report_id: str) -> None:
    reports.delete_assessment_report(
        call,
        am.DeleteAssessmentReportRequest(
            assessment_id=assessment_id, assessment_report_id=report_id
        ),
    )


def validate(call: Call, path: str) -> dict[str, Any]:
    ask = am.ValidateAssessmentReportIntegrityRequest(s3_relative_path=path)
    answer: dict[str, Any] = shown(reports.validate_assessment_report_integrity(call, ask))
    return answer


def test_a_report_is_queued_in_the_request_and_logged(call: Call) -> None:
    where = selected(call)
    made = create(call, where, description="second quarter")
    assert made == {
        "id": made["id"],
        "name": "q2",
        "description": "second quarter",
        "awsAccountId": ACCOUNT,
        "assessmentId": where,
        "assessmentName": "assessment",
        "author": "alice",
        "status": "IN_PROGRESS",
        "creationTime": made["creationTime"],
    }
    queued = call.tx.all(call.tx.system().select(jobs.c.kind, jobs.c.key, jobs.c.state))
    assert [tuple(row) for row in queued] == [("report", made["id"], "queued")]
    log = call.tx.all(_changes(call))
    assert [tuple(row) for row in log] == [("ASSESSMENT_REPORT", "q2", "CREATE")]


def _changes(call: Call) -> Any:
    table = change_logs.c
    return call.tx.select(table.object_type, table.object_name, table.action).where(
        table.object_type == "ASSESSMENT_REPORT"
    )


def test_nothing_selected_is_refused(call: Call) -> None:
    made = assessment(call)["metadata"]["id"]
    with pytest.raises(InvalidRequest, match="No evidence is selected"):
        create(call, made)
    assert rows_of(call, "reports") == 0


def test_more_than_a_report_may_hold_is_refused(call: Call) -> None:
    where = selected(call)
    settings = call.deps.settings.model_copy(update={"quotas": {"report-items": 2}})
    with pytest.raises(InvalidRequest, match="3 evidence items are selected; a report may hold 2"):
        create(replace(call, deps=replace(call.deps, settings=settings)), where)


def test_a_query_needs_evidence_finder(call: Call) -> None:
    with pytest.raises(InvalidRequest, match="evidence finder is not enabled"):
        create(call, selected(call), query_statement="SELECT 1")


def test_a_destination_that_is_no_bucket_is_refused_when_the_assessment_is_made(call: Call) -> None:
    odd = am.AssessmentReportsDestination(destination_type="S3", destination="s3://No_Bucket/x")
    with pytest.raises(InvalidRequest, match="assessmentReportsDestination"):
        selected(call, assessment_reports_destination=odd)
    assert rows_of(call, "assessments") == 0


def test_owners_may_and_others_may_not(call: Call) -> None:
    where = selected(call)
    owner = by(call, "Owner", arn="arn:aws:sts::111122223333:assumed-role/Owner/jane")
    report = create(owner, where)
    stranger = by(call, "stranger")
    with pytest.raises(AccessDenied):
        create(stranger, where)
    with pytest.raises(AccessDenied):
        url(stranger, where, report["id"])
    with pytest.raises(AccessDenied):
        delete(stranger, where, report["id"])


def test_another_tenant_finds_nothing(call: Call, elsewhere: Call) -> None:
    where = selected(call)
    report = create(call, where)
    with pytest.raises(NotFound):
        create(elsewhere, where)
    with pytest.raises(NotFound):
        url(elsewhere, where, report["id"])
    assert listed(elsewhere)["assessmentReports"] == []


def test_reports_are_listed_newest_first_in_pages(call: Call) -> None:
    where = selected(call)
    ids = [create(at(call, Instant(call.now + n)), where, f"r{n}")["id"] for n in range(5)]
    seen: list[str] = []
    token = None
    while True:
        page = listed(call, max_results=2, next_token=token)
        seen += [r["id"] for r in page["assessmentReports"]]
        token = page.get("nextToken")
        if token is None:
            break
    assert seen == ids[::-1]


def test_a_link_is_given_for_a_complete_report_only(call: Call) -> None:
    where = selected(call)
    report = create(call, where)
    with pytest.raises(InvalidRequest, match="still being generated"):
        url(call, where, report["id"])
    become(call, report["id"], "FAILED", "the disk was full")
    with pytest.raises(InvalidRequest, match="the disk was full"):
        url(call, where, report["id"])
    become(call, report["id"], "COMPLETE")
    given = url(call, where, report["id"])
    path = f"/files/reports/audit-reports/here/assessment-{where[:8]}/{given['hyperlinkName']}"
    assert given["link"].startswith(f"http://127.0.0.1:8080{path}?")
    assert given["hyperlinkName"].startswith("q2-")


def test_a_report_of_another_assessment_is_not_found(call: Call) -> None:
    where = selected(call)
    report = create(call, where)
    other = assessment(call)["metadata"]["id"]
    for unknown in ((other, report["id"]), (where, ABSENT)):
        with pytest.raises(NotFound, match="assessment report"):
            url(call, *unknown)
        with pytest.raises(NotFound, match="assessment report"):
            delete(call, *unknown)


def test_a_report_under_way_is_not_deleted(call: Call) -> None:
    where = selected(call)
    report = create(call, where)
    with pytest.raises(InvalidRequest, match="Only reports that are complete"):
        delete(call, where, report["id"])


@pytest.mark.parametrize("status", ["COMPLETE", "FAILED"])
def test_a_finished_report_is_deleted_with_its_object(call: Call, status: str) -> None:
    where = selected(call)
    report = create(call, where)
    become(call, report["id"], status)
    place = store.place(store.get(call.tx, where, report["id"]))
    if status == "COMPLETE":
        klass = store.klass(store.get(call.tx, where, report["id"]))
        put_blob(call.tx, call.deps.lake, klass, place.object_key, b"zip", call.now)
    delete(call, where, report["id"])
    call.tx.run_after_commit()
    assert list(call.deps.lake.objects.list("blobs/")) == []
    with pytest.raises(NotFound):
        url(call, where, report["id"])
    assert {row.action for row in call.tx.all(_changes(call))} == {"CREATE", "DELETE"}


def test_validation_of_what_is_not_there(call: Call, elsewhere: Call) -> None:
    with pytest.raises(NotFound):
        validate(call, "s3://audit-reports/here/nothing.zip")
    put_blob(call.tx, call.deps.lake, "reports", "reports/audit-reports/x.zip", b"z", call.now)
    with pytest.raises(NotFound):
        validate(elsewhere, "s3://audit-reports/x.zip")


@pytest.mark.parametrize("path", ["s3://audit-reports", "s3://audit-reports/../x", "s3://A_B/x"])
def test_validation_of_what_is_no_path(call: Call, path: str) -> None:
    with pytest.raises(InvalidRequest, match="s3RelativePath"):
        validate(call, path)


def test_validation_says_what_is_wrong(call: Call) -> None:
    lake = call.deps.lake
    put_blob(call.tx, lake, "reports", "reports/audit-reports/x.zip", b"not a zip", call.now)
    answer = validate(call, "S3://audit-reports/x.zip")
    assert answer["signatureValid"] is False
    assert "not a whole zip archive" in answer["validationErrors"][0]
    assert set(answer) == {"signatureValid", "validationErrors"}


def test_an_object_changed_at_rest_is_invalid_and_no_error(call: Call) -> None:
    lake = call.deps.lake
    put_blob(call.tx, lake, "reports", "reports/audit-reports/x.zip", b"z" * 100, call.now)
    (name,) = lake.objects.list("blobs/")
    kept = bytearray(lake.objects.get(name))
    kept[-1] ^= 1
    lake.objects.delete(name)
    lake.objects.put(name, bytes(kept))
    answer = validate(call, "s3://audit-reports/x.zip")
    assert answer["signatureValid"] is False
    assert len(answer["validationErrors"]) == 1
