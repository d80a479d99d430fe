from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditkeep.db.bulk import claim_ids, merge_rollups
from auditkeep.db.database import Database
from auditkeep.db.schema import observation_ids, rollups, tags
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant

ONE = Tenant("111122223333", "us-east-1")
OTHER = Tenant("444455556666", "us-east-1")
KEY = (20_000, "iam:CreateUser", "111122223333", "us-east-1", "AWS_Cloudtrail", "", "bucket")


def id_(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.mark.both_databases
def test_ids_are_claimed_once_and_keep_their_first_batch(db: Database) -> None:
    with db.write(ONE) as tx:
        assert claim_ids(tx, [id_(n) + b"c" * 16 for n in range(5)], 1) == 5
        assert claim_ids(tx, [id_(n) + b"d" * 16 for n in range(3, 8)], 2) == 3
        assert claim_ids(tx, [], 3) == 0
        with pytest.raises(ValueError, match="32 bytes"):
            claim_ids(tx, [id_(9)], 3)
        rows = tx.all(tx.select(observation_ids).order_by(observation_ids.c.id))
    assert [row.batch_no for row in rows] == [1, 1, 1, 1, 1, 2, 2, 2]
    assert {bytes(row.content) for row in rows if row.batch_no == 1} == {b"c" * 16}
    with db.write(OTHER) as tx:
        assert claim_ids(tx, [id_(1) + b"c" * 16], 1) == 1, "each tenant has ids of its own"


@pytest.mark.both_databases
def test_bulk_statements_need_a_writer(db: Database) -> None:
    with db.read(ONE) as tx:
        with pytest.raises(StorageError, match="opened for reading"):
            claim_ids(tx, [id_(1) + b"c" * 16], 1)
        with pytest.raises(StorageError, match="opened for reading"):
            merge_rollups(tx, [(*KEY, 1, 1, 1, 1, 1, 1)])


amounts = st.tuples(*[st.integers(0, 2**40)] * 6)


@pytest.mark.both_databases
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(amounts, min_size=1, max_size=5))
def test_merged_rollups_are_sums_and_extremes(
    db: Database, parts: Sequence[tuple[int, ...]]
) -> None:
    with db.write(ONE) as tx:
        tx.run(tx.delete(rollups))
        for part in parts[:-1]:
            merge_rollups(tx, [(*KEY, *part)])
        merge_rollups(tx, [(*KEY, *parts[-1]), (KEY[0] + 1, *KEY[1:], *parts[-1])])
        row = tx.first(tx.select(rollups).where(rollups.c.day == KEY[0]))
    columns = list(zip(*parts, strict=True))
    assert row is not None
    assert (row.items, row.resources, row.issues) == tuple(sum(c) for c in columns[:3])
    assert (row.first_time, row.last_time, row.last_batch) == (
        min(columns[3]),
        max(columns[4]),
        max(columns[5]),
    )


@pytest.mark.both_databases
def test_an_upsert_replaces_adds_and_keeps_extremes(db: Database) -> None:
    numbers = {"items": 2, "resources": 5, "issues": 5, "first_time": 5, "last_time": 5}
    names = ("day", "match_key", "origin_account", "origin_region", "source", "verdict")
    key = dict(zip((*names, "bucket_id"), KEY, strict=True))
    with db.write(ONE) as tx:
        tx.upsert(rollups, [{**key, **numbers, "last_batch": 1}])
        tx.upsert(
            rollups,
            [
                {**key, "items": 3, "resources": 9, "issues": 9}
                | {"first_time": 9, "last_time": 9}
                | {"last_batch": 2}
            ],
            add=["items"],
            replace=["resources"],
            smallest=["first_time"],
            largest=["last_time"],
        )
        row = tx.first(tx.select(rollups))
        assert row is not None
        assert (row.items, row.resources, row.issues) == (5, 9, 5)
        assert (row.first_time, row.last_time, row.last_batch) == (5, 9, 1)
        tx.upsert(tags, [])


@pytest.mark.both_databases
def test_an_upsert_that_names_nothing_leaves_what_is_there(db: Database) -> None:
    with db.write(ONE) as tx:
        for value in ("first", "second"):
            tx.upsert(tags, [{"arn": "arn:x", "key": "k", "value": value}])
        assert [row.value for row in tx.all(tx.select(tags))] == ["first"]
