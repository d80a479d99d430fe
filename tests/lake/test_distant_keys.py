"""Bucket keys under masters that are somewhere else: bounded in time, and nobody waits for them."""

import pytest
from tests.distant import Distant, Ring

from auditkeep.clock import Instant, parse
from auditkeep.crypto.asking import patient, with_keys
from auditkeep.db.database import Database
from auditkeep.db.schema import assessments, tenants
from auditkeep.db.schema import buckets as bucket_table
from auditkeep.errors import KeyAway, KeyNotAtHand
from auditkeep.ids import Tenant
from auditkeep.lake import buckets
from auditkeep.lake.buckets import BucketKeys
from auditkeep.lake.lake import Lake

TENANT = Tenant("111122223333", "us-east-1")
NOW = Instant(parse("2026-05-01T12:00:00Z"))
AWAY = "pkcs11:token=t;object="


class Ticks:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def ring(lake: Lake) -> Ring:
    return Ring(lake.data)


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def keys(lake: Lake, ring: Ring, ticks: Ticks) -> BucketKeys:
    return BucketKeys(ring, lake.keystore, seconds=300, ticks=ticks)


def _use(db: Database, name: str) -> None:
    with db.write(TENANT) as tx:
        tx.run(tx.update(tenants).values(kms_key=name))


def _current(db: Database, keys: BucketKeys, klass: str) -> str:
    def found() -> str:
        with db.write(TENANT) as tx:
            return buckets.current(tx, keys, klass, NOW)

    return with_keys(found)


@pytest.mark.both_databases
def test_new_buckets_go_with_the_tenant_s_key_and_old_ones_stay(
    db: Database, keys: BucketKeys
) -> None:
    own = _current(db, keys, "facts")
    _use(db, AWAY + "a")
    first = _current(db, keys, "facts")
    _use(db, AWAY + "b")
    second = _current(db, keys, "facts")
    assert len({own, first, second}) == 3
    assert _current(db, keys, "facts") == second
    _use(db, "DEFAULT")
    assert _current(db, keys, "facts") == own
    with db.read(TENANT) as tx:
        rows = tx.all(tx.select(bucket_table.c.id, bucket_table.c.provider_key))
    named = {row.id: row.provider_key for row in rows}
    assert named == {own: keys.provider_key, first: AWAY + "a", second: AWAY + "b"}


@pytest.mark.both_databases
def test_an_assessment_keeps_the_key_it_was_created_under_and_the_log_is_the_deployment_s(
    db: Database, keys: BucketKeys
) -> None:
    row = {
        "name": "n", "status": "ACTIVE", "document": "{}", "created_at": 1, "updated_at": 1,
        "version": 1, "next_ordinal": 1, "dormant": False, "frozen_at_batch": None,
    }  # fmt: skip
    with db.write(TENANT) as tx:
        tx.insert(assessments, {**row, "id": "old", "kms_key": "DEFAULT"})
        tx.insert(assessments, {**row, "id": "new", "kms_key": AWAY + "a"})
    _use(db, AWAY + "b")
    with db.read(TENANT) as tx:
        found = {
            klass: buckets.wrapped_by(tx, klass)
            for klass in ("manual/old", "manual/new", "facts", "reports", "activity", "governance")
        }
        assert buckets.wrapped_for(tx, "old") == "DEFAULT"
    assert found == {
        "manual/old": "DEFAULT",
        "manual/new": AWAY + "a",
        "facts": AWAY + "b",
        "reports": AWAY + "b",
        "activity": "DEFAULT",
        "governance": "DEFAULT",
    }


def test_a_key_stays_in_memory_for_so_long_and_no_longer(
    db: Database, keys: BucketKeys, ring: Ring, ticks: Ticks
) -> None:
    _use(db, AWAY + "a")
    bucket = _current(db, keys, "facts")
    key = keys.object_key(TENANT, bucket, "x")
    distant = ring.distant[AWAY + "a"]
    assert len(distant.asked) == 1, "wrapped once, and not unwrapped"
    distant.away = True
    ticks.at = 299.0
    assert keys.object_key(TENANT, bucket, "x") == key
    ticks.at = 300.0
    with pytest.raises(KeyAway, match="is disabled"):
        keys.object_key(TENANT, bucket, "x")
    with pytest.raises(KeyAway):
        keys.require(TENANT, bucket)
    distant.away = False
    assert keys.object_key(TENANT, bucket, "x") == key
    assert distant.asked[-1] == {
        "account": TENANT.account, "region": TENANT.region, "bucket": bucket,
    }  # fmt: skip


def test_who_holds_others_up_asks_for_nothing(
    db: Database, lake: Lake, keys: BucketKeys, ring: Ring
) -> None:
    _use(db, AWAY + "a")
    with db.write(TENANT) as tx, patient(), pytest.raises(KeyNotAtHand) as caught:
        buckets.current(tx, keys, "facts", NOW)
    assert ring.distant[AWAY + "a"].asked == []
    assert lake.keystore.bucket_ids() == []
    caught.value.fetch()
    with db.write(TENANT) as tx, patient():
        bucket = buckets.current(tx, keys, "facts", NOW)
    again = BucketKeys(ring, lake.keystore)
    with patient(), pytest.raises(KeyNotAtHand) as caught:
        again.object_key(TENANT, bucket, "x")
    caught.value.fetch()
    with patient():
        assert again.object_key(TENANT, bucket, "x") == keys.object_key(TENANT, bucket, "x")


def test_a_key_that_is_away_refuses_before_anything_is_written(
    db: Database, lake: Lake, keys: BucketKeys, ring: Ring
) -> None:
    _use(db, AWAY + "a")
    ring.distant[AWAY + "a"] = Distant(AWAY + "a")
    ring.distant[AWAY + "a"].away = True
    with pytest.raises(KeyAway, match="is disabled"):
        _current(db, keys, "facts")
    assert lake.keystore.bucket_ids() == []
    with db.read(TENANT) as tx:
        assert tx.all(tx.select(bucket_table.c.id)) == []
    assert _current(db, keys, "activity"), "what was refused can be written down"
