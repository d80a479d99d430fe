"""Backups of a lake that goes on working: whole, consistent, and only what is new."""

import shutil
import threading
from collections import Counter
from pathlib import Path

import pytest
from tests.backup.conftest import Meddling, audit_of, back_up, checked, over, put_back
from tests.lake.audit.house import FILE, audited, log
from tests.lake.destroyer import asked
from tests.lake.making import NOW, TENANT, add, some
from tests.lake.test_generations import run

from auditkeep.backup import format as fmt
from auditkeep.backup.format import KEY_KIND, POINTS
from auditkeep.clock import MINUTE, Instant, SystemClock
from auditkeep.db import export
from auditkeep.db.database import Database
from auditkeep.db.schema import blobs, log_entries
from auditkeep.errors import Busy, SetupError, StorageError
from auditkeep.lake.blobs import delete_blob, get_blob, put_blob, stored_name
from auditkeep.lake.destruction import destroy_class
from auditkeep.lake.generations import Doomed
from auditkeep.lake.lake import Lake
from auditkeep.lake.objects import LocalObjects
from auditkeep.lake.recovery import recover
from auditkeep.lake.seal import seal
from auditkeep.lake.sweep import sweep


def every_row(db: Database) -> dict[str, Counter[str]]:
    """All rows as they lie there, but for the deployment's own notes."""
    with db.system_read() as tx:
        return {
            str(table.name): Counter(str(row) for some in export.rows(tx, table) for row in some)
            for table in export.tables()
            if table.name != "meta"
        }


@pytest.mark.both_databases
def test_a_restored_backup_has_every_row_and_is_sound(
    lived: Lake, place: LocalObjects, tmp_path: Path
) -> None:
    made = back_up(lived, place)
    assert (made.manifest.object_count, made.snapshots) == (5, 1)
    folder = tmp_path / "back"
    folder.mkdir()
    back = put_back(lived, place, made, f"sqlite:///{folder / 'audit.db'}", folder)
    assert every_row(back.db) == every_row(lived.db)
    found = audited(back)
    assert found.problems == ()
    assert found.counts.observations > 1_000
    back, done = recover(back, TENANT, "test", NOW)
    assert done.how == "epoch"
    add(back, "later", some(5_000, 3))
    log(back)
    assert audited(back).problems == ()
    back.db.close()


def test_files_that_lie_in_another_generation_are_backed_up_and_come_back(
    lived: Lake, place: LocalObjects, tmp_path: Path
) -> None:
    with lived.db.write(TENANT) as tx:
        put_blob(tx, lived, "reports", "reports/y/r.zip", b"another", NOW)
        (going,) = tx.all(tx.select(blobs.c.id, blobs.c.bucket_id).where(blobs.c.size == 7))
    run(lived, Doomed(files=frozenset({going.id})), bucket=going.bucket_id)
    made = back_up(lived, place)
    folder = tmp_path / "back"
    folder.mkdir()
    back = put_back(lived, place, made, f"sqlite:///{folder / 'audit.db'}", folder)
    with back.db.read(TENANT) as tx:
        assert b"".join(get_blob(tx, back, "reports/x/r.zip")) == b"zip"
    back.db.close()


@pytest.mark.postgres
def test_a_backup_of_sqlite_goes_into_postgresql(
    lived: Lake, place: LocalObjects, tmp_path: Path, postgres_url: str
) -> None:
    from tests.postgres import fresh_database

    made = back_up(lived, place)
    back = put_back(lived, place, made, fresh_database(postgres_url), tmp_path / "back")
    assert every_row(back.db) == every_row(lived.db)
    back, _ = recover(back, TENANT, "test", NOW)
    with back.db.system_read() as tx:
        last = tx.scalar(tx.select(log_entries.c.position).order_by(log_entries.c.position.desc()))
    add(back, "later", some(5_000, 3))
    log(back)
    with back.db.system_read() as tx:
        newest = tx.select(log_entries.c.position).order_by(log_entries.c.position.desc())
        assert tx.scalar(newest) == last + 1, "numbers go on where they were"
    assert audited(back).problems == ()
    back.db.close()


def test_a_second_backup_copies_only_what_is_new(lived: Lake, place: LocalObjects) -> None:
    first = back_up(lived, place)
    assert first.copied == first.manifest.object_count
    again = back_up(lived, place)
    assert (again.copied, again.copied_bytes) == (0, 0)
    with lived.db.write(TENANT) as tx:
        put_blob(tx, lived, "reports", "reports/y/r.zip", b"another", NOW)
    third = back_up(lived, place)
    assert (third.copied, third.manifest.object_count) == (1, first.manifest.object_count + 1)
    for made in (first, again, third):
        assert checked(lived, place, made).state == "whole"


def test_only_so_many_backups_stay_and_no_object_that_none_names(
    lived: Lake, place: LocalObjects
) -> None:
    back_up(lived, place)
    with lived.db.write(TENANT) as tx:
        delete_blob(tx, lived, "reports/x/r.zip")
    before = len(list(place.list("objects/")))
    made = [back_up(lived, place, keep=2) for _ in range(2)]
    assert fmt.ids(place, POINTS) == [one.manifest.id for one in made]
    assert len(list(place.list("objects/"))) == before - 1
    assert [len(one.forgotten) for one in made] == [0, 1]
    assert checked(lived, place, made[0]).state == "whole"


@pytest.mark.both_databases
def test_backups_are_whole_while_others_write_seal_and_destroy(
    lived: Lake, place: LocalObjects, tmp_path: Path
) -> None:
    stop, failed = threading.Event(), []

    def work() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                add(lived, f"w{number}", some(10_000 + number * 20, 12))
                with lived.db.write(TENANT) as tx:
                    put_blob(tx, lived, "manual/w", "manual/w/file", b"x" * number, NOW)
                add(lived, f"v{number}", some(90_000 + number * 20, 3), klass="manual/w")
                log(lived)
                seal(lived, TENANT, now=NOW, min_rows=5)
                with lived.db.write(TENANT) as tx:
                    if number % 2:
                        delete_blob(tx, lived, "manual/w/file")
                    else:
                        destroy_class(tx, lived, "manual/w", asked("w"), NOW)
                sweep(lived, TENANT, Instant(SystemClock().now() + 61 * MINUTE))
        except Exception as error:
            failed.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        made = [back_up(lived, place) for _ in range(3)]
    finally:
        stop.set()
        worker.join()
    assert failed == []
    for number, one in enumerate(made):
        assert checked(lived, place, one).problems == []
        assert audit_of(lived, place, one, tmp_path / f"back-{number}").problems == ()


def test_a_file_that_is_replaced_while_it_is_copied_is_not_taken_for_the_one_before(
    lived: Lake, place: LocalObjects, tmp_path: Path
) -> None:
    def replace(_key: str) -> None:
        with lived.db.write(TENANT) as tx:
            delete_blob(tx, lived, FILE)
        with lived.db.write(TENANT) as tx:
            put_blob(tx, lived, "manual/b", FILE, b"the one that came after", NOW)

    objects = Meddling(tmp_path / "objects", "blobs/", replace)
    made = back_up(over(lived, objects), place)
    assert checked(lived, place, made).problems == []
    folder = tmp_path / "back"
    folder.mkdir()
    back = put_back(lived, place, made, f"sqlite:///{folder / 'audit.db'}", folder)
    with back.db.read(TENANT) as tx:
        assert b"".join(get_blob(tx, back, FILE)) == b"the one that came after"
    back.db.close()


def test_an_object_destroyed_since_the_snapshot_takes_another_one(
    lived: Lake, place: LocalObjects, tmp_path: Path
) -> None:
    def destroy(_key: str) -> None:
        with lived.db.write(TENANT) as tx:
            destroy_class(tx, lived, "manual/b", asked("b"), NOW)
        log(lived)

    objects = Meddling(tmp_path / "objects", "segments/", destroy)
    made = back_up(over(lived, objects), place)
    assert checked(lived, place, made).problems == []
    found = audit_of(lived, place, made, tmp_path / "back")
    assert found.problems == ()


def test_an_object_that_is_lost_makes_no_backup(lived: Lake, place: LocalObjects) -> None:
    with lived.db.read(TENANT) as tx:
        name = f"blobs/{TENANT.account}/{TENANT.region}/{stored_name(tx, FILE)}"
    lived.objects.delete(name)
    with pytest.raises(StorageError, match=rf"'{name}', which the database names, is missing"):
        back_up(lived, place)
    assert fmt.ids(place, POINTS) == []


def test_a_damaged_segment_is_not_backed_up(
    lived: Lake, place: LocalObjects, tmp_path: Path
) -> None:
    name = next(lived.objects.list("segments/"))
    file = tmp_path / "objects" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(StorageError, match="is not the one that was written"):
        back_up(lived, place)
    assert fmt.ids(place, POINTS) == []


def test_a_place_belongs_to_one_deployment_and_one_kind(
    lived: Lake, place: LocalObjects, tmp_path: Path
) -> None:
    from auditkeep.backup.create import claim

    back_up(lived, place)
    with pytest.raises(SetupError, match="lie apart"):
        claim(lived, place, KEY_KIND)
    other = LocalObjects(tmp_path / "other")
    shutil.copytree(tmp_path / "backups", tmp_path / "other")
    other.replace("auditkeep-backup", place.get("auditkeep-backup").replace(b"test", b"else"))
    with pytest.raises(SetupError, match="of another deployment"):
        back_up(lived, other)


def test_one_backup_at_a_time(lived: Lake, place: LocalObjects) -> None:
    hold = lived.db.hold("backup", lived.data / "backup.lock")
    with pytest.raises(Busy, match="holds the backup"):
        back_up(lived, place)
    hold.release()
    assert back_up(lived, place).snapshots == 1
