"""Delegation, review and the notices they make (spec sections 2.3-2.5 and 8.1)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.operations.making import OWNER, again, assessment, by, shown

from auditkeep.errors import AccessDenied, InvalidRequest, NotFound
from auditkeep.ids import new_id
from auditkeep.operations.auditmanager import assessments, delegations, notifications, review
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

EXPERT = "arn:aws:iam::111122223333:role/Expert"


def test_a_delegation_is_listed_in_the_assessment_its_set_and_on_its_own(call: Call) -> None:
    made = assessment(call)
    (one,) = _delegate(call, made)["delegations"]
    assert one == {
        "id": one["id"],
        "assessmentName": "assessment",
        "assessmentId": made["metadata"]["id"],
        "status": "IN_PROGRESS",
        "roleArn": EXPERT,
        "roleType": "RESOURCE_OWNER",
        "creationTime": one["creationTime"],
        "lastUpdated": one["creationTime"],
        "controlSetId": "Access",
        "comment": "please look",
        "createdBy": "alice",
    }
    got = again(call, made)
    assert got["metadata"]["delegations"] == [one]
    (of_set,) = got["framework"]["controlSets"]
    assert of_set["delegations"] == [one]
    assert of_set["status"] == "ACTIVE"  # delegating does not change it
    (listed,) = shown(delegations.get_delegations(call, am.GetDelegationsRequest()))["delegations"]
    assert listed["controlSetName"] == "Access"
    assert listed["id"] == one["id"]


def test_wrong_requests_are_errors_of_their_own(call: Call) -> None:
    made = assessment(call)
    good = _wanted()
    wrong = [
        _wanted(control_set_id="Nowhere"),
        _wanted(role_type="PROCESS_OWNER"),
        _wanted(role_arn=None),
        good,
    ]
    answer = _create(call, made, good, *wrong)
    assert [e["errorCode"] for e in answer["errors"]] == ["404", "400", "400", "400"]
    assert [e["createDelegationRequest"] for e in answer["errors"]] == [shown(w) for w in wrong]
    assert len(answer["delegations"]) == 1


def test_a_delegation_can_be_made_again_once_it_is_complete(call: Call) -> None:
    made = assessment(call)
    _delegate(call, made)
    assert len(_delegate(call, made)["errors"]) == 1
    _move_set(call, made, "REVIEWED")
    assert len(_delegate(call, made)["delegations"]) == 2


def test_deleting_answers_unknown_ids_one_by_one(call: Call) -> None:
    made = assessment(call)
    (one,) = _delegate(call, made)["delegations"]
    unknown = new_id()
    ask = am.BatchDeleteDelegationByAssessmentRequest(
        assessment_id=made["metadata"]["id"], delegation_ids=(one["id"], unknown, one["id"])
    )
    answer = shown(delegations.batch_delete_delegation(call, ask))
    assert [(e["delegationId"], e["errorCode"]) for e in answer["errors"]] == [
        (unknown, "404"),
        (one["id"], "404"),
    ]
    assert again(call, made)["metadata"]["delegations"] == []


def test_a_delegation_follows_its_set_and_everyone_is_told(call: Call) -> None:
    made = assessment(call)
    _delegate(call, made)
    expert = by(call, "expert", arn=EXPERT, later=1)
    assert [n["description"] for n in _notices(expert)] == ["please look"]
    _move_set(expert, made, "UNDER_REVIEW", "done")
    assert [d["status"] for d in again(call, made)["metadata"]["delegations"]] == ["UNDER_REVIEW"]
    (told,) = _notices(by(call, "owner", arn=OWNER))
    assert told["description"] == "done"
    assert told["source"] == EXPERT
    assert told["controlSetId"] == told["controlSetName"] == "Access"
    _move_set(by(call, "alice", later=2), made, "REVIEWED", "")
    assert [d["status"] for d in again(call, made)["metadata"]["delegations"]] == ["COMPLETE"]
    assert [n["description"] for n in _notices(expert)] == [
        "The control set 'Access' is now REVIEWED.",
        "please look",
    ]


def test_nobody_is_told_what_they_did_themselves(call: Call) -> None:
    made = assessment(call)
    _delegate(call, made)
    _move_set(call, made, "UNDER_REVIEW")
    assert _notices(call) == []


def test_a_delegate_hands_back_and_an_owner_completes(call: Call) -> None:
    made = assessment(call, sets={"Access": ["a"], "Other": ["b"]})
    _delegate(call, made)
    expert = by(call, "expert", arn=EXPERT)
    with pytest.raises(AccessDenied, match="only an audit owner"):
        _move_set(expert, made, "REVIEWED")
    with pytest.raises(AccessDenied):
        _move_set(expert, made, "UNDER_REVIEW", set_id="Other")
    _move_set(expert, made, "UNDER_REVIEW")
    with pytest.raises(AccessDenied):
        _move_set(expert, made, "ACTIVE")
    assert _move_set(by(call, "owner", arn=OWNER), made, "ACTIVE")["status"] == "ACTIVE"
    assert _move_set(call, made, "REVIEWED")["status"] == "REVIEWED"
    with pytest.raises(InvalidRequest, match="final"):
        _move_set(call, made, "ACTIVE")


def test_completing_a_set_leaves_its_controls_as_they_are(call: Call) -> None:
    made = assessment(call)
    after = _move_set(call, made, "REVIEWED")
    assert [c["status"] for c in after["controls"]] == ["UNDER_REVIEW"]


def test_a_delegate_reviews_controls_of_the_delegated_set_only(call: Call) -> None:
    made = assessment(call, sets={"Access": ["a"], "Other": ["b"]})
    _delegate(call, made)
    expert = by(call, "expert", arn=EXPERT)
    after = _review(expert, made, "Access", status="REVIEWED", comment="fine")
    assert after["status"] == "REVIEWED"
    assert [(c["authorName"], c["commentBody"]) for c in after["comments"]] == [("Expert", "fine")]
    with pytest.raises(AccessDenied):
        _review(expert, made, "Other", status="REVIEWED")


def test_a_delegate_loses_access_when_the_assessment_ends(call: Call) -> None:
    made = assessment(call)
    _delegate(call, made)
    assessments.update_assessment_status(
        call,
        am.UpdateAssessmentStatusRequest(assessment_id=made["metadata"]["id"], status="INACTIVE"),
    )
    with pytest.raises(AccessDenied):
        _review(by(call, "expert", arn=EXPERT), made, "Access", comment="late")


def test_comments_are_kept_in_their_order(call: Call) -> None:
    made = assessment(call)
    for number in range(3):
        _review(by(call, "alice", later=number), made, "Access", comment=f"comment {number}")
    (control,) = again(call, made)["framework"]["controlSets"][0]["controls"]
    assert [c["commentBody"] for c in control["comments"]] == [f"comment {n}" for n in range(3)]


def test_an_update_of_a_control_must_ask_for_something(call: Call) -> None:
    made = assessment(call)
    with pytest.raises(InvalidRequest, match="nothing to do"):
        _review(call, made, "Access")
    with pytest.raises(NotFound):
        _review(call, made, "Nowhere", comment="lost")


def test_the_change_log_can_be_narrowed_to_a_set_or_a_control(call: Call) -> None:
    made = assessment(call, sets={"Access": ["a"], "Other": ["b"]})
    _delegate(call, made)
    _review(call, made, "Access", comment="remark")
    _review(call, made, "Other", status="REVIEWED")
    _move_set(call, made, "UNDER_REVIEW")
    assert sorted(_log(call, made, control_set_id="Access")) == [
        ("CONTROL", "a", "UPDATE_METADATA"),
        ("CONTROL_SET", "Access", "UNDER_REVIEW"),
        ("DELEGATION", "Access", "CREATE"),
    ]
    control = made["framework"]["controlSets"][1]["controls"][0]["id"]
    assert _log(call, made, control_id=control) == [("CONTROL", "b", "REVIEWED")]
    with pytest.raises(NotFound):
        _log(call, made, control_set_id="Nowhere")


def test_notices_and_delegations_come_page_by_page(call: Call) -> None:
    for number in range(3):
        _delegate(by(call, "alice", later=number), assessment(call))
    expert = by(call, "expert", arn=EXPERT)
    first = shown(
        notifications.list_notifications(expert, am.ListNotificationsRequest(max_results=2))
    )
    second = shown(
        notifications.list_notifications(
            expert, am.ListNotificationsRequest(max_results=2, next_token=first["nextToken"])
        )
    )
    times = [n["eventTime"] for n in first["notifications"] + second["notifications"]]
    assert times == sorted(times, reverse=True)
    assert len(times) == 3
    assert "nextToken" not in second
    page = shown(delegations.get_delegations(call, am.GetDelegationsRequest(max_results=2)))
    rest = shown(
        delegations.get_delegations(
            call, am.GetDelegationsRequest(max_results=2, next_token=page["nextToken"])
        )
    )
    assert len({d["id"] for d in page["delegations"] + rest["delegations"]}) == 3


def _wanted(**changes: Any) -> am.CreateDelegationRequest:
    asked: dict[str, Any] = {
        "control_set_id": "Access",
        "role_arn": EXPERT,
        "role_type": "RESOURCE_OWNER",
        "comment": "please look",
    }
    return am.CreateDelegationRequest(**{**asked, **changes})


def _create(call: Call, made: Any, *wanted: am.CreateDelegationRequest) -> Any:
    ask = am.BatchCreateDelegationByAssessmentRequest(
        assessment_id=made["metadata"]["id"], create_delegation_requests=wanted
    )
    return shown(delegations.batch_create_delegation(call, ask))


def _delegate(call: Call, made: Any) -> Any:
    return _create(call, made, _wanted())


def _move_set(call: Call, made: Any, status: Any, comment: str = "", set_id: str = "Access") -> Any:
    ask = am.UpdateAssessmentControlSetStatusRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id=set_id,
        status=status,
        comment=comment,
    )
    return shown(review.update_assessment_control_set_status(call, ask))["controlSet"]


def _review(
    call: Call, made: Any, set_id: str, *, status: Any = None, comment: str | None = None
) -> Any:
    sets = {s["id"]: s for s in made["framework"]["controlSets"]}
    control = sets.get(set_id, sets["Access"])["controls"][0]
    ask = am.UpdateAssessmentControlRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id=set_id,
        control_id=control["id"],
        control_status=status,
        comment_body=comment,
    )
    return shown(review.update_assessment_control(call, ask))["control"]


def _notices(call: Call) -> Any:
    answer = notifications.list_notifications(call, am.ListNotificationsRequest())
    return shown(answer)["notifications"]


def _log(call: Call, made: Any, **narrowed: Any) -> list[tuple[str, str, str]]:
    ask = am.GetChangeLogsRequest(assessment_id=made["metadata"]["id"], **narrowed)
    found = shown(assessments.get_change_logs(call, ask))["changeLogs"]
    return [(c["objectType"], c["objectName"], c["action"]) for c in found]
