"""What a batch keeps for its proofs: its leaf hashes, and the opening of its log entry.

Leaf hashes are blinded by their nonces and lie in clear: in the batch's row while they are few,
else as an immutable object whose name ends in the root, which is random, so that an attempt that
was rolled back can never be taken for the one that was committed. The opening, salt and batch
record, is sealed: the log tells other tenants nothing.

An opening of evidence is sealed under the bucket of the tenant's fields, whose master key is the
deployment's own: it says when how much came, and nothing of what. So what must name a batch in the
log (its destruction above all) needs no key of the tenant's, which may be gone for good. One of the
classes that are the deployment's in any case is sealed under its own bucket. It begins with the id
of the bucket that seals it.
"""

import os
from collections.abc import Sequence

import msgspec

from auditkeep.clock import Instant
from auditkeep.crypto.aead import open_sealed, seal
from auditkeep.db.tx import Tx
from auditkeep.errors import DecryptionFailed, StorageError
from auditkeep.ids import Tenant, uuid_bytes, uuid_text
from auditkeep.lake.buckets import OF_THE_DEPLOYMENT
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.encoding import batch_record, log_entry
from auditkeep.lake.lake import Lake
from auditkeep.tlog.merkle import HASH_SIZE

SALT_SIZE = 32
_REF = 16
"""Bytes of a bucket's id, before what it seals."""

DESTROYED = "destroyed"
"""In place of a batch's segment, when what it held is destroyed."""

MAX_LEAVES = 1_024
"""Leaf hashes that a row holds itself, 32 KiB."""


class Opening(msgspec.Struct, frozen=True, array_like=True):
    """Salt and batch record: what a log entry is the hash of."""

    salt: bytes
    record: bytes

    @property
    def entry(self) -> bytes:
        """The log entry, 32 bytes."""
        return log_entry(self.salt, self.record)


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Opening)


def new_opening(
    tenant: Tenant,
    *,
    batch_no: int,
    bucket: str,
    klass: str,
    committed_at: Instant,
    root: bytes,
    rows: int,
    unit_id: str,
) -> Opening:
    """The opening of a batch that is being committed, under a salt of its own."""
    record = batch_record(
        tenant,
        batch_no=batch_no,
        bucket=bucket,
        klass=klass,
        committed_at=committed_at,
        root=root,
        rows=rows,
        unit_id=unit_id,
    )
    return Opening(os.urandom(SALT_SIZE), record)


def sealed_under(tx: Tx, klass: str, bucket_id: str) -> str:
    """The bucket that seals the opening of a batch of a class, which lies in `bucket_id`."""
    return bucket_id if klass in OF_THE_DEPLOYMENT else uuid_text(tx.field_bucket())


def seal_opening(
    lake: Lake, tenant: Tenant, bucket_id: str, batch_no: int, opening: Opening
) -> bytes:
    """An opening, sealed under a bucket (`sealed_under`)."""
    key = lake.keys.object_key(tenant, bucket_id, _object_id(batch_no))
    return uuid_bytes(bucket_id) + seal(key, _encode(opening), _aad(tenant, batch_no))


def open_opening(lake: Lake, tenant: Tenant, batch_no: int, kept: bytes) -> Opening:
    """DecryptionFailed if it was changed or is another batch's; KeyUnusable without its key."""
    if len(kept) <= _REF:
        raise DecryptionFailed("What is kept of a batch's opening was cut short.")
    key = lake.keys.object_key(tenant, uuid_text(kept[:_REF]), _object_id(batch_no))
    return _decoder.decode(open_sealed(key, kept[_REF:], _aad(tenant, batch_no)))


def moved_opening(
    lake: Lake, tenant: Tenant, batch_no: int, kept: bytes, before: str, after: str
) -> bytes:
    """What is kept of the opening of a batch that moves from one bucket to another."""
    if uuid_text(kept[:_REF]) != before:
        return kept
    return seal_opening(lake, tenant, after, batch_no, open_opening(lake, tenant, batch_no, kept))


def leaves_name(tenant: Tenant, batch_no: int, root: bytes) -> str:
    return f"leaves/{tenant.account}/{tenant.region}/{batch_no}-{root.hex()}"


def keep_leaves(
    lake: Lake, tenant: Tenant, batch_no: int, root: bytes, leaves: Sequence[bytes]
) -> bytes | None:
    """What the batch's row holds of its leaf hashes; None when they became an object, durably."""
    joined = b"".join(leaves)
    if len(leaves) <= MAX_LEAVES:
        return joined
    lake.objects.put(leaves_name(tenant, batch_no, root), joined)
    reach("append.leaves-kept")
    return None


def load_leaves(
    lake: Lake, tenant: Tenant, batch_no: int, root: bytes, kept: bytes | None, rows: int
) -> list[bytes]:
    """A batch's leaf hashes in order; StorageError if there are not as many as its rows."""
    if kept is None:
        kept = lake.objects.get(leaves_name(tenant, batch_no, root))
    if len(kept) != rows * HASH_SIZE:
        raise StorageError(f"The leaf hashes of batch {batch_no} were cut short.")
    return [kept[at : at + HASH_SIZE] for at in range(0, len(kept), HASH_SIZE)]


def _object_id(batch_no: int) -> str:
    return f"opening/{batch_no}"


def _aad(tenant: Tenant, batch_no: int) -> bytes:
    return f"auditkeep/opening/1\n{tenant.account}\n{tenant.region}\n{batch_no}".encode()
