"""Rotation: every data key under the new master, nothing else changed, and the old one gone last."""

from pathlib import Path

import pytest
from tests.distant import Ring
from tests.lake.test_distant_keys import AWAY

from auditkeep.clock import Instant, parse
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.masters import MasterFile
from auditkeep.crypto.providers import master_of
from auditkeep.crypto.providers.kept import NAME, KeptKey
from auditkeep.db.database import Database
from auditkeep.db.schema import buckets as bucket_table
from auditkeep.errors import KeyUnusable
from auditkeep.ids import Tenant
from auditkeep.lake import buckets, rotation
from auditkeep.lake.buckets import BucketKeys
from auditkeep.lake.lake import Lake

TENANT = Tenant("111122223333", "us-east-1")
NOW = Instant(parse("2026-05-01T12:00:00Z"))


@pytest.fixture
def ring(lake: Lake) -> Ring:
    return Ring(lake.data)


@pytest.fixture
def own(lake: Lake, ring: Ring) -> KeyStore:
    KeptKey.create(ring, KeyStore(lake.data / "own"))
    return KeyStore(lake.data / "own")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(rotation, "PIECE", 3)


def _filled(db: Database, keys: BucketKeys, count: int = 7) -> dict[str, bytes]:
    with db.write(TENANT) as tx:
        ids = [buckets.current(tx, keys, f"manual/{n}", NOW) for n in range(count)]
    return {bucket: keys.key(TENANT, bucket) for bucket in ids}


def _named(db: Database) -> set[str]:
    with db.read(TENANT) as tx:
        return {row.provider_key for row in tx.all(tx.select(bucket_table.c.provider_key))}


def _rotate(lake: Lake, ring: Ring, own: KeyStore, to: str = "") -> rotation.Rotated:
    rotation.begin(ring, to)
    return rotation.rotate(lake, ring, own, Instant(NOW + 3_650 * 86_400_000_000))


@pytest.mark.both_databases
def test_everything_is_under_the_new_master_and_opens_as_before(
    db: Database, lake: Lake, ring: Ring, own: KeyStore
) -> None:
    before = ring.key_id
    made = _filled(db, BucketKeys(ring, lake.keystore))
    fields = len(lake.keystore.bucket_ids()) - len(made)
    done = _rotate(lake, ring, own)
    assert (done.keys, done.retired, done.left) == (len(made) + fields + 1, (before,), ())
    assert ring.key_ids == (done.master,)
    assert done.master != before
    assert {master_of(lake.keystore.get(b)) for b in lake.keystore.bucket_ids()} == {done.master}
    assert master_of(own.get(NAME)) == done.master
    assert _named(db) == {done.master}
    fresh = BucketKeys(ring, lake.keystore)
    assert {b: fresh.key(TENANT, b) for b in made} == made
    assert [p.name for p in Path(lake.data, "keys", "buckets").glob(".new-*")] == []


def test_a_server_beside_it_goes_on_with_its_buckets_and_the_new_master(
    db: Database, lake: Lake, ring: Ring, own: KeyStore
) -> None:
    server = BucketKeys(Ring(lake.data), lake.keystore)
    made = _filled(db, server, 2)
    rotation.begin(ring, "")
    assert server.provider_key == ring.key_id, "it noticed by itself"
    assert _filled(db, server, 2) == made, "no bucket twice for the length of a rotation"
    with db.write(TENANT) as tx:
        late = buckets.current(tx, server, "manual/late", NOW)
    assert master_of(lake.keystore.get(late)) == ring.key_id
    _rotate(lake, ring, own)
    assert _filled(db, BucketKeys(Ring(lake.data), lake.keystore), 2) == made


@pytest.mark.parametrize("after", [0, 1, 2])
def test_what_dies_in_between_goes_on(
    db: Database, lake: Lake, ring: Ring, own: KeyStore, after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = _filled(db, BucketKeys(ring, lake.keystore))
    before = ring.key_id
    left = [after]

    def dies(name: str) -> None:
        if name == "rotate.before-commit":  # keys are wrapped, rows do not say so yet
            left[0] -= 1
            if left[0] < 0:
                raise RuntimeError(name)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(rotation, "reach", dies)
        _rotate(lake, ring, own)
    assert len(ring.key_ids) == 2, "the old one opens what was not reached"
    assert {b: BucketKeys(ring, lake.keystore).key(TENANT, b) for b in made} == made
    target = ring.key_id
    done = _rotate(lake, ring, own)
    assert (done.master, done.retired) == (target, (before,)), "not yet another one"
    assert _named(db) == {target}
    assert {b: BucketKeys(ring, lake.keystore).key(TENANT, b) for b in made} == made


def test_a_key_that_may_be_about_to_be_used_keeps_its_master(
    db: Database, lake: Lake, ring: Ring, own: KeyStore
) -> None:
    _filled(db, BucketKeys(ring, lake.keystore), 1)
    BucketKeys(ring, lake.keystore).make(TENANT, "without-a-row")
    before = ring.key_id
    rotation.begin(ring, "")
    soon = Instant(lake.keystore.written_at("without-a-row") + 1)
    done = rotation.rotate(lake, ring, own, soon)
    assert (done.left, done.waiting, done.retired) == ((before,), 1, ())
    later = Instant(soon + rotation.LONGEST_WRITE)
    assert rotation.rotate(lake, ring, own, later).retired == (before,)


def test_a_destroyed_key_does_not_come_back(
    db: Database, lake: Lake, ring: Ring, own: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone, *_) = _filled(db, BucketKeys(ring, lake.keystore), 2)
    put = rotation._put

    def after_destruction(*args: object) -> None:
        with db.write(TENANT) as tx:
            doomed = bucket_table.c.id == gone
            tx.run(tx.update(bucket_table).where(doomed).values(destroyed_at=NOW))
        lake.keystore.destroy(gone)
        put(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(rotation, "_put", after_destruction)
    _rotate(lake, ring, own)
    assert gone not in lake.keystore.bucket_ids()


def test_to_a_key_held_elsewhere_and_back(
    db: Database, lake: Lake, ring: Ring, own: KeyStore
) -> None:
    made = _filled(db, BucketKeys(ring, lake.keystore), 2)
    assert _rotate(lake, ring, own, AWAY + "a").master == AWAY + "a"
    assert _named(db) == {AWAY + "a"}
    assert MasterFile(lake.data / "keys" / "master.key").read() == (AWAY + "a",)
    again = _rotate(lake, ring, own)
    assert (again.keys, again.retired) == (0, ()), "its holder rotates it"
    assert {b: BucketKeys(ring, lake.keystore).key(TENANT, b) for b in made} == made
    back = _rotate(lake, ring, own, rotation.LOCAL)
    assert back.master.startswith("local:")
    assert {b: BucketKeys(ring, lake.keystore).key(TENANT, b) for b in made} == made
    rotation.begin(ring, "")
    with pytest.raises(KeyUnusable, match="is not over"):
        rotation.begin(ring, AWAY + "b")


def test_one_tenant_s_data_follows_its_key_when_asked(db: Database, lake: Lake, ring: Ring) -> None:
    made = _filled(db, BucketKeys(ring, lake.keystore), 2)
    with db.write(TENANT) as tx:
        log = buckets.current(tx, BucketKeys(ring, lake.keystore), "activity", NOW)
    done = rotation.rotate_tenant(lake, ring, TENANT, AWAY + "a")
    assert done.keys == 2
    assert {master_of(lake.keystore.get(b)) for b in made} == {AWAY + "a"}
    assert master_of(lake.keystore.get(log)) == ring.key_id
    assert {b: BucketKeys(ring, lake.keystore).key(TENANT, b) for b in made} == made
