"""A name appears with its whole content or not at all, and is never replaced by accident."""

import errno
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.threads import at_once

from auditkeep.crypto import durable
from auditkeep.errors import ObjectExists, ObjectMissing, StorageError, StorageFull


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    durable.write_new(tmp_path / "a" / "b" / "file", b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_parts_are_written_one_after_another(tmp_path: Path) -> None:
    durable.write_new(tmp_path / "file", iter([b"one ", b"", b"two"]))
    assert (tmp_path / "file").read_bytes() == b"one two"


def test_a_taken_name_is_refused_and_left_alone(tmp_path: Path) -> None:
    durable.write_new(tmp_path / "file", b"first")
    with pytest.raises(ObjectExists, match="never overwritten"):
        durable.write_new(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_of_many_writers_exactly_one_wins(tmp_path: Path) -> None:
    outcomes: list[bytes] = []

    def write(content: bytes) -> None:
        try:
            durable.write_new(tmp_path / "file", content)
        except ObjectExists:
            return
        outcomes.append(content)

    at_once([partial(write, b"%d" % n * 9999) for n in range(8)])
    assert outcomes == [(tmp_path / "file").read_bytes()]
    assert len(list(tmp_path.iterdir())) == 1


def test_replacing_leaves_the_new_content_only(tmp_path: Path) -> None:
    durable.replace(tmp_path / "file", b"old")
    durable.replace(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


def test_removing_what_is_not_there_says_so(tmp_path: Path) -> None:
    durable.write_new(tmp_path / "file", b"")
    durable.remove(tmp_path / "file")
    with pytest.raises(ObjectMissing):
        durable.remove(tmp_path / "file")


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
@pytest.mark.parametrize(
    ("code", "error"),
    [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, StorageError)],
)
def test_a_failing_disk_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    code: int,
    error: type[StorageError],
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(error) as caught:
        durable.write_new(tmp_path / "file", b"content")
    assert type(caught.value) is error
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_bytes_slowly_gets_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data[:3])))
    durable.write_new(tmp_path / "file", b"a longer content")
    assert (tmp_path / "file").read_bytes() == b"a longer content"


def test_a_source_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise KeyError("the rest")

    with pytest.raises(KeyError):
        durable.write_new(tmp_path / "file", parts())
    assert list(tmp_path.iterdir()) == []


def test_everything_is_synced_before_the_name_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, link = os.fsync, os.link

    def noted_fsync(handle: int) -> None:
        order.append("folder" if Path(f"/proc/self/fd/{handle}").is_dir() else "file")
        fsync(handle)

    def noted_link(source: str, target: str) -> None:
        order.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "link", noted_link)
    durable.write_new(tmp_path / "made" / "file", b"content")
    assert order == ["folder", "file", "link", "folder"]


def test_what_a_crash_leaves_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(os, "link", crash)
    monkeypatch.setattr(os, "unlink", lambda _: None)
    with pytest.raises(Crash):
        durable.write_new(tmp_path / "file", b"content")
    assert [durable.is_temporary(p.name) for p in tmp_path.iterdir()] == [True]
    assert not durable.is_temporary("file")
