"""Content set aside while an archive is written: on disk, sealed, gone with the process.

Proofs and listings belong behind the evidence in the zip but come to hand with it. They wait in a
file without a name, sealed under a key that only this process holds, so that a report's size is
not the server's memory and no evidence lies on disk in clear.
"""

import io
import struct
import tempfile
from collections.abc import Iterator
from types import TracebackType
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
            self._file.seek(at)
            (size,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
            sealed = self._file.read(size)
            if len(sealed) != size:
                raise StorageError("A temporary file of a report was cut short.")
            at += _LENGTH.size + size
            yield aead.open_sealed(self._key, sealed, _LENGTH.pack(number))

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
