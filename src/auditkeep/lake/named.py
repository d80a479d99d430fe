"""Which objects the database's rows name: segments, leaf hashes, stored files.

Purpose: what is named must be there and is never swept; what is not named is what an attempt left
behind. The log's tiles are named by nothing: they follow from its entries.

A name may come to mean another content once the first is gone (a file that is deleted and put
again), so each carries a `mark` made of its row, which no two contents of one name share.
"""

from collections.abc import Iterator
from typing import NamedTuple

from auditkeep.db.schema import batches, blobs, segments, tenants
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.ids import Tenant
from auditkeep.lake.batch import DESTROYED, leaves_name
from auditkeep.lake.blobs import object_name as blob_name
from auditkeep.lake.segments import object_name


class Named(NamedTuple):
    """An object by its name, and what tells its content from any other of that name."""

    name: str
    mark: str


def of_segment(tenant: Tenant, segment_id: str, sha256: bytes) -> Named:
    return Named(object_name(tenant, segment_id), sha256.hex())


def of_blob(
    tenant: Tenant,
    stored: str,
    bucket_id: str,
    created_at: int,
    sha256: bytes,
    attempt: str | None,
) -> Named:
    return Named(blob_name(tenant, stored, attempt), f"{bucket_id}/{created_at}/{sha256.hex()}")


def of_leaves(tenant: Tenant, batch_no: int, root: bytes) -> Named:
    return Named(leaves_name(tenant, batch_no, root), root.hex())


def named(tx: Tx) -> Iterator[Named]:
    """What the rows of one tenant name."""
    for row in tx.stream(tx.select(segments.c.id, segments.c.sha256)):
        yield of_segment(tx.tenant, row.id, bytes(row.sha256))
    f = blobs.c
    for row in tx.stream(tx.select(f.id, f.bucket_id, f.created_at, f.sha256, f.attempt)):
        digest = bytes(row.sha256)
        yield of_blob(tx.tenant, row.id, row.bucket_id, row.created_at, digest, row.attempt)
    b = batches.c
    with_object = tx.select(b.batch_no, b.root, b.segment_id).where(b.leaves.is_(None))
    for row in tx.stream(with_object):
        if row.segment_id != DESTROYED:
            yield of_leaves(tx.tenant, row.batch_no, bytes(row.root))


def all_named(tx: SystemTx) -> Iterator[Named]:
    """What the rows of all tenants name."""
    t = tenants.c
    for row in tx.all(tx.select(t.account, t.region).order_by(t.account, t.region)):
        yield from named(tx.of(Tenant(row.account, row.region)))
