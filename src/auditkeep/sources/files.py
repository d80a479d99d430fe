"""Reading files in bounded blocks, whatever they claim to contain.

Compression is seen from the content (RFC 1952 magic), never from the name, and unpacked so that
memory does not depend on what a file would unpack to (`gzipped`).
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO

from auditkeep.errors import InputError
from auditkeep.sources import gzipped
from auditkeep.sources.gzipped import BLOCK
from auditkeep.sources.window import Blocks

IN_MEMORY = 16 * 1024 * 1024
"""Files up to this size are read once, larger ones twice: to be named, and to be parsed."""

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


def get(path: Path) -> Blocks:
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


def blocks(file: BinaryIO) -> Blocks:
    """The text of an open file in blocks, see `get`; without the mark some begin UTF-8 with."""
    head = file.read(gzipped.SMALL)
    text = gzipped.texts(head, file) if gzipped.is_gzip(head) else _plain(head, file)
    first = next(text, b"")
    yield first.removeprefix(_BOM) if first.startswith(_BOM) else first
    yield from text


def _plain(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    for at in range(0, len(head), BLOCK):
        yield head[at : at + BLOCK]
    while block := file.read(BLOCK):
        yield block
