"""SNS and EventBridge by boto3, answered in process."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from auditkeep.clock import parse
from auditkeep.errors import ChannelDown, DeliveryError
from auditkeep.notifications.model import About, Event, Telling
from auditkeep.notifications.senders.aws import Aws

NOW = parse("2026-05-01T12:00:00Z")
REGION = "eu-west-1"
TELLING = Telling(
    id="5b3c0000-0000-4000-8000-000000000000",
    kind="CONTROL_SET_DELEGATED",
    about=About("a-1", "Q3 review", "Access"),
    description="look \u2713",
    source="arn:aws:iam::111122223333:user/alice",
    at=NOW,
)
EVENT = Event(
    id="e-1",
    detail_type="Assessment Created",
    account="111122223333",
    region="us-east-1",
    author="arn:aws:iam::111122223333:user/alice",
    assessment_id="a-1",
    assessment_name="Q3 review",
    at=NOW,
)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


def queue(name: str, **attributes: str) -> tuple[str, str]:
    sqs = boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, got["Attributes"]["QueueArn"]


def received(url: str) -> list[Any]:
    found = boto3.client("sqs", region_name=REGION).receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]
    )
    messages: list[Any] = found.get("Messages", [])
    return messages


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("fifo", [False, True])
def test_a_topic_of_either_kind_in_its_own_region(fifo: bool) -> None:
    ending = ".fifo" if fifo else ""
    sns = boto3.client("sns", region_name=REGION)
    topic = sns.create_topic(
        Name=f"audit{ending}", Attributes={"FifoTopic": "true"} if fifo else {}
    )["TopicArn"]
    url, arn = queue(f"told{ending}", **({"FifoQueue": "true"} if fifo else {}))
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    Aws().publish(topic, TELLING)
    (message,) = received(url)
    body = json.loads(message["Body"])
    assert body["Subject"] == "Audit Manager notification"
    assert json.loads(body["Message"]) == TELLING.body()
    if fifo:
        assert message["Attributes"]["MessageGroupId"] == "a-1"
        assert message["Attributes"]["MessageDeduplicationId"] == TELLING.id


@pytest.mark.usefixtures("cloud")
def test_a_bus_in_its_own_region() -> None:
    events = boto3.client("events", region_name=REGION)
    bus = events.create_event_bus(Name="audit")["EventBusArn"]
    url, arn = queue("seen")
    pattern = json.dumps({"source": ["mine"], "detail-type": ["Assessment Created"]})
    events.put_rule(Name="r", EventBusName="audit", EventPattern=pattern)
    events.put_targets(Rule="r", EventBusName="audit", Targets=[{"Id": "1", "Arn": arn}])
    Aws().put_event(bus, EVENT, "mine")
    (message,) = received(url)
    body = json.loads(message["Body"])
    assert body["detail"] == EVENT.detail()
    assert body["resources"] == EVENT.resources
    assert body["detail-type"] == "Assessment Created"


@pytest.mark.usefixtures("cloud")
def test_what_is_not_there_is_told_by_its_code() -> None:
    with pytest.raises(ChannelDown, match=r"^SNS answered NotFound\w*\.$"):
        Aws().publish("arn:aws:sns:eu-west-1:123456789012:nowhere", TELLING)


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(ChannelDown, match="no AWS credentials for SNS"):
        Aws().publish("arn:aws:sns:eu-west-1:123456789012:audit", TELLING)


@pytest.mark.server
def test_nobody_at_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    aws = Aws({"sns": "http://127.0.0.1:1", "events": "http://127.0.0.1:1"})
    with pytest.raises(ChannelDown, match=r"SNS cannot be asked \(EndpointConnectionError\)"):
        aws.publish("arn:aws:sns:eu-west-1:123456789012:audit", TELLING)
    with pytest.raises(ChannelDown, match="EventBridge cannot be asked"):
        aws.put_event("arn:aws:events:eu-west-1:123456789012:event-bus/b", EVENT, "mine")


def test_an_arn_without_a_region_goes_nowhere() -> None:
    with pytest.raises(DeliveryError, match="names no region"):
        Aws().publish("arn:aws:sns:topic", TELLING)
