"""Destroying a class: its buckets' rows, counts, objects and, for good, their keys.

Rows go in the caller's transaction; objects and keys follow once it is durable, so that a rolled
back destruction has destroyed nothing and an interrupted one leaves only what no row refers to.
Batches keep their place in the log (number, root, sealed opening), for the log must still add up;
`DESTROYED` in place of a segment says that their rows are gone.
"""

from auditkeep.clock import Instant
from auditkeep.db.schema import batches, buckets, observation_ids, rollups, segments, tail
from auditkeep.db.tx import Tx
from auditkeep.lake.lake import Lake
from auditkeep.lake.segments import object_name

DESTROYED = "destroyed"


def destroy_class(tx: Tx, lake: Lake, klass: str, now: Instant) -> None:
    """Destroy all that was kept under a class; nothing happens where there is nothing."""
    tx.lock_tenant()
    of_class = tx.select(buckets.c.id).where(
        buckets.c["class"] == klass, buckets.c.destroyed_at.is_(None)
    )
    for bucket in tx.all(of_class):
        _destroy_bucket(tx, lake, bucket.id, now)


def _destroy_bucket(tx: Tx, lake: Lake, bucket_id: str, now: Instant) -> None:
    mine = tx.select(batches.c.batch_no).where(batches.c.bucket_id == bucket_id)
    tx.run(tx.delete(tail).where(tail.c.batch_no.in_(mine)))
    tx.run(tx.delete(observation_ids).where(observation_ids.c.batch_no.in_(mine)))
    tx.run(tx.delete(rollups).where(rollups.c.bucket_id == bucket_id))
    files = tx.all(tx.select(segments.c.id).where(segments.c.bucket_id == bucket_id))
    tx.run(tx.delete(segments).where(segments.c.bucket_id == bucket_id))
    tx.run(tx.update(batches).where(batches.c.bucket_id == bucket_id).values(segment_id=DESTROYED))
    tx.run(tx.update(buckets).where(buckets.c.id == bucket_id).values(destroyed_at=now))
    names = [object_name(tx.tenant, f.id) for f in files]

    def finish() -> None:
        lake.keystore.destroy(bucket_id)
        lake.keys.forget(tx.tenant, bucket_id)
        for name in names:
            lake.objects.delete(name)

    tx.after_commit(finish)
