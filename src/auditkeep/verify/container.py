"""A zip that says one thing only: what every tool unpacks is what was checked.

Purpose: zip readers disagree where a zip contradicts itself (two members of a name, local against
central headers, bytes between members, sizes that are not true). All of that is refused here
(.ZIP File Format Specification 6.3.10), so that an auditor's unpacker cannot show other bytes than
those whose hashes were compared.

The same where systems disagree about names: macOS and Windows do not tell letter case apart, macOS
not even how an accent is composed, and Windows drops dots and blanks at a name's end. Two names
that are one there are refused, because unpacking would lose a file.

Invariants: members lie one after another from the first byte of the file to the central directory,
and nothing follows it; no member is read beyond its declared size or kept in memory; names
are plain relative paths.
"""

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from auditkeep.errors import InputError, ProofError
from auditkeep.verify.zipheaders import (
    data_offset,
    require_descriptor,
    require_end,
    require_plain,
)

_ENCRYPTED = 0x1
_BLOCK = 1 << 20
_UNREADABLE = (
    zipfile.BadZipFile,
    NotImplementedError,
    ValueError,
    EOFError,
    OSError,
    struct.error,
)
"""What the library raises for bytes that are no zip, a part of one, or one it cannot read."""


class Container:
    """An open zip: its members by name, and what is wrong with it as sentences."""

    def __init__(self, source: Path | BinaryIO) -> None:
        name = "The report"
        if isinstance(source, Path):
            name = source.name
            try:
                source = source.open("rb")
            except OSError as error:
                raise InputError(f"{source} cannot be opened: {error.strerror}.") from error
        self._file: BinaryIO = source
        self.problems: list[str] = []
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.names: tuple[str, ...] = ()
        """The members' names, in the order in which they lie in the file."""
        try:
            archive = zipfile.ZipFile(self._file)
            self._read_directory(archive)
        except _UNREADABLE as error:
            self._file.close()
            raise ProofError(f"{name} is not a whole zip archive: {error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """The size that a member declares; `blocks` holds it to that."""
        return self._members[name].file_size

    @property
    def total_size(self) -> int:
        return sum(info.file_size for info in self._members.values())

    def blocks(self, name: str) -> Iterator[bytes]:
        """A member's bytes; ProofError if they are damaged, or not as many as declared."""
        info = self._members[name]
        if info.flag_bits & _ENCRYPTED:
            raise ProofError(f"{name} is encrypted inside the zip.")
        if info.compress_type == zipfile.ZIP_STORED:
            source = self._stored(info)
        elif info.compress_type == zipfile.ZIP_DEFLATED:
            source = self._inflated(info)
        else:
            raise ProofError(f"{name} is compressed in a way that is not used in reports.")
        size = crc = 0
        for block in source:
            size += len(block)
            if size > info.file_size:
                raise ProofError(f"{name} unpacks to more than the {info.file_size} bytes it says.")
            crc = zlib.crc32(block, crc)
            yield block
        if size != info.file_size:
            raise ProofError(f"{name} unpacks to {size} bytes, not the {info.file_size} it says.")
        if crc != info.CRC:
            raise ProofError(f"{name} is damaged: its zip checksum does not hold.")

    def read(self, name: str, limit: int) -> bytes:
        """A small member whole; ProofError if it is larger than `limit`."""
        if self.size(name) > limit:
            raise ProofError(f"{name} is larger than the {limit} bytes it may have.")
        return b"".join(self.blocks(name))

    def lines(self, name: str, limit: int) -> Iterator[bytes]:
        """A member's lines without their newlines; ProofError if one is longer than `limit`."""
        rest = b""
        for block in self.blocks(name):
            *whole, rest = (rest + block).split(b"\n")
            if len(rest) > limit or any(len(line) > limit for line in whole):
                raise ProofError(f"{name} has a line of more than {limit} bytes.")
            yield from whole
        if rest:
            raise ProofError(f"{name} is cut short: its last line does not end.")

    def _read_directory(self, archive: zipfile.ZipFile) -> None:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        for info in infos:
            if problem := _name_problem(info):
                self.problems.append(problem)
            if info.orig_filename in self._members:
                self.problems.append(f"The zip holds {info.orig_filename!r} more than once.")
            self._members.setdefault(info.orig_filename, info)
        self.names = tuple(self._members)
        self.problems.extend(_collisions(self.names))
        if infos and infos[0].header_offset != 0:
            self.problems.append("The zip holds bytes before its first file.")
        ends = [*(info.header_offset for info in infos[1:]), archive.start_dir]
        for info, end in zip(infos, ends, strict=False):
            try:
                self._require_extent(info, end)
            except ProofError as error:
                self.problems.append(str(error))
        try:
            require_end(self._file, infos, archive.start_dir)
        except ProofError as error:
            self.problems.append(str(error))

    def _require_extent(self, info: zipfile.ZipInfo, end: int) -> None:
        """ProofError unless all bytes from a member's header up to `end` are its own."""
        require_plain(info)
        start = data_offset(self._file, info) + info.compress_size
        require_descriptor(self._file, info, start, end)

    def _stored(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        left = info.compress_size
        at = data_offset(self._file, info)
        while left:
            # Sought anew each time: other members may be read between two blocks of this one.
            self._file.seek(at)
            block = self._file.read(min(left, _BLOCK))
            if not block:
                raise ProofError(f"{info.orig_filename} is cut short inside the zip.")
            at, left = at + len(block), left - len(block)
            yield block

    def _inflated(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        damaged = f"{info.orig_filename} is damaged inside the zip and cannot be unpacked."
        for packed in self._stored(info):
            rest = packed
            while rest and not stream.eof:
                try:
                    block = stream.decompress(rest, _BLOCK)
                except zlib.error as error:
                    raise ProofError(damaged) from error
                rest = stream.unconsumed_tail
                if block:
                    yield block
            if stream.eof and (rest or stream.unused_data):
                raise ProofError(damaged)
        while not stream.eof:
            # The last input may have been taken in whole while output was still held back.
            block = stream.decompress(b"", _BLOCK)
            if not block:
                raise ProofError(damaged)
            yield block


def _collisions(names: Iterable[str]) -> Iterator[str]:
    """Names that are one file on some system, or a file where another needs a folder."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        key = _folded(name)
        other = files.setdefault(key, name)
        if other != name:
            yield (
                f"The zip holds {other!r} and {name!r}, which are one file on systems that do not "
                "tell such names apart (macOS, Windows)."
            )
        while key := key.rpartition("/")[0]:
            if key in folders:
                break
            folders[key] = name
    for key, name in files.items():
        if key in folders:
            yield f"The zip holds {name!r} as a file, and {folders[key]!r} in a folder of it."


def _folded(name: str) -> str:
    """The name as the most forgetful file system sees it."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "/".join(part.rstrip(". ") for part in plain.split("/"))


def _name_problem(info: zipfile.ZipInfo) -> str | None:
    """Why a name could land somewhere else than under the folder it is unpacked in."""
    name = info.orig_filename
    parts = name.split("/")
    if "\\" in name or ":" in name or not name.isprintable():
        return f"The zip holds a file with a name that is not plain: {name!r}."
    if any(part in ("", ".", "..") for part in parts):
        return f"The zip holds a file whose path leads elsewhere: {name!r}."
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return f"The zip holds {name!r}, which is a link or a device and not a file."
    return None
