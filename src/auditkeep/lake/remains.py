"""Ids of observations that were destroyed: forgotten afterwards, a few at a time.

A destruction touches what it must in one transaction: buckets, batches, segments, roll-ups. Ids are
as many as there were observations, and tell nothing by themselves; so that no other writer waits
for them, they go after it, in pieces of the time that the bucket's observations are from (an id
begins with its event's second). Until then they are found and lead nowhere.
"""

from sqlalchemy import func

from auditkeep.clock import SECOND
from auditkeep.db.schema import batches, buckets, observation_ids
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake

SOME = 10_000
"""Ids looked through in one transaction."""
_ID_SIZE = 16


def forget_ids(lake: Lake, tenant: Tenant) -> int:
    """Forget the ids of all that was destroyed and whose ids are still there; how many.

    Interrupted, it is simply run again; the sweeper does.
    """
    with lake.db.read(tenant) as tx:
        b = buckets.c
        left = tx.select(b.id).where(b.destroyed_at.is_not(None), b.ids_gone.is_(False))
        doomed = [row.id for row in tx.all(left.order_by(b.destroyed_at, b.id))]
    return sum(_forget(lake, tenant, bucket_id) for bucket_id in doomed)


def _forget(lake: Lake, tenant: Tenant, bucket_id: str) -> int:
    t, b = observation_ids.c, batches.c
    with lake.db.read(tenant) as tx:
        span = tx.select(func.min(b.min_time).label("first"), func.max(b.max_time).label("last"))
        row = tx.first(span.where(b.bucket_id == bucket_id))
    gone = 0
    if row is not None and row.first is not None:
        after, last = _bound(row.first // SECOND), _bound(row.last // SECOND + 1)
        while after < last:
            with lake.db.write(tenant) as tx:
                ahead = tx.select(t.id).where(t.id >= after, t.id < last).order_by(t.id)
                found = tx.scalar(ahead.offset(SOME).limit(1))
                until = last if found is None else bytes(found)
                mine = tx.select(b.batch_no).where(b.bucket_id == bucket_id)
                some = (t.id >= after, t.id < until, t.batch_no.in_(mine))
                gone += tx.run(tx.delete(observation_ids).where(*some))
            after = until
    with lake.db.write(tenant) as tx:
        tx.run(tx.update(buckets).where(buckets.c.id == bucket_id).values(ids_gone=True))
    return gone


def _bound(second: int) -> bytes:
    """The first id that an event of a second may have."""
    return max(second, 0).to_bytes(4, "big").ljust(_ID_SIZE, b"\0")
