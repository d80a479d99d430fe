"""Ids and counts of observations that were destroyed: forgotten afterwards, a few at a time.

A destruction touches what it must in one transaction: buckets, batches, segments. Ids are as many
as there were observations, and tell nothing by themselves; counts are fewer, but grow with them.
So that no key lives longer and no other writer waits for their number, they go after it: counts by
their days, ids in pieces of the time that the bucket's observations are from (an id begins with its
event's second). Until then ids are found and lead nowhere, and counts do not count
(`rollups.still_count`).
"""

from collections.abc import Sequence

from sqlalchemy import func

from auditkeep.clock import SECOND
from auditkeep.db.schema import batches, buckets, observation_ids, rollups
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake

SOME = 10_000
"""Ids looked through, or counts deleted, in one transaction."""
_ID_SIZE = 16


def forget_ids(lake: Lake, tenant: Tenant) -> int:
    """Forget ids and counts of all that was destroyed and that have them still; how many ids.

    Interrupted, it is simply run again; the sweeper does.
    """
    with lake.db.read(tenant) as tx:
        b = buckets.c
        left = tx.select(b.id).where(b.destroyed_at.is_not(None), b.ids_gone.is_(False))
        doomed = [row.id for row in tx.all(left.order_by(b.destroyed_at, b.id))]
    return sum(_forget(lake, tenant, bucket_id) for bucket_id in doomed)


def _forget(lake: Lake, tenant: Tenant, bucket_id: str) -> int:
    _forget_counts(lake, tenant, bucket_id)
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


def _forget_counts(lake: Lake, tenant: Tenant, bucket_id: str) -> None:
    t = rollups.c
    mine = t.bucket_id == bucket_id
    with lake.db.read(tenant) as tx:
        days = tx.all(
            tx.select(t.day, func.count(t.day).label("counts")).where(mine).group_by(t.day)
        )
    some: list[int] = []
    counts = 0
    for day in sorted(days):
        some.append(day.day)
        counts += day.counts
        if counts >= SOME:
            _forget_days(lake, tenant, bucket_id, some)
            some, counts = [], 0
    if some:
        _forget_days(lake, tenant, bucket_id, some)


def _forget_days(lake: Lake, tenant: Tenant, bucket_id: str, days: Sequence[int]) -> None:
    t = rollups.c
    with lake.db.write(tenant) as tx:
        some = (t.day >= days[0], t.day <= days[-1], t.bucket_id == bucket_id)
        tx.run(tx.delete(rollups).where(*some))


def _bound(second: int) -> bytes:
    """The first id that an event of a second may have."""
    return max(second, 0).to_bytes(4, "big").ljust(_ID_SIZE, b"\0")
