"""The small STS, asked by botocore: who am I, roles taken, and what their sessions may do."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.operations.in_process import REQUEST_ID
from tests.operations.sts.signing_in import ACCOUNT, SignIn

from auditkeep.access import policies, sessions
from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.remembered import TTL
from auditkeep.access.trust import Trust
from auditkeep.clock import MINUTE, SECOND, FixedClock, to_datetime
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps
from auditkeep.wire.messages import Request

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
OTHER = "444455556666"
READ_ONLY = "AuditkeepReadOnly"


@pytest.fixture
def here(db: Database, deps: Deps, clock: FixedClock) -> SignIn:
    return SignIn(db, deps, clock)


def refused(here: SignIn, method: Any, code: str, **ask: Any) -> str:
    with pytest.raises(ClientError) as caught:
        here.call(method, **ask)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])


def take(here: SignIn, who: Any, role: str = "Auditor", **ask: Any) -> Any:
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    return here.call(
        here.sts(who).assume_role, **{"RoleArn": arn, "RoleSessionName": "jane", **ask}
    )


@pytest.mark.both_databases
def test_a_role_is_taken_and_its_session_used(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    role = here.role("Auditor", Trust(principals=(ALICE,)), ADMINISTRATOR)
    answer = take(here, alice)
    assert answer["AssumedRoleUser"] == {
        "AssumedRoleId": f"{role.id}:jane",
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Auditor/jane",
    }
    made = answer["Credentials"]
    assert made["Expiration"] == to_datetime(here.clock.now()).replace(hour=13)
    me = here.call(here.sts(made).get_caller_identity)
    assert (me["Arn"], me["UserId"], me["Account"]) == (
        answer["AssumedRoleUser"]["Arn"], f"{role.id}:jane", ACCOUNT,
    )  # fmt: skip
    assert here.call(here.api(made).register_account)["status"] == "ACTIVE"
    refused(here, here.api(alice).register_account, "AccessDeniedException")


def test_a_key_holder_is_told_who_they_are(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    me = here.call(here.sts(alice).get_caller_identity)
    assert (me["Arn"], me["Account"]) == (ALICE, ACCOUNT)
    assert me["UserId"].startswith("AIDA")
    assert me["ResponseMetadata"]["RequestId"] == REQUEST_ID


def test_a_session_ends_with_the_error_that_clients_know(here: SignIn, clock: FixedClock) -> None:
    alice = here.key("alice", READ_ONLY)
    here.role("Auditor", Trust(principals=(ALICE,)))
    made = take(here, alice, DurationSeconds=900)["Credentials"]
    clock.advance(900 * SECOND - 1)
    here.call(here.api(made).get_account_status)
    clock.advance(1)
    said = refused(here, here.api(made).get_account_status, "ExpiredTokenException")
    assert "ended at 2026-05-01T12:15:00Z" in said
    refused(here, here.sts(made).get_caller_identity, "ExpiredToken")


def test_a_revoked_session_is_refused_within_seconds(here: SignIn, clock: FixedClock) -> None:
    alice = here.key("alice", READ_ONLY)
    here.role("Auditor", Trust(principals=(ALICE,)))
    made = take(here, alice)["Credentials"]
    here.call(here.api(made).get_account_status)
    with here.db.system_write() as tx:
        sessions.revoke(tx, clock.now(), access_key_id=made["AccessKeyId"])
    clock.advance(TTL)
    refused(here, here.api(made).get_account_status, "UnrecognizedClientException")
    refused(here, here.sts(made).get_caller_identity, "InvalidClientTokenId")


@pytest.mark.parametrize("token", [None, "x" * 128])
def test_a_session_is_nothing_without_its_token(here: SignIn, token: str | None) -> None:
    alice = here.key("alice", READ_ONLY)
    here.role("Auditor", Trust(principals=(ALICE,)))
    one, other = (take(here, alice)["Credentials"] for _ in range(2))
    for wrong in (token, other["SessionToken"]):
        bent = {**one, "SessionToken": wrong}
        refused(here, here.api(bent).get_account_status, "UnrecognizedClientException")
    bent = {**one, "SecretAccessKey": other["SecretAccessKey"]}
    refused(here, here.api(bent).get_account_status, "InvalidSignatureException")


def test_an_access_key_takes_no_token(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    bent = {
        "AccessKeyId": alice.access_key_id,
        "SecretAccessKey": alice.secret_access_key,
        "SessionToken": "left-over",
    }
    said = refused(here, here.api(bent).get_account_status, "UnrecognizedClientException")
    assert "Unset AWS_SESSION_TOKEN" in said


def test_a_role_that_is_not_there_answers_as_one_that_trusts_others(here: SignIn) -> None:
    bob = here.key("bob", ADMINISTRATOR)
    here.role("Auditor", Trust(principals=(ALICE,)))
    words = []
    for role in ("Auditor", "Nobody"):
        with pytest.raises(ClientError) as caught:
            take(here, bob, role)
        assert caught.value.response["Error"]["Code"] == "AccessDenied"
        words.append(caught.value.response["Error"]["Message"].replace(role, "ROLE"))
    assert words[0] == words[1]


TAKES = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
}
NEVER = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "sts:*", "Resource": "*"}],
}


@pytest.mark.parametrize(
    ("account", "principal", "policy", "may"),
    [
        (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/u", None, True),
        (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/u", NEVER, False),
        (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", None, False),
        (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", TAKES, True),
        (OTHER, f"arn:aws:iam::{OTHER}:user/u", None, False),
        (OTHER, f"arn:aws:iam::{OTHER}:user/u", TAKES, True),
        (OTHER, f"arn:aws:iam::{OTHER}:root", TAKES, True),
        (OTHER, f"arn:aws:iam::{ACCOUNT}:root", TAKES, False),
        (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/else", TAKES, False),
    ],
)
def test_trust_and_policies_decide_as_in_iam(
    here: SignIn, account: str, principal: str, policy: Any, may: bool
) -> None:
    with here.db.system_write() as tx:
        policies.put(tx, account, "Own", json.dumps(policy or TAKES))
    names = (READ_ONLY, "Own") if policy else (READ_ONLY,)
    user = here.key("u", *names, account=account)
    here.role("Auditor", Trust(principals=(principal,)))
    if may:
        assert take(here, user)["Credentials"]
    else:
        with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
            take(here, user)


def test_a_session_policy_only_ever_narrows(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    here.role("Auditor", Trust(principals=(ALICE,)), READ_ONLY)
    wide = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
    narrow = wide.replace('"Action":"*"', '"Action":"auditmanager:GetAccountStatus"')
    made = take(here, alice, Policy=wide)["Credentials"]
    refused(here, here.api(made).register_account, "AccessDeniedException")
    here.call(here.api(here.admin).register_account)
    here.call(here.api(made).list_assessments)
    made = take(here, alice, Policy=narrow)["Credentials"]
    here.call(here.api(made).get_account_status)
    said = refused(here, here.api(made).list_assessments, "AccessDeniedException")
    assert "assumed-role/Auditor/jane" in said


def test_a_session_policy_holds_when_a_further_role_is_taken(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    here.role("Auditor", Trust(principals=(ALICE,)))
    here.role("Next", Trust(principals=(f"arn:aws:iam::{ACCOUNT}:role/Auditor",)))
    narrow = (
        '{"Version":"2012-10-17","Statement":'
        '{"Effect":"Allow","Action":"auditmanager:*","Resource":"*"}}'
    )
    with pytest.raises(ClientError, match="not authorized"):
        take(here, take(here, alice, Policy=narrow)["Credentials"], "Next")


def test_one_role_takes_another_for_an_hour_at_most(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    here.role("Auditor", Trust(principals=(ALICE,)), longest=7200)
    here.role("Next", Trust(principals=(f"arn:aws:iam::{ACCOUNT}:role/Audit*",)), longest=7200)
    first = take(here, alice, DurationSeconds=7200)["Credentials"]
    with pytest.raises(ClientError, match="when one role takes another"):
        take(here, first, "Next", DurationSeconds=3601)
    assert take(here, first, "Next")["AssumedRoleUser"]["Arn"].endswith("/Next/jane")
    with here.db.system_read() as tx:
        taken = {s.role: s.origin for s in sessions.listed(tx, here.clock.now())}
    assert taken == {
        "Auditor": ALICE,
        "Next": f"arn:aws:sts::{ACCOUNT}:assumed-role/Auditor/jane",
    }


def test_a_roles_sessions_own_and_answer_for_assessments_as_the_role(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    role = here.role("Auditor", Trust(principals=(ALICE,)), ADMINISTRATOR)
    api = here.api(take(here, alice)["Credentials"])
    here.call(api.register_account)
    control = here.call(
        api.create_control,
        name="c",
        controlMappingSources=[
            {
                "sourceName": "by hand",
                "sourceSetUpOption": "Procedural_Controls_Mapping",
                "sourceType": "MANUAL",
            }
        ],
    )["control"]
    assert control["createdBy"]
    framework = here.call(
        api.create_assessment_framework,
        name="f",
        controlSets=[{"name": "s", "controls": [{"id": control["id"]}]}],
    )["framework"]
    here.call(
        api.create_assessment,
        name="a",
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://reports"},
        scope={"awsAccounts": [{"id": ACCOUNT}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": role.arn}],
        frameworkId=framework["id"],
    )
    other = here.api(take(here, alice, RoleSessionName="joe")["Credentials"])
    [seen] = here.call(other.list_assessments)["assessmentMetadata"]
    assert {r["roleArn"] for r in seen["roles"]} == {role.arn}
    shown = here.call(other.get_assessment, assessmentId=seen["id"])
    assert shown["userRole"] == {"roleType": "PROCESS_OWNER", "roleArn": role.arn}


def test_tags_are_chosen_only_where_the_trust_leaves_them_open(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    here.role("Auditor", Trust(principals=(ALICE,), tags=("team",)))
    made = take(here, alice, Tags=[{"Key": "team", "Value": "blue"}])["Credentials"]
    with here.db.system_read() as tx:
        found = sessions.find(tx, here.deps.lake.secrets, made["AccessKeyId"])
    assert found is not None
    assert found.principal.tags == (("team", "blue"),)
    with pytest.raises(ClientError, match="session tag 'admin'"):
        take(here, alice, Tags=[{"Key": "admin", "Value": "yes"}])


@pytest.mark.parametrize(
    ("ask", "code", "words"),
    [
        ({"RoleSessionName": "a"}, "ValidationError", "2 to 64"),
        ({"RoleSessionName": "a b"}, "ValidationError", "2 to 64"),
        ({"RoleSessionName": "a" * 65}, "ValidationError", "64 characters"),
        ({"RoleSessionName": ""}, "ValidationError", "must hold RoleSessionName"),
        ({"RoleArn": "x" * 2049}, "ValidationError", "2048 characters"),
        ({"DurationSeconds": 899}, "ValidationError", "at least 900"),
        ({"DurationSeconds": -1}, "ValidationError", "at least 900"),
        ({"DurationSeconds": 3601}, "ValidationError", "exceeds"),
        ({"Policy": "{}"}, "MalformedPolicyDocument", "policy"),
        ({"Policy": " " * 2049}, "ValidationError", "2048 characters"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/X"}]}, "ValidationError", "supported"),
        ({"SerialNumber": "x" * 9, "TokenCode": "123456"}, "ValidationError", "supported"),
        ({"TransitiveTagKeys": ["a"]}, "ValidationError", "supported"),
        ({"SourceIdentity": "alice"}, "ValidationError", "supported"),
        ({"Tags": [{"Key": "", "Value": ""}]}, "ValidationError", "1 to 128"),
        (
            {"Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]},
            "ValidationError",
            "once",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(
    here: SignIn, ask: Any, code: str, words: str
) -> None:
    alice = here.key("alice", READ_ONLY)
    here.role("Auditor", Trust(principals=(ALICE,), tags=("a", "A")))
    with pytest.raises(ClientError, match=words) as caught:
        take(here, alice, **ask)
    assert caught.value.response["Error"]["Code"] == code
    with here.db.system_read() as tx:
        assert sessions.listed(tx, here.clock.now()) == []


def test_what_the_small_sts_does_not_do_is_said(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    said = refused(here, here.sts(alice).get_session_token, "InvalidAction")
    assert "GetCallerIdentity, AssumeRole" in said


def test_who_does_not_sign_is_nobody(here: SignIn) -> None:
    refused(here, here.sts(None).get_caller_identity, "MissingAuthenticationToken")


def test_a_presigned_caller_identity_is_answered(here: SignIn, clock: FixedClock) -> None:
    alice = here.key("alice", READ_ONLY)
    with here.signing_clock():
        url = here.sts(alice).generate_presigned_url(
            "get_caller_identity", ExpiresIn=60, HttpMethod="GET"
        )
    _, _, query = url.partition("?")
    asked = Request("GET", b"/", query.encode(), ((b"host", b"127.0.0.1:8080"),))
    assert here.service.answer(asked).status == 200
    clock.advance(2 * MINUTE)
    assert here.service.answer(asked).status == 403


def test_a_key_for_another_service_does_not_pass(here: SignIn) -> None:
    alice = here.key("alice", READ_ONLY)
    client = here.sts(alice)
    client.meta.events.register(
        "before-sign.sts", lambda request, **_: request.context.update(signing={"signing_name": "auditmanager"})
    )  # fmt: skip
    refused(here, client.get_caller_identity, "SignatureDoesNotMatch")
