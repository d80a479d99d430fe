"""The record's form: identities, times, and what is left out of it."""

import json
from typing import Any

import pytest

from auditkeep.access.principals import Principal
from auditkeep.activity import record
from auditkeep.activity.heard import Heard
from auditkeep.activity.model import records_of, together
from auditkeep.activity.redaction import HIDDEN, shown
from auditkeep.clock import parse
from auditkeep.ids import Tenant
from auditkeep.wire.models import auditmanager as am

TENANT = Tenant("111122223333", "us-east-1")
UUID = "00000000-0000-4000-8000-000000000000"
AT = parse("2026-05-01T12:00:00.987654Z")
SESSION = Principal(
    account="111122223333",
    user="auditor",
    arn="arn:aws:sts::111122223333:assumed-role/auditor/alice",
    policies=(),
    access_key_id="ASIAEXAMPLE",
    user_id="AROAEXAMPLE:alice",
    mfa_at=AT,
    session="alice",
    role="auditor",
    issued_at=AT,
)


def call(principal: Principal = SESSION, **members: Any) -> dict[str, Any]:
    heard = Heard("request-1", "192.0.2.1", b"aws-cli/2 \x07\xff")
    heard.at, heard.operation, heard.tenant = AT, am.GET_CONTROL, TENANT
    heard.principal, heard.ask = principal, am.GetControlRequest(control_id=UUID)
    heard.reads = True
    for name, value in members.items():
        setattr(heard, name, value)
    found: dict[str, Any] = json.loads(record.of_call(heard).raw)
    return found


def test_a_session_of_a_role_names_its_issuer_and_its_second_factor() -> None:
    assert call()["userIdentity"] == {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:alice",
        "arn": "arn:aws:sts::111122223333:assumed-role/auditor/alice",
        "accountId": "111122223333",
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLE",
                "arn": "arn:aws:iam::111122223333:role/auditor",
                "accountId": "111122223333",
                "userName": "auditor",
            },
            "attributes": {"creationDate": "2026-05-01T12:00:00Z", "mfaAuthenticated": "true"},
        },
    }


def test_the_members_stand_in_cloudtrails_order_and_spelling() -> None:
    found = call(code="AccessDeniedException", message="No.")
    assert list(found) == [
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "errorCode",
        "errorMessage",
        "requestParameters",
        "responseElements",
        "requestID",
        "eventID",
        "readOnly",
        "resources",
        "eventType",
        "managementEvent",
        "recipientAccountId",
        "eventCategory",
    ]
    assert found["eventTime"] == "2026-05-01T12:00:00Z"


def test_what_a_client_says_of_itself_is_made_printable_and_short() -> None:
    assert call()["userAgent"] == "aws-cli/2 ?ÿ"
    assert len(call(agent=b"x" * 5000)["userAgent"]) == record.LONGEST_TEXT
    assert call(agent=None)["userAgent"] == ""
    assert call(peer="")["sourceIPAddress"] == "unknown"


def test_what_is_too_long_is_told_as_left_out() -> None:
    many = {f"k{n}": "v" * 200 for n in range(500)}
    asked = am.TagResourceRequest(resource_arn="arn:aws:auditmanager:a", tags=many)
    found = call(operation=am.TAG_RESOURCE, ask=asked)
    assert found["requestParameters"]["omitted"] is True
    assert found["requestParameters"]["originalSize"] > record.MOST_BYTES


def test_a_call_of_nobody_is_not_written_down() -> None:
    with pytest.raises(ValueError, match="counted"):
        call(principal=None)  # type: ignore[arg-type]


def test_sensitive_members_are_hidden_and_grants_are_not() -> None:
    role = am.Role(role_type="PROCESS_OWNER", role_arn="arn:aws:iam::111122223333:role/x")
    asked = am.CreateDelegationRequest(
        comment="see the safe", control_set_id="A", role_arn=role.role_arn, role_type="RESOURCE_OWNER"
    )  # fmt: skip
    request = am.BatchCreateDelegationByAssessmentRequest(
        assessment_id=UUID, create_delegation_requests=(asked,)
    )
    (delegation,) = shown(request)["createDelegationRequests"]
    assert delegation == {
        "comment": HIDDEN,
        "controlSetId": "A",
        "roleArn": role.role_arn,
        "roleType": "RESOURCE_OWNER",
    }
    account = am.AWSAccount(id="111122223333", email_address="a@example.com", name="prod")
    scope = am.Scope(aws_accounts=(account,))
    made = shown(am.AssessmentMetadata(name="secret plan", scope=scope, roles=(role,)))
    assert made["name"] == HIDDEN
    assert made["scope"]["awsAccounts"][0]["id"] == "111122223333"
    assert made["scope"]["awsAccounts"][0]["emailAddress"] == HIDDEN
    assert made["roles"][0]["roleArn"] == role.role_arn


def test_an_upload_url_and_a_secret_are_never_shown() -> None:
    answer = am.GetEvidenceFileUploadUrlResponse(evidence_file_name="a", upload_url="https://x")
    assert shown(answer) == {"evidenceFileName": HIDDEN, "uploadUrl": HIDDEN}
    assert shown({"password": "p", "user": {"sessionToken": "t"}}) == {
        "password": HIDDEN,
        "user": {"sessionToken": HIDDEN},
    }


def test_of_urls_only_the_place_is_kept() -> None:
    told = record.of_operator(
        "AddTrail", "ann", TENANT, {"queue": "https://u:hunter2@q.org/1?token=hunter2"}, AT
    )
    assert b"https://***@q.org/1?token=***" in told.raw
    assert (
        call(agent=b"bot (https://a.org/?key=hunter2)")["userAgent"]
        == "bot (https://a.org/?key=***)"
    )


def test_free_text_is_hidden_where_the_model_does_not_ask_for_it() -> None:
    share = am.StartAssessmentFrameworkShareRequest(
        framework_id=UUID, destination_account="1" * 12, destination_region="eu-west-1", comment="hi"
    )  # fmt: skip
    assert shown(share)["comment"] == HIDDEN


def test_records_kept_together_come_apart_again() -> None:
    heard = Heard("r", "192.0.2.1", None)
    heard.at, heard.operation, heard.tenant = AT, am.LIST_ASSESSMENTS, TENANT
    heard.principal = SESSION
    some = [record.of_call(heard) for _ in range(3)]
    assert together(some[:1]) == some[0]
    file = together(some)
    assert records_of(file.raw) == [n.raw for n in some]
    assert records_of(some[0].raw) == [some[0].raw]
    assert file.observation().match_key == "activity:Reads"
    assert some[0].observation().match_key == "activity:ListAssessments"
