"""An aggregator of AWS Config is asked for each account and region that it sees."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.simulator.cloud import STARTS, Simulator
from tests.sources.reading import EVERYTHING, read_pages

from auditkeep.clock import MINUTE, FixedClock, Instant
from auditkeep.errors import NotCollected, SetupError
from auditkeep.mapping.interest import Interest
from auditkeep.sources.aggregator import (
    AFTER_FAILURE,
    FRESH,
    Aggregated,
    Aggregators,
    Where,
    or_none,
)
from auditkeep.sources.pull import Ask, Page, Unreachable

HOME, OTHER, REGION = "111122223333", "222233334444", "eu-central-1"
WHERE = Where(HOME, "eu-west-1")
KEY, ABSENT = "config:S3_BUCKET_VERSIONING_ENABLED", "config:IAM_USER_MFA_ENABLED"
RULE = "s3-bucket-versioning-enabled"
AGGREGATOR = "config:DescribeConfigurationAggregators"

pytestmark = pytest.mark.server


class Clients:
    def __init__(self, cloud: Simulator) -> None:
        self._cloud = cloud
        self.made = 0

    def client(self, service: str, region: str) -> Any:
        self.made += 1
        return self._cloud.client(service, region, HOME)


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    with Simulator(page_size=2) as running:
        estate = running.estate
        estate.account(OTHER)
        estate.put(HOME, WHERE.region, AGGREGATOR, "all")
        for account, region in ((OTHER, REGION), (OTHER, "eu-west-1"), (HOME, REGION)):
            estate.rule(account, region, RULE)
            for number in range(3):
                estate.evaluate(
                    account, region, RULE, "AWS::S3::Bucket", f"{account}-{region}-{number}",
                    "COMPLIANT", Instant(STARTS - MINUTE),
                )  # fmt: skip
        yield running


def ask() -> Ask:
    return Ask("AWS_Config", OTHER, REGION, wanted=Interest.of({KEY, ABSENT}))


def pages(cloud: Simulator, resume: str | None = None) -> list[Page]:
    return list(Aggregated("all", WHERE.region).get(Clients(cloud), ask(), resume))


def test_one_place_is_told_of_and_no_other(cloud: Simulator) -> None:
    found = pages(cloud)
    result = read_pages(Aggregated("all", WHERE.region), found, EVERYTHING)
    assert {(o.account, o.region, o.match_key) for o in result.observations} == {
        (OTHER, REGION, KEY)
    }
    assert len(result.observations) == 3
    # what nobody judges there is missing there, and only that
    assert [f.resource for p in found for f in p.faults] == [ABSENT]
    assert found[-1].resume is None


def test_each_result_has_the_configuration_item_of_its_own_place(cloud: Simulator) -> None:
    result = read_pages(Aggregated("all", WHERE.region), pages(cloud), EVERYTHING)
    for found in result.observations:
        item = json.loads(found.raw)["configurationItem"]
        assert (item["accountId"], item["awsRegion"]) == (OTHER, REGION)
        assert item["resourceId"] == found.resources[0].value
    assert len(result.observations) == 3


def test_results_come_without_items_where_those_are_denied(cloud: Simulator) -> None:
    cloud.faults.add("denied", "config:BatchGetAggregateResourceConfig")
    found = pages(cloud)
    assert len(read_pages(Aggregated("all", WHERE.region), found, EVERYTHING).observations) == 3
    faults = [f for p in found for f in p.faults if f.resource == "configuration items"]
    assert [(f.reason, f.action) for f in faults] == [
        ("denied", "config:BatchGetAggregateResourceConfig")
    ]


def test_one_may_go_on_after_any_page(cloud: Simulator) -> None:
    found = pages(cloud)
    assert len(found) > 2
    for number, page in enumerate(found[:-1]):
        rest = pages(cloud, page.resume)
        assert [p.unit for p in rest] == [p.unit for p in found[number + 1 :]]


def test_what_it_sees_is_asked_once_an_hour(cloud: Simulator) -> None:
    clock, clients = FixedClock(STARTS), Clients(cloud)
    some = Aggregators(WHERE, clock)
    assert some.seeing(lambda: clients, OTHER, REGION) == "all"
    assert some.seeing(lambda: clients, "999988887777", REGION) is None
    made = clients.made
    assert some.seeing(lambda: clients, OTHER, "eu-west-1") == "all"
    assert clients.made == made
    clock.at = Instant(clock.at + 60 * MINUTE)
    assert some.seeing(lambda: clients, OTHER, REGION) == "all"
    assert clients.made > made


def test_who_cannot_say_what_it_sees_is_left_alone_for_a_while(cloud: Simulator) -> None:
    cloud.faults.add("denied", AGGREGATOR, account=HOME, turns=[1])
    clock, clients = FixedClock(STARTS), Clients(cloud)
    seen = Aggregators(WHERE, clock)
    with pytest.raises(NotCollected):
        seen.seeing(lambda: clients, OTHER, REGION)
    made = clients.made
    assert seen.seeing(lambda: clients, OTHER, REGION) is None
    assert clients.made == made
    clock.advance(AFTER_FAILURE)
    assert seen.seeing(lambda: clients, OTHER, REGION) == "all"


def test_nobody_waits_while_what_it_sees_is_asked_again(cloud: Simulator) -> None:
    clock, clients = FixedClock(STARTS), Clients(cloud)
    seen = Aggregators(WHERE, clock)
    seen.seeing(lambda: clients, OTHER, REGION)
    clock.advance(FRESH)
    told: list[str | None] = []

    def while_it_is_asked() -> Clients:
        other = threading.Thread(
            target=lambda: told.append(seen.seeing(lambda: clients, OTHER, REGION))
        )
        other.start()
        other.join(10)
        return clients

    seen.seeing(while_it_is_asked, OTHER, REGION)
    assert told == ["all"]


def test_whoever_cannot_say_what_it_sees_stands_for_nobody() -> None:
    def away() -> str | None:
        raise Unreachable("No answer.", service="config")

    assert issubclass(Unreachable, NotCollected)
    assert or_none(away) is None


@pytest.mark.parametrize("wrong", ["", "111122223333", "111122223333/all", "all@eu-west-1"])
def test_where_it_lies_is_an_account_and_a_region(wrong: str) -> None:
    with pytest.raises(SetupError, match="ACCOUNT/REGION"):
        Where.of(wrong)
