import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.lake.making import (
    EVERYTHING,
    NOW,
    PROVENANCE,
    TENANT,
    add,
    observation,
    register,
    some,
)

from auditkeep.clock import DAY, Day, Instant, day_of, parse
from auditkeep.db.database import Database
from auditkeep.db.schema import batches, buckets, conflicts, log_entries, tail, tenants, units
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import append as append_module
from auditkeep.lake.append import Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import find, observations, rollups
from auditkeep.observations import Observation, Resource

pytestmark = pytest.mark.both_databases


def raws(lake: Lake, tenant: Tenant = TENANT) -> list[bytes]:
    with lake.db.read(tenant) as tx:
        return [s.raw for s in observations(tx, lake, [EVERYTHING], limit=10_000)]


def test_what_is_appended_is_there_once_and_in_full(lake: Lake) -> None:
    appended = add(lake, "unit-1", some(0, 10))
    assert (appended.batch_no, appended.new, appended.repeated) == (1, 10, False)
    with lake.db.read(TENANT) as tx:
        stored = observations(tx, lake, [EVERYTHING], limit=100)
        unit = tx.first(tx.select(units))
        batch = tx.first(tx.select(batches))
    assert [s.raw for s in reversed(stored)] == [o.raw for o in some(0, 10)]
    assert {s.index for s in stored} == set(range(10))
    envelope = json.loads(stored[0].envelope)
    assert envelope["natural_key"] == ["event-9"]
    assert envelope["unit"] == "unit-1"
    assert unit is not None
    assert (unit.batch_no, unit.run, json.loads(unit.counts)["new"]) == (1, "run-1", 10)
    assert batch is not None
    assert (batch.rows, batch.min_time) == (10, observation(0).event_time)


def test_a_unit_that_was_committed_writes_nothing_again(lake: Lake) -> None:
    add(lake, "unit-1", some(0, 3))
    again = add(lake, "unit-1", some(0, 5))
    assert again.repeated
    assert (again.new, again.batch_no) == (0, 1)
    assert len(raws(lake)) == 3


def test_known_observations_are_dropped_and_the_others_kept(lake: Lake) -> None:
    add(lake, "unit-1", some(0, 6))
    second = add(lake, "unit-2", [*some(4, 4), observation(7)])
    assert (second.batch_no, second.new, second.duplicates, second.conflicts) == (2, 2, 3, 0)
    assert len(raws(lake)) == 8


def test_a_unit_of_nothing_new_takes_no_batch_number(lake: Lake) -> None:
    add(lake, "unit-1", some(0, 3))
    assert add(lake, "unit-2", some(0, 3)).batch_no is None
    assert add(lake, "unit-3", []).batch_no is None
    assert add(lake, "unit-4", some(3, 1)).batch_no == 2


def test_the_same_json_written_otherwise_is_a_duplicate(lake: Lake) -> None:
    compact = observation(1, raw=b'{"a":1,"b":[1.0,"\\u00e9"]}')
    pretty = observation(1, raw='{ "b": [1.0, "é"],\n  "a": 1 }'.encode())
    assert add(lake, "unit-1", [compact, pretty]).duplicates == 1
    assert add(lake, "unit-2", [pretty]).duplicates == 1
    assert raws(lake) == [compact.raw]


def test_two_forms_of_one_fact_agree_if_their_content_does(lake: Lake) -> None:
    pulled = observation(1, raw=b'{"ComplianceType":"COMPLIANT"}', content=b"COMPLIANT")
    pushed = observation(1, raw=b'{"complianceType":"COMPLIANT"}', content=b"COMPLIANT")
    other = observation(1, raw=b'{"complianceType":"X"}', content=b"NON_COMPLIANT")
    first = add(lake, "a", [pulled, pushed])
    assert (first.new, first.duplicates, first.conflicts) == (1, 1, 0)
    second = add(lake, "b", [pushed])
    assert (second.new, second.duplicates, second.conflicts) == (0, 1, 0)
    third = add(lake, "c", [other])
    assert (third.new, third.duplicates, third.conflicts) == (0, 0, 1)


def test_other_content_under_a_known_id_is_a_visible_conflict(lake: Lake) -> None:
    first, other = observation(1), observation(1, raw=b'{"forged":true}')
    add(lake, "unit-1", [first])
    second = add(lake, "unit-2", [other, observation(2), other])
    assert (second.new, second.conflicts, second.duplicates) == (1, 1, 1)
    third = add(lake, "unit-3", [observation(3), observation(3, raw=b"not json"), other])
    assert (third.new, third.conflicts) == (1, 2)
    with lake.db.read(TENANT) as tx:
        rows = tx.all(tx.select(conflicts))
    assert sorted(row.unit_id for row in rows) == ["unit-2", "unit-3"]
    assert sorted(raws(lake)) == sorted(observation(n).raw for n in (1, 2, 3))


def test_what_cannot_be_kept_is_refused_and_the_rest_is_kept(lake: Lake) -> None:
    bad = [
        observation(1, event_time=Instant(-1), position="old"),
        observation(2, event_time=Instant(NOW + DAY + 1), position="new"),
        observation(3, event_time=parse("2200-01-01T00:00:00Z"), position="far"),
        observation(4, actor="half \ud800", position="half"),
        observation(5, verdict="zero \0", position="zero"),
        observation(6, match_key="x" * 1_001, position="long"),
    ]
    appended = add(lake, "unit-1", [*bad, observation(7), observation(8, event_time=NOW)])
    assert appended.new == 2
    refused = dict(appended.refused)
    assert list(refused) == ["old", "new", "far", "'half'", "zero", "long"]
    assert "before 1970" in refused["old"]
    assert "24 hours" in refused["far"]


def test_an_event_just_inside_the_limits_is_kept(lake: Lake) -> None:
    edge = [observation(1, event_time=Instant(0)), observation(2, event_time=Instant(NOW + DAY))]
    assert add(lake, "unit-1", edge).new == 2


def test_tenants_neither_see_nor_count_each_other(lake: Lake, db: Database) -> None:
    other = Tenant("444455556666", "eu-west-1")
    register(db, other)
    add(lake, "unit-1", some(0, 3))
    appended = add(lake, "unit-1", some(0, 4), tenant=other)
    assert (appended.batch_no, appended.new) == (1, 4)
    assert (len(raws(lake)), len(raws(lake, other))) == (3, 4)
    with db.read(other) as tx:
        mine = [s.id for s in observations(tx, lake, [EVERYTHING], limit=10)]
    with db.read(TENANT) as tx:
        assert find(tx, lake, mine) == {}


def test_a_tenant_that_is_not_registered_is_refused(lake: Lake) -> None:
    with pytest.raises(StorageError, match="has no registration in eu-west-1"):
        add(lake, "unit-1", some(0, 1), tenant=Tenant("444455556666", "eu-west-1"))


def test_nothing_is_left_of_a_transaction_that_fails(lake: Lake, db: Database) -> None:
    def fail_after_append() -> None:
        with db.write(TENANT) as tx:
            append(
                tx,
                lake,
                unit=Unit("unit-1", "file"),
                klass="facts",
                observations=some(0, 5),
                provenance=PROVENANCE,
                now=NOW,
            )
            # Reading inside the transaction puts its batch into the cache.
            assert len(observations(tx, lake, [EVERYTHING], limit=10)) == 5
            raise StorageError("the caller fails")

    with pytest.raises(StorageError, match="the caller fails"):
        fail_after_append()
    assert raws(lake) == []
    assert not lake.appended.is_set()
    appended = add(lake, "unit-1", some(10, 3))
    assert (appended.batch_no, appended.repeated) == (1, False)
    assert lake.appended.is_set()
    assert sorted(raws(lake)) == sorted(o.raw for o in some(10, 3))


def test_a_large_batch_becomes_a_segment_at_once(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append_module, "UNPACKED", 100_000)
    load = some(0, 1_500)
    assert add(lake, "unit-1", load).new == 1_500
    with db.read(TENANT) as tx:
        batch = tx.first(tx.select(batches))
        assert tx.first(tx.select(tail)) is None
    assert batch is not None
    assert batch.segment_id is not None
    assert batch.leaves is None, "more than 1,024 leaf hashes are an object"
    assert sorted(raws(lake)) == sorted(o.raw for o in load)


def test_a_blob_over_four_mebibytes_becomes_a_segment(
    lake: Lake, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append_module, "MAX_TAIL_BLOB", 1_000)
    add(lake, "unit-1", some(0, 100))
    with db.read(TENANT) as tx:
        assert tx.first(tx.select(tail)) is None
    assert len(raws(lake)) == 100


def test_each_class_and_month_has_a_bucket_of_its_own(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 1))
    add(lake, "unit-2", some(1, 1))
    add(lake, "unit-3", some(2, 1), klass="manual/a")
    add(lake, "unit-4", some(3, 1), now=parse("2026-06-01T00:00:00Z"))
    with db.read(TENANT) as tx:
        evidence = tx.select(buckets).where(buckets.c["class"] != "fields")
        rows = tx.all(evidence.order_by(buckets.c.month, buckets.c["class"]))
    assert [(row._mapping["class"], row.month) for row in rows] == [
        ("facts", "2026-05"),
        ("manual/a", "2026-05"),
        ("facts", "2026-06"),
    ]
    assert len({row.id for row in rows}) == 3


def test_rollups_count_items_resources_and_issues_of_each_day(lake: Lake) -> None:
    failed = Resource("r1", verdict="NON_COMPLIANT")
    passed = Resource("r2", verdict="COMPLIANT")
    noon = parse("2026-04-30T12:00:00Z")
    config = {
        "match_key": "config:S3_BUCKET",
        "source": "AWS_Config",
        "account": "1",
        "region": "r",
    }
    load = [
        observation(1, event_time=noon, verdict="FAILED", resources=(failed, passed), **config),
        observation(2, event_time=Instant(noon + 5), verdict="FAILED", resources=(), **config),
        observation(
            3, event_time=Instant(noon - 5), verdict="FAILED", resources=(passed,), **config
        ),
        observation(4, event_time=Instant(noon + DAY // 2), verdict="FAILED", **config),
        observation(5, event_time=noon, verdict="PASSED", resources=(), **config),
    ]
    add(lake, "unit-1", load[:2])
    add(lake, "unit-2", load[2:])
    with lake.db.read(TENANT) as tx:
        day = day_of(noon)
        rows = rollups(tx, match_keys=["config:S3_BUCKET"], first_day=day, last_day=day)
        later = rollups(tx, match_keys=["config:S3_BUCKET"], first_day=Day(day + 1), last_day=None)
    counted = {row.verdict: (row.items, row.resources, row.issues) for row in rows}
    assert counted == {"FAILED": (3, 3, 2), "PASSED": (1, 0, 0)}
    (one,) = [row for row in rows if row.verdict == "FAILED"]
    assert (one.first_time, one.last_time, one.last_batch) == (noon - 5, noon + 5, 2)
    assert [row.items for row in later] == [1]


def test_each_batch_queues_one_opaque_entry(lake: Lake, db: Database) -> None:
    add(lake, "unit-1", some(0, 3))
    add(lake, "unit-2", some(0, 3))
    add(lake, "unit-3", some(3, 3))
    with db.system_read() as tx:
        rows = tx.all(tx.select(log_entries))
    assert [(len(row.entry), row.log_index) for row in rows] == [(32, None), (32, None)]


numbers = st.integers(0, 12)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(deliveries=st.lists(st.lists(numbers, max_size=8), max_size=6))
def test_any_sequence_of_deliveries_keeps_each_fact_once(
    lake: Lake, db: Database, deliveries: list[list[int]]
) -> None:
    with db.system_read() as tx:
        others = len(tx.all(tx.select(tenants)))
    tenant = Tenant(f"{others:012d}", "us-east-1")  # a new one for each example
    register(db, tenant)
    new = 0
    for number, wanted in enumerate(deliveries):
        appended = add(lake, f"unit-{number}", [observation(n) for n in wanted], tenant=tenant)
        new += appended.new
        assert appended.new + appended.duplicates == len(wanted)
    expected = Counter(observation(n).raw for n in {n for wanted in deliveries for n in wanted})
    assert Counter(raws(lake, tenant)) == expected
    assert new == len(expected)
    with db.read(tenant) as tx:
        batch_numbers = [row.batch_no for row in tx.all(tx.select(batches.c.batch_no))]
        counted = rollups(tx, match_keys=EVERYTHING.match_keys, first_day=Day(0), last_day=None)
    assert sorted(batch_numbers) == list(range(1, len(batch_numbers) + 1))
    assert sum(row.items for row in counted) == new


def test_more_rows_than_an_append_takes_are_refused(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append_module, "MAX_ROWS", 3)
    load: list[Observation] = some(0, 4)
    with pytest.raises(StorageError, match="at most 3 observations"):
        add(lake, "unit-1", load)
