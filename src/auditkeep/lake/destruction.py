"""Destroying classes: their buckets' rows, objects and, for good, their keys.

Rows go in the caller's transaction, together with the records that say so (`governance`); keys and
objects follow once that is durable, keys first. So a destruction that is rolled back has destroyed
nothing, and one that is interrupted leaves only what `sweep` finishes: keys of buckets that are
marked destroyed, objects that no row refers to, and ids and counts (`remains`), which are as many
as there were observations or grow with them: until a key is gone takes as long as there were
batches and segments, however large.

Fields that lie in other tables open no more once the buckets of their class are destroyed; their
rows are for others to delete.

Batches keep their place in the log (number, root, position), for the log must still add up;
`DESTROYED` in place of a segment says that their rows are gone, and the destruction's openings what
their entries stood for.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row

from auditkeep.clock import Instant, iso
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import (
    batches,
    blobs,
    buckets,
    replaced,
    segments,
    tail,
    tenants,
)
from auditkeep.db.schema import units as unit_table
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import governance
from auditkeep.lake.batch import DESTROYED, leaves_name, open_opening
from auditkeep.lake.blobs import object_name as blob_name
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.governance import Authority, DestroyedBucket, Destruction, Openings
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import count_gone, size_of
from auditkeep.lake.segments import object_name


def destroy_class(
    tx: Tx, lake: Lake, klass: str, authority: Authority, now: Instant, *, logged: bool = False
) -> Destruction | None:
    """Destroy all that was kept under a class; None where there is nothing.

    `logged`: the authority has its record already.
    """
    tx.lock_tenant()
    doomed = tx.all(_alive(tx).where(buckets.c["class"] == klass))
    return _destroy_these(tx, lake, doomed, authority, now, logged=logged)


def destroy_buckets(
    tx: Tx, lake: Lake, bucket_ids: Sequence[str], authority: Authority, now: Instant
) -> Destruction | None:
    """Destroy some buckets under an authority that is logged; None where none is alive."""
    tx.lock_tenant()
    doomed = [row for row in tx.all(_alive(tx)) if row.id in bucket_ids]
    return _destroy_these(tx, lake, doomed, authority, now, logged=True)


def destroy_rest(
    tx: Tx,
    lake: Lake,
    bucket_id: str,
    authority: Authority,
    now: Instant,
    *,
    following: str,
    parts: Mapping[int, tuple[tuple[int, int], ...]],
    objects: Sequence[str],
) -> Destruction | None:
    """Destroy a bucket whose survivors lie in another, `following`, and what is left in it.

    `parts` are the observations that did not go with their batches, `objects` what the survivors
    lay in before. The authority is logged; None if the bucket is destroyed already.
    """
    tx.lock_tenant()
    doomed = tx.all(_alive(tx).where(buckets.c.id == bucket_id))
    return _destroy_these(
        tx,
        lake,
        doomed,
        authority,
        now,
        logged=True,
        following=following,
        parts=parts,
        left_behind=objects,
    )


def _alive(tx: Tx) -> Any:
    b = buckets.c
    alive = tx.select(buckets).where(b.destroyed_at.is_(None), b["class"] != governance.CLASS)
    return alive.order_by(b.created_at, b.id)


def _destroy_these(
    tx: Tx,
    lake: Lake,
    doomed: Sequence[Row[Any]],
    authority: Authority,
    now: Instant,
    *,
    logged: bool,
    following: str = "",
    parts: Mapping[int, tuple[tuple[int, int], ...]] = MappingProxyType({}),
    left_behind: Sequence[str] = (),
) -> Destruction | None:
    if not doomed:
        return None
    destruction_id = new_id()
    numbers: list[int] = []
    rows = sum(map(size_of, parts.values()))
    files = 0
    openings: list[tuple[str, str]] = []
    objects = list(left_behind)
    for bucket in doomed:
        for row in tx.all(_batches_of(tx, bucket.id)):
            opening = open_opening(lake, tx.tenant, row.batch_no, bytes(row.opening))
            openings.append((opening.salt.hex(), opening.record.decode()))
            numbers.append(row.batch_no)
            rows += row.rows - count_gone(row.gone)
        files += len(tx.all(_files_of(tx, bucket.id)))
        objects += _delete_rows(tx, bucket.id, now)
    done = Destruction(
        at=iso(now),
        authority=authority.id,
        batches=governance.ranges(sorted(numbers)),
        buckets=tuple(_named(bucket, following) for bucket in doomed),
        files=files,
        id=destruction_id,
        parts=tuple(sorted(parts.items())),
        rows=rows,
    )
    said: list[governance.Record] = [
        *([] if logged else [authority]),
        done,
        *_parted(destruction_id, openings),
    ]
    batch_no = governance.record_given(tx, lake, authority, said, now)
    tx.forget_field_keys()
    # what is remembered of evidence was computed from more than there is now
    tx.run(tx.update(tenants).values(last_evidence_batch=batch_no))
    reach("destroy.before-commit")
    tx.after_commit(partial(_finish, lake, tx.tenant, [bucket.id for bucket in doomed], objects))
    return done


def bury(tx: Tx, lake: Lake, bucket_ids: Sequence[str], now: Instant) -> None:
    """Let rows follow keys that are gone already: a backup brought back what had been destroyed.

    What says so is a recovery record, which the caller logs in the same transaction: the openings
    that a destruction would give can be read no more.
    """
    tx.lock_tenant()
    objects = [name for bucket_id in bucket_ids for name in _delete_rows(tx, bucket_id, now)]
    tx.forget_field_keys()
    tx.after_commit(partial(_finish, lake, tx.tenant, bucket_ids, objects))


def _batches_of(tx: Tx, bucket_id: str) -> Any:
    b = batches.c
    columns = (b.batch_no, b.rows, b.root, b.opening, b.leaves, b.gone)
    return tx.select(*columns).where(b.bucket_id == bucket_id).order_by(b.batch_no)


def _files_of(tx: Tx, bucket_id: str) -> Any:
    return tx.select(blobs.c.id, blobs.c.attempt).where(blobs.c.bucket_id == bucket_id)


def _delete_rows(tx: Tx, bucket_id: str, now: Instant) -> list[str]:
    """Everything in the catalog that shows the bucket's content; the objects that it named."""
    names = [
        leaves_name(tx.tenant, row.batch_no, bytes(row.root))
        for row in tx.all(_batches_of(tx, bucket_id))
        if row.leaves is None
    ]
    names += [blob_name(tx.tenant, row.id, row.attempt) for row in tx.all(_files_of(tx, bucket_id))]
    mine = tx.select(batches.c.batch_no).where(batches.c.bucket_id == bucket_id)
    tx.run(tx.delete(tail).where(tail.c.batch_no.in_(mine)))
    tx.run(tx.delete(unit_table).where(unit_table.c.batch_no.in_(mine)))
    tx.run(tx.delete(blobs).where(blobs.c.bucket_id == bucket_id))
    names += [
        object_name(tx.tenant, row[0])
        for table, column in ((segments, segments.c.id), (replaced, replaced.c.segment_id))
        for row in tx.all(tx.select(column).where(table.c.bucket_id == bucket_id))
    ]
    tx.run(tx.delete(segments).where(segments.c.bucket_id == bucket_id))
    tx.run(tx.delete(replaced).where(replaced.c.bucket_id == bucket_id))
    gone = tx.update(batches).where(batches.c.bucket_id == bucket_id)
    tx.run(gone.values(segment_id=DESTROYED, leaves=b""))
    tx.run(tx.update(buckets).where(buckets.c.id == bucket_id).values(destroyed_at=now))
    return names


def _finish(lake: Lake, tenant: Tenant, bucket_ids: Sequence[str], objects: Sequence[str]) -> None:
    """What follows the commit, keys first: from then on nothing that is left can be read."""
    reach("destroy.committed")
    for bucket_id in bucket_ids:
        lake.keystore.destroy(bucket_id)
        lake.keys.forget(tenant, bucket_id)
        reach("destroy.key-destroyed")
    lake.tail.forget(tenant)
    for name in objects:
        lake.objects.delete(name)
        reach("destroy.object-deleted")


def _named(bucket: Row[Any], following: str) -> DestroyedBucket:
    return DestroyedBucket(
        generation=bucket.generation,
        id=bucket.id,
        key=bucket.provider_key,
        klass=bucket._mapping["class"],
        month=bucket.month,
        next=following,
    )


def _parted(destruction_id: str, openings: Sequence[tuple[str, str]]) -> Iterator[Openings]:
    for some in in_pieces(openings, governance.OPENINGS_EACH):
        yield Openings(destruction=destruction_id, openings=tuple(some))
