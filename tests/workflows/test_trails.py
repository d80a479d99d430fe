"""A trail's bucket: read once and verified, whatever comes late, is changed, denied or breaks off."""

import datetime as dt
import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.sources.trail_making import BEGIN, BUCKET, HOUR, Trail, event
from tests.workflows.trail_house import House

from auditkeep.clock import from_datetime
from auditkeep.collection import trails as rows
from auditkeep.collection.trails import Trail as Kept
from auditkeep.errors import InputError, Overtaken
from auditkeep.mapping.interest import Interest
from auditkeep.sources import digest_times, s3
from auditkeep.sources.pull import Denied
from auditkeep.workflows import trail_bucket
from auditkeep.workflows.trail_memory import TrailMemory
from auditkeep.workflows.trail_reading import TrailReading

pytestmark = pytest.mark.server
MINUTES = dt.timedelta(minutes=1)


@pytest.mark.both_databases
def test_a_trail_is_read_once_and_verified(house: House) -> None:
    trail = Trail()
    trail.hours(3)
    house.deliver(trail)
    counts = house.read(BEGIN + 4 * HOUR)
    assert counts.read.observations == 6
    assert (counts.places, counts.digests, counts.failures) == (1, 3, [])
    assert house.events() == dict.fromkeys(
        ["000", "001", "010", "011", "020", "021"], "verified-log"
    )
    assert house.findings() == [("DigestVerified", "PASSED")] * 3

    again = house.read(BEGIN + 4 * HOUR)
    assert (again.objects, again.known, again.digests, again.read.files) == (3, 3, 0, 0)
    (run, _) = (json.loads(s.raw) for s in house.kept("run:cloudtrail"))
    assert run["parameters"]["trail"]["bucket"] == BUCKET
    assert run["outcome"] == "completed"


def test_a_log_file_waits_for_its_digest_but_not_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        digest_times, "WAIT", 10**15
    )  # moto's objects arrive now, whatever day it is
    trail = Trail()
    trail.hours(1)
    trail.log(BEGIN + 80 * MINUTES, event(50))
    house.deliver(trail)
    counts = house.read(BEGIN + 90 * MINUTES)
    assert counts.waiting == 1
    assert "050" not in house.events()
    trail.digest(BEGIN + 2 * HOUR)
    house.deliver(trail)
    assert house.read(BEGIN + 3 * HOUR).waiting == 0
    assert house.events()["050"] == "verified-log"

    trail.log(BEGIN + 140 * MINUTES, event(60))
    house.deliver(trail)
    monkeypatch.setattr(digest_times, "WAIT", 180 * 60_000_000)
    old = house.read(dt.datetime.now(dt.UTC) + 4 * HOUR, since=from_datetime(BEGIN))
    assert old.waiting == 0
    assert house.events()["060"] == "pulled"


def test_a_file_delivered_late_is_never_passed_over(house: House) -> None:
    trail = Trail()
    trail.hours(2)
    house.deliver(trail)
    house.read(BEGIN + 3 * HOUR)
    # of yesterday by its name, and named by a digest of today
    trail.log(BEGIN + 5 * MINUTES, event(90))
    trail.digest(BEGIN + 3 * HOUR)
    trail.log(BEGIN + 10 * MINUTES, event(91))
    trail.digest(BEGIN + HOUR, backfill=True)
    house.deliver(trail)
    house.read(BEGIN + 26 * HOUR)
    events = house.events()
    assert (events["090"], events["091"]) == ("verified-log", "verified-log")


def test_what_was_touched_is_read_as_it_is_and_found(house: House) -> None:
    trail = Trail()
    trail.hours(4)
    logs = [k for k in trail.objects if "/CloudTrail/" in k]
    trail.objects[logs[0]].body = gzip.compress(json.dumps({"Records": [event(0)]}).encode())
    del trail.objects[logs[1]]
    trail.log(BEGIN + 100 * MINUTES, event(77), named=False)
    digests = [k for k in trail.objects if "/CloudTrail-Digest/" in k]
    trail.objects[digests[3]].metadata["signature"] = "00"
    house.deliver(trail)
    counts = house.read(dt.datetime.now(dt.UTC) + 4 * HOUR, since=from_datetime(BEGIN))
    assert counts.read.findings == {
        "DigestVerified": 3,
        "LogFileChanged": 1,
        "LogFileMissing": 1,
        "LogFileUnnamed": 1,
        "DigestInvalid": 1,
    }
    assert sorted(f.problem for f in counts.broken) == [
        "DigestInvalid",
        "LogFileChanged",
        "LogFileMissing",
        "LogFileUnnamed",
    ]
    assert house.events() == {
        "000": "pulled",
        "020": "verified-log",
        "021": "verified-log",
        "030": "pulled",
        "031": "pulled",
        "077": "pulled",
    }
    with house.lake.db.read(house.tenant) as tx:
        (progress,) = rows.progress_of(tx, "main").values()
    assert progress.broken == 4
    assert progress.verified_to == from_datetime(BEGIN + 3 * HOUR)
    # seen again, it is not found again
    again = house.read(dt.datetime.now(dt.UTC) + 4 * HOUR, since=from_datetime(BEGIN))
    assert again.read.findings == {}


def test_an_organisations_trail_has_many_places_and_only_those_asked_for_are_read(
    house: House,
) -> None:
    for account in ("111122223333", "222233334444"):
        for region in ("us-east-1", "eu-west-1"):
            trail = Trail(
                prefix="logs/", organisation="o-abcde12345", account=account, region=region
            )
            trail.log(BEGIN, event(int(account[0]), eventID=f"{account}-{region}"))
            trail.digest(BEGIN + HOUR)
            house.deliver(trail)
    other = Trail(prefix="other/")
    other.log(BEGIN, event(9))
    house.deliver(other)
    kept = Kept(name="org", bucket=BUCKET, prefix="logs/")
    some = house.read(
        BEGIN + 2 * HOUR,
        trail=kept,
        accounts=frozenset({"222233334444"}),
        regions=frozenset({"eu-west-1"}),
    )
    assert (some.places, some.read.observations) == (1, 1)
    rest = house.read(BEGIN + 2 * HOUR, trail=kept)
    assert (rest.places, rest.read.observations) == (4, 3)
    assert set(house.events().values()) == {"verified-log"}


def test_digests_may_be_left_alone(house: House) -> None:
    trail = Trail()
    trail.hours(2)
    house.deliver(trail)
    house.read(BEGIN + 3 * HOUR, trail=Kept(name="main", bucket=BUCKET, digests="off"))
    assert set(house.events().values()) == {"pulled"}
    assert house.findings() == []
    assert house.cloudtrail.asked == []


def test_the_same_object_as_a_local_file_is_read_once(house: House, tmp_path: Any) -> None:
    from auditkeep.workflows.ingest import ingest

    trail = Trail()
    trail.hours(2)
    house.deliver(trail)
    house.read(BEGIN + 3 * HOUR)
    folder = trail.write(tmp_path / "copy") / "AWSLogs" / trail.account / "CloudTrail"
    counts = ingest(
        house.lake, house.tenant, "cloudtrail", [folder], Interest.everything(), principal="a"
    )
    assert (counts.files, counts.repeated_files) == (2, 2)


def test_more_of_interest_reads_an_object_again(house: House) -> None:
    trail = Trail()
    trail.log(BEGIN, event(1), event(2, eventName="DeleteUser"))
    house.deliver(trail)
    house.read(BEGIN + HOUR, Interest.of(["iam:CreateUser"]))
    counts = house.read(BEGIN + HOUR, Interest.of(["iam:CreateUser", "iam:DeleteUser"]))
    assert (counts.known, counts.read.observations, counts.read.duplicates) == (0, 1, 1)


def test_an_object_that_cannot_be_read_is_told_and_holds_nothing(house: House) -> None:
    trail = Trail()
    trail.hours(1)
    cut = trail.log(BEGIN + 70 * MINUTES, event(40), event(41))
    trail.digest(BEGIN + 2 * HOUR)
    trail.objects[cut].body = trail.objects[cut].body[:-12]
    house.deliver(trail)
    counts = house.read(BEGIN + 3 * HOUR)
    assert {told.file for told in counts.read.rejected} == {f"s3://{BUCKET}/{cut}"}
    assert any("gzip" in told.reason for told in counts.read.rejected)
    assert counts.read.findings == {"DigestVerified": 2, "LogFileChanged": 1}
    assert {"000", "001"} <= set(house.events())


class Denying:
    """boto3's client, that is refused some objects."""

    def __init__(self, client: Any, sentence: str, part: str) -> None:
        self._client, self._sentence, self._part = client, sentence, part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_object(self, **asked: Any) -> Any:
        if self._part in asked["Key"]:
            error = {"Code": "AccessDenied", "Message": self._sentence}
            raise ClientError(
                {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}, "GetObject"
            )
        return self._client.get_object(**asked)


@pytest.mark.parametrize(
    ("sentence", "action"),
    [
        ("Access Denied", "s3:GetObject"),
        (
            (
                "User: arn:aws:sts::111122223333:assumed-role/r/s is not authorized to perform: "
                "kms:Decrypt on resource: arn:aws:kms:us-east-1:111122223333:key/1"
            ),
            "kms:Decrypt",
        ),
    ],
)
def test_a_denial_names_the_action_and_holds_no_other_place(
    house: House, sentence: str, action: str
) -> None:
    for region in ("eu-west-1", "us-east-1"):
        trail = Trail(region=region)
        trail.hours(1)
        house.deliver(trail)
    house.made["s3"] = Denying(house.s3, sentence, "/CloudTrail/eu-west-1/")
    counts = house.read(BEGIN + 2 * HOUR)
    (failure,) = counts.failures
    assert isinstance(failure.error, Denied)
    assert failure.error.action == action
    assert "eu-west-1" in str(failure.error)
    assert counts.read.observations == 2
    with house.lake.db.read(house.tenant) as tx:
        progress = rows.progress_of(tx, "main")
    assert progress[failure.place].failure.startswith("denied: ")
    house.made["s3"] = house.s3
    again = house.read(BEGIN + 2 * HOUR)
    assert again.failures == []
    assert house.findings() == [("DigestVerified", "PASSED")] * 2


class Breaking:
    """boto3's client, whose streams break off after some bytes."""

    def __init__(self, client: Any, after: int, *, times: int) -> None:
        self._client, self._after, self.left = client, after, times
        self.asked: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_object(self, **asked: Any) -> Any:
        self.asked.append(asked)
        answer = self._client.get_object(**asked)
        if self.left > 0 and "/CloudTrail/" in asked["Key"]:
            self.left -= 1
            answer["Body"] = _Broken(answer["Body"].read()[: self._after])
        return answer


class _Broken:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, _most: int = -1) -> bytes:
        data, self._data = self._data, b""
        if not data:
            raise ConnectionResetError("reset by peer")
        return data

    def close(self) -> None:
        return None


@pytest.mark.parametrize("small", [True, False])
def test_a_stream_that_breaks_is_taken_up_where_it_broke(
    house: House, monkeypatch: pytest.MonkeyPatch, *, small: bool
) -> None:
    monkeypatch.setattr(s3, "FIRST_PAUSE", 0)
    if not small:
        monkeypatch.setattr(s3, "IN_MEMORY", 10)
        monkeypatch.setattr(trail_bucket, "SMALL", 10)
    trail = Trail()
    trail.hours(1)
    house.deliver(trail)
    breaking = house.made["s3"] = Breaking(house.s3, 30, times=2)
    counts = house.read(BEGIN + 2 * HOUR)
    assert counts.read.observations == 2
    assert set(house.events().values()) == {"verified-log"}
    ranges = [a for a in breaking.asked if "Range" in a]
    assert ranges[0]["Range"] == "bytes=30-"
    assert all(a["IfMatch"] for a in ranges)


def test_a_stream_that_never_comes_whole_is_a_failure_of_its_place(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "FIRST_PAUSE", 0)
    trail = Trail()
    trail.hours(1)
    house.deliver(trail)
    house.made["s3"] = Breaking(house.s3, 0, times=10**6)
    counts = house.read(BEGIN + 2 * HOUR)
    assert [f.error.reason for f in counts.failures] == ["unreachable"]
    house.made["s3"] = house.s3
    assert house.read(BEGIN + 2 * HOUR).read.observations == 2


def test_an_object_that_is_replaced_while_it_is_read_does_not_count(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "IN_MEMORY", 10)
    trail = Trail()
    key = trail.log(BEGIN, event(1))
    house.deliver(trail)
    bucket = s3.Bucket(house.s3, BUCKET)
    with pytest.raises(InputError, match="changed"), bucket.opened(key) as (file, _):
        house.s3.put_object(Bucket=BUCKET, Key=key, Body=b"other")
        file.read(10)
    with pytest.raises(InputError, match="not there"), bucket.opened("missing"):
        pass


class Killed(BaseException):
    """As a process is: nothing is caught on the way."""


@pytest.mark.parametrize("at", range(1, 7))
def test_a_pass_that_was_killed_is_begun_again_and_adds_nothing_twice(
    house: House, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr("auditkeep.workflows.ingest.TOGETHER_UNITS", 2)
    trail = Trail()
    trail.hours(3)
    trail.log(BEGIN + 2 * HOUR, event(99), named=False)
    house.deliver(trail)
    real = TrailMemory.write
    calls = 0

    def kill(self: Any, tx: Any, place: Any) -> None:
        nonlocal calls
        calls += 1
        real(self, tx, place)
        if calls == at:
            raise Killed

    monkeypatch.setattr(TrailMemory, "write", kill)
    later = dt.datetime.now(dt.UTC) + 4 * HOUR
    killed = False
    try:
        house.read(later, since=from_datetime(BEGIN))
    except Killed:
        killed = True
    assert killed or at > 4
    monkeypatch.setattr(TrailMemory, "write", real)
    house.read(later, since=from_datetime(BEGIN))
    assert len(house.events()) == 7
    assert sorted(house.findings()) == [
        *[("DigestVerified", "PASSED")] * 3,
        ("LogFileUnnamed", "WARNING"),
    ]
    assert sorted(set(house.events().values())) == ["pulled", "verified-log"]


@pytest.mark.both_databases
def test_a_reader_that_woke_up_too_late_takes_nothing_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = Trail()

    def hour(number: int) -> None:
        trail.log(BEGIN + (number * 60 - 40) * MINUTES, event(number))
        trail.digest(BEGIN + number * HOUR)
        house.deliver(trail)

    hour(1)
    house.read(BEGIN + 2 * HOUR)
    hour(2)
    real = TrailReading.follow
    asleep: list[bool] = []

    def sleep(self: Any, chain: Any, since: Any) -> Any:
        """The first reader falls silent behind its list, and another goes further than that."""
        if not asleep:
            asleep.append(True)
            hour(3)
            house.read(BEGIN + 4 * HOUR)
        return real(self, chain, since)

    monkeypatch.setattr(TrailReading, "follow", sleep)
    with pytest.raises(Overtaken, match="trail main"):
        house.read(BEGIN + 3 * HOUR)
    hour(4)
    house.read(BEGIN + 5 * HOUR)
    with house.lake.db.read(house.tenant) as tx:
        (progress,) = rows.progress_of(tx, "main").values()
    assert progress.verified_to == from_datetime(BEGIN + 4 * HOUR)
    assert progress.broken == 0
    assert house.findings() == [("DigestVerified", "PASSED")] * 4
    assert "failed" in [json.loads(s.raw)["outcome"] for s in house.kept("run:cloudtrail")]


def test_objects_of_no_trail_are_read_as_they_are(house: House) -> None:
    for number in range(3):
        body = gzip.compress(json.dumps({"Records": [event(number)]}).encode())
        house.s3.put_object(Bucket=BUCKET, Key=f"export/{number}.json.gz", Body=body)
    house.clock.at = from_datetime(BEGIN + HOUR)
    work = TrailReading(
        house.lake, house.tenant, Kept(name="", bucket=BUCKET), house, Interest.everything(),
        "a", False, house.clock, None,
    )  # fmt: skip
    work.under("export/")
    work.conclude("completed")
    assert set(house.events().values()) == {"pulled"}
    assert len(house.events()) == 3
