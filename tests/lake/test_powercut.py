"""The power cut of the crash tests takes what it must and leaves what it must."""

import os
from pathlib import Path

import pytest
from tests.lake.powercut import note_syncs, survivors

from auditkeep.crypto import durable
from auditkeep.lake.objects import LocalObjects


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory whose syncs are noted."""
    monkeypatch.setattr(os, "fsync", os.fsync)  # put back afterwards
    data = tmp_path / "data"
    data.mkdir()
    note_syncs(data, tmp_path / "mirror")
    return data


def left(data: Path) -> dict[str, bytes]:
    target = data.parent / "after"
    survivors(data, data.parent / "mirror", target)
    return {
        str(path.relative_to(target)): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file()
    }


def test_what_is_put_survives(cut: Path) -> None:
    objects = LocalObjects(cut / "objects")
    objects.put("a/b/c", b"kept")
    objects.put("log/checkpoint", b"old")
    objects.replace("log/checkpoint", b"new")
    assert left(cut) == {"objects/a/b/c": b"kept", "objects/log/checkpoint": b"new"}


def test_what_is_deleted_stays_deleted(cut: Path) -> None:
    objects = LocalObjects(cut / "objects")
    objects.put("a", b"kept")
    objects.put("b", b"gone")
    objects.delete("b")
    assert left(cut) == {"objects/a": b"kept"}


def test_a_file_that_was_not_synced_is_empty(cut: Path) -> None:
    (cut / "file").write_bytes(b"lost")
    durable.sync_folder(cut)
    assert left(cut) == {"file": b""}


def test_a_name_that_was_not_synced_is_gone(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LocalObjects(cut / "objects").put("a/b", b"kept")
    monkeypatch.setattr(durable, "sync_folder", lambda _: None)
    LocalObjects(cut / "objects").put("a/c", b"lost")
    assert left(cut) == {"objects/a/b": b"kept"}


def test_a_folder_that_was_not_synced_into_its_parent_is_gone(cut: Path) -> None:
    LocalObjects(cut / "objects").put("a/b", b"kept")
    (cut / "objects" / "new").mkdir()
    durable.write_new(cut / "objects" / "new" / "file", b"lost")
    assert left(cut) == {"objects/a/b": b"kept"}
