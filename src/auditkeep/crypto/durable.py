"""Writing files so that a power cut leaves the old state or the new one, never half of either.

Purpose: one small put for keys, tiles and objects on a local disk. The order is: temporary file
in the same folder, write, fsync, link (or rename), fsync of the folder. Only then is it kept.

Invariants: `write_new` never replaces what is there, even with many writers at once (`link(2)`
fails if the name is taken); a name appears only with its whole content; folders made on the way
are themselves synced. A crash may leave a file whose name `is_temporary`: nothing refers to it.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from auditkeep.errors import ObjectExists, ObjectMissing, StorageError, StorageFull

AT_ONCE = 32
"""Files that wait for the disk together."""

_PREFIX = ".new-"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_new(path: Path, data: bytes | Iterable[bytes], *, mode: int = 0o600) -> None:
    """Put `data` under a name that must be free: ObjectExists if taken, StorageFull if no room.

    Data in parts is written as it comes; if its source raises, nothing is left.
    """
    with _as_storage_errors(path):
        temporary = _written(path, data, mode)
        try:
            os.link(temporary, path)
        finally:
            os.unlink(temporary)  # noqa: PTH108 - the same two names as link, side by side
        sync_folder(path.parent)


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` under a name, in place of what may be there: readers see the old or the new."""
    with _as_storage_errors(path):
        temporary = _written(path, data, mode)
        try:
            temporary.replace(path)
        except OSError:
            temporary.unlink()
            raise
        sync_folder(path.parent)


def replace_all(folder: Path, files: Mapping[str, bytes], *, mode: int = 0o600) -> None:
    """Put many small files of one folder in place of those that are there; each whole or as it was.

    A crash leaves some replaced and others not, and beside these what was to take their place: the
    next call for the same names puts it away (`in_waiting`). Whoever calls is alone with them. The
    folder is synced once, at the end.
    """
    with _as_storage_errors(folder):
        left = [in_waiting(folder / name) for name in files]
        for former in left:
            former.unlink(missing_ok=True)
        try:
            # A disk takes many files that wait for it at once in little more time than one.
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for _ in pool.map(partial(_write, mode=mode), left, files.values()):
                    continue
                places = [folder / name for name in files]
                for _ in pool.map(Path.replace, left, places):  # these too wait, on some disks
                    continue
        finally:
            for temporary in left:
                temporary.unlink(missing_ok=True)
        sync_folder(folder)


def in_waiting(path: Path) -> Path:
    """What `replace_all` writes before it takes the place of a file."""
    return path.parent / f"{_PREFIX}{path.name}"


def remove(path: Path) -> None:
    """Take a name away for good; ObjectMissing if it is not there."""
    with _as_storage_errors(path):
        path.unlink()
        sync_folder(path.parent)


def take_place(new: Path, old: Path) -> None:
    """Put one file in the place of another of the same folder."""
    with _as_storage_errors(new):
        new.replace(old)
        sync_folder(old.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each one synced into its parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync of a file does not cover its name)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is what a crash in the middle of a write left behind."""
    return name.startswith(_PREFIX)


def _written(path: Path, data: bytes | Iterable[bytes], mode: int) -> Path:
    """The bytes under a temporary name beside `path`, synced; nothing is left if it fails."""
    make_folder(path.parent)
    temporary = path.parent / f"{_PREFIX}{secrets.token_hex(12)}"
    _write(temporary, data, mode)
    return temporary


def _write(temporary: Path, data: bytes | Iterable[bytes], mode: int) -> None:
    """A new file with these bytes, synced; nothing is left if it fails."""
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        try:
            for part in (data,) if isinstance(data, bytes) else data:
                view = memoryview(part)
                while view:  # a nearly full disk takes part of a write and says so at the next
                    view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        temporary.unlink()
        raise


@contextlib.contextmanager
def _as_storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ObjectExists(f"{path} exists already and is never overwritten.") from error
    except FileNotFoundError as error:
        raise ObjectMissing(f"{path} does not exist.") from error
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                f"There is no room left to write {path} ({error.strerror}); "
                "nothing was changed. Free some space and try again."
            ) from error
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
