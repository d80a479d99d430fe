"""Where objects live: segments, leaf hashes, log tiles, customers' files, reports.

One small protocol, so that a bucket in S3 can stand where a folder does now. An object is put
whole or not at all, is durable when `put` returns, and never changes afterwards; only the newest
checkpoint is replaced.

Keys are parts joined by `/`; a key that would leave the folder is refused whatever it holds.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from auditkeep.clock import Instant
from auditkeep.crypto import durable
from auditkeep.errors import ObjectMissing, StorageError

MAX_PART = 255
"""Bytes of one part of a key: the longest file name of common file systems."""
MAX_KEY = 1024
"""Bytes of a whole key: S3's own limit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list tells of an object: its key, its bytes, when it was put."""

    key: str
    size: int
    modified: Instant


@dataclass(frozen=True, slots=True)
class Held:
    """What was deleted and is kept by the store all the same, for a lock or a policy says so."""

    objects: int
    size: int
    until: Instant | None
    """When the last lock ends; None: nobody said."""


class ObjectStore(Protocol):
    """Immutable objects by key."""

    def put(self, key: str, data: bytes | Iterable[bytes]) -> None:
        """Keep an object durably; ObjectExists if the key is taken, StorageFull if no room."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Put in place of what may be there; a reader sees the old object or the new one."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object; ObjectMissing if there is none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """The object as a stream, to be closed by the caller; ObjectMissing if there is none."""
        ...

    def near(self, keys: Sequence[str]) -> list[Path]:
        """Files of this machine with the objects' bytes, for a reader that opens files by itself
        (Polars) and does so soon: asked again before each reading. ObjectMissing names the first
        that is not there.
        """
        ...

    def anew(self, key: str) -> Path:
        """The same of one object, with the bytes that the store itself holds now."""
        ...

    def size(self, key: str) -> int: ...

    def exists(self, key: str) -> bool: ...

    def modified(self, key: str) -> Instant:
        """When the object was put; ObjectMissing if there is none."""
        ...

    def delete(self, key: str) -> None:
        """Take an object away; nothing happens if it is gone already."""
        ...

    def tidy(self, folder: str) -> None:
        """Take away what is no object under a folder whose writers are done: halves of writes that
        a crash has cut off, and folders in which nothing lies, which are named for what did.
        """
        ...

    def purge(self, folder: str, now: Instant) -> Held | None:
        """Take away for good what was deleted under a folder and could not be at the time; what
        is held still, None for nothing.
        """
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`, in no order."""
        ...

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The same with sizes and times, which a store tells in its lists without being asked
        for each object.
        """
        ...


class LocalObjects:
    """Objects as files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, data: bytes | Iterable[bytes]) -> None:
        durable.write_new(self.path(key), data)

    def replace(self, key: str, data: bytes) -> None:
        durable.replace(self.path(key), data)

    def get(self, key: str) -> bytes:
        with self.open(key) as stream:
            try:
                return stream.read()
            except OSError as error:
                raise unreadable(key, error) from error

    def open(self, key: str) -> BinaryIO:
        try:
            return self.path(key).open("rb")
        except OSError as error:
            raise unreadable(key, error) from error

    def near(self, keys: Sequence[str]) -> list[Path]:
        for key in keys:
            if not self.exists(key):
                raise ObjectMissing(f"There is no object {key!r}.")
        return [self.path(key) for key in keys]

    def anew(self, key: str) -> Path:
        return self.near([key])[0]

    def size(self, key: str) -> int:
        try:
            return self.path(key).stat().st_size
        except OSError as error:
            raise unreadable(key, error) from error

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def modified(self, key: str) -> Instant:
        try:
            return Instant(self.path(key).stat().st_mtime_ns // 1000)
        except OSError as error:
            raise unreadable(key, error) from error

    def delete(self, key: str) -> None:
        if self.exists(key):
            with contextlib.suppress(ObjectMissing):  # somebody else was faster
                durable.remove(self.path(key))

    def tidy(self, folder: str) -> None:
        for here, _, names in os.walk(self.path(folder.rstrip("/")), topdown=False):
            for name in filter(durable.is_temporary, names):
                with contextlib.suppress(ObjectMissing):  # its writer has just come to its end
                    durable.remove(Path(here, name))
            with contextlib.suppress(OSError):  # something lies in it
                os.rmdir(here)  # noqa: PTH106 - Path has no other name for it

    def purge(self, folder: str, now: Instant) -> Held | None:  # noqa: ARG002 - files just go
        return None

    def list(self, prefix: str) -> Iterator[str]:
        top = self._folder
        for part in prefix.split("/")[:-1]:
            top /= _checked(prefix, part)
        for folder, _, names in os.walk(top):
            for name in names:
                key = Path(folder, name).relative_to(self._folder).as_posix()
                if key.startswith(prefix) and not durable.is_temporary(name):
                    yield key

    def entries(self, prefix: str) -> Iterator[Entry]:
        for key in self.list(prefix):
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                found = self.path(key).stat()
                yield Entry(key, found.st_size, Instant(found.st_mtime_ns // 1000))

    def path(self, key: str) -> Path:
        """Where an object lies, or would; StorageError for a key that leads elsewhere."""
        return self._folder.joinpath(*parts_of(key))


def parts_of(key: str) -> list[str]:
    """The parts of a key that may be one; StorageError for what is none or leads elsewhere."""
    if len(key.encode(errors="surrogatepass")) > MAX_KEY:
        raise StorageError(f"An object's name is longer than {MAX_KEY} bytes.")
    return [_checked(key, part) for part in key.split("/")]


def _checked(key: str, part: str) -> str:
    """A part of a key as the name of a file; StorageError for what is none or leads elsewhere."""
    if (
        part in {"", ".", ".."}
        or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in part)
        or len(part.encode()) > MAX_PART
        or durable.is_temporary(part)
    ):
        raise StorageError(f"{key[:100]!r} cannot be the name of an object.")
    return part


def unreadable(key: str, error: OSError) -> StorageError:
    """Why the system gives no object, or not all of it: ObjectMissing where there is none."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ObjectMissing(f"There is no object {key!r}.")
    return StorageError(f"The object {key!r} cannot be read: {error.strerror or error}.")
