"""Real restores of a copied data directory: an honest one goes on with the log it had published."""

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.lake.audit.house import audited, log
from tests.lake.checking import check_log, check_proofs
from tests.lake.making import EVERYTHING, NOW, TENANT, add, some
from tests.lake.worker import open_lake
from tests.processes import crashed

from auditkeep.clock import MINUTE, Instant, SystemClock
from auditkeep.db.database import Database
from auditkeep.db.schema import (
    batches,
    buckets,
    checkpoints,
    log_entries,
    meta,
    observation_ids,
    tail,
    tenants,
    units,
)
from auditkeep.errors import LogError
from auditkeep.lake import published
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.buckets import open_bucket
from auditkeep.lake.lake import Lake, Restored
from auditkeep.lake.read import observations
from auditkeep.lake.recovery import Recovered, recover
from auditkeep.lake.sequencer import Sequencer
from auditkeep.lake.sweep import sweep
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint

ROOT = Path(__file__).parent.parent.parent


class House:
    """A data directory that can be backed up and restored as operators do: the database's file."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self._backup = folder / "backup.db"
        self.lake = self.open()

    @property
    def url(self) -> str:
        return f"sqlite:///{self.data / 'audit.db'}"

    def open(self) -> Lake:
        return open_lake(self.data, self.url)

    def back_up(self) -> None:
        source, target = sqlite3.connect(self.data / "audit.db"), sqlite3.connect(self._backup)
        source.backup(target)
        for connection in (source, target):
            connection.close()

    def restore(self) -> None:
        self.lake.db.close()
        for file in self.data.glob("audit.db*"):
            file.unlink()
        shutil.copy(self._backup, self.data / "audit.db")
        self.lake = self.open()

    def recover(self) -> Recovered:
        self.lake, done = recover(self.lake, TENANT, "test", NOW)
        return done

    def published(self) -> Checkpoint:
        found = published.read(self.lake.objects)
        assert found is not None
        return found

    def note(self) -> str:
        return self.lake.objects.get(published.NAME).decode()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.lake.db.close()


def lived(house: House, *, waiting: bool = False) -> list[Checkpoint]:
    """Three batches, a backup, five more, a restore; the checkpoints that were published."""
    seen = []
    for unit in range(3):
        add(house.lake, f"unit-{unit}", some(unit * 10, 10))
        log(house.lake)
        seen.append(house.published())
    if waiting:
        add(house.lake, "unit-waiting", some(900, 2))
    house.back_up()
    for unit in range(3, 8):
        add(house.lake, f"unit-{unit}", some(unit * 10, 10))
        log(house.lake)
        seen.append(house.published())
    house.restore()
    return seen


def go_on(house: House, seen: list[Checkpoint]) -> None:
    """Work goes on, and everything published before is the beginning of what is published now."""
    add(house.lake, "unit-later", some(500, 10))
    check_log(house.lake, seen)
    with house.lake.db.read(TENANT) as tx:
        stored = observations(tx, house.lake, [EVERYTHING], limit=1_000)
    check_proofs(house.lake, stored)


def test_a_restored_database_refuses_to_append_and_names_the_command(house: House) -> None:
    lived(house)
    with pytest.raises(LogError, match="auditkeep log recover"):
        add(house.lake, "unit-later", some(500, 10))
    with pytest.raises(LogError, match="auditkeep log recover"):
        Sequencer(house.lake)
    with pytest.raises(LogError, match="auditkeep log recover"):
        sweep(house.lake, TENANT, Instant(SystemClock().now() + 61 * MINUTE))
    found = audited(house.lake)
    assert any("rolled back or restored" in p for p in found.problems)


def test_what_was_published_is_read_back_from_the_tiles(house: House) -> None:
    seen = lived(house)
    done = house.recover()
    assert (done.how, done.before, done.matched) == ("replayed", 3, 0)
    assert done.lost == ((3, 7),)
    assert done.size == 9, "with the batch that says so"
    assert done.origin == "auditkeep.test/log"
    go_on(house, seen)
    found = audited(house.lake, held=Checkpoint.signed(seen[-1], house.lake.signer))
    assert found.problems == ()
    (notice,) = found.notices
    assert "entries 3 to 7 of the log auditkeep.test/log" in notice
    assert "as test declared" in notice


def test_batches_that_waited_in_the_backup_get_the_index_they_had(house: House) -> None:
    seen = lived(house, waiting=True)
    done = house.recover()
    assert (done.how, done.matched, done.lost) == ("replayed", 1, ((4, 8),))
    go_on(house, seen)
    assert audited(house.lake).sound


def test_what_was_indexed_but_not_signed_keeps_its_index(house: House) -> None:
    add(house.lake, "unit-0", some(0, 10))
    log(house.lake)
    add(house.lake, "unit-1", some(10, 10))
    with house.lake.db.system_write() as tx:  # as a backup between two steps of the sequencer
        tx.run(tx.update(log_entries).where(log_entries.c.log_index.is_(None)).values(log_index=1))
    house.back_up()
    add(house.lake, "unit-2", some(20, 10))
    log(house.lake)
    seen = [house.published()]
    house.restore()
    done = house.recover()
    assert (done.how, done.lost) == ("replayed", ((2, 2),))
    go_on(house, seen)


def test_a_second_recovery_finds_nothing_to_do(house: House) -> None:
    lived(house)
    house.recover()
    again = house.recover()
    assert (again.how, again.lost, again.size) == ("nothing", (), 9)


def test_nothing_to_recover_changes_nothing(house: House) -> None:
    assert house.recover().how == "nothing"
    add(house.lake, "unit-0", some(0, 10))
    log(house.lake)
    before = house.note()
    assert house.recover().how == "nothing"
    assert house.note() == before
    assert house.recover().summary()["entries"] == 1


@pytest.mark.parametrize(
    "gone", ["log/tile/entries/000.p/3", "log/tile/0/000.p/3", "log/tile/"], ids=["b", "t", "all"]
)
def test_lost_tiles_are_made_again_from_the_database(house: House, gone: str) -> None:
    for unit in range(3):
        add(house.lake, f"unit-{unit}", some(unit * 10, 10))
    log(house.lake)
    seen = [house.published()]
    for name in list(house.lake.objects.list(gone)):
        house.lake.objects.delete(name)
    done = house.recover()
    assert done.how == "tiles"
    go_on(house, seen)
    assert audited(house.lake).sound


# --- a new epoch ---------------------------------------------------------------------------------


def broken(house: House) -> list[Checkpoint]:
    """A restore after which what was published cannot be read back."""
    seen = lived(house)
    for name in list(house.lake.objects.list("log/tile/entries/")):
        house.lake.objects.delete(name)
    return seen


def test_a_log_that_cannot_be_read_back_begins_anew_and_names_the_former(house: House) -> None:
    seen = broken(house)
    former = house.lake.signer
    done = house.recover()
    assert (done.how, done.origin) == ("epoch", "auditkeep.test/log/epoch-2")
    assert done.lost == ((3, 7),)
    (log_before,) = house.lake.former
    assert log_before.vkey == former.vkey
    kept = [c for c in seen if c.size <= 3]
    go_on(house, kept)
    newest = open_checkpoint(house.note(), [house.lake.signer.verifier])
    assert newest.origin == "auditkeep.test/log/epoch-2"
    assert newest.size == 5, "three that were kept, what was lost, and one more"
    found = audited(house.lake)
    assert found.problems == ()
    assert "entries 3 to 7 of the log auditkeep.test/log stood for" in found.notices[0]


def test_the_new_epoch_is_still_there_when_the_lake_is_opened_again(house: House) -> None:
    broken(house)
    house.recover()
    lake = house.lake
    lake.db.close()
    again = house.lake = house.open()
    assert again.origin == lake.origin
    assert again.former == lake.former
    log(again)
    assert audited(again).sound


def test_no_name_has_two_roots_for_one_size(house: House) -> None:
    seen = {(c.origin, c.size): c.root for c in broken(house)}
    house.recover()
    for unit in range(20, 26):
        add(house.lake, f"unit-{unit}", some(unit * 10, 10))
        log(house.lake)
        c = house.published()
        assert seen.setdefault((c.origin, c.size), c.root) == c.root
    sizes = [size for origin, size in seen if origin == "auditkeep.test/log/epoch-2"]
    assert set(sizes) & {4, 5, 6, 7, 8}, "the same sizes, under another name"


@pytest.mark.parametrize(("size", "told"), [(2, None), (3, None), (5, "notice"), (99, "problem")])
def test_checkpoints_of_the_former_log_are_held_to_what_was_kept(
    house: House, size: int, told: str | None
) -> None:
    seen = {c.size: c for c in broken(house)}
    former = house.lake.signer
    house.recover()
    held = seen.get(size) or Checkpoint(former.name, size, b"r" * 32)
    found = audited(house.lake, held=held.signed(former))
    lost = [n for n in found.notices if "that were kept when the log" in n]
    assert bool(lost) == (told == "notice")
    assert bool(found.problems) == (told == "problem"), found.problems


def test_a_former_checkpoint_with_another_root_is_an_attack(house: House) -> None:
    broken(house)
    former = house.lake.signer
    house.recover()
    held = Checkpoint(former.name, 2, b"r" * 32).signed(former)
    assert any("rewritten" in p for p in audited(house.lake, held=held).problems)


def test_a_damaged_published_checkpoint_begins_an_epoch_too(house: House) -> None:
    add(house.lake, "unit-0", some(0, 10))
    log(house.lake)
    house.lake.objects.replace(published.NAME, b"damaged")
    with pytest.raises(LogError, match="auditkeep log recover"):
        add(house.lake, "unit-1", some(10, 10))
    assert house.recover().how == "epoch"
    go_on(house, [])
    assert audited(house.lake).sound


def test_epochs_are_numbered(house: House) -> None:
    add(house.lake, "unit-0", some(0, 10))
    log(house.lake)
    for number in (2, 3):
        house.lake.objects.replace(published.NAME, b"damaged")
        assert house.recover().origin == f"auditkeep.test/log/epoch-{number}"
    assert len(house.lake.former) == 2
    go_on(house, [])
    assert audited(house.lake).sound


def test_a_database_that_does_not_give_its_own_root_is_not_gone_on_with(house: House) -> None:
    broken(house)
    with house.lake.db.system_write() as tx:
        tx.run(tx.update(log_entries).where(log_entries.c.log_index == 1).values(entry=b"x" * 32))
    before = sorted(house.lake.objects.list(""))
    with pytest.raises(LogError, match="do not give the root"):
        house.recover()
    assert sorted(house.lake.objects.list("")) == before
    with house.lake.db.system_read() as tx:
        names = {r.key for r in tx.all(tx.select(meta.c.key))}
    assert "log_epochs" not in names


# --- everything came back from a backup ----------------------------------------------------------


def came_back(house: House, *, kept: bool = False) -> list[Checkpoint]:
    """Three batches, and the mark that a restore of database and objects leaves."""
    seen = []
    for unit in range(3):
        add(house.lake, f"unit-{unit}", some(unit * 10, 10))
        log(house.lake)
        seen.append(house.published())
    mark_restored(house, kept=kept)
    return seen


def mark_restored(house: House, *, kept: bool = False) -> None:
    told = Restored("backup-1", "2026-05-01T02:00:00Z", 3, kept)
    with house.lake.db.system_write() as tx:
        tx.upsert(meta, [{"key": "restored", "value": msgspec.json.encode(told).decode()}])
    house.lake.db.close()
    house.lake = house.open()


def test_nothing_is_appended_after_a_restore_until_the_log_was_recovered(house: House) -> None:
    came_back(house)
    with pytest.raises(LogError, match=r"restored from the backup of 2026-05-01T02.*log recover"):
        add(house.lake, "unit-later", some(500, 10))
    with pytest.raises(LogError, match="log recover"):
        Sequencer(house.lake)
    found = audited(house.lake)
    assert found.problems == ()
    assert "nothing is appended" in found.notices[0]


def test_what_was_published_since_is_unknown_so_an_epoch_begins(house: House) -> None:
    seen = came_back(house)
    former = house.lake.signer
    done = house.recover()
    assert (done.how, done.origin, done.lost) == ("epoch", "auditkeep.test/log/epoch-2", ())
    go_on(house, seen)
    beyond = Checkpoint(former.name, 99, b"r" * 32).signed(former)
    found = audited(house.lake, held=beyond)
    assert found.problems == (), "whoever holds more than was backed up sees no attack"
    assert "went back to the backup backup-1: what the log auditkeep.test/log had" in str(found)
    assert "beyond the 3 that were kept" in str(found.notices)
    house.lake.db.close()
    house.lake = house.open()
    assert house.recover().how == "nothing"


def test_the_same_log_goes_on_when_nothing_was_published_since(house: House) -> None:
    seen = came_back(house)
    lake = house.lake
    house.lake, done = recover(lake, TENANT, "test", NOW, seen[-1].signed(lake.signer))
    assert (done.how, done.origin, done.size) == ("nothing", "auditkeep.test/log", 4)
    go_on(house, seen)
    assert audited(house.lake).notices == ()


def test_the_newest_checkpoint_says_how_much_was_lost(house: House) -> None:
    came_back(house)
    signer = house.lake.signer
    last = Checkpoint(signer.name, 7, b"r" * 32).signed(signer)
    house.lake, done = recover(house.lake, TENANT, "test", NOW, last)
    assert (done.how, done.lost) == ("epoch", ((3, 6),))
    found = audited(house.lake, held=Checkpoint(signer.name, 8, b"r" * 32).signed(signer))
    assert any("some of it was concealed" in p for p in found.problems)


@pytest.mark.parametrize(("size", "says"), [(2, "is not the newest"), (3, "has another root")])
def test_a_checkpoint_that_cannot_be_the_newest_is_refused(
    house: House, size: int, says: str
) -> None:
    came_back(house)
    signer = house.lake.signer
    wrong = Checkpoint(signer.name, size, b"r" * 32).signed(signer)
    with pytest.raises(LogError, match=says):
        recover(house.lake, TENANT, "test", NOW, wrong)
    with pytest.raises(LogError, match="not one of this log"):
        recover(house.lake, TENANT, "test", NOW, wrong.replace("auditkeep.test", "another.test"))
    assert house.open().restored is not None


def test_objects_that_were_kept_tell_themselves_how_far_the_log_went(house: House) -> None:
    seen = lived(house)
    mark_restored(house, kept=True)
    done = house.recover()
    assert (done.how, done.lost) == ("replayed", ((3, 7),))
    go_on(house, seen)
    assert audited(house.lake).problems == ()


@pytest.mark.both_databases
def test_what_was_destroyed_since_the_backup_stays_destroyed(lake: Lake, db: Database) -> None:
    add(lake, "unit-0", some(0, 10))
    add(lake, "unit-1", some(10, 1_100), klass="manual/a")
    with db.write(TENANT) as tx:
        put_blob(tx, lake, "manual/a", "manual/a/file", b"bytes", NOW)
        doomed = tx.scalar(tx.select(buckets.c.id).where(buckets.c["class"] == "manual/a"))
    log(lake)
    lake.keystore.destroy(doomed)
    lake.keys.forget(TENANT, doomed)
    lake = replace(lake, restored=Restored("backup-1", "2026-05-01T02:00:00Z", 2, kept=False))
    lake, done = recover(lake, TENANT, "test", NOW)
    assert done.buried == (doomed,)
    with db.read(TENANT) as tx:
        assert tx.all(tx.select(tail.c.batch_no).where(tail.c.batch_no == 2)) == []
        assert len(observations(tx, lake, [EVERYTHING], limit=2_000)) == 10
    assert list(lake.objects.list("leaves/")) == []
    assert list(lake.objects.list("blobs/")) == []
    found = audited(lake)
    assert found.problems == ()
    assert any("had been destroyed since the backup" in n for n in found.notices)


def test_a_key_store_that_lacks_what_nothing_destroys_is_refused(house: House) -> None:
    came_back(house)
    with house.lake.db.write(TENANT) as tx:
        bucket = open_bucket(tx, house.lake.keys, "governance", NOW)
    house.lake.keystore.destroy(bucket)
    with pytest.raises(LogError, match="which no destruction takes"):
        house.recover()
    assert house.open().restored is not None


# --- on both databases ---------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize("how", ["replayed", "epoch"])
def test_recovery_is_the_same_on_both_databases(lake: Lake, db: Database, how: str) -> None:
    for unit in range(3):
        add(lake, f"unit-{unit}", some(unit * 10, 10))
        log(lake)
    with db.write(TENANT) as tx:  # as a restore from a backup after the first batch leaves it
        for table in (batches, tail, observation_ids, units):
            tx.run(tx.delete(table).where(table.c.batch_no > 1))
        tx.run(tx.update(tenants).values(last_batch_no=1))
        system = tx.system()
        system.run(system.delete(checkpoints).where(checkpoints.c.size > 1))
        system.run(system.delete(log_entries).where(log_entries.c.log_index >= 1))
    if how == "epoch":
        lake.objects.delete("log/tile/entries/000.p/3")
    lake, done = recover(lake, TENANT, "test", NOW)
    assert (done.how, done.before, done.lost) == (how, 1, ((1, 2),))
    add(lake, "unit-1", some(10, 10))
    log(lake)
    found = audited(lake)
    assert found.problems == ()
    assert len(found.notices) == 1


# --- cut off -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "at", ["recover.before-commit", "recover.committed", "recover.before-declared"]
)
@pytest.mark.parametrize("how", ["replayed", "epoch"])
def test_a_recovery_that_is_cut_off_is_run_again(house: House, at: str, how: str) -> None:
    seen = lived(house) if how == "replayed" else broken(house)
    house.lake.db.close()
    crashed("tests.lake.restorer", house.data, house.url, at=at)
    house.lake = house.open()
    house.recover()
    with house.lake.db.system_read() as tx:
        names = {r.key for r in tx.all(tx.select(meta.c.key))}
        rows = tx.all(tx.select(checkpoints.c.size))
    assert "log_recovery" not in names
    assert len(rows) == len({r.size for r in rows})
    kept = seen if how == "replayed" else seen[:3]
    go_on(house, kept)
    found = audited(house.lake)
    assert found.problems == ()
    assert any("3 to 7" in n for n in found.notices), "declared once it could be"
