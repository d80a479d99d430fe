"""API calls in each of AWS's protocols, over HTTP, with something going wrong half way."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.simulator.cloud import Simulator
from tests.sources.asking import Simulated, until
from tests.sources.reading import read_pages

from auditkeep.clock import day_from_name
from auditkeep.mapping import calls
from auditkeep.mapping.calls import Call
from auditkeep.sources.apicalls import ApiCalls
from auditkeep.sources.pull import Ask

ACCOUNT = "111122223333"
REGION = "eu-west-1"
PULLER = ApiCalls()
SLOT = day_from_name("2026-05-01")

pytestmark = pytest.mark.server


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    with Simulator(page_size=2) as running:
        running.estate.account(ACCOUNT)
        yield running


def ask(keyword: str) -> Ask:
    return Ask("AWS_API_Call", ACCOUNT, REGION, keyword, SLOT)


def found(keyword: str) -> Call:
    call = calls.find(keyword)
    assert isinstance(call, Call)
    return call


def kind_of(call: Call) -> str:
    """What the simulator keeps a call's resources under."""
    return f"{call.service}:{call.operation}"


@pytest.mark.parametrize(
    "keyword",
    [
        "ec2_DescribeVpcs",  # EC2's own protocol
        "iam_ListUsers",  # query
        "dynamodb_ListTables",  # JSON
        "lambda_ListFunctions",  # REST and JSON
        "cloudfront_ListDistributions",  # REST and XML
        "cloudwatch_DescribeAlarms",  # CBOR
    ],
)
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("cut", "unreachable"),
        ("closed", "unreachable"),
        ("broken", "unreachable"),
        ("denied", "denied"),
        ("throttled", "throttled"),
        ("expired", "expired"),
        ("skewed", "wrong-time"),
    ],
)
def test_half_a_look_keeps_its_half_and_is_gone_on_from(
    cloud: Simulator, keyword: str, trouble: Any, reason: str
) -> None:
    call = found(keyword)
    for name in ("one", "three", "two"):
        cloud.estate.put(ACCOUNT, REGION, kind_of(call), name)
    rule = cloud.faults.add(trouble, turns=[2])
    got, error = until(PULLER.get(Simulated(cloud, ACCOUNT), ask(keyword)))
    assert error.reason == reason
    assert len(got) == 1
    cloud.faults.drop(rule)
    rest = list(PULLER.get(Simulated(cloud, ACCOUNT), ask(keyword), got[0].resume))
    assert len(read_pages(PULLER, [*got, *rest]).observations) == 3
