"""Evidence, selections and reports, rule by rule (spec sections 2.7, 3.9, 5, 10.5 and 10.6)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests.operations.world import (
    NOT_FOUND,
    NOTHING,
    OTHER,
    VALIDATION,
    Made,
    Refusal,
    World,
    table,
)

from auditkeep.clock import DAY


def _import(world: World, *items: dict[str, Any], made: Made | None = None, **more: Any) -> Any:
    ask = {**(made or world.open).at(manualEvidence=list(items)), **more}
    return world.ask("batch_import_evidence_to_assessment_control", **ask)


def _both(item: dict[str, Any], world: World) -> Any:
    return _import(world, item)


def _upload(name: str, world: World) -> Any:
    return world.ask("get_evidence_file_upload_url", fileName=name)


def _select(operation: str, world: World, made: Made, **members: Any) -> Any:
    return world.ask(operation, assessmentId=made.id, **members)


def _report(world: World, made: Made, name: str = "r", **members: Any) -> Any:
    answer = world.ask("create_assessment_report", name=name, assessmentId=made.id, **members)
    return answer["assessmentReport"]


def _with_evidence(world: World, *texts: str) -> tuple[Made, dict[str, Any]]:
    made = world.assessment(frameworkId=world.theirs)
    world.write_evidence(made, *(texts or ("one", "two")))
    return made, world.folder(made)


def _of_folder(operation: str, world: World, **members: Any) -> Any:
    ask = {"controlSetId": world.open.set_id, "evidenceFolderId": NOTHING, **members}
    return _select(operation, world, world.open, **ask)


FORMS = ({"textResponse": "t"}, {"evidenceFileName": "f.txt"}, {"s3ResourcePath": "s3://a-b-c/d"})
NEEDED: dict[str, dict[str, Any]] = {
    "get_evidence_folders_by_assessment": {},
    "associate_assessment_report_evidence_folder": {"evidenceFolderId": NOTHING},
    "disassociate_assessment_report_evidence_folder": {"evidenceFolderId": NOTHING},
    "create_assessment_report": {"name": "r"},
}


def _of_nothing(operation: str, world: World) -> Any:
    return world.ask(operation, assessmentId=NOTHING, **NEEDED[operation])


def _named(name: str, world: World) -> Any:
    return _report(world, world.open, name)


def _of_no_report(operation: str, world: World) -> Any:
    return world.ask(operation, assessmentId=world.open.id, assessmentReportId=NOTHING)


REFUSED = [
    *(
        Refusal(f"{operation} needs an assessment that is there",
                partial(_of_nothing, operation), NOT_FOUND)
        for operation in NEEDED
    ),
    Refusal(
        "folders of a control that is in another set",
        lambda w: w.ask("get_evidence_folders_by_assessment_control", **{
            **w.open.at(), "controlSetId": "Elsewhere",
        }),
        NOT_FOUND,
    ),
    Refusal(
        "folders of a control that is not in the assessment",
        lambda w: w.ask("get_evidence_folders_by_assessment_control", **{
            **w.open.at(), "controlId": NOTHING,
        }),
        NOT_FOUND,
    ),
    *(
        Refusal(f"{operation} of a folder that is not there", partial(_of_folder, operation),
                NOT_FOUND)
        for operation in ("get_evidence_folder", "get_evidence_by_evidence_folder")
    ),
    Refusal(
        "evidence of a folder that is not there",
        lambda w: _of_folder("get_evidence", w, evidenceId=NOTHING), NOT_FOUND,
    ),
    *(
        Refusal(f"an item is not {' and '.join(sorted({**one, **two}))} at once",
                partial(_both, {**one, **two}),
                VALIDATION, "exactly one")
        for one, two in ((FORMS[0], FORMS[1]), (FORMS[1], FORMS[2]), (FORMS[0], FORMS[2]))
    ),
    Refusal("an item is something", lambda w: _import(w, {}), VALIDATION, "exactly one"),
    Refusal("at least one item is imported", _import, VALIDATION, "manualEvidence"),
    Refusal(
        "at most 50 items are imported at once",
        lambda w: _import(w, *[FORMS[0]] * 51), VALIDATION, "manualEvidence",
    ),
    Refusal(
        "a text has 1000 characters at most",
        lambda w: _import(w, {"textResponse": "t" * 1001}), VALIDATION, "textResponse",
    ),
    Refusal(
        "nothing is imported to a control of another set",
        lambda w: _import(w, FORMS[0], controlSetId="Elsewhere"), NOT_FOUND,
    ),
    *(
        Refusal(f"a file is not called {name!r}", partial(_upload, name), VALIDATION, "fileName")
        for name in ("a.exe", "noextension", "a/b.txt", "", "x" * 297 + ".txt")
    ),
    *(
        Refusal(f"a report is not called {name!r}",
                partial(_named, name), VALIDATION, "name")
        for name in ("two words", "a/b", "", "ü")
    ),
    Refusal(
        "a report holds something",
        lambda w: _report(w, w.open), VALIDATION, "No evidence is selected",
    ),
    Refusal(
        "a query needs evidence finder",
        lambda w: _report(w, w.open, queryStatement="SELECT eventJson"),
        VALIDATION, "queryStatement",
    ),
    *(
        Refusal(f"{operation} needs a report that is there",
                partial(_of_no_report, operation), NOT_FOUND)
        for operation in ("get_assessment_report_url", "delete_assessment_report")
    ),
    Refusal(
        "the integrity of what is no path cannot be checked",
        lambda w: w.ask("validate_assessment_report_integrity", s3RelativePath="s3://a-bucket"),
        VALIDATION, "s3RelativePath",
    ),
    Refusal(
        "the integrity of what is not there cannot be checked",
        lambda w: w.ask("validate_assessment_report_integrity", s3RelativePath="s3://a-b-c/d.zip"),
        NOT_FOUND,
    ),
]  # fmt: skip


@table(REFUSED)
def test_it_is_refused_and_changes_nothing(world: World, row: Refusal) -> None:
    row.holds(world)


@pytest.mark.parametrize("chosen", [True, False])
def test_batches_answer_item_by_item(world: World, chosen: bool) -> None:
    made, folder = _with_evidence(world)
    item = world.item(made, folder)["id"]
    which = "associate" if chosen else "disassociate"
    answer = _select(
        f"batch_{which}_assessment_report_evidence", world, made,
        evidenceFolderId=folder["id"], evidenceIds=[item, NOTHING, item],
    )  # fmt: skip
    assert answer["evidenceIds"] == [item]
    (error,) = answer["errors"]
    assert (error["evidenceId"], error["errorCode"]) == (NOTHING, "404")
    assert world.folder(made)["assessmentReportSelectionCount"] == int(chosen)


def test_a_folder_is_selected_as_it_is_now_and_again_changes_nothing(world: World) -> None:
    made, folder = _with_evidence(world)
    ask = {"evidenceFolderId": folder["id"]}
    for _ in range(2):
        _select("associate_assessment_report_evidence_folder", world, made, **ask)
    world.write_evidence(made, "later")
    shown = world.folder(made)
    assert (shown["totalEvidence"], shown["assessmentReportSelectionCount"]) == (3, 2)
    for _ in range(2):
        _select("disassociate_assessment_report_evidence_folder", world, made, **ask)
    assert world.folder(made)["assessmentReportSelectionCount"] == 0


def test_a_folder_belongs_to_its_set_its_assessment_and_its_tenant(world: World) -> None:
    made, folder = _with_evidence(world)
    stranger = world.account(OTHER)
    good = {"assessmentId": made.id, "controlSetId": made.set_id, "evidenceFolderId": folder["id"]}
    assert world.ask("get_evidence_folder", **good)
    for change, client in (
        ({"controlSetId": "Elsewhere"}, None), ({"assessmentId": world.open.id}, None), ({}, stranger),
    ):  # fmt: skip
        seen = world.refused("get_evidence_folder", client=client, **{**good, **change})
        assert (seen["Code"], seen["status"]) == NOT_FOUND


def test_folders_run_newest_day_first_through_pages_that_lose_nothing(world: World) -> None:
    made = world.assessment(frameworkId=world.theirs)
    for _ in range(3):
        world.write_evidence(made)
        world.clock.advance(DAY)
    whole = world.ask("get_evidence_folders_by_assessment", assessmentId=made.id)["evidenceFolders"]
    assert [f["name"] for f in whole] == sorted((f["name"] for f in whole), reverse=True)
    for operation, ask in (
        ("get_evidence_folders_by_assessment", {"assessmentId": made.id}),
        ("get_evidence_folders_by_assessment_control", made.at()),
    ):
        pages = world.pages(operation, "evidenceFolders", size=1, **ask)
        assert [f for page in pages for f in page] == whole


def test_evidence_runs_newest_first_through_pages_that_lose_nothing(world: World) -> None:
    made, folder = _with_evidence(world, *"abcdefg")
    ask = {
        "assessmentId": made.id, "controlSetId": made.set_id, "evidenceFolderId": folder["id"],
    }  # fmt: skip
    whole = world.ask("get_evidence_by_evidence_folder", **ask)["evidence"]
    pages = world.pages("get_evidence_by_evidence_folder", "evidence", size=3, **ask)
    assert [e for page in pages for e in page] == whole
    assert len(whole) == 7


def test_a_control_takes_100_items_a_day(world: World) -> None:
    made = world.assessment(frameworkId=world.theirs)
    for _ in range(2):
        assert _import(world, *[{"textResponse": "t"}] * 50, made=made)["errors"] == []
    (error,) = _import(world, {"textResponse": "t"}, made=made)["errors"]
    assert error["errorCode"] == "429"
    world.clock.advance(DAY)
    assert _import(world, {"textResponse": "t"}, made=made)["errors"] == []


# --- reports: every state and every event ----------------------------------------------------------

OUTCOMES: dict[tuple[str, str], Any] = {
    ("IN_PROGRESS", "get_assessment_report_url"): "still being generated",
    ("IN_PROGRESS", "delete_assessment_report"): "being generated",
    ("COMPLETE", "get_assessment_report_url"): None,
    ("COMPLETE", "delete_assessment_report"): None,
    ("FAILED", "get_assessment_report_url"): "could not be generated: Broken.",
    ("FAILED", "delete_assessment_report"): None,
}


@pytest.mark.parametrize(("status", "operation"), list(OUTCOMES))
def test_a_report_that_is(world: World, status: str, operation: str) -> None:
    made, folder = _with_evidence(world)
    _select(
        "associate_assessment_report_evidence_folder", world, made, evidenceFolderId=folder["id"]
    )
    report = _report(world, made)
    assert (report["status"], report["author"]) == ("IN_PROGRESS", "root")
    assert "description" not in report
    world.finish_report(report["id"], status)
    ask = {"assessmentId": made.id, "assessmentReportId": report["id"]}
    text = OUTCOMES[status, operation]
    if text is not None:
        seen = world.refused(operation, **ask)
        assert (seen["Code"], seen["status"]) == VALIDATION
        assert text in seen["Message"]
    elif operation == "delete_assessment_report":
        world.ask(operation, **ask)
        seen = world.refused(operation, **ask)
        assert (seen["Code"], seen["status"]) == NOT_FOUND
        assert [a for t, _, a in world.changes(made) if t == "ASSESSMENT_REPORT"] == [
            "CREATE", "DELETE",
        ]  # fmt: skip
    else:
        link = world.ask(operation, **ask)["preSignedUrl"]
        assert link.keys() == {"hyperlinkName", "link"}


def test_reports_of_all_assessments_run_newest_first(world: World) -> None:
    for _ in range(2):
        made, folder = _with_evidence(world)
        _select(
            "associate_assessment_report_evidence_folder", world, made,
            evidenceFolderId=folder["id"],
        )  # fmt: skip
        _report(world, made)
    whole = world.ask("list_assessment_reports")["assessmentReports"]
    times = [r["creationTime"] for r in whole]
    assert times == sorted(times, reverse=True)
    pages = world.pages("list_assessment_reports", "assessmentReports", size=1)
    assert [r for page in pages for r in page] == whole
