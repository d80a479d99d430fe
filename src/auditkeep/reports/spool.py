"""Content set aside while an archive is written: on disk, sealed, gone with the process.

Proofs and listings belong behind the evidence in the zip but come to hand with it. They wait in a
file without a name, sealed under a key that only this process holds, so that a report's size is
not the server's memory and no evidence lies on disk in clear. A report that is checked where it
lies waits there too.
"""

import bisect
import io
import struct
import tempfile  # noqa: TID251 - here is where it is sealed
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from auditkeep.crypto import aead
from auditkeep.errors import StorageError, StorageFull

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LENGTH = struct.Struct(">I")
_IN_MEMORY = 1 << 20


class Spool:
    """A list of byte strings, appended first, then read in order, any number of times."""

    def __init__(self) -> None:
        self._key = aead.new_key()
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed in __exit__
        self._end = 0
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, data: bytes) -> None:
        """StorageFull when the disk of temporary files is."""
        sealed = aead.seal(self._key, data, _LENGTH.pack(self.count))
        try:
            self._file.seek(self._end)
            self._file.write(_LENGTH.pack(len(sealed)) + sealed)
        except OSError as error:
            raise StorageFull("There is no room for the temporary files of a report.") from error
        self._end += _LENGTH.size + len(sealed)
        self.count += 1

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        for number in range(self.count):
            sealed = self._sealed(at)
            at += _LENGTH.size + len(sealed)
            yield aead.open_sealed(self._key, sealed, _LENGTH.pack(number))

    def part(self, number: int, at: int) -> bytes:
        """One of the strings, which lies at `at` in the file; see `places`."""
        return aead.open_sealed(self._key, self._sealed(at), _LENGTH.pack(number))

    def places(self) -> tuple["array[int]", "array[int]"]:
        """Of each string: where it lies in the file, and where it ends among all of them joined."""
        starts, ends = array("Q"), array("Q")
        at = end = 0
        for _ in range(self.count):
            starts.append(at)
            size = self._size(at)
            at += _LENGTH.size + size
            end += size - aead.OVERHEAD
            ends.append(end)
        return starts, ends

    def _size(self, at: int) -> int:
        self._file.seek(at)
        return int(_LENGTH.unpack(self._file.read(_LENGTH.size))[0])

    def _sealed(self, at: int) -> bytes:
        size = self._size(at)
        sealed = self._file.read(size)
        if len(sealed) != size:
            raise StorageError("A temporary file of a report was cut short.")
        return sealed

    def anywhere(self) -> io.BufferedReader:
        """All of it joined, to be read in any order: what a zip's reader needs."""
        return io.BufferedReader(_Anywhere(self), _IN_MEMORY)

    def stream(self) -> io.BufferedReader:
        """All of it joined, to be read once from its beginning."""
        return io.BufferedReader(_Joined(iter(self)), _IN_MEMORY)


class _Joined(io.RawIOBase):
    """A stream over parts."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = part
        view = memoryview(buffer)
        taken = min(len(view), len(self._rest))
        view[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken


class _Anywhere(io.RawIOBase):
    """A spool as one file that can be sought in; the last part that was opened is held."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._starts, self._ends = spool.places()
        self._at = 0
        self._held = (-1, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        end = self._ends[-1] if self._ends else 0
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: end}[whence]
        if base + offset < 0:
            raise ValueError(f"No file has a place {base + offset}.")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        number = bisect.bisect_right(self._ends, self._at)
        if number == len(self._ends):
            return 0
        if self._held[0] != number:
            self._held = (number, self._spool.part(number, self._starts[number]))
        part = self._held[1]
        begin = self._at - (self._ends[number] - len(part))
        view = memoryview(buffer)
        taken = min(len(view), len(part) - begin)
        view[:taken] = part[begin : begin + taken]
        self._at += taken
        return taken
