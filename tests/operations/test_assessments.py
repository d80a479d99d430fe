"""Assessments from creation to deletion, through their operations."""

from __future__ import annotations

from typing import Any

import pytest
from tests.operations.making import (
    OWNER,
    ask_for,
    assessment,
    by,
    framework_of,
    rows_of,
    shown,
)

from auditkeep.accounts import quotas
from auditkeep.errors import AccessDenied, InvalidRequest, NotFound, QuotaExceeded
from auditkeep.operations.auditmanager import assessments, controls, delegations, tags
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

ABSENT = "00000000-0000-4000-8000-000000000000"


def test_a_new_assessment_copies_its_framework(call: Call) -> None:
    made = assessment(call, sets={"Access": ["a", "b"], "Data": ["a"]})
    assert made["metadata"]["status"] == "ACTIVE"
    assert made["framework"]["metadata"] == {"name": "framework", "complianceType": "TEST"}
    sets = made["framework"]["controlSets"]
    assert [(s["id"], s["description"], s["status"]) for s in sets] == [
        ("Access", "Access", "ACTIVE"),
        ("Data", "Data", "ACTIVE"),
    ]
    assert [[(c["name"], c["status"], c["comments"]) for c in s["controls"]] for s in sets] == [
        [("a", "UNDER_REVIEW", []), ("b", "UNDER_REVIEW", [])],
        [("a", "UNDER_REVIEW", [])],
    ]
    assert sets[0]["controls"][0]["evidenceSources"] == ["AWS CloudTrail"]
    assert sets[0]["roles"] == made["metadata"]["roles"]


def test_what_was_sent_is_answered_and_services_are_not(call: Call) -> None:
    framework = framework_of(call, {"Access": ["a"]})
    first = am.AWSAccount(id="111122223333", email_address="a@b.c", name="prod")
    second = am.AWSAccount(id="444455556666")
    sent = ask_for(
        framework,
        scope=am.Scope(
            aws_accounts=(first, second, second),
            aws_services=(am.AWSService(service_name="iam"),),
        ),
        description="why",
        tags={"team": "grc"},
    )
    made = shown(assessments.create_assessment(call, sent))["assessment"]
    assert made["metadata"]["scope"] == {
        "awsAccounts": [
            {"id": "111122223333", "emailAddress": "a@b.c", "name": "prod"},
            {"id": "444455556666"},
        ],
        "awsServices": [],
    }
    assert made["metadata"]["description"] == "why"
    assert made["metadata"]["assessmentReportsDestination"] == {
        "destinationType": "S3",
        "destination": "s3://audit-reports/here",
    }
    assert made["tags"] == {"team": "grc"}
    assert _get(call, made)["assessment"] == made


def test_whoever_creates_an_assessment_is_one_of_its_owners(call: Call) -> None:
    assert _owners(assessment(call)) == [OWNER, call.principal.arn]
    assert _owners(assessment(call, owners=[call.principal.arn])) == [call.principal.arn]


def test_the_caller_is_told_their_own_role(call: Call) -> None:
    made = assessment(call)
    mine = {"roleType": "PROCESS_OWNER", "roleArn": call.principal.arn}
    assert _get(call, made)["userRole"] == mine
    assert "userRole" not in _get(by(call, "stranger", admin=True), made)


@pytest.mark.parametrize(
    "wrong",
    [
        {"roles": (am.Role(role_type="RESOURCE_OWNER", role_arn=OWNER),)},
        {"scope": am.Scope()},
        {"scope": am.Scope(aws_accounts=(am.AWSAccount(name="no id"),))},
        {"assessment_reports_destination": am.AssessmentReportsDestination()},
    ],
)
def test_a_request_against_the_rules_makes_nothing(call: Call, wrong: dict[str, Any]) -> None:
    framework = framework_of(call, {"Access": ["a"]})
    with pytest.raises(InvalidRequest) as raised:
        assessments.create_assessment(call, ask_for(framework, **wrong))
    assert raised.value.fields
    assert rows_of(call, "assessments") == 0


def test_an_unknown_framework_is_not_found(call: Call) -> None:
    with pytest.raises(NotFound, match="assessmentFramework"):
        assessments.create_assessment(call, ask_for(ABSENT))


def test_quotas_of_assessments_and_of_accounts(call: Call) -> None:
    quotas.save(call.tx, "active-assessments", 2)
    quotas.save(call.tx, "member-accounts", 3)
    assessment(call, accounts=["111122223333", "222222222222"])
    with pytest.raises(QuotaExceeded, match="4 different accounts"):
        assessment(call, accounts=["333333333333", "444444444444"])
    second = assessment(call, accounts=["333333333333"])
    with pytest.raises(QuotaExceeded, match="2 ACTIVE"):
        assessment(call)
    _set_status(call, second, "INACTIVE")
    assessment(call)


def test_left_out_members_of_an_update_stay(call: Call) -> None:
    made = assessment(call, description="why")
    later = by(call, "alice", admin=True, later=60)
    after = _update(later, made)
    before = made["metadata"]
    assert after["metadata"] == {**before, "lastUpdated": before["lastUpdated"] + 60}
    assert after["framework"] == made["framework"]


def test_an_owner_who_changes_the_owners_stays_one(call: Call) -> None:
    made = assessment(call)
    other = am.Role(role_type="PROCESS_OWNER", role_arn="arn:aws:iam::111122223333:role/Other")
    assert _owners(_update(call, made, roles=(other,))) == [other.role_arn, call.principal.arn]
    with pytest.raises(InvalidRequest, match="at least one"):
        _update(call, made, roles=())


def test_an_ended_assessment_is_reviewed_and_can_only_be_read(call: Call) -> None:
    made = assessment(call, sets={"Access": ["a", "b"]})
    ended = _set_status(call, made, "INACTIVE")
    assert ended["metadata"]["status"] == "INACTIVE"
    (one,) = ended["framework"]["controlSets"]
    assert one["status"] == "REVIEWED"
    assert {c["status"] for c in one["controls"]} == {"REVIEWED"}
    with pytest.raises(InvalidRequest, match="INACTIVE"):
        _update(call, made)
    with pytest.raises(InvalidRequest, match="final"):
        _set_status(call, made, "ACTIVE")
    assert _set_status(call, made, "INACTIVE") == ended


def test_setting_an_active_assessment_active_changes_nothing(call: Call) -> None:
    made = assessment(call)
    assert _set_status(call, made, "ACTIVE") == made
    assert len(_changes(call, made)) == 1


def test_deleting_leaves_no_row_and_a_second_call_finds_nothing(call: Call) -> None:
    tables = [
        "assessments",
        "assessment_control_sets",
        "assessment_controls",
        "change_logs",
        "lens_intervals",
        "tags",
    ]
    made = assessment(call, tags={"a": "b"})
    assert all(rows_of(call, t) for t in tables)
    ask = am.DeleteAssessmentRequest(assessment_id=made["metadata"]["id"])
    assessments.delete_assessment(call, ask)
    assert {t: rows_of(call, t) for t in tables} == dict.fromkeys(tables, 0)
    with pytest.raises(NotFound):
        assessments.delete_assessment(call, ask)


def test_another_tenants_assessment_is_not_found_and_never_denied(
    call: Call, elsewhere: Call
) -> None:
    made = assessment(call)
    with pytest.raises(NotFound):
        _get(elsewhere, made)
    with pytest.raises(NotFound):
        _get(by(elsewhere, "nobody"), made)


def test_only_owners_may_read_or_change_an_assessment(call: Call) -> None:
    made = assessment(call)
    owner = by(call, "owner", arn=OWNER)
    session = by(call, "x", arn="arn:aws:sts::111122223333:assumed-role/Owner/session")
    stranger = by(call, "stranger")
    assert _get(owner, made)["userRole"]["roleArn"] == OWNER
    assert _get(session, made)["userRole"]["roleArn"] == OWNER
    with pytest.raises(AccessDenied, match="GetAssessment"):
        _get(stranger, made)
    with pytest.raises(AccessDenied, match="UpdateAssessmentStatus"):
        _set_status(stranger, made, "INACTIVE")


def test_lists_show_what_the_caller_may_see_newest_first_page_by_page(call: Call) -> None:
    mine = [_id(assessment(by(call, "bob", later=n), owners=[])) for n in range(5)]
    assessment(by(call, "carol", later=9), owners=[])
    ended = assessment(by(call, "bob", later=10), owners=[])
    bob = by(call, "bob")
    _set_status(bob, ended, "INACTIVE")
    found: list[str] = []
    token = None
    while True:
        ask = am.ListAssessmentsRequest(status="ACTIVE", max_results=2, next_token=token)
        answer = shown(assessments.list_assessments(bob, ask))
        assert len(answer["assessmentMetadata"]) <= 2
        found += [m["id"] for m in answer["assessmentMetadata"]]
        token = answer.get("nextToken")
        if token is None:
            break
    assert found == mine[::-1]
    everything = shown(assessments.list_assessments(call, am.ListAssessmentsRequest()))
    assert len(everything["assessmentMetadata"]) == 7


def test_the_change_log_says_who_did_what_newest_first(call: Call) -> None:
    made = assessment(call)
    _update(by(call, "alice", later=1), made, assessment_name="renamed")
    _set_status(by(call, "alice", later=2), made, "INACTIVE")
    lines = [(c["objectType"], c["objectName"], c["action"]) for c in _changes(call, made)]
    assert lines == [
        ("ASSESSMENT", "renamed", "INACTIVE"),
        ("ASSESSMENT", "renamed", "UPDATE_METADATA"),
        ("ASSESSMENT", "assessment", "CREATE"),
    ]
    assert {c["createdBy"] for c in _changes(call, made)} == {call.principal.arn}


def test_changed_tags_are_in_the_next_answer(call: Call) -> None:
    made = assessment(call, tags={"a": "b"})
    assert _get(call, made)["assessment"]["tags"] == {"a": "b"}
    tags.tag_resource(call, am.TagResourceRequest(resource_arn=made["arn"], tags={"c": "d"}))
    assert _get(call, made)["assessment"] == {**made, "tags": {"a": "b", "c": "d"}}
    tags.untag_resource(call, am.UntagResourceRequest(resource_arn=made["arn"], tag_keys=("a",)))
    assert _get(call, made)["assessment"]["tags"] == {"c": "d"}


def _id(made: Any) -> str:
    return str(made["metadata"]["id"])


def _owners(made: Any) -> list[str]:
    return [r["roleArn"] for r in made["metadata"]["roles"]]


def _get(call: Call, made: Any) -> Any:
    ask = am.GetAssessmentRequest(assessment_id=_id(made))
    return shown(assessments.get_assessment(call, ask))


def _update(call: Call, made: Any, **changes: Any) -> Any:
    same = am.Scope(
        aws_accounts=tuple(
            am.AWSAccount(id=a["id"]) for a in made["metadata"]["scope"]["awsAccounts"]
        )
    )
    ask = am.UpdateAssessmentRequest(
        assessment_id=_id(made), scope=changes.pop("scope", same), **changes
    )
    return shown(assessments.update_assessment(call, ask))["assessment"]


def _set_status(call: Call, made: Any, status: Any) -> Any:
    ask = am.UpdateAssessmentStatusRequest(assessment_id=_id(made), status=status)
    return shown(assessments.update_assessment_status(call, ask))["assessment"]


def _changes(call: Call, made: Any) -> Any:
    ask = am.GetChangeLogsRequest(assessment_id=_id(made))
    return shown(assessments.get_change_logs(call, ask))["changeLogs"]


def test_a_session_of_a_role_is_the_role_in_arns_and_the_person_in_names(call: Call) -> None:
    """Decision 17 of specification section 12."""
    role = "arn:aws:iam::111122223333:role/Auditors"
    arn = "arn:aws:sts::111122223333:assumed-role/Auditors/jane.doe@example.org"
    session = by(call, "Auditors", arn=arn, admin=True)
    made = assessment(session, owners=[])
    assert [r["roleArn"] for r in made["metadata"]["roles"]] == [role]
    again = by(call, "x", arn="arn:aws:iam::111122223333:role/team/a/Auditors")
    assert _get(again, made)["userRole"]["roleArn"] == role
    ask = am.BatchCreateDelegationByAssessmentRequest(
        assessment_id=_id(made),
        create_delegation_requests=(
            am.CreateDelegationRequest(
                control_set_id="Access", role_arn=OWNER, role_type="RESOURCE_OWNER"
            ),
        ),
    )
    (one,) = shown(delegations.batch_create_delegation(session, ask))["delegations"]
    assert one["createdBy"] == "jane-doe-example-org"
    source = am.CreateControlMappingSource(source_name="s", source_type="MANUAL")
    control = am.CreateControlRequest(name="c", control_mapping_sources=(source,))
    assert shown(controls.create_control(session, control))["control"]["createdBy"] == (
        "jane-doe-example-org"
    )
    log = am.GetChangeLogsRequest(assessment_id=_id(made))
    changes = shown(assessments.get_change_logs(session, log))["changeLogs"]
    assert {c["createdBy"] for c in changes} == {role}
