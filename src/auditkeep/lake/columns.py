"""The rows of one batch, column by column, and their form as a tail blob.

A tail blob is the sealed msgpack of [light, heavy], each zstd-compressed msgpack of its columns in
the order in which `Light` and `Heavy` declare them. Counting and listing unpack the light half
only. This form is private to the lake and lives until the batch is sealed into a segment.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property

import msgspec
import zstandard

from auditkeep.clock import Instant
from auditkeep.crypto.aead import open_sealed, seal
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.lake.encoding import ID_SIZE, NONCE_SIZE
from auditkeep.lake.model import Header, Stored, View

LEVEL = 1
"""zstd level of tail blobs: they are rewritten at 3 when sealed."""

MAX_COLUMNS = 1 << 30
"""Bytes that a blob may unpack to: far more than any batch of 4 MiB holds."""


class Light(msgspec.Struct, array_like=True):
    """What counting and listing read. A verdict is "" where the source gave none."""

    ids: bytes
    event_times: list[int]
    collected_at: int
    sources: list[str]
    match_keys: list[str]
    accounts: list[str]
    regions: list[str]
    verdicts: list[str]
    resources: list[list[str]]
    resource_verdicts: list[list[str]]


class Heavy(msgspec.Struct, array_like=True):
    """What proofs and reports read."""

    envelopes: list[bytes]
    raws: list[bytes]
    nonces: bytes

    @property
    def size(self) -> int:
        """Bytes of envelopes and raw bytes: nearly all of what a batch takes in memory."""
        return sum(map(len, self.raws)) + sum(map(len, self.envelopes))


_encode = msgspec.msgpack.Encoder().encode
_light = msgspec.msgpack.Decoder(Light)
_heavy = msgspec.msgpack.Decoder(Heavy)
_halves = msgspec.msgpack.Decoder(tuple[bytes, bytes])


class Columns:
    """A batch's rows in batch order; the heavy half may still be compressed."""

    def __init__(self, batch_no: int, light: Light, heavy: Heavy | bytes) -> None:
        self.batch_no = batch_no
        self.light = light
        self._packed = heavy

    def __len__(self) -> int:
        return len(self.light.event_times)

    @cached_property
    def heavy(self) -> Heavy:
        return (
            _heavy.decode(_unpacked(self._packed))
            if isinstance(self._packed, bytes)
            else (self._packed)
        )

    def id(self, index: int) -> bytes:
        return self.light.ids[index * ID_SIZE : (index + 1) * ID_SIZE]

    def seen(self, views: Sequence[View]) -> list[int]:
        """The indexes of the rows that at least one view admits."""
        light, batch_no = self.light, self.batch_no
        rows = zip(light.match_keys, light.accounts, light.regions, light.event_times, strict=True)
        if len(views) == 1:
            admits = views[0].admits
            return [i for i, row in enumerate(rows) if admits(*row, batch_no)]
        return [
            i for i, row in enumerate(rows) if any(view.admits(*row, batch_no) for view in views)
        ]

    def header(self, index: int) -> Header:
        light = self.light
        return Header(
            self.id(index),
            self.batch_no,
            Instant(light.event_times[index]),
            light.sources[index],
            light.match_keys[index],
            light.accounts[index],
            light.regions[index],
            light.verdicts[index] or None,
            tuple(light.resources[index]),
            tuple(light.resource_verdicts[index]),
        )

    def stored(self, index: int) -> Stored:
        light, heavy = self.light, self.heavy
        return Stored(
            self.id(index),
            self.batch_no,
            index,
            Instant(light.event_times[index]),
            Instant(light.collected_at),
            light.sources[index],
            light.match_keys[index],
            light.accounts[index],
            light.regions[index],
            light.verdicts[index] or None,
            heavy.envelopes[index],
            heavy.raws[index],
            heavy.nonces[index * NONCE_SIZE : (index + 1) * NONCE_SIZE],
        )


def tail_object(batch_no: int) -> str:
    """The object id that a tail blob's key is derived for."""
    return f"tail/{batch_no}"


def pack(key: bytes, tenant: Tenant, columns: Columns) -> bytes:
    """The sealed blob of a batch."""
    packer = zstandard.ZstdCompressor(level=LEVEL)
    light = packer.compress(_encode(columns.light))
    heavy = packer.compress(_encode(columns.heavy))
    return seal(key, _encode((light, heavy)), _aad(tenant, columns.batch_no))


def unpack(key: bytes, tenant: Tenant, batch_no: int, blob: bytes) -> Columns:
    """A batch's rows; DecryptionFailed if the blob was changed or is another batch's."""
    light, heavy = _halves.decode(open_sealed(key, blob, _aad(tenant, batch_no)))
    return Columns(batch_no, _light.decode(_unpacked(light)), heavy)


class ColumnsCache:
    """Batches of the tail as last read; forgets the longest unused when it outgrows its size.

    Batches are known by number and root: a number that a rolled-back append had is given again.
    A batch counts with its size unpacked, which it has as soon as its heavy half is read.
    """

    def __init__(self, max_rows: int = 10_000, max_size: int = 64 << 20) -> None:
        self._max_rows = max_rows
        self._max_size = max_size
        self._rows = 0
        self._size = 0
        self._lock = threading.Lock()
        self._batches: OrderedDict[tuple[Tenant, int, bytes], tuple[Columns, int]] = OrderedDict()

    def get(self, tenant: Tenant, batch_no: int, root: bytes) -> Columns | None:
        with self._lock:
            found = self._batches.get((tenant, batch_no, root))
            if found is None:
                return None
            self._batches.move_to_end((tenant, batch_no, root))
            return found[0]

    def put(self, tenant: Tenant, columns: Columns, root: bytes, size: int) -> None:
        """Remember a batch of `size` bytes of envelopes and raw bytes."""
        key = (tenant, columns.batch_no, root)
        with self._lock:
            if key in self._batches:
                return
            self._batches[key] = columns, size
            self._rows += len(columns)
            self._size += size
            while self._outgrown() and len(self._batches) > 1:
                _, (gone, freed) = self._batches.popitem(last=False)
                self._rows -= len(gone)
                self._size -= freed

    def forget(self, tenant: Tenant) -> None:
        """Drop all of a tenant's, when some of it is destroyed."""
        with self._lock:
            for key in [key for key in self._batches if key[0] == tenant]:
                gone, freed = self._batches.pop(key)
                self._rows -= len(gone)
                self._size -= freed

    def _outgrown(self) -> bool:
        return self._rows > self._max_rows or self._size > self._max_size


def _aad(tenant: Tenant, batch_no: int) -> bytes:
    return f"auditkeep/tail/1\n{tenant.account}\n{tenant.region}\n{batch_no}".encode()


def _unpacked(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_COLUMNS)
    except zstandard.ZstdError as error:
        raise StorageError("A batch of the tail cannot be unpacked.") from error
