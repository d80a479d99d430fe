"""An administrator with disk, database and keys changes what is stored: the audit names it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.lake.audit.house import FILE, Interrupt, audited, furnish, log, rewrite_tail
from tests.lake.making import NOW, TENANT, add, file_name, register, some

from auditkeep.clock import DAY, MINUTE, Instant, iso
from auditkeep.crypto.signing import SigningKey
from auditkeep.db.database import Database
from auditkeep.db.schema import (
    batches,
    blobs,
    buckets,
    checkpoints,
    log_entries,
    observation_ids,
    segments,
    tail,
    tenants,
)
from auditkeep.errors import Busy, InputError, LogError
from auditkeep.ids import Tenant
from auditkeep.lake import append as append_module
from auditkeep.lake import governance, published
from auditkeep.lake.audit import observations
from auditkeep.lake.audit import tenant as tenant_module
from auditkeep.lake.audit.catalog import Batch
from auditkeep.lake.audit.run import STATE, standing
from auditkeep.lake.batch import leaves_name, open_opening, seal_opening
from auditkeep.lake.blobs import stored_name
from auditkeep.lake.columns import Heavy, Light, tail_object, unpack
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import seal
from auditkeep.lake.segments import object_name
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.note import Signer

OWNER = "111122223333 in us-east-1"


@pytest.fixture
def house(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    furnish(lake)
    return lake


def problems(lake: Lake, held: str | None = None) -> tuple[str, ...]:
    return audited(lake, held=held).problems


def assert_named(lake: Lake, *patterns: str, held: str | None = None) -> None:
    found = problems(lake, held)
    assert found, "nothing was found"
    for pattern in patterns:
        assert any(re.search(pattern, p) for p in found), found
    assert len(found) <= len(patterns) + 3, found


@pytest.mark.both_databases
def test_an_honest_lake_is_sound(lake: Lake, db: Database) -> None:
    furnish(lake)
    other = Tenant("444455556666", "eu-west-1")
    register(db, other)
    add(lake, "unit-1", some(0, 5), tenant=other)
    done = audited(lake)
    assert done.problems == done.notices == ()
    assert done.sound
    counts = done.counts
    assert (counts.batches, counts.segments, counts.files, counts.destroyed) == (11, 2, 2, 1)
    assert counts.observations == 30 + 1_100 + 12 + 1 + 1 + 3 + 5
    assert counts.pending == 1, "what was just appended is not in the log yet"
    assert (counts.entries, done.size) == (10, 10)
    assert json.loads(json.dumps(done.summary()))["state"] == "sound"
    assert not (lake.data / STATE).exists()


def test_an_empty_lake_is_sound(lake: Lake) -> None:
    assert audited(lake).sound


# --- rows ----------------------------------------------------------------------------------------


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_flipped_byte_in_the_tail(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        blob = bytes(tx.scalar(tx.select(tail.c.blob).where(tail.c.batch_no == 5)))
        changed = tx.update(tail).where(tail.c.batch_no == 5)
        tx.run(changed.values(blob=_flip(blob, len(blob) // 2)))
    assert_named(house, rf"Batch 5 of {OWNER} \(in the tail\): .*cannot be read")


def test_changed_bytes_sealed_again_with_the_right_key(house: Lake) -> None:
    def change(_: Light, heavy: Heavy) -> None:
        heavy.raws[1] = b'{"eventID":"forged"}'

    rewrite_tail(house, TENANT, 6, change)
    assert_named(house, r"Batch 6 .*\(in the tail\): observation number 1 changed")


def test_a_changed_verdict_beside_an_intact_envelope(house: Lake) -> None:
    def change(light: Light, _: Heavy) -> None:
        light.verdicts[0] = "PASSED"

    rewrite_tail(house, TENANT, 6, change)
    assert_named(house, r"Batch 6 .* observation number 0 \(.*\) is searched under another verdict")


def test_an_observation_taken_out_of_its_batch(house: Lake) -> None:
    def change(light: Light, heavy: Heavy) -> None:
        for half in (light, heavy):
            for name in half.__struct_fields__:
                values = getattr(half, name)
                if isinstance(values, list):
                    setattr(half, name, values[:1])
        light.ids, heavy.nonces = light.ids[:16], heavy.nonces[:32]

    rewrite_tail(house, TENANT, 6, change)
    assert_named(house, r"Batch 6 .*it has 1 observations; 2 were logged")


def test_two_observations_swapped(house: Lake) -> None:
    def change(_: Light, heavy: Heavy) -> None:
        heavy.raws.reverse()
        heavy.envelopes.reverse()

    rewrite_tail(house, TENANT, 6, change)
    assert_named(house, r"observations number 0, 1 changed")


def test_a_tail_row_deleted(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        tx.run(tx.delete(tail).where(tail.c.batch_no == 5))
    assert_named(house, r"Batch 5 .*\(in the tail\): its observations are missing")


def test_ids_deleted_so_that_nobody_finds_an_observation(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        one = tx.select(observation_ids.c.id).where(observation_ids.c.batch_no == 5).limit(1)
        tx.run(tx.delete(observation_ids).where(observation_ids.c.id == tx.scalar(one)))
    assert_named(house, r"Batch 5 .*: 9 of its 10 observations are found by their ids")


# --- segments ------------------------------------------------------------------------------------


def _segment(lake: Lake, batch_no: int) -> str:
    with lake.db.read(TENANT) as tx:
        found: str = tx.scalar(
            tx.select(batches.c.segment_id).where(batches.c.batch_no == batch_no)
        )
    return found


def test_a_flipped_byte_in_a_segment(house: Lake) -> None:
    name = object_name(TENANT, _segment(house, 4))
    data = house.objects.get(name)
    house.objects.replace(name, _flip(data, len(data) // 3))
    assert_named(house, rf"The segment .*{re.escape(name)}.*not the one that was written")


def test_two_segments_swapped(house: Lake) -> None:
    one, other = (object_name(TENANT, _segment(house, n)) for n in (1, 4))
    first, second = house.objects.get(one), house.objects.get(other)
    house.objects.replace(one, second)
    house.objects.replace(other, first)
    found = problems(house)
    for name, numbers in ((one, "batches 1 to 3"), (other, "batch 4")):
        assert any(name in p and numbers in p and "not the one" in p for p in found), found
    assert any("does not open" in p for p in found)


def test_two_segments_swapped_with_their_rows(house: Lake) -> None:
    """Their rows in the catalog follow: what is encrypted knows where it belongs all the same."""
    ids = [_segment(house, n) for n in (1, 4)]
    data = [house.objects.get(object_name(TENANT, i)) for i in ids]
    with house.db.write(TENANT) as tx:
        rows = {r.id: r for r in tx.all(tx.select(segments))}
        for mine, its in (ids, ids[::-1]):
            changed = tx.update(segments).where(segments.c.id == mine)
            tx.run(changed.values(size=rows[its].size, sha256=bytes(rows[its].sha256)))
    house.objects.replace(object_name(TENANT, ids[0]), data[1])
    house.objects.replace(object_name(TENANT, ids[1]), data[0])
    assert_named(house, f"{ids[0]}.*does not open", f"{ids[1]}.*does not open")


def test_a_segment_deleted(house: Lake) -> None:
    name = object_name(TENANT, _segment(house, 1))
    house.objects.delete(name)
    assert_named(house, r"batches 1 to 3\): the file is missing")


def test_a_segment_s_row_deleted(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        tx.run(tx.delete(segments).where(segments.c.id == _segment(house, 1)))
    assert_named(house, r"batches 1 to 3\): its row is missing")


def test_a_segment_that_holds_other_rows(house: Lake) -> None:
    """Rewritten under its own id and key, with the catalog's row made to fit."""
    from auditkeep.lake import parquet, read

    segment_id = _segment(house, 1)
    with house.db.write(TENANT) as tx:
        bucket = tx.scalar(tx.select(batches.c.bucket_id).where(batches.c.batch_no == 1))
        (five,) = read.batch_columns(tx, house, [5])
        five.batch_no = 2
        key = house.keys.object_key(TENANT, bucket, segment_id)
        data = parquet.encode([five], segment_id, key)
        house.objects.replace(object_name(TENANT, segment_id), data)
        import hashlib

        changed = tx.update(segments).where(segments.c.id == segment_id)
        tx.run(changed.values(size=len(data), sha256=hashlib.sha256(data).digest()))
    found = problems(house)
    assert any("Batch 1 " in p and "10 of its 10 observations are missing" in p for p in found)
    assert any("Batch 2 " in p and "number 0, 1, 2, 3, 4 … changed" in p for p in found), found


# --- batches -------------------------------------------------------------------------------------


def test_leaf_hashes_changed(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        root = bytes(tx.scalar(tx.select(batches.c.root).where(batches.c.batch_no == 4)))
    name = leaves_name(TENANT, 4, root)
    house.objects.replace(name, _flip(house.objects.get(name), 40))
    assert_named(house, r"Batch 4 .*: its leaf hashes were changed; its observations hold")


def test_leaf_hashes_deleted(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        root = bytes(tx.scalar(tx.select(batches.c.root).where(batches.c.batch_no == 4)))
    house.objects.delete(leaves_name(TENANT, 4, root))
    assert_named(house, r"Batch 4 .*: its leaf hashes cannot be read")


def test_an_opening_changed(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        sealed = bytes(tx.scalar(tx.select(batches.c.opening).where(batches.c.batch_no == 5)))
        changed = tx.update(batches).where(batches.c.batch_no == 5)
        tx.run(changed.values(opening=_flip(sealed, 30)))
    assert_named(house, r"Batch 5 .*: its opening was changed or swapped")


def test_a_batch_made_anew_under_its_number(house: Lake) -> None:
    """Observations, leaves, root and record all fit each other: only the log's entry does not."""

    def change(_: Light, heavy: Heavy) -> None:
        heavy.raws[0] = b"{}"

    rewrite_tail(house, TENANT, 6, change)
    from auditkeep.lake.audit import rows
    from auditkeep.lake.batch import Opening
    from auditkeep.tlog.merkle import root as merkle_root

    with house.db.write(TENANT) as tx:
        row = tx.first(tx.select(batches).where(batches.c.batch_no == 6))
        blob = bytes(tx.scalar(tx.select(tail.c.blob).where(tail.c.batch_no == 6)))
        assert row is not None
        key = house.keys.object_key(TENANT, row.bucket_id, tail_object(6))
        heavy = unpack(key, TENANT, 6, blob).heavy
        leaves = rows.leaves(rows.nonces(heavy.nonces), heavy.envelopes, heavy.raws)
        opening = open_opening(house, TENANT, 6, bytes(row.opening))
        record = opening.record.replace(
            bytes(row.root).hex().encode(), merkle_root(leaves).hex().encode()
        )
        made = seal_opening(house, TENANT, row.bucket_id, 6, Opening(opening.salt, record))
        changed = tx.update(batches).where(batches.c.batch_no == 6)
        tx.run(changed.values(root=merkle_root(leaves), leaves=b"".join(leaves), opening=made))
    assert_named(house, r"Batch 6 .*: its opening is not that of the entry in the log")


def test_a_row_that_says_other_than_was_logged(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        changed = tx.update(batches).where(batches.c.batch_no == 5)
        tx.run(changed.values(committed_at=NOW + DAY, unit_id="another"))
    assert_named(house, r"Batch 5 .* not what was logged \(committed_at, unit\)")


def test_a_batch_deleted(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        tx.run(tx.delete(batches).where(batches.c.batch_no == 5))
        tx.run(tx.delete(tail).where(tail.c.batch_no == 5))
        tx.run(tx.delete(observation_ids).where(observation_ids.c.batch_no == 5))
    assert_named(house, f"Batch 5 of {OWNER}: missing", "Entry 4 of the log: no batch stands")


def test_the_newest_batches_deleted_with_their_count(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        for table in (batches, tail, observation_ids):
            tx.run(tx.delete(table).where(table.c.batch_no >= 9))
        tx.run(tx.update(tenants).values(last_batch_no=8))
    assert_named(house, "Entries 8 to 9 of the log: no batch stands behind it any more")


def test_a_whole_tenant_deleted(house: Lake) -> None:
    with house.db.write(TENANT) as tx:
        for table in (batches, tail, observation_ids, tenants, segments, blobs, buckets):
            tx.run(tx.delete(table))
    assert_named(house, "Entries 0 to 9 of the log: no batch stands")


def test_an_activity_record_edited(house: Lake) -> None:
    def change(_: Light, heavy: Heavy) -> None:
        heavy.raws[0] = b'{"operation":"GetAssessment"}'

    rewrite_tail(house, TENANT, 8, change)
    assert_named(house, "Batch 8 .*observation number 0 changed")


def test_a_key_destroyed_without_authority(house: Lake) -> None:
    with house.db.read(TENANT) as tx:
        bucket = tx.scalar(tx.select(buckets.c.id).where(buckets.c["class"] == "facts"))
    house.keystore.destroy(bucket)
    house.keys.forget(TENANT, bucket)
    (told,) = problems(house)
    assert f"The key of bucket {bucket} (facts of {OWNER}) is not in the key store" in told


# --- files ---------------------------------------------------------------------------------------


def test_a_stored_file_changed(house: Lake) -> None:
    name = file_name(house, FILE)
    data = house.objects.get(name)
    house.objects.replace(name, _flip(data, len(data) - 3))
    assert_named(house, f"The stored file '{name.split(TENANT.region + '/')[1]}' of {OWNER}: ")


def test_a_stored_file_and_its_row_deleted(house: Lake) -> None:
    house.objects.delete(file_name(house, FILE))
    with house.db.write(TENANT) as tx:
        tx.run(tx.delete(blobs).where(blobs.c.id == stored_name(tx, FILE)))
    assert_named(house, "Batch 7 .*: the file of observation number 0 is missing")


def test_a_stored_file_replaced_with_its_row(house: Lake) -> None:
    from auditkeep.lake.blobs import put_blob

    with house.db.write(TENANT) as tx:
        tx.run(tx.delete(blobs).where(blobs.c.id == stored_name(tx, FILE)))
        put_blob(tx, house, "manual/b", FILE, b"another policy", NOW)
    assert_named(house, "Batch 7 .*file kept for observation number 0 is not the one that was log")


# --- destruction ---------------------------------------------------------------------------------


def _destroy_in_secret(lake: Lake, batch_no: int) -> None:
    with lake.db.write(TENANT) as tx:
        for table in (tail, observation_ids):
            tx.run(tx.delete(table).where(table.c.batch_no == batch_no))
        gone = tx.update(batches).where(batches.c.batch_no == batch_no)
        tx.run(gone.values(segment_id="destroyed", leaves=b""))


def test_a_destruction_that_nobody_recorded(house: Lake) -> None:
    _destroy_in_secret(house, 5)
    assert_named(house, "Batch 5 .*its observations are gone, and no destruction record names it")


def test_facts_destroyed_under_the_name_of_manual_evidence(house: Lake) -> None:
    """The bucket is renamed, then destroyed as DeleteAssessment does: its opening tells."""
    from tests.lake.destroyer import asked

    from auditkeep.lake.destruction import destroy_class

    with house.db.write(TENANT) as tx:
        renamed = tx.update(buckets).where(buckets.c["class"] == "facts")
        tx.run(renamed.values({"class": "manual/z"}))
        destroy_class(tx, house, "manual/z", asked("z"), NOW)
    log(house)
    found = problems(house)
    assert len(found) == 6, "one for each batch"
    assert all(
        "DeleteAssessment z, which may not destroy what is kept as 'facts'" in p for p in found
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d, a, o: (None, d, o), "cites an authority that was never logged"),
        (lambda d, a, o: (a, d, None), "names it without its opening"),
        (
            lambda d, a, o: (a, d, governance.Openings(destruction=d.id, openings=_forged(o))),
            "opens it to something that was never logged",
        ),
        (
            lambda d, a, o: (_replaced(a, at=iso(Instant(NOW + MINUTE))), d, o),
            "is older than the authority it cites",
        ),
        (
            lambda d, a, o: (_replaced(a, at="2020"), _replaced(d, at="2021"), o),
            "is older than the batch itself",
        ),
        (
            lambda d, a, o: (_replaced(a, action="GetAssessment"), d, o),
            "done for GetAssessment a, which may not destroy",
        ),
    ],
)
def test_destructions_that_do_not_hold(
    lake: Lake, change: Callable[..., tuple[object, ...]], told: str
) -> None:
    from tests.lake.destroyer import asked

    from auditkeep.lake.batch import Opening

    add(lake, "unit-1", some(0, 3), klass="manual/a")
    with lake.db.write(TENANT) as tx:
        row = tx.first(tx.select(batches))
        assert row is not None
        opening: Opening = open_opening(lake, TENANT, 1, bytes(row.opening))
        authority = asked("a")
        destruction = governance.Destruction(
            at=authority.at,
            authority=authority.id,
            batches=((1, 1),),
            buckets=(),
            files=0,
            id="d",
            rows=3,
        )
        openings = governance.Openings(
            destruction="d", openings=((opening.salt.hex(), opening.record.decode()),)
        )
        records = [r for r in change(destruction, authority, openings) if r is not None]
        governance.record(tx, lake, records, principal="p", run="r", now=NOW)  # type: ignore[arg-type]
    _destroy_in_secret(lake, 1)
    log(lake)
    (problem,) = problems(lake)
    assert told in problem


def test_what_came_first_is_told_by_the_log_and_not_by_what_records_say(lake: Lake) -> None:
    """An authority and a release that were written afterwards and give an earlier time."""
    from tests.lake.destroyer import asked

    from auditkeep.lake import holds
    from auditkeep.lake.destruction import destroy_buckets, destroy_class

    before = iso(Instant(NOW - MINUTE))
    for name in ("a", "b"):
        add(lake, f"unit-{name}", some(10 * ord(name), 3), klass=f"manual/{name}")
    with lake.db.write(TENANT) as tx:
        why = holds.Asked("p", "r", "a case", NOW)
        held = holds.place(tx, lake, why, assessment_id="a", first=None, last=None)
    later = asked("b")
    with lake.db.write(TENANT) as tx:
        destroy_class(tx, lake, "manual/a", asked("a"), NOW)
        bucket = tx.scalar(tx.select(buckets.c.id).where(buckets.c["class"] == "manual/b"))
        destroy_buckets(tx, lake, [bucket], later, NOW)
    release = governance.Release(at=before, hold=held, principal="p", reason="over", request="r")
    with lake.db.write(TENANT) as tx:
        written = (release, _replaced(later, at=before))
        governance.record(tx, lake, written, principal="p", run="r", now=NOW)
    log(lake)
    first, second = problems(lake)
    assert f"was done under the legal hold {held}" in first
    assert "is older than the authority it cites" in second


def test_a_record_of_the_future_is_named(lake: Lake) -> None:
    add(lake, "unit-1", some(0, 3), klass="manual/a")
    hold = governance.Hold(
        assessment="", at=iso(Instant(NOW + DAY)), first="", id="h", last="", principal="p",
        reason="r", request="r",
    )  # fmt: skip
    with lake.db.write(TENANT) as tx:
        governance.record(tx, lake, [hold], principal="p", run="r", now=NOW)
    log(lake)
    (problem,) = problems(lake)
    assert "as its time, and was committed at" in problem


def test_governance_records_count_from_segments_too_and_once_each(lake: Lake) -> None:
    from tests.lake.destroyer import asked

    from auditkeep.lake.destruction import destroy_class

    for name in ("a", "b"):
        add(lake, f"unit-{name}", some(10 * ord(name), 3), klass=f"manual/{name}")
        with lake.db.write(TENANT) as tx:
            destroy_class(tx, lake, f"manual/{name}", asked(name), NOW)
    while seal(lake, TENANT, now=NOW, max_age=-1):
        pass
    log(lake)
    done = audited(lake)
    assert done.problems == ()
    assert (done.counts.destroyed, done.counts.segments) == (2, 1)


def test_a_destruction_that_is_not_in_the_log_allows_nothing(house: Lake) -> None:
    with house.db.system_write() as tx:
        tx.run(tx.delete(log_entries).where(log_entries.c.log_index == 9))
    found = problems(house)
    assert any("Batch 9 " in p and "no destruction record names it" in p for p in found), found
    assert any("Batch 10 " in p and "its entry is missing" in p for p in found)


def _forged(openings: governance.Openings) -> tuple[tuple[str, str], ...]:
    ((_, record),) = openings.openings
    return (("00" * 32, record),)


def _replaced(record: governance.Record, **changes: str) -> governance.Record:
    from msgspec.structs import replace

    return replace(record, **changes)


# --- the log -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("log/tile/entries/000.p/10", r"Entry 1 of the log is not the same in .*entries/000.p/10"),
        ("log/tile/0/000.p/10", r"'log/tile/0/000.p/10' does not hold the hashes of its entries"),
    ],
)
def test_a_flipped_byte_in_a_tile(house: Lake, name: str, told: str) -> None:
    house.objects.replace(name, _flip(house.objects.get(name), 40))
    assert_named(house, told)


def test_tiles_over_tiles(lake: Lake, db: Database) -> None:
    with db.system_write() as tx:
        tx.insert(log_entries, *({"entry": n.to_bytes(32, "big")} for n in range(600)))
    log(lake)
    lone = r"Entries 0 to 599 of the log: no batch"
    assert_named(lake, lone)
    for name in ("log/tile/1/000.p/2", "log/tile/0/001", "log/tile/entries/002.p/88"):
        data = lake.objects.get(name)
        lake.objects.replace(name, _flip(data, 3))
        assert_named(lake, lone, re.escape(name))
        lake.objects.delete(name)
        assert_named(lake, lone, f"'{re.escape(name)}' is missing")
        lake.objects.put(name, data)
        lake.objects.replace(name, data[:-1])
        assert_named(lake, lone, re.escape(name))
        lake.objects.replace(name, data)


def test_entries_deleted_and_changed(house: Lake) -> None:
    with house.db.system_write() as tx:
        tx.run(tx.delete(log_entries).where(log_entries.c.log_index.in_([1, 2])))
    found = problems(house)
    assert "Entries 1 to 2 of the log: missing from the database." in found
    assert any("Batch 2 " in p and "its entry is missing" in p for p in found)


def test_an_entry_changed_in_the_database(house: Lake) -> None:
    with house.db.system_write() as tx:
        changed = tx.update(log_entries).where(log_entries.c.log_index == 4)
        tx.run(changed.values(entry=b"x" * 32))
    found = problems(house)
    assert any("Entry 4 of the log is not the same" in p for p in found)
    assert any("checkpoint of 10 entries" in p and "entries were changed" in p for p in found)
    assert any("Batch 5 " in p and "not that of the entry" in p for p in found)


def test_a_batch_kept_out_of_the_log(house: Lake) -> None:
    with house.db.system_write() as tx:
        tx.run(tx.update(log_entries).values(log_index=None).where(log_entries.c.log_index == 9))
        tx.run(tx.delete(checkpoints))
        tx.insert(checkpoints, {"size": 9, "root": b"r" * 32, "note": None, "created_at": NOW})
    assert_named(house, "database was rolled back or restored")


def test_a_root_changed_in_the_database(house: Lake) -> None:
    with house.db.system_write() as tx:
        tx.run(tx.update(checkpoints).values(root=b"r" * 32).where(checkpoints.c.size == 9))
    assert_named(
        house,
        "checkpoint of 9 entries in the database is not",
        "of 9 entries in the database: neit",
    )


def test_a_checkpoint_signed_by_another_key(house: Lake, tmp_path: Path) -> None:
    signer = Signer(house.origin, SigningKey.create(tmp_path / "forger.key"))
    with house.db.system_write() as tx:
        row = tx.first(tx.select(checkpoints).where(checkpoints.c.size == 10))
        assert row is not None
        note = Checkpoint(house.origin, 10, bytes(row.root)).signed(signer)
        tx.run(tx.update(checkpoints).values(note=note).where(checkpoints.c.size == 10))
    house.objects.replace(published.NAME, note.encode())
    assert_named(
        house, "'log/checkpoint', is wrong", "of 10 entries is not signed by the log's key"
    )


def test_the_published_checkpoint_deleted(house: Lake) -> None:
    house.objects.delete(published.NAME)
    assert_named(house, "The published checkpoint, the object 'log/checkpoint', is gone")


# --- a checkpoint from outside -------------------------------------------------------------------


def test_a_checkpoint_held_outside(house: Lake) -> None:
    early = house.objects.get(published.NAME).decode()
    add(house, "unit-9", some(3_000, 5))
    log(house)
    assert audited(house, held=early).sound


def test_a_log_rolled_back_behind_a_checkpoint_held_outside(house: Lake) -> None:
    signed = Checkpoint(house.origin, 12, b"r" * 32).signed(house.signer)
    assert_named(
        house, "you hold has 12 entries, this log 10: the log was rolled back", held=signed
    )


def test_a_history_rewritten_with_the_log_s_own_key(house: Lake) -> None:
    """All is consistent in itself; only who kept a checkpoint sees that there was another history."""
    signed = Checkpoint(house.origin, 9, b"r" * 32).signed(house.signer)
    assert_named(
        house,
        r"The checkpoint of 9 entries that was published or is held outside: neither .* rewritten",
        held=signed,
    )


def test_what_is_no_checkpoint_is_refused_at_once(house: Lake, tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot be used"):
        audited(house, held="nonsense\n")
    signer = Signer("another/log", SigningKey.create(tmp_path / "k"))
    with pytest.raises(LogError, match="cannot be used"):
        audited(house, held=Checkpoint("another/log", 1, b"r" * 32).signed(signer))


# --- going on ------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 3, 5, 9, 12, 14])
def test_an_interrupted_audit_goes_on_where_it_stood(
    house: Lake, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    def change(_: Light, heavy: Heavy) -> None:
        heavy.raws[0] = b"{}"

    rewrite_tail(house, TENANT, 5, change)
    whole = audited(house)
    monkeypatch.setattr("auditkeep.lake.audit.run.SAVE_EVERY", 0.0)
    monkeypatch.setattr(observations, "SLICE", 100)
    times, done = 0, None
    while done is None:
        try:
            done = audited(house, progress=Interrupt(after + times))
        except KeyboardInterrupt:
            times += 1
    assert done.resumed == (times > 0)
    assert done.problems == whole.problems
    assert done.counts == whole.counts, "nothing was counted twice"
    assert not (house.data / STATE).exists()


def test_an_interrupted_audit_says_so_and_can_be_begun_anew(house: Lake) -> None:
    with pytest.raises(KeyboardInterrupt):
        audited(house, progress=Interrupt(6))
    told = standing(house.data / STATE, house.origin)
    assert told is not None
    assert re.match(r"Going on with the audit that began at 2026-05-01T12.*: \d+ batches", told)
    assert not audited(house, fresh=True).resumed
    assert standing(house.data / STATE, house.origin) is None


def test_a_state_that_cannot_be_read_is_told(house: Lake) -> None:
    (house.data / STATE).write_bytes(b"{")
    with pytest.raises(InputError, match="--fresh"):
        audited(house)
    assert audited(house, fresh=True).sound


def test_two_audits_at_once_are_refused(house: Lake) -> None:
    class Second:
        def __call__(self, *_: object) -> None:
            with pytest.raises(Busy):
                audited(house)

    assert audited(house, progress=Second()).sound


def test_an_audit_beside_a_sealer_finds_nothing_wrong(house: Lake) -> None:
    """Between two looks the tail is sealed and a class destroyed."""

    class Sealer:
        def __init__(self) -> None:
            self.batches = 0

        def __call__(self, doing: str, counts: object) -> None:
            later = Instant(NOW + 2 * DAY)
            while seal(house, TENANT, now=later, max_age=-1):
                pass

    done = audited(house, progress=Sealer())
    assert done.problems == ()
    assert done.counts.batches == 10


def test_a_class_destroyed_between_two_looks(house: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch's row was read while its segment was there; then the class was destroyed."""
    from tests.lake.destroyer import asked

    from auditkeep.lake.destruction import destroy_class

    while seal(house, TENANT, now=NOW, max_age=-1):
        pass
    log(house)
    check = tenant_module.TenantAudit._check_batch

    def destroy_first(self: tenant_module.TenantAudit, batch: Batch) -> None:
        if batch.batch_no == 7:
            with house.db.write(TENANT) as tx:
                destroy_class(tx, house, "manual/b", asked("b"), NOW)
        check(self, batch)

    monkeypatch.setattr(tenant_module.TenantAudit, "_check_batch", destroy_first)
    assert problems(house) == ()


def test_memory_does_not_grow_with_a_segment(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_module, "UNPACKED", 1_000)
    monkeypatch.setattr(observations, "SLICE", 7)
    add(lake, "unit-1", some(0, 1_000))
    log(lake)
    done = audited(lake)
    assert done.sound
    assert (done.counts.observations, done.counts.segments) == (1_000, 1)
