"""What queues say of objects, in every form that AWS writes."""

import json
from typing import Any

import pytest

from auditkeep.errors import InputError
from auditkeep.sources.notices import Arrived, arrived

KEY = "AWSLogs/111122223333/a b+c=d.json.gz"
S3 = {
    "Records": [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "b"},
                "object": {"key": "AWSLogs/111122223333/a+b%2Bc%3Dd.json.gz", "size": 1},
            },
        }
    ]
}
EVENTBRIDGE = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "detail": {"bucket": {"name": "b"}, "object": {"key": KEY}},
}
CLOUDTRAIL = {"s3Bucket": "b", "s3ObjectKey": [KEY]}


def by_sns(said: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:…", "Message": json.dumps(said)}


@pytest.mark.parametrize(
    "said",
    [S3, EVENTBRIDGE, CLOUDTRAIL, by_sns(S3), by_sns(EVENTBRIDGE), by_sns(CLOUDTRAIL), by_sns(by_sns(S3))],
)  # fmt: skip
def test_every_form_tells_of_the_same_object(said: dict[str, Any]) -> None:
    assert arrived(json.dumps(said)) == [Arrived("b", KEY)]


@pytest.mark.parametrize(
    "said",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"},
        {"Records": []},
        {"Records": [{"eventName": "ObjectRemoved:Delete"}]},
        {"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}},
        by_sns({"Event": "s3:TestEvent"}),
        {"Type": "Notification", "Message": "CloudTrail validation message."},
    ],
)
def test_what_says_nothing_of_new_objects_is_nothing(said: dict[str, Any]) -> None:
    assert arrived(json.dumps(said)) == []


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        "{}",
        '{"Records":[1]}',
        '{"Records":[{"eventName":"ObjectCreated:Put"}]}',
        '{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":""}}}]}',
        '{"s3Bucket":"b","s3ObjectKey":[1]}',
        json.dumps(by_sns(by_sns(by_sns(by_sns(S3))))),
    ],
)
def test_other_messages_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="message"):
        arrived(text)
