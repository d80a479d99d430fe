"""Trails from the command line, asked with ambient keys: moto's S3 and SQS, the simulator's rest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import boto3
import httpx
import pytest
from tests.cli.conftest import ACCOUNT, Run
from tests.moto_server import running_moto
from tests.simulator.cloud import Simulator
from tests.sources.trail_making import BEGIN, BUCKET, HOUR, Trail, event, public_der, public_keys

from auditkeep.app import opened, trail_turns, trails
from auditkeep.app.trail_turns import JOB, TrailTurns
from auditkeep.clock import FixedClock, Instant, SystemClock, from_datetime
from auditkeep.collection import backfills
from auditkeep.collection.backfills import Fetch
from auditkeep.collection.targets import Place
from auditkeep.collection.trails import find
from auditkeep.db.schema import lens_intervals, trail_objects
from auditkeep.errors import Overtaken
from auditkeep.ids import Tenant
from auditkeep.settings import load
from auditkeep.work.jobs import LEASE

pytestmark = pytest.mark.server
TENANT = ("--account", ACCOUNT)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with running_moto() as url:
        yield url


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, moto: str) -> Iterator[Simulator]:
    """Where every AWS client of this process asks."""
    httpx.post(f"{moto}/moto-api/reset").raise_for_status()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", moto)
    with Simulator() as running:
        running.estate.account(ACCOUNT)
        running.estate.put(ACCOUNT, "us-east-1", "s3:ListBuckets", BUCKET)
        (key,) = public_keys()["PublicKeyList"]
        running.world.public_keys = [{**key, "Value": public_der()}]
        made = running.key(ACCOUNT)
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", made.id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made.secret)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
        yield running


def deliver(trail: Trail) -> None:
    trail.put(boto3.client("s3", region_name="us-east-1"))


def read(answer: tuple[int, str, str], code: int = 0) -> Any:
    assert answer[0] == code, answer
    return json.loads(answer[1])


def test_a_bucket_is_read_by_hand_and_again_for_nothing(
    run: Run, data: Path, cloud: Simulator
) -> None:
    trail = Trail(prefix="logs/")
    trail.hours(3)
    deliver(trail)
    words = ("ingest", "cloudtrail", f"s3://{BUCKET}/logs", "--data", str(data), *TENANT, "--json")
    told = read(run(*words))
    assert (told["places"], told["verifiedFiles"], told["observations"]) == (1, 3, 6)
    assert told["digestFindings"] == {"DigestVerified": 3}
    again = read(run(*words))
    assert (again["objects"], again["known"], again["files"]) == (3, 3, 0)


def test_a_part_of_a_trail_is_read_by_its_path(run: Run, data: Path, cloud: Simulator) -> None:
    for region in ("us-east-1", "eu-west-1"):
        trail = Trail(region=region)
        trail.log(BEGIN, event(1, eventID=region))
        trail.log(BEGIN + 50 * HOUR, event(2, eventID=f"{region}-later"))
        deliver(trail)
    url = f"s3://{BUCKET}/AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/2026/04/01/"
    told = read(run("ingest", "cloudtrail", url, "--data", str(data), *TENANT, "--json"))
    assert (told["places"], told["observations"]) == (1, 1)
    whole = read(
        run("ingest", "cloudtrail", f"s3://{BUCKET}", "--data", str(data), *TENANT, "--json")
    )
    assert whole["observations"] == 3


def test_a_folder_is_checked_with_keys_from_a_file(run: Run, data: Path, tmp_path: Path) -> None:
    trail = Trail()
    trail.hours(3)
    folder = trail.write(tmp_path / "copy")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(public_keys()))
    words = ("ingest", "cloudtrail", str(folder), "--data", str(data), *TENANT, "--json")
    told = read(run(*words, "--digests", str(keys)))
    assert (told["files"], told["verifiedFiles"]) == (3, 2)
    code, _, errors = run(*words, "--digests", str(tmp_path / "none"))
    assert code == 1
    assert "cannot be read" in errors
    keys.write_text("{}")
    code, _, errors = run(*words, "--digests", str(keys))
    assert code == 1
    assert "list-public-keys" in errors


def test_a_trail_is_added_read_listed_and_removed(run: Run, data: Path, cloud: Simulator) -> None:
    trail = Trail()
    trail.hours(3)
    logs = [k for k in trail.objects if "/CloudTrail/" in k]
    del trail.objects[logs[1]]
    deliver(trail)
    at = ("--data", str(data), *TENANT)
    assert run("trail", "add", "main", f"s3://{BUCKET}", *at)[0] == 0
    told = read(run("trail", "read", "main", *at, "--since", "2026-04-01", "--json"))
    assert (told["verifiedFiles"], told["observations"]) == (2, 4)
    (broken,) = told["broken"]
    assert broken["finding"] == "LogFileMissing"
    (listed,) = read(run("trail", "list", *at, "--json"))["trails"]
    (place,) = listed["places"]
    assert place["verifiedTo"].startswith("2026-04-01T03:01:31")
    assert place["broken"] == 1
    assert "1 findings" in run("trail", "list", *at)[1]
    assert run("trail", "remove", "main", *at)[0] == 0
    assert read(run("trail", "list", *at, "--json"))["trails"] == []
    acts = run("activity", "list", "--data", str(data))[1]
    assert "PutTrail" in acts
    assert "DeleteTrail" in acts


def test_what_is_denied_is_told_with_the_action(
    run: Run, data: Path, cloud: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", cloud.url)
    trail = Trail()
    trail.hours(1)
    trail.put(cloud.client("s3", "us-east-1", ACCOUNT))
    cloud.faults.add("denied", "s3:GetObject")
    words = ("ingest", "cloudtrail", f"s3://{BUCKET}", "--data", str(data), *TENANT, "--json")
    told = read(run(*words), code=1)
    (failure,) = told["failures"]
    assert failure["reason"] == "denied"
    assert "s3:GetObject" in failure["sentence"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("trail", "add", "a b", "s3://bucket"), "is no name"),
        (("trail", "add", "a", "s3://UPPER"), "no name of a bucket"),
        (("trail", "add", "a", "bucket"), "s3://BUCKET/PREFIX"),
        (("trail", "add", "a", f"s3://bucket/AWSLogs/{ACCOUNT}/"), "before AWSLogs"),
        (("trail", "add", "a", "s3://bucket", "--queue", "q"), "no queue's URL"),
        (("trail", "add", "a", "s3://bucket", "--role", "r"), "no role's ARN"),
        (("trail", "add", "a", "s3://bucket", "--external-id", "r"), "goes with a role"),
        (("trail", "add", "a", "s3://bucket", "--only", "1"), "twelve digits"),
        (("trail", "remove", "none"), "no trail 'none'"),
        (("trail", "read", "none"), "no trail 'none'"),
        (("ingest", "config", "s3://bucket"), "From s3:// CloudTrail is read"),
        (("ingest", "cloudtrail", "s3://bucket", "file"), "not together with files"),
        (("ingest", "config", "f", "--digests", "k"), "Only CloudTrail has digests"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    run: Run, data: Path, words: tuple[str, ...], told: str
) -> None:
    code, _, errors = run(*words, "--data", str(data), *TENANT)
    assert code == 1
    assert told in errors


def test_the_server_reads_trails_by_itself_and_ends_when_told(
    run: Run, data: Path, cloud: Simulator
) -> None:
    trail = Trail()
    trail.hours(2)
    deliver(trail)
    sqs = boto3.client("sqs", region_name="us-east-1")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    late = trail.log(BEGIN + 2 * HOUR, event(70))
    deliver(trail)
    told = {"s3Bucket": BUCKET, "s3ObjectKey": [late]}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(told))
    at = ("--data", str(data), *TENANT)
    assert run("trail", "add", "main", f"s3://{BUCKET}", "--queue", url, *at)[0] == 0
    tenant = Tenant(ACCOUNT, "us-east-1")
    with opened(load(data), FixedClock(from_datetime(BEGIN + 4 * HOUR))) as parts:
        turns = TrailTurns(parts, finds=True)
        take(turns)
        with parts.db.read(tenant) as tx:
            assert len(tx.all(tx.select(trail_objects.c.id))) == 5
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
        turns.start()
        turns.stop()
    with opened(load(data), SystemClock()) as parts:
        (listed,) = trails.listed(parts, tenant)
        assert listed["places"][0]["failure"] == ""


def overtaken(*_: object, **__: object) -> NoReturn:
    raise Overtaken("Another reader of the trail main went on meanwhile.")


def test_a_turn_is_taken_by_whoever_is_there(
    run: Run, data: Path, cloud: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = Trail()
    trail.hours(2)
    deliver(trail)
    at = ("--data", str(data), *TENANT)
    assert run("trail", "add", "main", f"s3://{BUCKET}", *at)[0] == 0
    clock = FixedClock(from_datetime(BEGIN + 4 * HOUR))
    with opened(load(data), clock) as parts:
        server = TrailTurns(parts, finds=True)
        worker, ending = TrailTurns(parts, finds=False), TrailTurns(parts, finds=False)
        server.queue()
        killed = parts.jobs.claim((JOB,), clock.now())
        assert killed is not None
        clock.at = Instant(clock.at + LEASE - 1)
        server.queue()  # one turn at a time
        assert worker.pump.drain() == 0
        clock.at = Instant(clock.at + 1)
        ending.stop()
        assert ending.pump.drain() == 1
        assert read_objects(parts) < 4
        clock.at = Instant(clock.at + LEASE)
        assert worker.pump.drain() == 1
        assert read_objects(parts) == 4
        server.queue()
        assert worker.pump.drain() == 1
        monkeypatch.setattr(trail_turns, "read", overtaken)
        with pytest.raises(Overtaken):
            worker.turn(killed.tenant, killed.key)
        (place,) = trails.listed(parts, killed.tenant)[0]["places"]
        assert place["failure"] == ""
        run("trail", "remove", "main", *at)
        worker.turn(killed.tenant, killed.key)


def test_a_lens_that_reaches_back_has_the_past_read(run: Run, data: Path, cloud: Simulator) -> None:
    trail = Trail()
    trail.hours(2)
    deliver(trail)
    at = ("--data", str(data), *TENANT)
    assert run("trail", "add", "main", f"s3://{BUCKET}", *at)[0] == 0
    tenant = Tenant(ACCOUNT, "us-east-1")
    with opened(load(data), FixedClock(from_datetime(BEGIN + 30 * 24 * HOUR))) as parts:
        turns = TrailTurns(parts, finds=True)
        take(turns)
        assert read_objects(parts) == 0
        for key, days in (("config:S3_BUCKET", 2000), ("iam:CreateUser", 40)):
            with parts.db.write(tenant) as tx:
                tx.insert(lens_intervals, interval(key, BEGIN - (days - 30) * 24 * HOUR))
        with parts.db.write(tenant) as tx:
            backfills.save(tx, [fetch_from(Instant(from_datetime(BEGIN - 10 * 24 * HOUR)))])
        turns.turn(tenant, "main/later")
        assert read_objects(parts) == 4
        (place,) = trails.listed(parts, tenant)[0]["places"]
        assert place["readFrom"].startswith("2026-03-22")
        with parts.db.read(tenant) as tx:
            (fetch,) = backfills.listed(tx, "a")
        assert fetch.state == "COMPLETE"
        # and not again
        assert turns.past(tenant, trails_of(parts, tenant)) is None


def take(turns: TrailTurns) -> int:
    turns.queue()
    return turns.pump.drain()


def fetch_from(start: Instant) -> Fetch:
    """A backfill that waits for the account's trail."""
    place = Place(ACCOUNT, "us-east-1", "AWS_Cloudtrail")
    end = Instant(from_datetime(BEGIN))
    return Fetch("f", "a", place, start, end, "RUNNING", None, 0, "", end, "trail")


def read_objects(parts: Any) -> int:
    with parts.db.read(Tenant(ACCOUNT, "us-east-1")) as tx:
        return len(tx.all(tx.select(trail_objects.c.id)))


def trails_of(parts: Any, tenant: Tenant) -> Any:
    with parts.db.read(tenant) as tx:
        return find(tx, "main")


def interval(key: str, opens: Any) -> dict[str, Any]:
    return {
        "id": key,
        "assessment_id": "a",
        "ordinal": 1,
        "opens_at": from_datetime(opens),
        "closes_at": from_datetime(BEGIN),  # as a backfill's ends where the assessment began
        "match_keys": json.dumps([key]),
        "accounts": "[]",
        "regions": "[]",
        "every": "DAILY",
        "anchor": from_datetime(opens),
        "frozen": False,
    }
