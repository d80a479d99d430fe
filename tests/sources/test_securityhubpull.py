"""Security Hub asked through unmodified clients: by update time, with overlap, once."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.simulator.cloud import STARTS, Simulator
from tests.sources.asking import Simulated, Stubbed, until
from tests.sources.reading import Read, read, read_pages

from auditkeep.clock import DAY, MINUTE, Instant, iso, parse
from auditkeep.sources import securityhub
from auditkeep.sources.pull import Ask, Page, SwitchedOff
from auditkeep.sources.securityhubpull import OVERLAP, SecurityHubFindings

ACCOUNT = "111122223333"
REGION = "eu-west-1"
PULLER = SecurityHubFindings()
HOUR = 60 * MINUTE

pytestmark = pytest.mark.server


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    with Simulator(page_size=2) as running:
        for number, (control, status) in enumerate(
            [("IAM.4", "FAILED"), ("S3.1", "PASSED"), ("EC2.2", "WARNING"), ("EC2.7", "PASSED")]
        ):
            at = Instant(STARTS - DAY + number * 6 * HOUR)
            running.estate.finding(ACCOUNT, REGION, control, f"arn:r{number}", status, at)
        yield running


def ask(**more: Any) -> Ask:
    return Ask("AWS_Security_Hub", ACCOUNT, REGION, **more)


def pages(cloud: Simulator, question: Ask, resume: str | None = None) -> list[Page]:
    return list(PULLER.get(Simulated(cloud, ACCOUNT), question, resume))


def told(found: list[Page]) -> Read:
    result = read_pages(PULLER, found)
    assert result.rejected == []
    return result


def keys(found: list[Page]) -> list[str]:
    return [o.match_key.partition(":")[2] for o in told(found).observations]


def test_the_current_state_is_every_active_finding_oldest_update_first(cloud: Simulator) -> None:
    got = pages(cloud, ask())
    assert keys(got) == ["IAM.4", "S3.1", "EC2.2", "EC2.7"]
    assert [len(told([page]).observations) for page in got] == [2, 2]
    first = told(got).observations[0]
    assert (first.account, first.region, first.verdict) == (ACCOUNT, REGION, "FAILED")
    assert first.event_time == STARTS - DAY


def test_a_later_look_begins_a_little_before_the_last_one(cloud: Simulator) -> None:
    second = Instant(STARTS - DAY + 6 * HOUR)
    assert keys(pages(cloud, ask(since=Instant(second + OVERLAP)))) == ["S3.1", "EC2.2", "EC2.7"]
    assert keys(pages(cloud, ask(since=Instant(second + OVERLAP + MINUTE)))) == ["EC2.2", "EC2.7"]


def test_a_look_into_the_past_ends_where_it_is_told(cloud: Simulator) -> None:
    begin, end = Instant(STARTS - DAY), Instant(STARTS - DAY + 7 * HOUR)
    assert keys(pages(cloud, ask(since=begin, until=end))) == ["IAM.4", "S3.1"]


def test_archived_findings_are_not_asked_for_and_suppressed_ones_are(cloud: Simulator) -> None:
    for control, more in (
        ("KMS.4", {"record_state": "ARCHIVED"}),
        ("RDS.1", {"workflow": "SUPPRESSED"}),
    ):
        cloud.estate.finding(
            ACCOUNT, REGION, control, "arn:x", "FAILED", Instant(STARTS - MINUTE), **more
        )
    found = told(pages(cloud, ask())).observations
    assert "securityhub:KMS.4" not in {o.match_key for o in found}
    assert [o.verdict for o in found if o.match_key == "securityhub:RDS.1"] == ["SUPPRESSED"]


def test_where_it_is_not_on_it_is_switched_off(cloud: Simulator) -> None:
    cloud.estate.hub(ACCOUNT, REGION, STARTS, on=False)
    got, error = until(PULLER.get(Simulated(cloud, ACCOUNT), ask()))
    assert got == []
    assert isinstance(error, SwitchedOff)
    assert error.feature == "securityhub"
    assert "GetFindings in" in str(error)


@pytest.mark.parametrize("fault", ["denied", "throttled", "expired", "broken", "cut", "closed"])
def test_what_was_answered_before_a_failure_stays_and_is_gone_on_from(
    cloud: Simulator, fault: Any
) -> None:
    rule = cloud.faults.add(fault, "securityhub:GetFindings", turns=[2])
    got, error = until(PULLER.get(Simulated(cloud, ACCOUNT), ask()))
    lost = {"broken", "cut", "closed"}
    assert error.reason == ("unreachable" if fault in lost else fault)
    assert keys(got) == ["IAM.4", "S3.1"]
    cloud.faults.drop(rule)
    assert keys(pages(cloud, ask(), got[-1].resume)) == ["EC2.2", "EC2.7"]


def test_what_is_pushed_pulled_and_in_a_file_is_one_fact(cloud: Simulator) -> None:
    pulled = told(pages(cloud, ask())).observations[0]
    finding = json.loads(pulled.raw)
    event = {
        "source": "aws.securityhub",
        "detail-type": "Security Hub Findings - Imported",
        "detail": {"findings": [finding]},
    }
    pushed = read(securityhub.parse, json.dumps(event, indent=1).encode()).only
    filed = read(securityhub.parse, json.dumps([finding]).encode()).only
    assert pulled.natural_key == pushed.natural_key == filed.natural_key
    assert pulled.event_time == pushed.event_time == filed.event_time


def test_a_first_look_is_dated_to_its_moment(cloud: Simulator) -> None:
    usual, first = told(pages(cloud, ask())), told(pages(cloud, ask(at=STARTS)))
    assert {o.event_time for o in first.observations} == {STARTS}
    assert [(*o.natural_key, iso(STARTS)) for o in usual.observations] == [
        o.natural_key for o in first.observations
    ]


def test_an_update_is_another_fact_and_nothing_else_is(cloud: Simulator) -> None:
    before = {o.natural_key for o in told(pages(cloud, ask())).observations}
    cloud.clock.advance(HOUR)
    cloud.estate.finding(ACCOUNT, REGION, "IAM.4", "arn:r0", "PASSED", Instant(STARTS + MINUTE))
    after = {o.natural_key for o in told(pages(cloud, ask())).observations}
    assert len(after - before) == 1
    assert len(before & after) == 3


def _ocsf(control: str, at: str) -> dict[str, Any]:
    return {
        "class_uid": 2003,
        "activity_id": 2,
        "time": parse(at) // 1000,
        "cloud": {"account": {"uid": ACCOUNT}, "provider": "AWS", "region": REGION},
        "compliance": {"control": control, "status": "FAILED"},
        "finding_info": {"uid": f"arn:finding/{control}", "modified_time_dt": at},
        "metadata": {"product": {"name": "Security Hub", "vendor_name": "AWS"}},
        "resources": [{"uid": "arn:aws:s3:::b", "type": "AwsS3Bucket"}],
    }


def test_the_newer_one_is_asked_where_the_older_is_not_on() -> None:
    clients = Stubbed()
    off = "Account is not subscribed to AWS Security Hub"
    clients.refuse("securityhub", "GetFindings", "InvalidAccessException", off, 401)
    first = {"Findings": [_ocsf("S3.1", "2026-05-01T00:00:00Z")], "NextToken": "more"}
    clients.answer("securityhub", "GetFindingsV2", first)
    clients.refuse("securityhub", "GetFindingsV2", "ThrottlingException", status=429)
    got, error = until(PULLER.get(clients, ask(since=parse("2026-05-01T00:00:00Z"))))
    assert error.reason == "throttled"
    found = told(got).only
    assert (found.source, found.match_key, found.verdict) == (
        "AWS_Security_Hub",
        "securityhub:S3.1",
        "FAILED",
    )
    clients.answer(
        "securityhub", "GetFindingsV2", {"Findings": [_ocsf("IAM.4", "2026-05-01T01:00:00Z")]}
    )
    assert keys(list(PULLER.get(clients, ask(), got[-1].resume))) == ["IAM.4"]
    clients.done()


def test_a_page_that_is_none_is_rejected() -> None:
    assert "JSON" in read_pages(PULLER, [Page(ask(), "u", b"no", ())]).reason


def test_the_actions_it_needs() -> None:
    assert PULLER.actions("") == {"securityhub:GetFindings", "securityhub:GetFindingsV2"}
