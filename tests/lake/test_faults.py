"""Wrong keys, newer schemas, full disks: a clear message, nothing harmed."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.conftest import missing
from tests.lake.checking import check_log, check_proofs, check_rows
from tests.lake.making import EVERYTHING, NOW, TENANT, add, observation, register, some
from tests.lakes import new_lake

from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.db.database import Database
from auditkeep.db.schema import batches
from auditkeep.errors import KeyUnusable, NewerSchema, StorageFull
from auditkeep.lake import append as append_module
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import observations
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.observations import Observation

MIB = 1 << 20


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def reopened(lake: Lake, **parts: object) -> Lake:
    ours: dict[str, object] = {
        "db": lake.db,
        "data": lake.data,
        "objects": lake.objects,
        "provider": lake.provider,
        "keystore": lake.keystore,
        "signer": lake.signer,
    }
    return Lake.open(**(ours | parts))  # type: ignore[arg-type]


def test_another_master_key_is_refused_and_nothing_is_changed(lake: Lake, tmp_path: Path) -> None:
    add(lake, "unit-1", some(0, 3))
    stranger = LocalKeyProvider.create(tmp_path / "elsewhere" / "master.key")
    before = snapshot(tmp_path / "objects") | snapshot(tmp_path / "keys")
    with pytest.raises(KeyUnusable, match="Put the right key in place; nothing was changed"):
        reopened(lake, provider=stranger)
    assert snapshot(tmp_path / "objects") | snapshot(tmp_path / "keys") == before
    again = reopened(lake)
    with again.db.read(TENANT) as tx:
        assert len(observations(tx, again, [EVERYTHING], limit=10)) == 3


def test_a_key_store_that_was_not_restored_is_named(lake: Lake, tmp_path: Path) -> None:
    add(lake, "unit-1", some(0, 3))
    empty = reopened(lake, keystore=KeyStore(tmp_path / "empty"))
    with empty.db.read(TENANT) as tx, pytest.raises(KeyUnusable, match="not in the key store"):
        observations(tx, empty, [EVERYTHING], limit=10)


def test_a_destroyed_bucket_is_unreadable_for_good(lake: Lake) -> None:
    add(lake, "unit-1", some(0, 3))
    with lake.db.read(TENANT) as tx:
        bucket_id = str(tx.scalar(tx.select(batches.c.bucket_id)))
    lake.keystore.destroy(bucket_id)
    fresh = reopened(lake)
    with fresh.db.read(TENANT) as tx, pytest.raises(KeyUnusable):
        observations(tx, fresh, [EVERYTHING], limit=10)


def test_a_newer_schema_is_refused_before_anything_is_opened(lake: Lake, tmp_path: Path) -> None:
    add(lake, "unit-1", some(0, 3))
    with lake.db.system_write() as tx:
        tx.run(text("UPDATE alembic_version SET version_num = '9999'"))
    before = snapshot(tmp_path / "objects") | snapshot(tmp_path / "keys")
    with pytest.raises(NewerSchema, match="Install the newer version; nothing was changed"):
        Database(lake.db.url).migrate()
    assert snapshot(tmp_path / "objects") | snapshot(tmp_path / "keys") == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if shutil.which("mount") is None:
        missing("there is no mount command here")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"mounting a small disk is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def lake_on(folder: Path) -> Lake:
    db = Database(f"sqlite:///{folder / 'audit.db'}")
    db.migrate()
    register(db)
    return new_lake(db, folder)


def bulky(number: int) -> list[Observation]:
    """A batch of 100 that no compression makes small."""
    return [
        observation(number * 100 + n, raw=b'"%s"' % os.urandom(2_000).hex().encode())
        for n in range(100)
    ]


def fill(folder: Path, *, leave: int = 0) -> Path:
    """Take all space but `leave` bytes."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(b"\0" * 4096)
            file.flush()
    size = ballast.stat().st_size
    os.truncate(ballast, max(0, size - leave))
    return ballast


@pytest.mark.parametrize("unpacked", [append_module.UNPACKED, 1_000], ids=["tail", "segment"])
def test_a_full_disk_refuses_and_harms_nothing(
    small_disk: Path, unpacked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append_module, "UNPACKED", unpacked)
    lake = lake_on(small_disk)
    kept = [*bulky(0)]
    add(lake, "unit-0", kept)
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    ballast = fill(small_disk, leave=1 * MIB)
    number, refused, load = 0, None, kept
    while refused is None:
        number += 1
        load = bulky(number)
        try:
            add(lake, f"unit-{number}", load)
            kept += load
        except StorageFull as error:
            refused = error
    assert "nothing" in str(refused)
    assert not list(small_disk.rglob(".new-*")), "no half-written files stay"
    check_rows(lake, kept)

    ballast.unlink()
    assert not add(lake, f"unit-{number}", load).repeated, "it was not acknowledged before"
    stored = check_rows(lake, [*kept, *load])
    check_log(lake, [])
    check_proofs(lake, stored)


def test_a_full_disk_stops_sealing_logging_and_files_without_harm(small_disk: Path) -> None:
    lake = lake_on(small_disk)
    load = [o for n in range(8) for o in bulky(n)]
    for number in range(8):
        add(lake, f"unit-{number}", load[number * 100 : number * 100 + 100])
    ballast = fill(small_disk)
    with pytest.raises(StorageFull):
        seal(lake, TENANT, now=NOW, min_rows=800)
    with pytest.raises(StorageFull), lake.db.write(TENANT) as tx:
        put_blob(tx, lake, "facts", "file", os.urandom(MIB), NOW)
    with Sequencer(lake) as sequencer, pytest.raises(StorageFull):
        sequencer.step(NOW)
    check_rows(lake, load)

    ballast.unlink()
    assert seal(lake, TENANT, now=NOW, min_rows=800) is not None
    stored = check_rows(lake, load)
    check_log(lake, [])
    check_proofs(lake, stored)
