"""Selecting evidence for a report: by folder, one by one, and what comes later."""

from __future__ import annotations

from typing import Any

import pytest
from tests.operations.making import again, assessment, at, folders_of, items_of, observe, shown

from auditkeep.clock import DAY, MINUTE, Instant, parse
from auditkeep.errors import NotFound
from auditkeep.evidence import items
from auditkeep.ids import new_id
from auditkeep.operations.auditkeep.backfill import start_backfill
from auditkeep.operations.auditmanager import assessments, selection
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am


@pytest.fixture
def made(call: Call) -> Any:
    made = assessment(call)
    observe(call, *(Instant(call.now + m * MINUTE) for m in (1, 2, 3, 4)))
    return made


def test_a_folder_is_selected_as_it_is_and_does_not_grow(call: Call, made: Any) -> None:
    folder = _folder(call, made)
    _associate(call, made, folder)
    assert _selected(call, made) == (4, ["Yes"] * 4)
    observe(call, Instant(call.now + 5 * MINUTE))
    assert _selected(call, made) == (4, ["No", *["Yes"] * 4])
    _associate(call, made, folder)
    assert _selected(call, made) == (5, ["Yes"] * 5)
    _disassociate(call, made, folder)
    assert _selected(call, made) == (0, ["No"] * 5)


def test_single_items_are_added_and_taken_out(call: Call, made: Any) -> None:
    folder = _folder(call, made)
    first, second, third, fourth = (i["id"] for i in items_of(call, folder))
    assert _choose(call, made, folder, [second, third])["evidenceIds"] == [second, third]
    assert _selected(call, made) == (2, ["No", "Yes", "Yes", "No"])
    _associate(call, made, folder)
    _drop(call, made, folder, [first, fourth])
    assert _selected(call, made) == (2, ["No", "Yes", "Yes", "No"])
    _choose(call, made, folder, [first, first, second])
    assert _selected(call, made) == (3, ["Yes", "Yes", "Yes", "No"])
    _drop(call, made, folder, [first, second, third, fourth])
    assert _selected(call, made) == (0, ["No"] * 4)


def test_choosing_twice_is_choosing_once(call: Call, made: Any) -> None:
    folder = _folder(call, made)
    ids = [i["id"] for i in items_of(call, folder)]
    for _ in range(2):
        _choose(call, made, folder, ids[:2])
        assert _selected(call, made)[0] == 2
    for _ in range(2):
        _drop(call, made, folder, ids[:1])
        assert _selected(call, made)[0] == 1


def test_an_unknown_item_is_an_error_of_its_own(call: Call, made: Any) -> None:
    folder = _folder(call, made)
    known, unknown = items_of(call, folder)[0]["id"], new_id()
    answer = _choose(call, made, folder, [unknown, known])
    assert answer["evidenceIds"] == [known]
    assert [(e["evidenceId"], e["errorCode"]) for e in answer["errors"]] == [(unknown, "404")]
    with pytest.raises(NotFound):
        _associate(call, made, {"id": new_id()})


def test_an_assessment_counts_what_is_selected(call: Call, made: Any) -> None:
    folder = _folder(call, made)
    _associate(call, made, folder)
    _drop(call, made, folder, [items_of(call, folder)[0]["id"]])
    control = again(call, made)["framework"]["controlSets"][0]["controls"][0]
    assert control["assessmentReportEvidenceCount"] == 3


def test_a_report_holds_exactly_what_is_selected_newest_first(call: Call, made: Any) -> None:
    tomorrow = at(call, Instant(call.now + DAY))
    observe(tomorrow, *(Instant(tomorrow.now + m * MINUTE) for m in (1, 2)))
    newest, oldest = folders_of(call, made)
    _associate(call, made, oldest)
    _drop(call, made, oldest, [items_of(call, oldest)[1]["id"]])
    _choose(call, made, newest, [items_of(call, newest)[0]["id"]])
    observe(call, Instant(call.now + 6 * MINUTE))
    held = _report(call, made)
    shown_ids = [
        i["id"]
        for folder in (newest, oldest)
        for i in items_of(call, folder)
        if i["assessmentReportSelection"] == "Yes"
    ]
    assert [i.evidence_id for i in held] == shown_ids
    assert len(held) == 4
    assert {i.folder_id for i in held} == {newest["id"], oldest["id"]}
    counted = items.count_selected(call.tx, call.deps.lake, made["metadata"]["id"], None)
    assert counted == 4


def test_added_items_stand_in_order_between_selected_ones(call: Call, made: Any) -> None:
    folder = _folder(call, made)
    _associate(call, made, folder)
    for minute in (0, 2, 9):  # later batches, at times before, between and after
        observe(call, Instant(call.now + minute * MINUTE + 1))
    every = [i["id"] for i in items_of(call, folder)]
    _choose(call, made, folder, every)
    assert [i.evidence_id for i in _report(call, made)] == every


def test_selecting_works_in_an_ended_assessment(call: Call, made: Any) -> None:
    assessments.update_assessment_status(
        at(call, Instant(call.now + 10 * MINUTE)),
        am.UpdateAssessmentStatusRequest(assessment_id=made["metadata"]["id"], status="INACTIVE"),
    )
    observe(call, Instant(call.now + 5 * MINUTE))
    folder = _folder(call, made)
    _associate(call, made, folder)
    assert _selected(call, made) == (4, ["Yes"] * 4)


def test_a_backfill_selects_nothing_by_itself(call: Call) -> None:
    noon = at(call, parse("2026-05-01T12:00:00Z"))
    observe(noon, *(Instant(noon.now + m * MINUTE) for m in (-60, -30)))
    made = assessment(noon)
    observe(noon, Instant(noon.now + MINUTE))
    folder = _folder(noon, made)
    _associate(noon, made, folder)
    assert _selected(noon, made) == (1, ["Yes"])
    start_backfill(noon, made["metadata"]["id"], Instant(noon.now - DAY))
    assert _selected(noon, made) == (1, ["Yes", "No", "No"])


def _folder(call: Call, made: Any) -> Any:
    (folder,) = folders_of(call, made)
    return folder


def _selected(call: Call, made: Any) -> tuple[int, list[str]]:
    """How many items the folder says are selected, and which say so themselves."""
    folder = _folder(call, made)
    flags = [i["assessmentReportSelection"] for i in items_of(call, folder)]
    return folder["assessmentReportSelectionCount"], flags


def _report(call: Call, made: Any) -> list[items.Item]:
    deps = call.deps
    found = items.selected(call.tx, deps.lake, deps.id_secret, made["metadata"]["id"], None)
    return list(found)


def _associate(call: Call, made: Any, folder: Any) -> None:
    selection.associate_folder(
        call,
        am.AssociateAssessmentReportEvidenceFolderRequest(
            assessment_id=made["metadata"]["id"], evidence_folder_id=folder["id"]
        ),
    )


def _disassociate(call: Call, made: Any, folder: Any) -> None:
    selection.disassociate_folder(
        call,
        am.DisassociateAssessmentReportEvidenceFolderRequest(
            assessment_id=made["metadata"]["id"], evidence_folder_id=folder["id"]
        ),
    )


def _choose(call: Call, made: Any, folder: Any, ids: list[str]) -> Any:
    ask = am.BatchAssociateAssessmentReportEvidenceRequest(
        assessment_id=made["metadata"]["id"],
        evidence_folder_id=folder["id"],
        evidence_ids=tuple(ids),
    )
    return shown(selection.associate_evidence(call, ask))


def _drop(call: Call, made: Any, folder: Any, ids: list[str]) -> Any:
    ask = am.BatchDisassociateAssessmentReportEvidenceRequest(
        assessment_id=made["metadata"]["id"],
        evidence_folder_id=folder["id"],
        evidence_ids=tuple(ids),
    )
    return shown(selection.disassociate_evidence(call, ask))
