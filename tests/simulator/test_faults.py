"""The simulator misbehaves as told: for whom, on which call, and how each protocol says it."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from tests.simulator.cloud import Simulator
from tests.simulator.conftest import ACCOUNT, REGION
from tests.simulator.faults import Kind

from auditkeep.clock import DAY, Instant

pytestmark = pytest.mark.server

CALLS = {
    "ec2": ("ec2", "describe_vpcs"),
    "query": ("sns", "list_topics"),
    "json": ("config", "describe_config_rules"),
    "rest-json": ("backup", "list_backup_plans"),
    "rest-xml": ("cloudfront", "list_distributions"),
}
SAID: list[tuple[Kind, str, str]] = [
    ("throttled", "ec2", "RequestLimitExceeded"),
    ("throttled", "query", "Throttling"),
    ("throttled", "json", "ThrottlingException"),
    ("throttled", "rest-json", "ThrottlingException"),
    ("throttled", "rest-xml", "SlowDown"),
    ("denied", "ec2", "UnauthorizedOperation"),
    ("denied", "query", "AccessDenied"),
    ("denied", "json", "AccessDeniedException"),
    ("denied", "rest-json", "AccessDeniedException"),
    ("denied", "rest-xml", "AccessDenied"),
    ("expired", "ec2", "RequestExpired"),
    ("expired", "json", "ExpiredTokenException"),
    ("skewed", "json", "InvalidSignatureException"),
    ("skewed", "query", "SignatureDoesNotMatch"),
    ("opted-out", "ec2", "AuthFailure"),
    ("broken", "json", "InternalFailure"),
]


def _ask(cloud: Simulator, protocol: str, **settings: Any) -> Any:
    service, call = CALLS[protocol]
    return getattr(cloud.client(service, REGION, ACCOUNT, **settings), call)()


@pytest.mark.parametrize(("kind", "protocol", "code"), SAID)
def test_a_refusal_is_said_as_the_protocol_says_it(
    cloud: Simulator, kind: Kind, protocol: str, code: str
) -> None:
    rule = cloud.faults.add(kind)
    with pytest.raises(ClientError) as error:
        _ask(cloud, protocol)
    assert error.value.response["Error"]["Code"] == code
    cloud.faults.drop(rule)
    _ask(cloud, protocol)


def test_a_denial_names_the_action(cloud: Simulator) -> None:
    cloud.faults.add("denied", "s3:ListAllMyBuckets")
    with pytest.raises(ClientError, match="s3:ListAllMyBuckets"):
        cloud.client("s3", REGION, ACCOUNT).list_buckets()
    cloud.faults.add("denied", "elasticloadbalancing:*")
    with pytest.raises(ClientError, match="elasticloadbalancing:DescribeLoadBalancers"):
        cloud.client("elbv2", REGION, ACCOUNT).describe_load_balancers()


def test_a_rule_strikes_whom_and_when_it_says(cloud: Simulator) -> None:
    at = cloud.clock.now()
    cloud.faults.add("denied", account="444455556666")
    cloud.faults.add("denied", region="us-east-1")
    cloud.faults.add("denied", "sns:*")
    cloud.faults.add("denied", since=Instant(at + DAY), until=Instant(at + 2 * DAY))
    second = cloud.faults.add("throttled", "ec2:DescribeVpcs", turns={2})
    client = cloud.client("ec2", REGION, ACCOUNT)
    client.describe_vpcs()
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        client.describe_vpcs()
    client.describe_vpcs()
    assert (second.seen, second.struck) == (3, 1)
    cloud.clock.advance(DAY)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        client.describe_vpcs()
    cloud.clock.advance(DAY)
    client.describe_vpcs()


def test_botocore_itself_asks_again_when_throttled(cloud: Simulator) -> None:
    rule = cloud.faults.add("throttled", turns=lambda n: n % 2 == 1)
    retries = {"mode": "standard", "total_max_attempts": 3}
    assert _ask(cloud, "json", retries=retries)["ConfigRules"] == []
    assert (rule.seen, rule.struck) == (2, 1)
    assert [c.outcome for c in cloud.history.calls()] == ["ThrottlingException", "ok"]


def test_an_answer_ends_in_the_middle(cloud: Simulator) -> None:
    """botocore does not hold an answer to its length: broken JSON reads as an answer of nothing."""
    cloud.faults.add("cut", "config:*")
    found = _ask(cloud, "json")
    assert found.keys() == {"ResponseMetadata"}
    cloud.faults.add("cut", "ec2:*")
    with pytest.raises(ResponseParserError):
        _ask(cloud, "ec2")
    cloud.faults.add("closed", "sns:*")
    with pytest.raises(ConnectionClosedError):
        _ask(cloud, "query")
    assert [c.outcome for c in cloud.history.calls()] == ["cut", "cut", "closed"]


def test_a_page_fails_in_the_middle_of_a_list(cloud: Simulator) -> None:
    for number in range(5):
        cloud.estate.put(ACCOUNT, REGION, "ec2:DescribeVpcs", f"vpc-{number}")
    cloud.faults.add("broken", "ec2:DescribeVpcs", turns={2})
    pages = iter(cloud.client("ec2", REGION, ACCOUNT).get_paginator("describe_vpcs").paginate())
    assert len(next(pages)["Vpcs"]) == 2
    with pytest.raises(ClientError, match="InternalFailure"):
        next(pages)


def test_an_answer_is_slow(cloud: Simulator) -> None:
    cloud.faults.add("slow", turns={1}, seconds=0.3)
    before = time.monotonic()
    _ask(cloud, "json")
    assert time.monotonic() - before >= 0.3
    cloud.faults.add("slow", turns={1}, seconds=0.5)
    with pytest.raises(ReadTimeoutError):
        _ask(cloud, "json", read_timeout=0.1)


def test_any_other_error(cloud: Simulator) -> None:
    cloud.faults.add("fails", "iam:GetAccountPasswordPolicy", code="NoSuchEntity", status=404)
    with pytest.raises(ClientError) as error:
        cloud.client("iam", REGION, ACCOUNT).get_account_password_policy()
    assert error.value.response["Error"]["Code"] == "NoSuchEntity"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
