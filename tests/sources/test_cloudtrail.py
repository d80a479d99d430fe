"""CloudTrail events: which are evidence, what is read from them, in all their wrappings."""

import base64
import gzip
import json
from typing import Any

import pytest
from tests.sources.reading import EVERYTHING, Read, read

from auditkeep.clock import iso
from auditkeep.ids import Tenant
from auditkeep.mapping.interest import Interest
from auditkeep.mapping.leftout import PREFIX
from auditkeep.sources import cloudtrail
from auditkeep.sources.records import Context
from auditkeep.sources.secrets import Cutter

EVENT: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "IAMUser",
        "arn": "arn:aws:iam::444455556666:user/alice",
        "accountId": "444455556666",
    },
    "eventTime": "2026-04-30T10:11:12Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "RunInstances",
    "awsRegion": "eu-west-1",
    "requestParameters": {"imageId": "ami-1"},
    "responseElements": None,
    "eventID": "0828c0d2-3589-4390-b954-c78b4a7df44b",
    "readOnly": False,
    "eventType": "AwsApiCall",
    "managementEvent": True,
    "recipientAccountId": "444455556666",
    "eventCategory": "Management",
}


def event(**changes: Any) -> dict[str, Any]:
    """The event with changes; a member changed to `...` is left out."""
    return {k: v for k, v in (EVENT | changes).items() if v is not ...}


def parse(value: Any, context: Context = EVERYTHING) -> Read:
    return read(cloudtrail.parse, json.dumps(value).encode(), context)


def test_an_event_becomes_an_observation() -> None:
    data = json.dumps({"Records": [EVENT]}, separators=(",", ":")).encode()
    found = read(cloudtrail.parse, data).only
    assert found.source == "AWS_Cloudtrail"
    assert found.natural_key == (EVENT["eventID"],)
    assert iso(found.event_time) == "2026-04-30T10:11:12.000000Z"
    assert found.match_key == "ec2:RunInstances"
    assert (found.account, found.region) == ("444455556666", "eu-west-1")
    assert found.actor == "arn:aws:iam::444455556666:user/alice"
    assert (found.event_name, found.event_source) == ("RunInstances", "ec2.amazonaws.com")
    assert found.position == "Records[0]"
    assert found.verdict is None
    assert found.raw in data
    assert json.loads(found.raw) == EVENT


def _log_events(*events: dict[str, Any]) -> dict[str, Any]:
    return {
        "messageType": "DATA_MESSAGE",
        "logEvents": [{"id": "1", "timestamp": 1, "message": json.dumps(e)} for e in events],
    }


def _packed(value: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()


@pytest.mark.parametrize(
    ("wrapped", "position"),
    [
        ({"Records": [EVENT]}, "Records[0]"),
        ([EVENT], "[0]"),
        (EVENT, "record 1"),
        ({"detail-type": "AWS API Call via CloudTrail", "detail": EVENT}, "record 1.detail"),
        ([{"detail": EVENT}], "[0].detail"),
        (_log_events(EVENT), "logEvents[0].message"),
        (
            {"awslogs": {"data": _packed(_log_events(EVENT))}},
            "record 1.awslogs.logEvents[0].message",
        ),
        (
            {"Events": [{"EventId": "x", "CloudTrailEvent": json.dumps(EVENT)}]},
            "Events[0].CloudTrailEvent",
        ),
        ({"EventId": "x", "CloudTrailEvent": json.dumps(EVENT)}, "record 1.CloudTrailEvent"),
    ],
)
def test_an_event_is_found_in_every_wrapping(wrapped: Any, position: str) -> None:
    found = parse(wrapped)
    assert found.only.match_key == "ec2:RunInstances"
    assert found.only.position == position
    assert json.loads(found.only.raw) == EVENT
    assert found.tally.records == 1


def test_events_on_lines_are_found_with_their_line() -> None:
    lines = "\n".join(json.dumps(event(eventID=f"id-{n}")) for n in range(3))
    found = read(cloudtrail.parse, lines.encode() + b"\n")
    assert [o.position for o in found.observations] == ["record 1", "line 2", "line 3"]


LEFT_OUT = [
    ({"readOnly": True, "eventName": "DescribeInstances"}, "read-only"),
    ({"readOnly": "true", "eventName": "DescribeInstances"}, "read-only"),
    ({"readOnly": "True", "eventName": "DescribeInstances"}, "read-only"),
    ({"readOnly": True, "eventName": "NobodyListsThis"}, "read-only"),
    ({"readOnly": ..., "eventName": "DescribeInstances"}, "read-only"),
    ({"readOnly": ..., "eventName": "ListUsers"}, "read-only"),
    ({"eventCategory": "Data"}, "not a management event"),
    ({"eventCategory": "Insight"}, "not a management event"),
    ({"eventCategory": "Insight", "eventName": ..., "eventSource": ...}, "not a management event"),
    ({"eventCategory": "NetworkActivity"}, "not a management event"),
    ({"managementEvent": False}, "not a management event"),
    ({"managementEvent": "false"}, "not a management event"),
    ({"eventType": "AwsVpceEvent", "eventCategory": ...}, "not a management event"),
    ({"eventSource": "kms.amazonaws.com", "eventName": "Decrypt"}, "left out by name"),
    ({"eventSource": "kms.amazonaws.com", "eventName": "GenerateDataKey"}, "left out by name"),
    ({"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole"}, "left out by name"),
]
"""What AWS leaves out, and why."""


@pytest.mark.parametrize(("changes", "reason"), LEFT_OUT)
@pytest.mark.parametrize("count", [1, 40])
def test_what_is_no_evidence_is_passed_over(
    changes: dict[str, Any], reason: str, count: int
) -> None:
    found = parse({"Records": [event(**changes)] * count})
    assert found.unmatched == reason
    assert found.tally.records == found.tally.unmatched.total() == count


@pytest.mark.parametrize(
    "changes",
    [
        {"eventCategory": ...},
        {"managementEvent": ...},
        {"readOnly": ...},
        {"readOnly": "false"},
        {"eventType": "AwsServiceEvent"},
        {"eventType": "AwsConsoleSignIn", "eventName": "ConsoleLogin"},
        {"eventName": "GetFederationToken"},
        {"errorCode": "AccessDenied"},
    ],
)
def test_a_management_event_that_changes_something_is_evidence(changes: dict[str, Any]) -> None:
    assert parse(event(**changes)).only.source == "AWS_Cloudtrail"


@pytest.mark.parametrize(("changes", "reason"), LEFT_OUT)
@pytest.mark.parametrize("count", [1, 40])
def test_where_every_record_is_kept_it_is_kept_under_a_key_that_no_control_has(
    changes: dict[str, Any], reason: str, count: int
) -> None:
    tenant = Tenant("111122223333", "us-east-1")
    context = Context(tenant, Interest.every_record(), Cutter(b"k"))
    found = parse({"Records": [event(**changes, eventID=...)] * count}, context)
    assert reason
    assert (found.rejected, found.tally.unmatched.total()) == ([], 0)
    assert len(found.observations) == count
    (key,) = {one.match_key for one in found.observations}
    assert key.startswith(PREFIX)
    assert parse(event(), context).only.match_key == "ec2:RunInstances"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("kms", "Encrypt"),
        ("sts", "AssumeRoleWithSAML"),
        ("bedrock", "InvokeModel"),
        ("ses", "VerifyEmailIdentity"),
    ],
)
@pytest.mark.parametrize("flag", [True, "true", ...])
@pytest.mark.parametrize("interest", ["named", "all"])
def test_what_the_list_of_keywords_has_is_evidence_whatever_its_flag_says(
    source: str, name: str, flag: Any, interest: str
) -> None:
    key = f"{source}:{name}"
    wanted = Interest.of([key]) if interest == "named" else Interest.every_record()
    context = Context(Tenant("111122223333", "us-east-1"), wanted, Cutter(b"k"))
    told = event(eventSource=f"{source}.amazonaws.com", eventName=name, readOnly=flag)
    assert parse(told, context).only.match_key == key


def test_read_only_events_are_admitted_when_asked_for() -> None:
    tenant = Tenant("111122223333", "us-east-1")
    context = Context(tenant, Interest.everything(), Cutter(b"k"), reads=True)
    records = {"Records": [event(readOnly=True, eventName="ListUsers")] * 5}
    assert len(parse(records, context).observations) == 5
    assert parse(event(eventSource="kms.amazonaws.com", eventName="Decrypt"), context).unmatched


def test_only_what_is_of_interest_is_kept() -> None:
    names = ["CreateUser", "RunInstances", "CreateFunction20150331", "DeleteUser"] * 20
    sources = {"CreateFunction20150331": "lambda", "RunInstances": "ec2"}
    records = [
        event(
            eventName=name,
            eventSource=f"{sources.get(name, 'iam')}.amazonaws.com",
            eventID=f"0828c0d2-3589-4390-b954-{n:012}",
        )
        for n, name in enumerate(names)
    ]
    interest = Interest.of(["iam:CreateUser", "lambda:CreateFunction", "other:DeleteUser"])
    context = Context(Tenant("111122223333", "us-east-1"), interest, Cutter(b"k"))
    found = parse({"Records": records}, context)
    assert [o.match_key for o in found.observations] == [
        "iam:CreateUser",
        "lambda:CreateFunction",
    ] * 20
    assert found.tally.unmatched == {"no control uses it": 40}
    assert found.tally.records == 80


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (event(eventName=...), "it has no eventName"),
        (event(eventSource=...), "it has no eventSource"),
        (event(eventTime=...), "it has no eventTime"),
        (event(eventTime="eventTime"), "its eventTime 'eventTime' is no time"),
        (event(userIdentity="alice"), "it has not the shape of a record"),
        (event(eventName=5), "it has not the shape of a record"),
        ({"digestStartTime": "2020-09-11T18:36:49Z", "logFiles": []}, "it is a CloudTrail digest"),
        ({"logEvents": [{"message": "hello"}]}, "it is not JSON"),
        ({"awslogs": {"data": "…"}}, "it is not base64"),
        ({"awslogs": {"data": "AAAA"}}, "it is not JSON"),
        ([5], "it has not the shape of a record"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_its_reason(value: Any, reason: str) -> None:
    assert parse(value).reason.startswith(reason)


def test_one_bad_record_stops_nothing() -> None:
    good = json.dumps(EVENT)
    data = f'{{"Records":[{good},{{"eventName":,}},{good},{{"eventName":"\\udc00"}},{good}]}}'
    found = read(cloudtrail.parse, data.encode())
    assert len(found.observations) == 3
    assert [r.position for r in found.rejected] == ["Records[1]", "Records[3]"]


def test_what_is_kept_is_valid_unicode() -> None:
    raw = json.dumps(event(requestParameters={"a": "?"})).encode().replace(b"?", b"\xff")
    assert read(cloudtrail.parse, raw).reason == "it is not valid UTF-8"


@pytest.mark.parametrize(
    ("changes", "account", "region"),
    [
        ({}, "444455556666", "eu-west-1"),
        ({"recipientAccountId": ...}, "444455556666", "eu-west-1"),
        ({"recipientAccountId": "anonymous", "userIdentity": None}, "111122223333", "eu-west-1"),
        ({"awsRegion": ...}, "444455556666", "us-east-1"),
        ({"eventSource": "iam.amazonaws.com"}, "444455556666", "aws-global"),
        ({"eventSource": "signin.amazonaws.com"}, "444455556666", "aws-global"),
    ],
)
def test_where_it_happened(changes: dict[str, Any], account: str, region: str) -> None:
    found = parse(event(**changes)).only
    assert (found.account, found.region) == (account, region)


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AIDA:x"}, "AIDA:x"),
        ({"type": "Unknown"}, "Unknown"),
        (None, None),
    ],
)
def test_who_did_it(identity: dict[str, str] | None, actor: str | None) -> None:
    assert parse(event(userIdentity=identity)).only.actor == actor


def test_resources_are_those_listed_and_the_arns_of_request_and_answer() -> None:
    found = parse(
        event(
            resources=[{"ARN": "arn:aws:s3:::a", "type": "AWS::S3::Bucket"}, {"type": "x"}],
            requestParameters={"roleArn": "arn:aws:iam::1:role/r", "n": ["arn:aws:s3:::a"]},
            responseElements={"arn:aws:iam::1:key": 1, "text": "see arn:aws:iam::1:role/q"},
        )
    ).only
    assert [(r.arn, r.type) for r in found.resources] == [
        ("arn:aws:s3:::a", "AWS::S3::Bucket"),
        ("arn:aws:iam::1:role/r", None),
    ]


def test_resources_are_bounded() -> None:
    arns = [f"arn:aws:s3:::bucket-{n}" for n in range(100)]
    assert len(parse(event(requestParameters={"a": arns})).only.resources) == cloudtrail.MAX_ARNS


def test_an_event_without_id_is_known_by_its_bytes() -> None:
    first = parse(event(eventID=...)).only
    again = parse([event(eventID=...)]).only
    other = parse(event(eventID=..., eventName="StopInstances")).only
    assert first.natural_key == again.natural_key != other.natural_key
    assert first.natural_key[0].startswith("sha256:")


def test_secrets_are_cut() -> None:
    answer = {"credentials": {"accessKeyId": "ASIAX", "sessionToken": "tttt"}}
    found = parse(event(responseElements=answer)).only
    assert b"tttt" not in found.raw
    assert b"ASIAX" in found.raw
    (cut,) = found.cuts
    assert found.raw[cut.offset :].startswith(b"[cut]")
