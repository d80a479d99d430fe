"""CloudTrail Lake: queries are waited for, paged, taken up again and refused in a sentence."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.sources.reading import EVERYTHING
from tests.sources.trail_making import event

from auditkeep.clock import DAY, FixedClock, Instant, parse
from auditkeep.errors import SetupError
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation
from auditkeep.sources import event_lake
from auditkeep.sources.event_lake import EventLake, EventStore
from auditkeep.sources.pull import Ask, Page, Refused, Unreachable
from auditkeep.sources.records import Rejected, Tally

STORE = "arn:aws:cloudtrail:us-east-1:999988887777:eventdatastore/EXAMPLE-f852-4e8f"
SINCE, UNTIL = parse("2026-04-01T00:30:00Z"), parse("2026-04-03T00:00:00Z")


class Lake:
    """As much of boto3's CloudTrail client as is asked; botocore's own words for errors."""

    def __init__(self, *, pages: int = 2, runs: int = 1, ends: str = "FINISHED") -> None:
        self.pages, self.runs, self.ends = pages, runs, ends
        self.statements: list[str] = []
        self.asked = 0
        self.meta = boto3.client(
            "cloudtrail", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        ).meta

    def client(self, service: str, region: str) -> "Lake":
        assert (service, region) == ("cloudtrail", "us-east-1")
        return self

    def start_query(self, *, QueryStatement: str) -> dict[str, str]:  # noqa: N803
        self.statements.append(QueryStatement)
        return {"QueryId": f"query-{len(self.statements)}"}

    def get_query_results(self, **asked: Any) -> dict[str, Any]:
        self.asked += 1
        number = int(asked["QueryId"].removeprefix("query-"))
        if number > len(self.statements):
            error = {"Code": "QueryIdNotFoundException", "Message": "?"}
            raise ClientError({"Error": error}, "GetQueryResults")
        if self.asked % (self.runs + 1) and "NextToken" not in asked:
            return {"QueryStatus": "RUNNING"}
        if self.ends != "FINISHED":
            return {"QueryStatus": self.ends, "ErrorMessage": "no such table"}
        page = int(asked.get("NextToken", 0))
        text = json.dumps(event(100 * number + page))
        more = {"NextToken": str(page + 1)} if page + 1 < self.pages else {}
        return {
            "QueryStatus": "FINISHED",
            "QueryResultRows": [[{"eventJson": text}]],
            "QueryStatistics": {"TotalResultsCount": self.pages},
            **more,
        }


def ask(**more: Any) -> Ask:
    told: dict[str, Any] = {"since": SINCE, "until": UNTIL} | more
    return Ask("AWS_Cloudtrail", "111122223333", "us-east-1", **told)


def puller() -> EventLake:
    return EventLake(EventStore.of(STORE), FixedClock(UNTIL), pause=lambda _: None)


def ids(pages: list[Page]) -> list[str]:
    found = [o for p in pages for o in puller().parse(p, EVERYTHING, Tally())]
    return [o.natural_key[0][-3:] for o in found if isinstance(o, Observation)]


def test_each_day_is_a_query_and_each_of_its_pages_is_read() -> None:
    lake = Lake()
    pages = list(puller().get(lake, ask()))
    assert ids(pages) == ["100", "101", "200", "201"]
    assert (
        "eventTime >= '2026-04-01 00:00:00' AND eventTime < '2026-04-02 00:00:00'"
        in (lake.statements[0])
    )
    assert "readOnly = false" in lake.statements[0]
    assert [p.counted for p in pages] == [2] * 4
    assert pages[-1].resume is None


@pytest.mark.parametrize("after", range(3))
def test_one_may_go_on_after_any_page(after: int) -> None:
    lake = Lake()
    pages = list(puller().get(lake, ask()))
    rest = list(puller().get(lake, ask(), pages[after].resume))
    assert len(ids(rest)) == 3 - after


def test_results_that_aws_has_forgotten_are_asked_anew() -> None:
    first, second = Lake(), Lake()
    page = next(iter(puller().get(first, ask())))
    assert len(list(puller().get(second, ask(), page.resume))) == 4
    assert len(second.statements) == 2


def test_a_query_that_fails_is_told() -> None:
    with pytest.raises(Refused, match="FAILED: no such table"):
        list(puller().get(Lake(ends="FAILED"), ask()))
    with pytest.raises(Unreachable, match="in time"):
        list(puller().get(Lake(runs=10**6), ask()))


def test_a_query_needs_a_beginning_and_ends_now() -> None:
    with pytest.raises(Refused, match="bounds"):
        list(puller().get(Lake(), ask(since=None)))
    lake = Lake(pages=1, runs=0)
    list(puller().get(lake, ask(until=None)))
    assert "eventTime < '2026-04-03 00:00:00'" in lake.statements[-1]


@pytest.mark.parametrize("wrong", ["", "EXAMPLE-f852-4e8f", STORE + "; DROP"])
def test_what_is_no_store_is_refused(wrong: str) -> None:
    with pytest.raises(SetupError, match="no event data store"):
        EventStore.of(wrong)


def test_a_store_has_the_events_of_many_accounts_and_regions() -> None:
    lake = Lake(pages=1, runs=0)
    list(puller().get(lake, Ask("AWS_Cloudtrail", "222233334444", "eu-west-1", since=SINCE)))
    list(puller().get(lake, Ask("AWS_Cloudtrail", "222233334444", GLOBAL_REGION, since=SINCE)))
    first, last = lake.statements[0], lake.statements[-1]
    assert "FROM EXAMPLE-f852-4e8f WHERE" in first
    assert "recipientAccountId = '222233334444' AND awsRegion = 'eu-west-1'" in first
    assert "awsRegion = 'us-east-1'" in last


def test_what_is_evidence_though_flagged_as_a_read_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = ["kms:Encrypt", "sts:AssumeRoleWithSAML", "lambda:InvokeAsync", "iam:CreateUser"]
    asked = ask(wanted=Interest.of(keys))
    assert (
        puller()
        .statement(asked, SINCE, UNTIL)
        .endswith(
            " AND (readOnly = false OR eventName IN ('AssumeRoleWithSAML', 'Encrypt')"
            " OR eventSource IN ('lambda.amazonaws.com'))"
        )
    )
    monkeypatch.setattr(event_lake, "MOST_NAMES", 2)
    assert "readOnly" not in puller().statement(asked, SINCE, UNTIL)


def test_rows_without_an_event_are_rejected() -> None:
    body = b'[{"operation":"GetQueryResults","parameters":{},"answer":{"QueryResultRows":[[{"a":"b"}]]}}]'
    page = Page(ask(), "unit", body, ())
    (found,) = puller().parse(page, EVERYTHING, Tally())
    assert isinstance(found, Rejected)
    assert found.position == "QueryResultRows[0][0]"


def test_a_long_time_is_many_windows() -> None:
    lake = Lake(pages=1, runs=0)
    pages = list(puller().get(lake, ask(until=Instant(SINCE + 10 * DAY))))
    assert len(lake.statements) == len(pages) == 11
