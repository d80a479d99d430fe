"""The rows of a database as parts of a backup, and back.

A part is zstd over blocks, each u32be(length) ‖ msgpack of [table, rows]; a row is the list of its
values in the order of the manifest's columns. Parts are cut by size and are read one at a time.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import zstandard

from auditkeep.backup.format import Manifest, Part, TableRows, get, part
from auditkeep.db import export
from auditkeep.db.tx import SystemTx
from auditkeep.errors import InputError
from auditkeep.lake.objects import ObjectStore

PART_BYTES = 32 << 20
"""Bytes of blocks in a part, before they are compressed: what is held in memory."""
MOST_BYTES = 1 << 30
"""Bytes that a part may say to have; a row is never larger than some megabytes."""

_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[str, list[list[Any]]])

Rows = tuple[str, list[list[Any]]]
"""A table and some of its rows."""


def dump(
    tx: SystemTx, store: ObjectStore, folder: str, tick: Callable[[int], None]
) -> tuple[tuple[TableRows, ...], tuple[Part, ...]]:
    """Put all rows of one snapshot under `folder`; `tick` is told how many rows there were."""
    writer = _Writer(store, folder)
    counted: list[TableRows] = []
    total = 0
    for table in export.tables():
        count = 0
        for some in export.rows(tx, table):
            writer.add(_encode((str(table.name), some)))
            count += len(some)
            tick(total + count)
        counted.append(TableRows(str(table.name), tuple(export.columns(table)), count))
        total += count
    return tuple(counted), writer.end()


class _Writer:
    """Blocks into parts."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._blocks: list[bytes] = []
        self._size = 0
        self._parts: list[Part] = []

    def add(self, block: bytes) -> None:
        self._blocks += [_LENGTH.pack(len(block)), block]
        self._size += len(block)
        if self._size >= PART_BYTES:
            self._put()

    def end(self) -> tuple[Part, ...]:
        if self._blocks:
            self._put()
        return tuple(self._parts)

    def _put(self) -> None:
        name = f"{self._folder}/{len(self._parts):06d}"
        data = zstandard.compress(b"".join(self._blocks))
        self._store.put(name, data)
        self._parts.append(part(name, data))
        self._blocks, self._size = [], 0


def rows(store: ObjectStore, manifest: Manifest) -> Iterator[Rows]:
    """All rows, some at a time; InputError names a part that is not what it was."""
    for told in manifest.parts:
        yield from blocks(told.name, get(store, told))


def blocks(name: str, data: bytes) -> Iterator[Rows]:
    """The blocks of one part."""
    problem = f"'{name}' holds no rows of a database."
    try:
        plain = zstandard.ZstdDecompressor().decompress(data, max_output_size=MOST_BYTES)
    except zstandard.ZstdError as error:
        raise InputError(problem) from error
    at = 0
    while at < len(plain):
        end = at + _LENGTH.size
        if end > len(plain):
            raise InputError(problem)
        (length,) = _LENGTH.unpack_from(plain, at)
        if end + length > len(plain):
            raise InputError(problem)
        try:
            yield _decoder.decode(plain[end : end + length])
        except msgspec.MsgspecError as error:
            raise InputError(problem) from error
        at = end + length
