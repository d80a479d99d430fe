"""A trail's queue in moto's SQS: a message goes when what it told of is kept, and not before."""

import datetime as dt
import json
from typing import Any

import pytest
from tests.sources.trail_making import ACCOUNT, BEGIN, BUCKET, HOUR, Trail, event
from tests.workflows.test_trails import Denying
from tests.workflows.trail_house import House

from auditkeep.collection.trails import Trail as Kept
from auditkeep.errors import NotCollected
from auditkeep.sources import queue as sqs
from auditkeep.workflows import trail_queue

pytestmark = [pytest.mark.server, pytest.mark.keys_elsewhere]
NOW = dt.datetime.now(dt.UTC)
AGES = dt.timedelta(days=3650)


class Line:
    """A queue that moto's S3 tells of each new object."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client = house.client("sqs", "us-east-1")
        self.url: str = self.client.create_queue(QueueName="told")["QueueUrl"]
        house.trail = Kept(name="main", bucket=BUCKET, queue=self.url)
        arn = "arn:aws:sqs:us-east-1:123456789012:told"
        told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        house.s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration=told
        )

    def send(self, said: Any) -> None:
        body = said if isinstance(said, str) else json.dumps(said)
        self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self) -> tuple[int, int]:
        """Messages that can be seen, and those that are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return int(found["Attributes"][names[0]]), int(found["Attributes"][names[1]])


@pytest.fixture
def line(house: House) -> Any:
    made = Line(house)
    yield made
    made.client.delete_queue(QueueUrl=made.url)


def test_what_s3_tells_of_is_read_and_the_messages_are_gone(line: Line) -> None:
    trail = Trail()
    trail.hours(2)
    line.house.deliver(trail)
    counts = line.house.drain(NOW + AGES)
    assert (counts.taken, counts.done, counts.poison) == (5, 5, 0)  # one more tries the way
    assert line.left() == (0, 0)
    # a log file came before its digest: it was read as it was, and its digest has verified it since
    assert line.house.findings() == [("DigestVerified", "PASSED")] * 2
    assert len(line.house.events()) == 4
    # and a pass over the bucket has nothing to read any more
    again = line.house.read(BEGIN + 3 * HOUR)
    assert (again.known, again.digests, again.read.files) == (2, 0, 0)
    (run, _) = (json.loads(s.raw) for s in line.house.kept("run:cloudtrail"))
    assert run["parameters"]["queue"]["done"] == 5


def test_a_log_file_waits_in_the_queue_for_its_digest(line: Line) -> None:
    trail = Trail()
    trail.hours(1)
    line.house.deliver(trail)
    line.house.drain(NOW)
    late = Trail(last=trail.last, made=trail.made)
    late.log(BEGIN + HOUR, event(50))
    line.house.deliver(late)
    counts = line.house.drain(NOW)
    assert (counts.later, counts.done) == (1, 0)
    assert line.left() == (0, 1)
    assert "050" not in line.house.events()
    late.digest(BEGIN + 2 * HOUR)
    line.house.deliver(late)  # the log file is told of once more, and is still waiting
    line.house.drain(NOW)
    assert line.house.events()["050"] == "verified-log"


def test_killed_between_reading_and_deleting_reads_nothing_twice(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(sqs, "HIDDEN_SECONDS", 0)
    trail = Trail()
    trail.hours(1)
    line.house.deliver(trail)
    with monkeypatch.context() as patched:
        patched.setattr(sqs.Queue, "delete", kill)
        with pytest.raises(Killed):
            line.house.drain(NOW + AGES)
    kept = line.house.events()
    assert kept
    counts = line.house.drain(NOW + AGES)
    assert counts.done == 3
    assert counts.trail.read.observations == 2 - len(kept)
    assert len(line.house.events()) == 2
    assert line.left() == (0, 0)


def test_poison_is_told_and_in_the_end_deleted(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "HIDDEN_SECONDS", 0)
    monkeypatch.setattr(trail_queue, "LOTS", 1)
    line.house.drain(NOW)  # the message that tries the way
    line.send("no JSON at all")
    line.send({"s3Bucket": "elsewhere", "s3ObjectKey": ["a"]})
    for _ in range(1, trail_queue.POISON):
        counts = line.house.drain(NOW)
        assert (counts.poison, counts.done) == (2, 0)
    counts = line.house.drain(NOW)
    assert (counts.poison, counts.done) == (2, 2)
    assert line.left() == (0, 0)
    told = " ".join(counts.told)
    assert "not JSON" in told
    assert "elsewhere" in told
    runs = [json.loads(s.raw) for s in line.house.kept("run:cloudtrail")]
    assert "no JSON at all" in str([run["parameters"]["queue"]["poison"] for run in runs])


def test_an_object_that_is_gone_is_told_and_done_with(line: Line) -> None:
    trail = Trail()
    key = trail.log(BEGIN, event(1))
    line.house.deliver(trail)
    line.house.s3.delete_object(Bucket=BUCKET, Key=key)
    counts = line.house.drain(NOW)
    assert counts.done == counts.taken
    (told,) = counts.trail.read.rejected
    assert told.file.endswith(key)


def test_objects_that_are_nobodys_are_done_with_and_not_read(line: Line) -> None:
    line.house.s3.put_object(Bucket=BUCKET, Key="other/AWSLogs/x", Body=b"x")
    other = Trail(account="999988887777")
    other.log(BEGIN, event(1))
    line.house.deliver(other)
    line.house.trail = Kept(name="main", bucket=BUCKET, queue=line.url, accounts=(ACCOUNT,))
    counts = line.house.drain(NOW)
    assert counts.done == counts.taken == 3
    assert counts.trail.read.files == 0


def test_a_denied_object_comes_again_and_holds_no_other(line: Line) -> None:
    one, other = Trail(region="eu-west-1"), Trail()
    one.log(BEGIN, event(1))
    other.log(BEGIN, event(2))
    line.house.deliver(one)
    line.house.deliver(other)
    line.house.made["s3"] = Denying(line.house.s3, "Access Denied", "eu-west-1")
    counts = line.house.drain(NOW)
    assert [f.error.reason for f in counts.trail.failures] == ["denied"]
    assert list(line.house.events()) == ["002"]
    assert line.left() == (0, 1)


def test_a_queue_that_is_not_there_is_told(line: Line) -> None:
    line.house.trail = Kept(name="main", bucket=BUCKET, queue=f"{line.url}-not")
    with pytest.raises(NotCollected, match="ReceiveMessage"):
        line.house.drain(NOW)


def test_an_empty_queue_leaves_no_record(line: Line) -> None:
    line.house.drain(NOW)
    before = len(line.house.kept("run:cloudtrail"))
    line.house.drain(NOW)
    assert len(line.house.kept("run:cloudtrail")) == before


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/111122223333/q", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q", "cn-north-1"),
        ("http://127.0.0.1:5000/1/q", "us-east-2"),
    ],
)
def test_a_queues_region_is_in_its_url(url: str, region: str) -> None:
    assert (
        trail_queue._region_of(Kept(name="a", bucket="b", region="us-east-2", queue=url)) == region
    )
