"""Evidence as clients read it: folders and items, through lenses, and who may see what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.operations.making import again, assessment, at, by, folders_of, observe, shown

from auditkeep.clock import DAY, MINUTE, SECOND, Instant, day_name, day_of
from auditkeep.db.schema import observation_ids
from auditkeep.errors import AccessDenied, InvalidRequest, NotFound
from auditkeep.evidence.ids import FolderIds
from auditkeep.ids import new_id, uuid_text
from auditkeep.operations.auditmanager import assessments, delegations, evidence, review
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am


def test_a_folder_is_a_day_of_one_control(call: Call) -> None:
    made = assessment(call)
    observe(call, *_after(call, 1, 2, 3), resources=["arn:aws:iam::111122223333:user/x"])
    (folder,) = _folders(call, made)
    assert folder == {
        "name": day_name(day_of(call.now)),
        "date": (call.now + MINUTE) / SECOND,
        "assessmentId": made["metadata"]["id"],
        "controlSetId": "Access",
        "controlId": _control(made)["id"],
        "id": folder["id"],
        "dataSource": "AWS CloudTrail",
        "totalEvidence": 3,
        "assessmentReportSelectionCount": 0,
        "controlName": "a",
        "evidenceResourcesIncludedCount": 3,
        "evidenceByTypeConfigurationDataCount": 0,
        "evidenceByTypeManualCount": 0,
        "evidenceByTypeComplianceCheckCount": 0,
        "evidenceByTypeComplianceCheckIssuesCount": 0,
        "evidenceByTypeUserActivityCount": 3,
        "evidenceAwsServiceSourceCount": 1,
    }
    assert _folder(call, made, folder["id"]) == folder
    assert _folders(call, made, control=_control(made)) == [folder]


def test_evidence_shows_what_was_observed(call: Call) -> None:
    made = assessment(call)
    observe(call, *_after(call, 1), resources=["arn:aws:iam::111122223333:user/x", "short"])
    (folder,) = _folders(call, made)
    (item,) = _items(call, made, folder)
    assert item == {
        "id": item["id"],
        "evidenceFolderId": folder["id"],
        "dataSource": "AWS CloudTrail",
        "evidenceByType": "User activity",
        "time": (call.now + MINUTE) / SECOND,
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "awsAccountId": "111122223333",
        "evidenceAwsAccountId": "111122223333",
        "iamId": "arn:aws:iam::111122223333:role/Admin",
        "resourcesIncluded": [{"value": "arn:aws:iam::111122223333:user/x"}, {"value": "short"}],
        "attributes": {"eventID": "0"},
        "assessmentReportSelection": "No",
    }
    assert _item(call, made, folder["id"], item["id"]) == item


def test_what_happened_before_or_elsewhere_is_not_evidence(call: Call) -> None:
    made = assessment(call)
    observe(call, *_after(call, -1))
    observe(call, *_after(call, 1), match_key="iam:DeleteUser")
    observe(call, *_after(call, 1), account="999988887777")
    observe(call, *_after(call, 1), region="eu-west-1")
    assert _folders(call, made) == []
    observe(call, *_after(call, 2), region="aws-global")
    assert [f["totalEvidence"] for f in _folders(call, made)] == [1]


def test_folders_come_newest_first_and_page_by_page(call: Call) -> None:
    made = assessment(call, sets={"One": ["a", "b"]})
    for day in (0, 1, 3, 40, 500):
        later = at(call, Instant(call.now + day * DAY))
        observe(later, Instant(later.now + 2 * MINUTE))
        observe(later, Instant(later.now + 2 * MINUTE), match_key="s3:CreateBucket")
    last = at(call, Instant(call.now + 501 * DAY))
    whole = _folders(last, made)
    days = [day_name(day_of(Instant(call.now + d * DAY))) for d in (500, 40, 3, 1, 0)]
    assert [f["name"] for f in whole] == [d for d in days for _ in range(2)]
    assert [f["controlName"] for f in whole] == ["a", "b"] * 5
    for size in (1, 3, 4):
        assert list(_paged(last, made, size)) == whole


def test_items_come_newest_first_and_page_by_page(call: Call) -> None:
    made = assessment(call)
    observe(call, *_after(call, 1, 5, 5, 5, 3, 2, 4))
    (folder,) = _folders(call, made)
    whole = _items(call, made, folder)
    times = [i["time"] for i in whole]
    assert times == sorted(times, reverse=True)
    assert len({i["id"] for i in whole}) == 7
    found: list[Any] = []
    token = None
    while True:
        page = _items_page(call, made, folder, max_results=2, next_token=token)
        found += page["evidence"]
        token = page.get("nextToken")
        if token is None:
            break
    assert found == whole


def test_a_token_of_another_folder_is_refused(call: Call) -> None:
    made = assessment(call, sets={"One": ["a", "b"]})
    observe(call, *_after(call, 1, 2))
    observe(call, *_after(call, 1, 2), match_key="s3:CreateBucket")
    first, second = _folders(call, made)
    token = _items_page(call, made, first, max_results=1)["nextToken"]
    with pytest.raises(InvalidRequest, match="nextToken"):
        _items_page(call, made, second, next_token=token)


def test_ids_that_this_server_did_not_give_are_not_found(call: Call) -> None:
    made = assessment(call, sets={"One": ["a"], "Two": ["b"]})
    other = assessment(call, sets={"One": ["a"]})
    observe(call, *_after(call, 1))
    observe(call, *_after(call, 1), match_key="s3:CreateBucket")
    first, second = _folders(call, made)[0], _folders(call, made)[1]
    item = _items(call, made, first)[0]
    (elsewhere,) = _folders(call, other)
    for folder_id in (new_id(), elsewhere["id"], second["id"]):
        with pytest.raises(NotFound, match="evidence folder"):
            _folder(call, made, folder_id)
    for evidence_id in (new_id(), _items(call, other, elsewhere)[0]["id"]):
        with pytest.raises(NotFound, match="evidence"):
            _item(call, made, first["id"], evidence_id)
    with pytest.raises(NotFound):
        _item(call, made, second["id"], item["id"], "Two")


def test_an_observations_own_id_opens_nothing(call: Call) -> None:
    made = assessment(call)
    observe(call, *_after(call, 1))
    (folder,) = _folders(call, made)
    own = call.tx.scalar(call.tx.select(observation_ids.c.id))
    with pytest.raises(NotFound):
        _item(call, made, folder["id"], uuid_text(bytes(own)))


def test_an_empty_day_is_no_folder(call: Call) -> None:
    made = assessment(call)
    ids = FolderIds(call.deps.id_secret, made["metadata"]["id"])
    with pytest.raises(NotFound):
        _folder(call, made, ids.of(1, day_of(call.now)))


def test_a_delegate_sees_the_folders_of_the_delegated_set_only(call: Call) -> None:
    made = assessment(call, sets={"Mine": ["a"], "Other": ["b"]})
    observe(call, *_after(call, 1))
    observe(call, *_after(call, 1), match_key="s3:CreateBucket")
    mine, other = sorted(_folders(call, made), key=lambda f: str(f["controlSetId"]))
    _delegate(call, made, "Mine")
    expert = by(call, "expert")
    assert _folder(expert, made, mine["id"], "Mine")["id"] == mine["id"]
    assert len(_items(expert, made, mine)) == 1
    assert _folders(expert, made, control=_control(made, "Mine"), set_id="Mine") == [mine]
    with pytest.raises(AccessDenied):
        _folder(expert, made, other["id"], "Other")
    with pytest.raises(NotFound):  # a folder of the other set under the name of one's own
        _folder(expert, made, other["id"], "Mine")
    with pytest.raises(AccessDenied):
        _folders(expert, made)
    with pytest.raises(AccessDenied):
        again(expert, made)


def test_an_inactive_control_sees_nothing_more_until_it_is_reopened(call: Call) -> None:
    made = assessment(call)
    _set_control(at(call, _minute(call, 10)), made, "INACTIVE")
    _set_control(at(call, _minute(call, 20)), made, "UNDER_REVIEW")
    observe(call, *_after(call, 5, 9, 10, 15, 19, 20, 25))
    (folder,) = _folders(call, made)
    minutes = [round((i["time"] * SECOND - call.now) / MINUTE) for i in _items(call, made, folder)]
    assert minutes == [25, 20, 9, 5]
    assert folder["totalEvidence"] == 4


def test_a_reviewed_control_keeps_collecting(call: Call) -> None:
    made = assessment(call)
    _set_control(at(call, _minute(call, 10)), made, "REVIEWED")
    observe(call, *_after(call, 20))
    assert [f["totalEvidence"] for f in _folders(call, made)] == [1]


def test_a_changed_scope_counts_from_then_on(call: Call) -> None:
    made = assessment(call)
    later = at(call, _minute(call, 10))
    scope = am.Scope(
        aws_accounts=(am.AWSAccount(id="111122223333"), am.AWSAccount(id="444455556666"))
    )
    assessments.update_assessment(
        later, am.UpdateAssessmentRequest(assessment_id=made["metadata"]["id"], scope=scope)
    )
    observe(call, *_after(call, 5, 15))
    observe(call, *_after(call, 5, 15), account="444455556666")
    (folder,) = _folders(call, made)
    seen = [
        (i["evidenceAwsAccountId"], round((i["time"] * SECOND - call.now) / MINUTE))
        for i in _items(call, made, folder)
    ]
    assert sorted(seen) == [("111122223333", 5), ("111122223333", 15), ("444455556666", 15)]


def test_an_ended_assessment_shows_what_was_there_and_nothing_that_came_later(call: Call) -> None:
    made = assessment(call)
    observe(call, *_after(call, 1, 2))
    before = _folders(call, made)
    assessments.update_assessment_status(
        at(call, _minute(call, 30)),
        am.UpdateAssessmentStatusRequest(assessment_id=made["metadata"]["id"], status="INACTIVE"),
    )
    observe(call, *_after(call, 3))  # it happened before the end, and arrived after it
    observe(call, *_after(call, 31))
    assert _folders(call, made) == before
    assert len(_items(call, made, before[0])) == 2
    assert _control(again(call, made))["evidenceCount"] == 2


def test_an_assessment_counts_its_evidence(call: Call) -> None:
    made = assessment(call, sets={"One": ["a", "b"], "Two": ["a"]})
    observe(call, *_after(call, 1, 2))
    sets = again(call, made)["framework"]["controlSets"]
    assert [(s["systemEvidenceCount"], s["manualEvidenceCount"]) for s in sets] == [(2, 0), (2, 0)]
    counts = [[c["evidenceCount"] for c in s["controls"]] for s in sets]
    assert counts == [[2, 0], [2]]


def _after(call: Call, *minutes: int) -> list[Instant]:
    return [_minute(call, m) for m in minutes]


def _minute(call: Call, minutes: int) -> Instant:
    return Instant(call.now + minutes * MINUTE)


def _control(made: Any, set_id: str = "Access") -> Any:
    sets = made["framework"]["controlSets"]
    return next((s for s in sets if s["id"] == set_id), sets[0])["controls"][0]


def _folders(call: Call, made: Any, *, control: Any = None, set_id: str = "Access") -> list[Any]:
    if control is None:
        return list(folders_of(call, made))
    ask = am.GetEvidenceFoldersByAssessmentControlRequest(
        assessment_id=made["metadata"]["id"], control_set_id=set_id, control_id=control["id"]
    )
    answer_ = evidence.get_evidence_folders_by_assessment_control(call, ask)
    return list(shown(answer_)["evidenceFolders"])


def _paged(call: Call, made: Any, size: int) -> Iterator[Any]:
    token = None
    while True:
        ask = am.GetEvidenceFoldersByAssessmentRequest(
            assessment_id=made["metadata"]["id"], max_results=size, next_token=token
        )
        answer = shown(evidence.get_evidence_folders_by_assessment(call, ask))
        assert len(answer["evidenceFolders"]) <= size
        yield from answer["evidenceFolders"]
        token = answer.get("nextToken")
        if token is None:
            return


def _folder(call: Call, made: Any, folder_id: str, set_id: str | None = None) -> Any:
    ask = am.GetEvidenceFolderRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id=set_id or made["framework"]["controlSets"][0]["id"],
        evidence_folder_id=folder_id,
    )
    return shown(evidence.get_evidence_folder(call, ask))["evidenceFolder"]


def _items_page(call: Call, made: Any, folder: Any, **more: Any) -> Any:
    ask = am.GetEvidenceByEvidenceFolderRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id=folder["controlSetId"],
        evidence_folder_id=folder["id"],
        **more,
    )
    return shown(evidence.get_evidence_by_evidence_folder(call, ask))


def _items(call: Call, made: Any, folder: Any) -> list[Any]:
    return list(_items_page(call, made, folder)["evidence"])


def _item(
    call: Call, made: Any, folder_id: str, evidence_id: str, set_id: str | None = None
) -> Any:
    ask = am.GetEvidenceRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id=set_id or made["framework"]["controlSets"][0]["id"],
        evidence_folder_id=folder_id,
        evidence_id=evidence_id,
    )
    return shown(evidence.get_evidence(call, ask))["evidence"]


def _set_control(call: Call, made: Any, status: Any) -> None:
    ask = am.UpdateAssessmentControlRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id="Access",
        control_id=_control(made)["id"],
        control_status=status,
    )
    review.update_assessment_control(call, ask)


def _delegate(call: Call, made: Any, set_id: str) -> None:
    wanted = am.CreateDelegationRequest(
        control_set_id=set_id,
        role_arn=by(call, "expert").principal.arn,
        role_type="RESOURCE_OWNER",
    )
    delegations.batch_create_delegation(
        call,
        am.BatchCreateDelegationByAssessmentRequest(
            assessment_id=made["metadata"]["id"], create_delegation_requests=(wanted,)
        ),
    )
