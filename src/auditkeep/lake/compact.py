"""Compaction: small segments of one bucket become a larger one (docs/adr/0029).

Sealing writes a segment a day however little there is, so that nothing stays in the tail; reading
then opens many files for few rows. Here several go on as one, sorted and encrypted as `seal` does
it: the new file is durable before the one transaction that puts it in the place of the others.
Whoever comes second finds one of them replaced and leaves nothing. Leaf hashes, openings and
positions in the log are not touched: proofs are what they were.

Which segments (size-tiered): `fill` is what part of a full segment one is, by rows or by bytes,
whichever is more; a tier holds those of one power of FAN. Where a bucket is still written to,
FAN segments of one tier become one of a higher tier, oldest batches first. Two days after its
month, when all of it is sealed, whatever fits together is put together, smallest first. A segment
that is half full is left alone for good. So an observation is written again at most once for each
tier, and the work ends.

A bucket that is destroyed, or being cut down to its next generation, is left alone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from auditkeep.clock import DAY, Instant, month_of
from auditkeep.db.schema import batches, buckets, segments
from auditkeep.db.tx import Tx
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import parquet
from auditkeep.lake import segments as kept
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import MAX_AGE, SEGMENT_ROWS, SEGMENT_SIZE

FAN = 4
"""Segments of one tier that make one of a higher tier."""

QUIET = DAY + MAX_AGE
"""So long after its month a bucket is written to no more: the sealer has been there."""

MOST = 200
"""Segments of one merge: what they say of themselves is in memory at once."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a full segment holds: rows, and bytes of raw bytes and envelopes."""

    rows: int = SEGMENT_ROWS
    size: int = SEGMENT_SIZE

    def fill(self, rows: int, unpacked: int) -> float:
        """What part of a full segment that many rows and bytes are."""
        return max(rows / self.rows, unpacked / self.size)


@dataclass(frozen=True, slots=True)
class Small:
    """A segment that is less than half full."""

    id: str
    bucket_id: str
    fill: float
    min_batch: int


@dataclass(frozen=True, slots=True)
class Merged:
    """A segment that took the place of others."""

    segment_id: str
    bucket_id: str
    replaced: int
    rows: int
    size: int


BOUNDS = Bounds()


def compact(
    lake: Lake, tenant: Tenant, *, now: Instant, bounds: Bounds = BOUNDS, everything: bool = False
) -> Merged | None:
    """Merge some segments of one bucket; None where no bucket has any that should be.

    Call again until then. `everything`: also where a bucket is still written to, whatever fits
    together. StorageError if a segment does not hold what the catalog says; nothing is changed.
    """
    with lake.db.read(tenant) as tx:
        chosen = next(_choices(tx, now, bounds, everything=everything), None)
        if chosen is None:
            return None
        expected = kept.rows_of(tx, [one.id for one in chosen])
    bucket_id, old = chosen[0].bucket_id, [one.id for one in chosen]
    reach("compact.chosen")
    parts = [parquet.Part(kept.opening_of(lake, tenant, bucket_id, one)) for one in old]
    made = kept.keep_rewritten(lake, tenant, bucket_id, parts, [], now)
    if made is None or made[1].rows_of != expected:
        if made is not None:
            lake.objects.delete(kept.object_name(tenant, made[0].id))
        raise StorageError(
            f"The segments {', '.join(old)} of {tenant.account} in {tenant.region} do not hold "
            "what the catalog says and are left as they are: run 'auditkeep log audit'."
        )
    segment = made[0]
    reach("compact.segment-kept")
    with lake.db.write(tenant) as tx:
        tx.lock_tenant()
        there = lake.objects.exists(kept.object_name(tenant, segment.id))
        won = there and _as_chosen(tx, bucket_id, old)
        if won:
            segment.insert(tx)
            mine = batches.c.segment_id.in_(old)
            tx.run(tx.update(batches).where(mine).values(segment_id=segment.id))
            kept.replace(tx, old, bucket_id, now)
        reach("compact.before-commit")
    reach("compact.committed")
    if not won:
        lake.objects.delete(kept.object_name(tenant, segment.id))
        return None
    return Merged(segment.id, bucket_id, len(old), segment.rows, segment.size)


def waiting(lake: Lake, tenant: Tenant, *, now: Instant, bounds: Bounds = BOUNDS) -> int:
    """How many segments would be merged now: what is left to do."""
    with lake.db.read(tenant) as tx:
        return sum(len(some) for some in _choices(tx, now, bounds, everything=False))


def _choices(
    tx: Tx, now: Instant, bounds: Bounds, *, everything: bool
) -> Iterator[Sequence[Small]]:
    """What to merge first in each bucket that has anything to be merged."""
    for closed, small in _small(tx, now, bounds):
        chosen = _together(small) if closed or everything else _of_one_tier(small)
        if chosen:
            yield chosen


def _small(tx: Tx, now: Instant, bounds: Bounds) -> Iterator[tuple[bool, list[Small]]]:
    """The small segments of each living bucket, and whether nothing more is written to it."""
    s, b = segments.c, buckets.c
    query = (
        tx.select(s.id, s.bucket_id, s.rows, s.unpacked, s.min_batch, b.month)
        .where(
            s.bucket_id == b.id,
            b.destroyed_at.is_(None),
            b.successor.is_(None),
            s.rows * 2 < bounds.rows,
            s.unpacked * 2 < bounds.size,
        )
        .order_by(s.bucket_id, s.min_batch, s.id)
    )
    rows: list[Row[Any]] = []
    for row in tx.all(query):
        if rows and rows[0].bucket_id != row.bucket_id:
            yield _closed(rows, now), [_of(r, bounds) for r in rows]
            rows = []
        rows.append(row)
    if rows:
        yield _closed(rows, now), [_of(r, bounds) for r in rows]


def _closed(rows: Sequence[Row[Any]], now: Instant) -> bool:
    return str(rows[0].month) < month_of(Instant(now - QUIET))


def _of(row: Row[Any], bounds: Bounds) -> Small:
    fill = bounds.fill(row.rows, row.unpacked)
    return Small(row.id, row.bucket_id, fill, row.min_batch)


def _of_one_tier(small: Sequence[Small]) -> list[Small]:
    """The oldest of the lowest tier that has enough of them."""
    tiers: dict[int, list[Small]] = {}
    for one in small:
        tiers.setdefault(math.floor(-math.log(max(one.fill, 1e-9), FAN)), []).append(one)
    for tier in sorted(tiers, reverse=True):
        if len(tiers[tier]) >= FAN:
            return _fitting(tiers[tier])
    return []


def _together(small: Sequence[Small]) -> list[Small]:
    """The smallest, as many as fit."""
    return _fitting(sorted(small, key=lambda one: (one.fill, one.min_batch)))


def _fitting(ordered: Sequence[Small]) -> list[Small]:
    """As many as make one full segment at most; none where that is only one."""
    found: list[Small] = []
    fill = 0.0
    for one in ordered[:MOST]:
        fill += one.fill
        if fill > 1:
            break
        found.append(one)
    return found if len(found) > 1 else []


def _as_chosen(tx: Tx, bucket_id: str, old: Sequence[str]) -> bool:
    """Whether all of the segments are there still, in a bucket that goes on."""
    bucket = tx.first(
        tx.select(buckets.c.id).where(
            buckets.c.id == bucket_id,
            buckets.c.destroyed_at.is_(None),
            buckets.c.successor.is_(None),
        )
    )
    found = tx.all(tx.select(segments.c.id).where(segments.c.id.in_(old)))
    return bucket is not None and len(found) == len(old)
