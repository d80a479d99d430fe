"""Gzip (RFC 1952) -> its text: small files at once, others block by block in bounded memory.

A file that is small, holds one member and claims a text that is not long, as nearly every log file
that CloudTrail delivers, is unpacked whole by libdeflate, which is quicker than a stream. Whatever
is else, or turns out not to be as it seems, goes through ISA-L's stream, at most a block at a time:
what a file claims never decides how much memory it takes beyond `LONGEST`.
"""

from collections.abc import Iterator
from typing import BinaryIO

import deflate
from isal import igzip_lib

from auditkeep.errors import InputError
from auditkeep.sources.hints import Hints
from auditkeep.sources.window import Blocks

BLOCK = 128 * 1024
"""Bytes of text handed on at a time where it is not handed on whole."""

SMALL = 4 * 1024 * 1024
"""Files with fewer bytes may be unpacked whole."""

LONGEST = 16 * 1024 * 1024
"""Bytes of text that are unpacked at once at the most."""

_READ = 64 * 1024
_MAGIC = b"\x1f\x8b"
# as members begin: deflate, and no flag that is reserved
_MEMBERS = Hints(((rb"\x1f\x8b\x08[\x00-\x1f]",),))

# the library's type stub declares an instance where the class is
_DAMAGED: tuple[type[Exception], ...] = (igzip_lib.IsalError, EOFError)  # type: ignore[assignment]


def is_gzip(head: bytes) -> bool:
    return head.startswith(_MAGIC)


def texts(head: bytes, file: BinaryIO) -> Blocks:
    """The text of a file of which `head` was read; InputError where it cannot go on.

    A `head` of fewer than `SMALL` bytes is the whole file.
    """
    whole = _at_once(head) if len(head) < SMALL else None
    if whole is None:
        yield from _blocks(head, file)
    else:
        yield whole


def _at_once(packed: bytes) -> bytearray | None:
    """The text of a file's only member; None where it is not the only one, or not good.

    libdeflate stops behind the first member and says nothing of what follows. But a member that
    follows begins somewhere, and where none does the file's last four bytes must be the length of
    the one there is (RFC 1952 section 2.3.1).
    """
    length = int.from_bytes(packed[-4:], "little")
    if not 0 < length <= LONGEST or len(_MEMBERS(packed)) != 1:
        return None
    try:
        text = deflate.gzip_decompress(packed, length)
    except deflate.DeflateError:
        return None
    return text if len(text) == length else None


def _blocks(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    """All members of a file (RFC 1952 section 2.2), one after the other."""
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
        if not is_gzip(packed):
            raise InputError("After its gzip data comes something that is not gzip.")
