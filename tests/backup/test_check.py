"""What a check says of objects that are not as they were put: each fault under its own name."""

import errno
import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.backup.conftest import back_up, checked

from auditkeep.backup.create import Created
from auditkeep.backup.pool import read_list
from auditkeep.lake.lake import Lake
from auditkeep.lake.objects import LocalObjects


class FailingDisk(io.BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


class Failing(LocalObjects):
    """Objects of which one lies where the disk can no longer be read."""

    def __init__(self, folder: Path, bad: str) -> None:
        super().__init__(folder)
        self._bad = bad

    def open(self, key: str) -> BinaryIO:
        return FailingDisk() if key == self._bad else super().open(key)


def an_object(place: LocalObjects, made: Created) -> str:
    return next(iter(read_list(place, made.manifest.objects).values())).key


def no_more(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (no_more, "is missing from the backup."),
        (cut, "was changed or cut short."),
        (a_folder, "could not be read: "),
    ],
)
def test_an_object_is_missing_or_changed_or_cannot_be_read(
    lived: Lake, place: LocalObjects, harm: Callable[[Path], None], words: str
) -> None:
    made = back_up(lived, place)
    key = an_object(place, made)
    harm(place.path(key))
    (problem,) = checked(lived, place, made).problems
    assert problem.startswith(f"'{key}' (the object '")
    assert words in problem


def test_a_disk_that_fails_while_reading_is_told_of_and_not_called_missing(
    lived: Lake, place: LocalObjects, tmp_path: Path
) -> None:
    made = back_up(lived, place)
    for bad in (an_object(place, made), made.manifest.parts[0].name):
        failing = Failing(tmp_path / "backups", bad)
        problems = checked(lived, failing, made).problems
        assert any(bad in p and "Input/output error" in p for p in problems)
        assert not any("missing from the backup" in p for p in problems)
