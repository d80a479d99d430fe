"""Reading files in bounded blocks, whatever they claim to contain.

Compression is seen from the content (RFC 1952 magic), never from the name. Decompression gives at
most one block at a time, so that memory does not depend on what a file would unpack to. Blocks
are small enough to stay in the processor's cache while they are parsed, which is faster than
unpacking a file whole.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO

from isal import igzip_lib

from auditkeep.errors import InputError

BLOCK = 128 * 1024
"""Bytes handed on at a time."""

IN_MEMORY = 16 * 1024 * 1024
"""Files up to this size are read once, larger ones twice: to be named, and to be parsed."""

_READ = 64 * 1024
# the library's type stub declares an instance where the class is
_DAMAGED: tuple[type[Exception], ...] = (igzip_lib.IsalError, EOFError)  # type: ignore[assignment]
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, bytes]]:
    """A file at its beginning, and the SHA-256 of what lies on disk.

    InputError if it cannot be read, or (at the end of the block) if it was changed meanwhile: what
    was read of it must then not count as read.
    """
    with _regular(path) as (file, before):
        if before.st_size <= IN_MEMORY:
            content = file.read()
            yield io.BytesIO(content), sha256(content).digest()
            return
        digest = file_digest(file, "sha256").digest()
        file.seek(0)
        yield file, digest
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise InputError("It was changed while it was read: read it again.")


def get(path: Path) -> Iterator[bytes]:
    """A file's text in blocks, unpacked if it is gzip; InputError where it cannot go on.

    Blocks before the error are good: a file that was cut off still gives its beginning.
    """
    with _regular(path) as (file, _):
        yield from blocks(file)


@contextmanager
def _regular(path: Path) -> Iterator[tuple[io.BufferedReader, os.stat_result]]:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise InputError("It is not a regular file.")
            yield file, found
    except OSError as error:
        raise InputError(f"It cannot be read: {error.strerror or error}.") from error


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """The text of an open file in blocks, see `get`; without the mark some begin UTF-8 with."""
    head = file.read(_READ)
    text = _unpacked(head, file) if head.startswith(_GZIP) else _plain(head, file)
    first = next(text, b"")
    yield first.removeprefix(_BOM)
    yield from text


def _plain(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    yield head
    while block := file.read(BLOCK):
        yield block


def _unpacked(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    """All members of a gzip file (RFC 1952 section 2.2), one after the other."""
    packed = head
    while True:
        engine = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        try:
            while True:
                block = engine.decompress(packed, BLOCK)
                if block:
                    yield block
                if engine.eof:
                    break
                packed = file.read(_READ) if engine.needs_input else b""
                if engine.needs_input and not packed:
                    raise InputError("Its gzip data ends early: the file is not complete.")
        except _DAMAGED as error:
            raise InputError(f"Its gzip data is damaged: {error}.") from error
        packed = (engine.unused_data + file.read(_READ)).lstrip(b"\0")
        while not packed:
            more = file.read(_READ)
            if not more:
                return
            packed = more.lstrip(b"\0")
        if not packed.startswith(_GZIP):
            raise InputError("After its gzip data comes something that is not gzip.")
