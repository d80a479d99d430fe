"""A service's own count stands beside what was listed, and holds nothing up where it cannot be had."""

from typing import Any

import pytest
from tests.simulator.cloud import Simulator
from tests.sources.asking import ACCOUNT, Simulated, Stubbed
from tests.sources.reading import read_pages
from tests.sources.test_apicalls_simulated import REGION, ask, found, kind_of

from auditkeep.sources.apicalls import ApiCalls
from auditkeep.sources.own_counts import COUNTS

PULLER = ApiCalls()
KEYWORDS = sorted(f"{service}_{operation}" for service, operation in COUNTS)


@pytest.mark.server
def test_what_a_service_counts_itself_is_asked_for_behind_the_last_page() -> None:
    with Simulator(page_size=2) as cloud:
        cloud.estate.account(ACCOUNT)
        for keyword in KEYWORDS:
            call = found(keyword)
            for name in ("one", "three", "two"):
                cloud.estate.put(ACCOUNT, REGION, kind_of(call), name)
            own = COUNTS[call.service, call.operation]
            pages = list(PULLER.get(Simulated(cloud, ACCOUNT), ask(keyword)))
            assert [p.counted for p in pages] == [None, 3], keyword
            asked = [[r.operation for r in p.requests] for p in pages]
            assert asked == [[call.operation], [call.operation, own.operation]]
            assert len(read_pages(PULLER, pages).observations) == 3
            assert f"{call.service}:{own.operation}" in PULLER.actions(keyword)


def _users(*names: str) -> dict[str, Any]:
    listed = [
        {
            "Path": "/",
            "UserName": name,
            "UserId": f"AIDA{name:Z>12}",
            "Arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
            "CreateDate": "2026-01-01T00:00:00Z",
        }
        for name in names
    ]
    return {"Users": listed, "IsTruncated": False}


def test_a_list_that_is_shorter_than_the_count_is_told_by_it() -> None:
    clients = Stubbed()
    clients.answer("iam", "ListUsers", _users("ada", "bob"))
    clients.answer("iam", "GetAccountSummary", {"SummaryMap": {"Users": 3}})
    (page,) = PULLER.get(clients, ask("iam_ListUsers"))
    assert page.counted == 3
    assert read_pages(PULLER, [page]).tally.records == 2


@pytest.mark.parametrize("answered", [False, True])
def test_a_count_that_cannot_be_had_takes_nothing_from_the_list(answered: bool) -> None:
    clients = Stubbed()
    clients.answer("iam", "ListUsers", _users("ada"))
    if answered:
        clients.answer("iam", "GetAccountSummary", {"SummaryMap": {"Roles": 3}})
    else:
        clients.refuse("iam", "GetAccountSummary", "AccessDenied", "Not for you.", 403)
    (page,) = PULLER.get(clients, ask("iam_ListUsers"))
    assert page.counted is None
    assert len(read_pages(PULLER, [page]).observations) == 1
    clients.done()


@pytest.mark.parametrize(
    "quotas", [[], [{"AccountQuotaName": "AllocatedStorage", "Used": 5, "Max": 9}]]
)
def test_a_count_that_is_not_among_the_quotas_is_none(quotas: list[dict[str, Any]]) -> None:
    clients = Stubbed()
    clients.answer("rds", "DescribeDBInstances", {"DBInstances": []})
    clients.answer("rds", "DescribeAccountAttributes", {"AccountQuotas": quotas})
    (page,) = PULLER.get(clients, ask("rds_DescribeDBInstances"))
    assert page.counted is None


def test_no_other_question_costs_a_call_more() -> None:
    clients = Stubbed()
    clients.answer("ec2", "DescribeVpcs", {"Vpcs": [{"VpcId": "vpc-1"}]})
    (page,) = PULLER.get(clients, ask("ec2_DescribeVpcs"))
    assert [r.operation for r in page.requests] == ["DescribeVpcs"]
    assert PULLER.actions("ec2_DescribeVpcs") == {"ec2:DescribeVpcs"}
