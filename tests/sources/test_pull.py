"""The seam of pulled sources: names of units, kinds of failure, and answers as bytes."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore import exceptions as known
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.session import get_session
from botocore.stub import Stubber

from auditkeep.clock import Day
from auditkeep.errors import NotCollected
from auditkeep.mapping.interest import Interest
from auditkeep.sources import answers
from auditkeep.sources.pull import Ask, Denied, Request, SwitchedOff, unit_of
from auditkeep.sources.refusals import asking, why


def client(service: str, region: str = "eu-west-1") -> Any:
    made: BaseClient = get_session().create_client(
        service, region, aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="s"
    )
    return made


def refusal(code: str, message: str = "", status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "DescribeVpcs",
    )


def told(error: Exception, *, region: str = "eu-west-1", **more: str) -> NotCollected:
    return why(error, service="ec2", operation="DescribeVpcs", region=region, **more)


@pytest.mark.parametrize(
    ("error", "region", "reason"),
    [
        (refusal("UnauthorizedOperation", "You are not authorized.", 403), "eu-west-1", "denied"),
        (refusal("AccessDeniedException", "no", 400), "eu-west-1", "denied"),
        (refusal("SomethingNew", "no", 403), "eu-west-1", "denied"),
        (refusal("RequestLimitExceeded", "", 503), "eu-west-1", "throttled"),
        (refusal("Throttling"), "eu-west-1", "throttled"),
        (refusal("SomethingNew", "", 429), "eu-west-1", "throttled"),
        (refusal("ExpiredTokenException"), "eu-west-1", "expired"),
        (refusal("RequestExpired", "Request has expired."), "eu-west-1", "expired"),
        (refusal("SignatureDoesNotMatch", "wrong key", 403), "eu-west-1", "expired"),
        (refusal("AuthFailure", "", 401), "eu-west-1", "expired"),
        (refusal("AuthFailure", "", 401), "af-south-1", "region-off"),
        (refusal("UnrecognizedClientException"), "me-central-1", "region-off"),
        (refusal("InvalidClientTokenId", "", 403), "il-central-1", "region-off"),
        (refusal("RequestTimeTooSkewed", "", 403), "eu-west-1", "wrong-time"),
        (
            refusal("InvalidSignatureException", "Signature expired: 2026 is now earlier", 400),
            "eu-west-1",
            "wrong-time",
        ),
        (refusal("OptInRequired", "", 403), "eu-west-1", "switched-off"),
        (
            refusal("InvalidAccessException", "Account 1 is not subscribed to AWS Security Hub"),
            "eu-west-1",
            "switched-off",
        ),
        (
            refusal("AccessDeniedException", "Macie is not enabled.", 403),
            "eu-west-1",
            "switched-off",
        ),
        (refusal("NoSuchConfigurationRecorderException"), "eu-west-1", "switched-off"),
        (refusal("AccountProblem", "", 403), "eu-west-1", "gone"),
        (refusal("Failure", "This account is suspended"), "eu-west-1", "gone"),
        (refusal("InternalFailure", "", 500), "eu-west-1", "unreachable"),
        (refusal("SomethingNew", "", 503), "eu-west-1", "unreachable"),
        (known.EndpointConnectionError(endpoint_url="https://x"), "eu-west-1", "unreachable"),
        (known.ReadTimeoutError(endpoint_url="https://x"), "eu-west-1", "unreachable"),
        (known.NoCredentialsError(), "eu-west-1", "expired"),
        (refusal("ValidationError", "no such thing"), "eu-west-1", "refused"),
        (known.NoRegionError(), "", "refused"),
    ],
)
def test_each_refusal_has_its_kind_and_a_sentence(
    error: Exception, region: str, reason: str
) -> None:
    result = told(error, region=region)
    assert result.reason == reason
    assert "DescribeVpcs" in str(result)
    assert result.operation == "DescribeVpcs"


def test_a_denial_names_what_is_lacking() -> None:
    message = "User: arn:aws:sts::111122223333:assumed-role/r/s is not authorized to perform: ec2:DescribeTags on *"
    by_words = told(refusal("AccessDenied", message, 403))
    by_table = told(refusal("AccessDenied", "", 403), action="s3:GetEncryptionConfiguration")
    by_name = told(refusal("AccessDenied", "", 403), signing_name="elasticloadbalancing")
    assert [e.action for e in (by_words, by_table, by_name) if isinstance(e, Denied)] == [
        "ec2:DescribeTags",
        "s3:GetEncryptionConfiguration",
        "elasticloadbalancing:DescribeVpcs",
    ]


def test_a_stopped_recorder_is_told_apart_from_a_service_that_is_off() -> None:
    recorder = told(refusal("NoSuchConfigurationRecorderException"))
    service = told(refusal("OptInRequired"))
    assert isinstance(recorder, SwitchedOff)
    assert isinstance(service, SwitchedOff)
    assert (recorder.feature, service.feature) == ("config-recorder", "ec2")


def test_what_a_client_raises_comes_out_as_a_kind() -> None:
    ec2 = client("ec2")
    with Stubber(ec2) as stub, pytest.raises(NotCollected) as raised:
        stub.add_client_error("describe_vpcs", "UnauthorizedOperation", http_status_code=403)
        with asking(ec2, "DescribeVpcs"):
            ec2.describe_vpcs()
    assert raised.value.reason == "denied"
    assert "ec2:DescribeVpcs in eu-west-1" in str(raised.value)


def test_what_is_no_failure_of_the_source_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), asking(client("ec2"), "DescribeVpcs"):
        _ = 1 / 0


def test_a_unit_follows_from_question_reader_and_content() -> None:
    ask = Ask("AWS_API_Call", "111122223333", "eu-west-1", "ec2_DescribeVpcs", Day(20_000))
    same = Ask("AWS_API_Call", "111122223333", "eu-west-1", "ec2_DescribeVpcs", Day(20_000))
    others = [
        unit_of(ask, "r/1", b"other"),
        unit_of(ask, "r/2", b"body"),
        unit_of(Ask(ask.source, ask.account, ask.region, ask.what, Day(20_001)), "r/1", b"body"),
        unit_of(
            Ask(ask.source, ask.account, ask.region, ask.what, ask.slot, wanted=Interest.of(["k"])),
            "r/1",
            b"body",
        ),
    ]
    assert unit_of(ask, "r/1", b"body") == unit_of(same, "r/1", b"body")
    assert len({unit_of(ask, "r/1", b"body"), *others}) == 5


def test_canonical_bytes_do_not_depend_on_order_or_zone() -> None:
    at = datetime(2026, 5, 1, 10, 11, 12, 345000, tzinfo=UTC)
    elsewhere = at.astimezone(timezone(timedelta(hours=5)))
    one = answers.canonical({"b": [at], "a": {"y": b"\x00\x01", "x": 1.5}})
    other = answers.canonical({"a": {"x": 1.5, "y": b"\x00\x01"}, "b": [elsewhere]})
    assert one == other
    assert one == b'{"a":{"x":1.5,"y":"AAE="},"b":["2026-05-01T10:11:12.345000Z"]}'


def test_how_an_answer_travelled_is_not_part_of_it() -> None:
    answer = {"Vpcs": [], "ResponseMetadata": {"RequestId": "x"}}
    assert answers.answer_of(answer) == {"Vpcs": []}


def test_json_answers_are_kept_with_members_that_botocore_does_not_know() -> None:
    config = client("config")
    body = b'{"ConfigRules":[{"ConfigRuleName":"r","Novelty":1}]}'
    with answers.heard(config) as ear:
        config.meta.events.emit(
            "before-parse.config-service.DescribeConfigRules",
            response_dict={"headers": {"content-type": "application/x-amz-json-1.1"}, "body": body},
        )
        assert ear.take({"ConfigRules": [{"ConfigRuleName": "r"}]}) == body
        # nothing was heard since: what was read is what there is
        assert ear.take({"ConfigRules": []}) == b'{"ConfigRules":[]}'


@pytest.mark.parametrize("kind", ["text/xml", "application/cbor", ""])
def test_other_answers_are_kept_as_they_were_read(kind: str) -> None:
    config = client("config")
    with answers.heard(config) as ear:
        config.meta.events.emit(
            "before-parse.config-service.DescribeConfigRules",
            response_dict={"headers": {"content-type": kind}, "body": b"<x/>"},
        )
        assert ear.take({"b": 1, "a": 2}) == b'{"a":2,"b":1}'


def test_a_page_s_body_gives_its_calls_back() -> None:
    request = Request("kms", "GetKeyPolicy", {"KeyId": "k"})
    body = answers.body_of([answers.exchange(request, b'{"Policy":"{}"}')])
    (again,) = answers.exchanges_of(body)
    assert (again.operation, again.parameters) == ("GetKeyPolicy", {"KeyId": "k"})
    assert json.loads(bytes(again.answer)) == {"Policy": "{}"}
