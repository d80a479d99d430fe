"""From memory to sealed rows, from rows into the lake: once, in time, and nothing in clear."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.operations.in_process import Api

from auditkeep.accounts import store as accounts
from auditkeep.activity import pending
from auditkeep.activity.batcher import GATHER_EVERY, MANY, ActivityThread, Batcher
from auditkeep.activity.heard import Buffer
from auditkeep.activity.operator import acted
from auditkeep.activity.reading import Wanted, records
from auditkeep.clock import MINUTE, FixedClock
from auditkeep.db.database import Database
from auditkeep.db.schema import activity_pending, batches, buckets, meta, rollups
from auditkeep.errors import LogError, SetupError, StorageError
from auditkeep.evidence.progress import last_batch_no
from auditkeep.ids import Tenant
from auditkeep.lake import published
from auditkeep.lake.lake import Lake
from auditkeep.lake.proofs import LogReader, prove
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.operations.call import Deps

HOME = Tenant("111122223333", "us-east-1")
MANUAL = {
    "sourceName": "s",
    "sourceSetUpOption": "Procedural_Controls_Mapping",
    "sourceType": "MANUAL",
}


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Api:
    with db.system_write() as tx:
        rows = {"account": HOME.account, "region": HOME.region}
        tx.upsert(meta, [{"key": k, "value": v} for k, v in rows.items()])
        accounts.register(tx.of(HOME), None, clock.now())
    return Api(db, deps, clock)


@pytest.fixture
def batcher(api: Api) -> Batcher:
    return Batcher(api.deps.lake, api.deps.heard, api.clock)


def change(api: Api, name: str = "n") -> None:
    api.call(api.client().create_control, name=name, controlMappingSources=[MANUAL])


def read(api: Api, times: int = 1) -> None:
    client = api.client()
    for _ in range(times):
        api.call(client.list_controls, controlType="Custom")


def rows(api: Api) -> int:
    with api.db.read(HOME) as tx:
        return len(tx.all(tx.select(activity_pending)))


def observed(api: Api) -> int:
    with api.db.read(HOME) as tx:
        return sum(row.rows for row in tx.all(tx.select(batches.c.rows)))


def names(api: Api, **wanted: Any) -> list[str]:
    return [r["eventName"] for r in records(api.deps.lake, Wanted(**wanted))]


def test_rows_wait_until_they_are_old_or_many(
    api: Api, batcher: Batcher, clock: FixedClock
) -> None:
    change(api)
    batcher.gather()
    assert (rows(api), observed(api)) == (1, 0)
    clock.advance(GATHER_EVERY)
    batcher.gather()
    assert (rows(api), observed(api)) == (0, 1)


def test_many_rows_do_not_wait_and_make_batches_of_a_size(
    api: Api, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MANY > 3
    monkeypatch.setattr("auditkeep.activity.batcher.MANY", 3)
    for number in range(7):
        change(api, f"n{number}")
    batcher.gather()
    assert (rows(api), observed(api)) == (0, 7)
    with api.db.read(HOME) as tx:
        assert [r.rows for r in tx.all(tx.select(batches.c.rows))] == [3, 3, 1]


def test_reads_of_a_moment_are_kept_together_and_told_one_by_one(
    api: Api, batcher: Batcher
) -> None:
    read(api, 25)
    batcher.flush()
    assert observed(api) == 1
    assert names(api) == ["ListControls"] * 25
    assert names(api, event="ListControls") == ["ListControls"] * 25
    assert names(api, event="GetControl") == []


@pytest.mark.both_databases
def test_what_cannot_be_written_now_is_written_later_once(
    api: Api, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StorageError("The disk sulks.")

    read(api)
    batcher.listen()
    with monkeypatch.context() as patch:
        patch.setattr("auditkeep.activity.batcher.pending.keep", broken)
        with pytest.raises(StorageError):
            batcher.keep()
    batcher.keep()
    with monkeypatch.context() as patch:
        patch.setattr("auditkeep.activity.batcher.append", broken)
        with pytest.raises(StorageError):
            batcher.gather(now=True)
    assert rows(api) == 1
    batcher.gather(now=True)
    batcher.flush()
    assert names(api) == ["ListControls"]


@pytest.mark.both_databases
def test_two_processes_put_each_record_into_the_lake_once(api: Api, clock: FixedClock) -> None:
    for number in range(5):
        change(api, f"n{number}")
    first = Batcher(api.deps.lake, Buffer(), clock)
    second = Batcher(api.deps.lake, Buffer(), clock)
    first.gather(now=True)
    second.gather(now=True)
    assert names(api) == ["CreateControl"] * 5
    assert (rows(api), observed(api)) == (0, 5)


def test_what_is_lost_is_itself_told(api: Api, clock: FixedClock) -> None:
    small = Buffer(most=2)
    crowded = Api(api.db, replace(api.deps, heard=small), clock)
    read(crowded, 5)
    Batcher(api.deps.lake, small, clock).flush()
    found = list(records(api.deps.lake, Wanted(event="RecordsLost")))
    assert [r["additionalEventData"] for r in found] == [{"records": 3}]
    assert names(api).count("ListControls") == 2


def test_a_record_that_was_destroyed_with_its_key_stops_nothing(
    api: Api, batcher: Batcher, clock: FixedClock
) -> None:
    change(api)
    with api.db.write(HOME) as tx:
        bucket = tx.scalar(tx.select(buckets.c.id))
        tx.run(tx.update(buckets).values(destroyed_at=clock.now()))
    api.deps.lake.keystore.destroy(bucket)
    api.deps.lake.keys.forget(HOME, bucket)
    batcher.gather(now=True)
    change(api, "after")
    batcher.flush()
    assert rows(api) == 0
    assert names(api) == ["CreateControl"]


def test_records_are_proven_by_the_log_and_keep_to_a_class_of_their_own(
    api: Api, batcher: Batcher
) -> None:
    change(api)
    batcher.flush()
    lake = api.deps.lake
    with Sequencer(lake) as sequencer:
        sequencer.step()
    with api.db.read(HOME) as tx:
        found = {bucket[0] for bucket in tx.all(tx.select(buckets.c["class"]))}
        assert found == {"activity", "fields"}
        proof = prove(tx, lake, 1, [0], LogReader.newest(tx, lake))
        assert set(proof.paths) == {0}
        assert json.loads(proof.record)["class"] == "activity"
        assert last_batch_no(tx) == 0
        keys = [r.match_key for r in tx.all(tx.select(rollups.c.match_key))]
    assert keys == ["activity:CreateControl"]
    assert seal(lake, HOME, now=api.clock.now(), min_rows=1) is not None
    assert names(api) == ["CreateControl"]


@pytest.mark.both_databases
def test_nothing_of_a_call_is_read_in_the_raw_database(
    api: Api, batcher: Batcher, tmp_path: Path
) -> None:
    canary = "canary7f3a91tag"
    client = api.client()
    made = api.call(client.create_control, name="n", controlMappingSources=[MANUAL])
    arn = made["control"]["arn"]
    api.call(client.untag_resource, resourceArn=arn, tagKeys=[canary])
    api.call(client.list_tags_for_resource, resourceArn=arn)
    assert canary in json.dumps(list(records(api.deps.lake, Wanted(event="UntagResource"))))
    batcher.listen()
    for step in ("heard", "kept", "gathered"):
        if step == "kept":
            batcher.keep()
        if step == "gathered":
            batcher.gather(now=True)
        with api.db.system_read() as tx:
            for table in ("activity_pending", "tail", "batches", "units", "rollups"):
                found = tx.driver().exec_driver_sql(f"SELECT * FROM {table}").all()
                text = b"|".join(
                    v if isinstance(v, bytes) else str(v).encode() for row in found for v in row
                )
                assert canary.encode() not in text
        for file in tmp_path.rglob("*"):
            if file.is_file():
                assert canary.encode() not in file.read_bytes(), file


def test_the_thread_writes_what_was_heard_when_it_stops(api: Api, batcher: Batcher) -> None:
    thread = ActivityThread(batcher, api.clock)
    thread.start()
    read(api)
    thread.stop()
    assert names(api) == ["ListControls"]
    assert (rows(api), observed(api)) == (0, 1)


def test_a_thread_that_never_started_writes_too(api: Api, batcher: Batcher) -> None:
    read(api)
    ActivityThread(batcher, api.clock).stop()
    assert names(api) == ["ListControls"]


def test_what_keeps_failing_is_told_once_and_nothing_is_lost(
    api: Api, batcher: Batcher, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def behind(*_: object) -> None:
        raise LogError("The database is behind the log.")

    change(api)
    thread = ActivityThread(batcher, api.clock)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(published, "require_not_behind", behind)
        for _ in range(3):
            thread._attempt([lambda: batcher.gather(now=True)])
    assert caplog.text.count("behind the log") == 1
    assert rows(api) == 1
    batcher.gather(now=True)
    assert names(api) == ["CreateControl"]


def test_the_operator_is_recorded_with_the_act(api: Api, clock: FixedClock) -> None:
    other = Tenant("999988887777", "eu-west-1")
    keys, now = api.deps.lake.keys, clock.now()
    with api.db.system_write() as tx:
        acted(tx, keys, "PutPolicy", {"name": "P"}, now, account=other.account, region=other.region)
    (record,) = records(api.deps.lake, Wanted())
    assert record["eventSource"] == "auditkeep"
    assert record["userIdentity"]["type"] == "Operator"
    assert record["userIdentity"]["userName"]
    assert record["requestParameters"] == {"name": "P"}
    assert (record["recipientAccountId"], record["awsRegion"]) == (other.account, other.region)
    assert names(api, account=other.account) == ["PutPolicy"]


def test_an_act_before_there_is_a_deployment_is_refused(
    db: Database, lake: Lake, clock: FixedClock
) -> None:
    with pytest.raises(SetupError), db.system_write() as tx:
        acted(tx, lake.keys, "PutPolicy", {}, clock.now())


def test_a_row_holds_only_so_much(
    api: Api, batcher: Batcher, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MOST_BYTES", 2000)
    for _ in range(7):
        read(api)
        clock.advance(MINUTE)
    batcher.listen()
    batcher.keep()
    assert rows(api) > 2
    batcher.flush()
    assert names(api) == ["ListControls"] * 7
