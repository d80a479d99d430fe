"""CloudTrail's event history, asked of the simulator with unmodified boto3 clients."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.simulator.cloud import Simulator
from tests.simulator.faults import Kind
from tests.sources.reading import EVERYTHING, read

from auditkeep.clock import MINUTE, Instant
from auditkeep.errors import NotCollected
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation
from auditkeep.sources import cloudtrail, lookup
from auditkeep.sources.lookup import LookupEvents
from auditkeep.sources.pull import Ask, Denied, Page, Throttled
from auditkeep.sources.records import Tally

pytestmark = pytest.mark.server
ACCOUNT, REGION = "111122223333", "eu-west-1"
HOUR = 60 * MINUTE


class Cloud:
    """A simulated account, as `Clients`."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.now = simulator.clock.now()

    def client(self, service: str, region: str) -> Any:
        return self.simulator.client(service, region, ACCOUNT)

    def happened(self, minutes_ago: int, name: str = "RunInstances", **more: Any) -> None:
        at = Instant(self.now - minutes_ago * MINUTE)
        self.simulator.estate.event(ACCOUNT, REGION, "ec2", name, at, **more)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Simulator(page_size=2) as running:
        running.estate.account(ACCOUNT)
        yield Cloud(running)


def ask(**more: Any) -> Ask:
    return Ask("AWS_Cloudtrail", ACCOUNT, REGION, **more)


def puller() -> LookupEvents:
    return LookupEvents(pause=lambda _: None)


def ids(pages: list[Page]) -> list[str]:
    found = [o for p in pages for o in puller().parse(p, EVERYTHING, Tally())]
    assert all(isinstance(o, Observation) for o in found)
    return [o.natural_key[0] for o in found if isinstance(o, Observation)]


def test_every_page_of_every_window_is_followed(cloud: Cloud) -> None:
    for minutes in range(10, 1500, 37):
        cloud.happened(minutes)
    since = Instant(cloud.now - 24 * HOUR)
    pages = list(puller().get(cloud, ask(since=since, until=cloud.now)))
    found = ids(pages)
    # the look begins earlier than asked, because events come late
    assert len(set(found)) == len(range(10, 24 * 60 + 31, 37))
    # what happened on the edge of two windows is in both, as AWS counts
    assert len(found) - len(set(found)) <= 4
    assert len(lookup.windows(since, cloud.now)) == 5
    assert pages[-1].resume is None
    assert all(p.resume for p in pages[:-1])


def test_one_may_go_on_after_any_page(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "CALLS", 2)
    for minutes in range(5, 700, 11):
        cloud.happened(minutes)
    asked = ask(since=Instant(cloud.now - 11 * HOUR), until=cloud.now)
    whole = list(puller().get(cloud, asked))
    assert len(whole) > 6
    for number, page in enumerate(whole[:-1]):
        rest = list(puller().get(cloud, asked, page.resume))
        assert sorted(ids(rest)) == sorted(ids(whole[number + 1 :]))


def test_a_token_that_is_over_begins_its_window_anew(cloud: Cloud) -> None:
    for minutes in range(5, 60, 5):
        cloud.happened(minutes)
    since = Instant(cloud.now - HOUR)
    whole = list(puller().get(cloud, ask(since=since)))
    start = since - lookup.LATE
    rest = list(
        puller().get(cloud, ask(since=since), f'{{"start":{start},"end":0,"token":"over"}}')
    )
    assert sorted(ids(rest)) == sorted(ids(whole))


def test_the_same_event_from_a_log_file_is_the_same_observation(cloud: Cloud) -> None:
    cloud.happened(10)
    (page,) = puller().get(cloud, ask(since=Instant(cloud.now - HOUR)))
    (looked_up,) = puller().parse(page, EVERYTHING, Tally())
    assert isinstance(looked_up, Observation)
    from_file = read(cloudtrail.parse, looked_up.raw).only
    assert from_file.natural_key == looked_up.natural_key
    assert from_file.raw == looked_up.raw
    assert looked_up.position.startswith("LookupEvents[0].Events[0]")


def test_events_that_change_nothing_are_not_asked_for(cloud: Cloud) -> None:
    cloud.happened(10, "DescribeInstances", readOnly=True)
    cloud.happened(11)
    since = Instant(cloud.now - HOUR)
    assert len(ids(list(puller().get(cloud, ask(since=since))))) == 1
    everything = LookupEvents(reads=True, pause=lambda _: None)
    assert b"DescribeInstances" in b"".join(p.body for p in everything.get(cloud, ask(since=since)))


FLAGGED = Interest.of(["kms:Encrypt", "sts:AssumeRoleWithSAML", "ec2:RunInstances"])


def flagged(cloud: Cloud) -> None:
    """Three that are evidence, of which two are flagged as reads; and one that is none."""
    cloud.happened(11)
    for minutes, service, name in (
        (12, "kms", "Encrypt"),
        (13, "kms", "Decrypt"),
        (14, "sts", "AssumeRoleWithSAML"),
    ):
        at = Instant(cloud.now - minutes * MINUTE)
        cloud.simulator.estate.event(ACCOUNT, REGION, service, name, at, readOnly=True)


def test_what_is_evidence_though_flagged_as_a_read_is_asked_for_by_name(cloud: Cloud) -> None:
    flagged(cloud)
    asked = ask(since=Instant(cloud.now - HOUR), wanted=FLAGGED)
    pauses: list[float] = []
    (page,) = LookupEvents(pause=pauses.append).get(cloud, asked)
    told = [r.parameters["LookupAttributes"][0]["AttributeValue"] for r in page.requests]
    assert told == ["false", "AssumeRoleWithSAML", "Encrypt"]
    assert pauses == [0.5, 0.5]
    assert len(set(ids([page]))) == 3
    # who looks at neither asks for neither
    (alone,) = puller().get(cloud, ask(since=asked.since, wanted=Interest.of(["ec2:RunInstances"])))
    assert len(alone.requests) == 1


def test_the_past_is_asked_for_by_name_as_well_and_gone_on_with(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "CALLS", 1)
    monkeypatch.setattr(lookup, "WINDOW_BY_NAME", 12 * HOUR)
    flagged(cloud)
    asked = ask(since=Instant(cloud.now - 14 * HOUR), until=cloud.now, wanted=FLAGGED)
    whole = list(puller().get(cloud, asked))
    # three windows of changes, two of each name
    assert len(whole) == 3 + 2 * 2
    assert len(set(ids(whole))) == 3
    for number, page in enumerate(whole[:-1]):
        rest = list(puller().get(cloud, asked, page.resume))
        assert [p.requests for p in rest] == [p.requests for p in whole[number + 1 :]]


def test_where_many_names_are_looked_at_all_there_is_is_asked_for(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "MOST_NAMES", 2)
    flagged(cloud)
    (page,) = puller().get(cloud, ask(since=Instant(cloud.now - HOUR), wanted=FLAGGED))
    assert {"LookupAttributes" in r.parameters for r in page.requests} == {False}
    assert len(set(ids([page]))) == 3


def test_calls_keep_to_two_a_second(cloud: Cloud) -> None:
    for minutes in range(5, 60, 5):
        cloud.happened(minutes)
    pauses: list[float] = []
    pages = list(LookupEvents(pause=pauses.append).get(cloud, ask(since=Instant(cloud.now - HOUR))))
    calls = sum(len(p.requests) for p in pages)
    assert pauses == [0.5] * (calls - 1)


def test_without_a_beginning_only_the_newest_page_is_read(cloud: Cloud) -> None:
    for minutes in range(5, 60, 5):
        cloud.happened(minutes)
    assert len(list(puller().get(cloud, ask()))) == 1


@pytest.mark.parametrize(("fault", "error"), [("denied", Denied), ("throttled", Throttled)])
def test_what_is_refused_is_told(cloud: Cloud, fault: Kind, error: type[NotCollected]) -> None:
    cloud.simulator.faults.add(fault, "cloudtrail:LookupEvents")
    with pytest.raises(error) as told:
        list(puller().get(cloud, ask(since=cloud.now)))
    if isinstance(told.value, Denied):
        assert told.value.action == "cloudtrail:LookupEvents"
