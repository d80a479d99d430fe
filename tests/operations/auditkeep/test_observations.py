"""PutObservations: what is brought is kept once, told one by one, and never shown in the log."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.operations.auditkeep.keeping import Keep
from tests.operations.in_process import Api

from auditkeep.activity.batcher import Batcher
from auditkeep.activity.reading import Wanted, records

pytestmark = pytest.mark.both_databases

SECRET = "hunter2-and-more"


def event(number: int, **changes: Any) -> str:
    return json.dumps(
        {
            "eventID": f"e-{number}",
            "eventSource": "iam.amazonaws.com",
            "eventName": "CreateUser",
            "eventTime": "2026-03-01T10:00:00Z",
            "readOnly": False,
            "awsRegion": "us-east-1",
            "recipientAccountId": "111122223333",
        }
        | changes
    )


def finding(number: int) -> str:
    columns = {"CheckID": "iam_root_mfa", "Status": "FAIL", "FindingUniqueId": f"f-{number}"}
    return json.dumps(columns)


def watch(api: Keep, keyword: str) -> None:
    """A custom control that names a keyword of a scanner."""
    source = {
        "sourceName": "scanner",
        "sourceSetUpOption": "System_Controls_Mapping",
        "sourceType": "AWS_Security_Hub",
        "sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": keyword},
    }
    api.call(Api.client(api).create_control, name="Root", controlMappingSources=[source])


def test_records_are_kept_once(api: Keep) -> None:
    client = api.client(api.key("pipeline", "AuditkeepCollector"))
    ask = {
        "source": "cloudtrail",
        "records": [event(1), event(2, requestParameters={"password": SECRET})],
    }
    told = api.call(client.put_observations, **ask)
    counts = {k: v for k, v in told.items() if isinstance(v, int)}
    assert counts == {
        "records": 2,
        "observations": 2,
        "duplicates": 0,
        "conflicts": 0,
        "unmatched": 0,
        "cuts": 1,
    }
    assert told["rejected"] == []
    again = api.call(client.put_observations, **ask)
    assert (again["observations"], again["duplicates"]) == (0, 2)
    assert "runId" not in again
    more = api.call(client.put_observations, source="cloudtrail", records=[event(2), event(3)])
    assert (more["observations"], more["conflicts"]) == (1, 1)


def test_one_bad_record_spoils_no_other(api: Keep) -> None:
    sent = ["{}", event(1, eventTime="then"), event(2), "[1", event(3, eventTime="2999-01-01")]
    told = api.call(api.client().put_observations, source="cloudtrail", records=sent)
    assert told["observations"] == 1
    assert {r["index"] for r in told["rejected"]} == {0, 1, 3, 4}
    assert all(r["reason"] for r in told["rejected"])


def test_what_no_control_can_use_is_counted(api: Keep) -> None:
    told = api.call(api.client().put_observations, source="prowler", records=[finding(1)])
    assert (told["observations"], told["unmatched"]) == (0, 1)


def test_a_time_is_told_for_records_that_have_none(api: Keep) -> None:
    watch(api, "Prowler_iam_root_mfa")
    client = api.client()
    told = api.call(client.put_observations, source="prowler", records=[finding(1)])
    assert "observed" in told["rejected"][0]["reason"]
    at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    told = api.call(client.put_observations, source="prowler", records=[finding(1)], observedAt=at)
    assert told["observations"] == 1


@pytest.mark.parametrize(
    "ask",
    [
        {"source": "syslog", "records": ["{}"]},
        {"source": "cloudtrail", "records": ["{}"] * 1001},
    ],
)
def test_a_request_that_breaks_the_model_is_refused(api: Keep, ask: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as caught:
        api.call(api.client().put_observations, **ask)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_who_may_only_read_brings_nothing(api: Keep) -> None:
    client = api.client(api.key("reader", "AuditkeepReadOnly"))
    with pytest.raises(ClientError) as caught:
        api.call(client.put_observations, source="cloudtrail", records=[event(1)])
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_what_was_brought_is_not_in_the_activity_log(api: Keep) -> None:
    sent = [event(1, requestParameters={"password": SECRET})]
    told = api.call(api.client().put_observations, source="cloudtrail", records=sent)
    Batcher(api.deps.lake, api.deps.heard, api.clock).flush()
    found = records(api.deps.lake, Wanted(event="PutObservations"))
    (text,) = [json.dumps(r, default=str) for r in found]
    assert SECRET not in text
    assert "CreateUser" not in text
    assert told["runId"] in text
