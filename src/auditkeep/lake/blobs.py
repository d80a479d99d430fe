"""Customers' files as encrypted objects: manual evidence, and whatever else is larger than a row.

    "auditkeep/blob/1" ‖ 0x0A ‖ bucket id (36 characters) ‖ chunks

A chunk is u32be(length) ‖ a sealed blob of at most 1 MiB of the file; the last one may be empty.
Each is bound to the object, its number and whether it is the last, so that chunks cannot be
reordered, dropped or carried to another file, and a shortened file is noticed.

A file is kept once its row is committed: an object without a row is what an attempt left behind.
Callers know a file by an id that may hold people's own words, as the name of a report does. Row and
object bear a name that is made of it under a secret (`stored_name`), and tells nothing.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from auditkeep.clock import Instant
from auditkeep.crypto.aead import OVERHEAD, open_sealed, seal
from auditkeep.db.schema import blobs, tenants
from auditkeep.db.tx import Tx
from auditkeep.errors import DecryptionFailed, ObjectExists
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import buckets, published
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake

CHUNK = 1 << 20
_HEAD = b"auditkeep/blob/1\n"
_BUCKET_SIZE = 36
_LENGTH = struct.Struct(">I")
_Part = tuple[int, bytes, bool]
"""Some of a file: its number, its bytes, whether it is the last."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file that was kept."""

    object_id: str
    size: int
    sha256: bytes


def put_blob(
    tx: Tx,
    lake: Lake,
    klass: str,
    object_id: str,
    data: BinaryIO | bytes,
    now: Instant,
) -> Blob:
    """Keep a file under the current bucket of its class, durably before the caller commits.

    Hand over what has already arrived: other writers wait while this one reads. ObjectExists if the
    id is taken; StorageFull if the disk is; LogError if the database is behind the published log.
    """
    tx.lock_tenant()
    published.require_not_behind(tx, lake)
    buckets.require_open(tx, tx.scalar(tx.select(tenants.c.status)) or "", klass)
    stored = stored_name(tx, object_id)
    if tx.first(tx.select(blobs.c.id).where(blobs.c.id == stored)) is not None:
        raise ObjectExists(f"There is a file {object_id!r} already.")
    bucket_id = buckets.current(tx, lake.keys, klass, now)
    key = lake.keys.object_key(tx.tenant, bucket_id, _key_id(stored))
    digest = sha256()
    size = 0

    def measured() -> Iterator[_Part]:
        nonlocal size
        for number, part, last in _parts(data):
            digest.update(part)
            size += len(part)
            yield number, part, last

    name = object_name(tx.tenant, stored)
    lake.objects.delete(name)  # of an attempt that was rolled back: its row would be there
    lake.objects.put(name, _sealed(key, bucket_id, stored, measured()))
    reach("blob.kept")
    row = {"id": stored, "bucket_id": bucket_id, "size": size, "sha256": digest.digest()}
    tx.insert(blobs, row | {"created_at": now})
    return Blob(object_id, size, digest.digest())


def get_blob(tx: Tx, lake: Lake, object_id: str) -> Iterator[bytes]:
    """The file's bytes, part by part; ObjectMissing at once if there is none.

    DecryptionFailed, possibly after good parts, if the object was changed or cut short.
    """
    return get_stored(tx, lake, stored_name(tx, object_id))


def get_stored(tx: Tx, lake: Lake, stored: str) -> Iterator[bytes]:
    """The same, of a file by the name that its row has."""
    stream = lake.objects.open(object_name(tx.tenant, stored, _attempt(tx, stored)))
    head = stream.read(len(_HEAD) + _BUCKET_SIZE)
    try:
        bucket_id = _bucket_of(head, stored)
        buckets.require(tx, bucket_id)
        key = lake.keys.object_key(tx.tenant, bucket_id, _key_id(stored))
    except BaseException:
        stream.close()
        raise
    return (part for _, part, _ in _opened(stream, key, stored))


def delete_blob(tx: Tx, lake: Lake, object_id: str) -> None:
    """Take a file away: its row now, its object once that is durable; not there is no error."""
    stored = stored_name(tx, object_id)
    name = object_name(tx.tenant, stored, _attempt(tx, stored))
    tx.run(tx.delete(blobs).where(blobs.c.id == stored))
    tx.after_commit(lambda: lake.objects.delete(name))


def discard_blob(tx: Tx, lake: Lake, object_id: str) -> None:
    """Take back at once what this same transaction put: nobody else has ever seen it."""
    stored = stored_name(tx, object_id)
    tx.run(tx.delete(blobs).where(blobs.c.id == stored))
    lake.objects.delete(object_name(tx.tenant, stored))


def has_blob(tx: Tx, object_id: str) -> bool:
    """Whether a file is kept under this name."""
    stored = stored_name(tx, object_id)
    return tx.first(tx.select(blobs.c.id).where(blobs.c.id == stored)) is not None


def stored_name(tx: Tx, object_id: str) -> str:
    """The name that row and object of a file bear: what kind it is, and nothing else."""
    kind, mark, _ = object_id.partition("/")
    return f"{kind}/{tx.veiled(object_id)}" if mark else tx.veiled(object_id)


def object_name(tenant: Tenant, stored: str, attempt: str | None = None) -> str:
    """The object of a file; `attempt` is that of its row, which it has once it was copied."""
    name = f"blobs/{tenant.account}/{tenant.region}/{stored}"
    return name if attempt is None else f"{name}.{attempt}"


def copy_stored(
    lake: Lake, tenant: Tenant, stored: str, attempt: str | None, bucket_id: str, into: str
) -> str:
    """Copy a file from one bucket's key to another's, durably; what its object's name ends in.

    Whoever commits it has the row name bucket and attempt. DecryptionFailed if it was changed.
    """
    copied = new_id()
    stream = lake.objects.open(object_name(tenant, stored, attempt))
    with stream:
        if _bucket_of(stream.read(len(_HEAD) + _BUCKET_SIZE), stored) != bucket_id:
            raise DecryptionFailed(
                f"The stored file {stored!r} lies in another bucket than it says."
            )
        parts = _opened(stream, lake.keys.object_key(tenant, bucket_id, _key_id(stored)), stored)
        key = lake.keys.object_key(tenant, into, _key_id(stored))
        lake.objects.put(object_name(tenant, stored, copied), _sealed(key, into, stored, parts))
    return copied


def _sealed(key: bytes, bucket_id: str, stored: str, parts: Iterable[_Part]) -> Iterator[bytes]:
    yield _HEAD + bucket_id.encode()
    for number, part, last in parts:
        chunk = seal(key, part, _aad(stored, number, last=last))
        yield _LENGTH.pack(len(chunk)) + chunk


def _attempt(tx: Tx, stored: str) -> str | None:
    """What the object's name ends in; None for a file that was never copied, or is not there."""
    row = tx.first(tx.select(blobs.c.attempt).where(blobs.c.id == stored))
    return None if row is None else row.attempt


def _opened(stream: BinaryIO, key: bytes, stored: str) -> Iterator[_Part]:
    with stream:
        chunk = _read_chunk(stream, stored)
        number = 0
        while chunk is not None:
            following = _read_chunk(stream, stored)
            last = following is None
            yield number, open_sealed(key, chunk, _aad(stored, number, last=last)), last
            chunk, number = following, number + 1
        if number == 0:
            raise _cut_short(stored)


def _read_chunk(stream: BinaryIO, stored: str) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise _cut_short(stored)
    (length,) = _LENGTH.unpack(head)
    if not OVERHEAD <= length <= CHUNK + OVERHEAD:
        raise _cut_short(stored)
    chunk = stream.read(length)
    if len(chunk) < length:
        raise _cut_short(stored)
    return chunk


def _parts(data: BinaryIO | bytes) -> Iterator[_Part]:
    """At least one part, all but the last of full size."""
    if isinstance(data, bytes):
        starts = range(0, max(len(data), 1), CHUNK)
        for number, start in enumerate(starts):
            yield number, data[start : start + CHUNK], start == starts[-1]
        return
    number, part = 0, _read_full(data)
    while True:
        following = _read_full(data) if len(part) == CHUNK else b""
        yield number, part, not following
        if not following:
            return
        number, part = number + 1, following


def _read_full(stream: BinaryIO) -> bytes:
    """A whole part: a stream may give less than it is asked for before its end."""
    part = b""
    while len(part) < CHUNK and (more := stream.read(CHUNK - len(part))):
        part = part + more if part else more
    return part


def _bucket_of(head: bytes, stored: str) -> str:
    if len(head) < len(_HEAD) + _BUCKET_SIZE or not head.startswith(_HEAD):
        raise _cut_short(stored)
    try:
        return head[len(_HEAD) :].decode("ascii")
    except UnicodeDecodeError as error:
        raise _cut_short(stored) from error


def _cut_short(stored: str) -> DecryptionFailed:
    return DecryptionFailed(f"The stored file {stored!r} was changed or cut short.")


def _key_id(stored: str) -> str:
    return f"blob/{stored}"


def _aad(stored: str, number: int, *, last: bool) -> bytes:
    return f"auditkeep/blob/1\n{stored}\n{number}\n{'last' if last else 'more'}".encode()
