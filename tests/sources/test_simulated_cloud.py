"""API calls pulled from a simulated cloud: one observation a resource, and no answer cut short."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conftest import ROOT, missing
from tests.simulator.cloud import Simulator
from tests.simulator.estate import ASSOCIATION, USAGE
from tests.sources.asking import Simulated
from tests.sources.reading import EVERYTHING

from auditkeep.clock import Day, day_of
from auditkeep.errors import NotCollected
from auditkeep.observations import Observation
from auditkeep.sources.apicalls import ApiCalls
from auditkeep.sources.pull import Ask, Denied
from auditkeep.sources.records import Tally

pytestmark = pytest.mark.server

ACCOUNT, REGION = "111122223333", "eu-west-1"
PULLER = ApiCalls()

ALONE = {
    "acm_GetAccountConfiguration",
    "bedrock_GetModelInvocationLoggingConfiguration",
    "ec2_GetEbsDefaultKmsKeyId",
    "ec2_GetEbsEncryptionByDefault",
    "iam_GenerateCredentialReport",
    "iam_GetAccountPasswordPolicy",
    "iam_GetAccountSummary",
}
"""Calls about the account itself."""


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    with Simulator(page_size=2) as running:
        running.estate.account(ACCOUNT)
        yield running


def ask(cloud: Simulator, keyword: str) -> Ask:
    slot = Day(day_of(cloud.clock.now()))
    return Ask("AWS_API_Call", ACCOUNT, REGION, keyword, slot=slot)


def pulled(cloud: Simulator, clients: Simulated, keyword: str) -> list[Observation]:
    found = []
    for page in PULLER.get(clients, ask(cloud, keyword)):
        for one in PULLER.parse(page, EVERYTHING, Tally()):
            assert isinstance(one, Observation), one
            found.append(one)
    return found


def documented() -> dict[str, Any]:
    file = ROOT.parent / "shared" / "facts" / "api-calls.json"
    if not file.is_file():
        missing("the facts about API calls are not beside this checkout")
    calls: dict[str, Any] = json.loads(file.read_text())
    return calls


def fill(cloud: Simulator, calls: dict[str, Any]) -> None:
    """Five resources of each kind that some call lists."""
    kinds = {"config:rule", "ecs:ListClusters"}
    for call in calls.values():
        service = {"docdb": "rds"}.get(call["boto3Client"], call["boto3Client"])
        kinds.add(f"{service}:{call['operation']}")
    for kind in kinds:
        for number in range(5):
            parent: dict[str, Any] = (
                {"parent": f"thing-{number}"} if kind.endswith("ListMonitoringAlerts") else {}
            )
            cloud.estate.put(ACCOUNT, REGION, kind, f"thing-{number}", **parent)
    for kind in (USAGE, ASSOCIATION):
        for number in range(5):
            cloud.estate.put(ACCOUNT, REGION, kind, f"part-{number}", parent="thing-1")


def test_each_documented_call_brings_each_resource_once(cloud: Simulator) -> None:
    calls = documented()
    fill(cloud, calls)
    clients = Simulated(cloud, ACCOUNT)
    for keyword in calls:
        found = pulled(cloud, clients, keyword)
        names = {o.resources[0].value for o in found}
        assert len(names) == len(found) == (1 if keyword in ALONE else 5), keyword
        assert {o.account for o in found} == {ACCOUNT}


@pytest.mark.parametrize(
    "keyword", ["kms_ListKeys", "ec2_DescribeVpcs", "backup_ListBackupPlans", "sns_ListTopics"]
)
def test_an_answer_that_breaks_off_is_never_taken_for_a_shorter_one(
    cloud: Simulator, keyword: str
) -> None:
    fill(cloud, {k: c for k, c in documented().items() if k == keyword})
    clients = Simulated(cloud, ACCOUNT)
    cut = cloud.faults.add("cut", turns={2})
    pages = PULLER.get(clients, ask(cloud, keyword))
    first = next(pages)
    with pytest.raises(NotCollected) as failed:
        next(pages)
    assert failed.value.reason == "unreachable"
    cloud.faults.drop(cut)
    rest = list(PULLER.get(clients, ask(cloud, keyword), first.resume))
    found = [o for page in (first, *rest) for o in PULLER.parse(page, EVERYTHING, Tally())]
    assert len(found) == 5


def test_a_denial_names_the_action_that_is_missing(cloud: Simulator) -> None:
    cloud.faults.add("denied", "s3:GetEncryptionConfiguration")
    cloud.estate.put(ACCOUNT, REGION, "s3:ListBuckets", "logs")
    with pytest.raises(Denied) as failed:
        pulled(cloud, Simulated(cloud, ACCOUNT), "s3_GetBucketEncryption")
    assert failed.value.action == "s3:GetEncryptionConfiguration"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("throttled", "throttled"),
        ("expired", "expired"),
        ("skewed", "wrong-time"),
        ("broken", "unreachable"),
        ("closed", "unreachable"),
    ],
)
@pytest.mark.parametrize("keyword", ["kms_ListKeys", "sns_ListTopics", "backup_ListBackupPlans"])
def test_what_goes_wrong_has_its_reason(
    cloud: Simulator, kind: Any, reason: str, keyword: str
) -> None:
    cloud.faults.add(kind)
    with pytest.raises(NotCollected) as failed:
        pulled(cloud, Simulated(cloud, ACCOUNT), keyword)
    assert failed.value.reason == reason
