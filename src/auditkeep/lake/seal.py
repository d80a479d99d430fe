"""Sealing: the oldest batches of one bucket leave the tail for an encrypted Parquet segment.

The segment is durable before the one transaction that lets readers find the rows there and no
longer in the tail. Whoever seals second finds the batches taken and leaves nothing: sealing may be
run by many, and again after a crash at any point.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func

from auditkeep.clock import DAY, Instant
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import batches, tail
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant
from auditkeep.lake import segments
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import batch_columns

SEGMENT_ROWS = 50_000
"""Rows that make a segment worth writing: a file of some 15 MB."""

SEGMENT_SIZE = 128 << 20
"""Bytes of raw bytes and envelopes that make one too: what a sealer holds in memory follows from
them, however large the records are. 50,000 usual rows have about as many."""

MAX_AGE = DAY
"""A bucket whose oldest batch is in the tail for longer is sealed however small it is."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment that was written."""

    segment_id: str
    bucket_id: str
    batches: int
    rows: int
    size: int


def seal(
    lake: Lake,
    tenant: Tenant,
    *,
    now: Instant,
    min_rows: int = SEGMENT_ROWS,
    max_size: int = SEGMENT_SIZE,
    max_age: int = MAX_AGE,
) -> Sealed | None:
    """Seal one bucket's oldest batches, `min_rows` rows or what there is of an old one.

    None when no bucket holds enough rows or bytes and none is older than `max_age` microseconds.
    Call again until then. One segment takes `max_size` bytes and at most one batch more.
    """
    with lake.db.read(tenant) as tx:
        chosen = _choose(tx, now, min_rows, max_size, max_age)
        if chosen is None:
            return None
        bucket_id, numbers = chosen
        columns = list(batch_columns(tx, lake, numbers))
    reach("seal.before-segment")
    segment = segments.keep(lake, tenant, bucket_id, columns, now)
    reach("seal.segment-kept")
    with lake.db.write(tenant) as tx:
        tx.lock_tenant()
        kept = lake.objects.exists(segments.object_name(tenant, segment.id))
        won = kept and _in_tail(tx, numbers) == len(numbers)
        if won:
            segment.insert(tx)
            _move(tx, numbers, segment.id)
        reach("seal.before-commit")
    reach("seal.committed")
    if not won:
        lake.objects.delete(segments.object_name(tenant, segment.id))
        return None
    return Sealed(segment.id, bucket_id, len(numbers), segment.rows, segment.size)


def _choose(
    tx: Tx, now: Instant, min_rows: int, max_size: int, max_age: int
) -> tuple[str, list[int]] | None:
    """A bucket that is due and the batches to take from it."""
    b = batches.c
    waiting = (
        tx.select(
            b.bucket_id,
            func.sum(b.rows).label("rows"),
            func.sum(b.size).label("size"),
            func.min(b.committed_at).label("at"),
        )
        .where(b.segment_id.is_(None))
        .group_by(b.bucket_id)
        .order_by(func.min(b.batch_no))
    )
    due = [
        r
        for r in tx.all(waiting)
        if r.rows >= min_rows or r.size >= max_size or r.at <= now - max_age
    ]
    if not due:
        return None
    bucket_id = str(due[0].bucket_id)
    oldest = (
        tx.select(b.batch_no, b.rows, b.size)
        .where(b.segment_id.is_(None), b.bucket_id == bucket_id)
        .order_by(b.batch_no)
    )
    numbers: list[int] = []
    rows = size = 0
    for row in tx.stream(oldest):
        numbers.append(row.batch_no)
        rows += row.rows
        size += row.size
        if rows >= min_rows or size >= max_size:
            break
    return bucket_id, numbers


def _in_tail(tx: Tx, numbers: Sequence[int]) -> int:
    """How many of the batches are in the tail still."""
    return sum(
        int(tx.scalar(tx.select(func.count(tail.c.batch_no)).where(tail.c.batch_no.in_(some))))
        for some in in_pieces(numbers)
    )


def _move(tx: Tx, numbers: Sequence[int], segment_id: str) -> None:
    for some in in_pieces(numbers):
        tx.run(tx.update(batches).where(batches.c.batch_no.in_(some)).values(segment_id=segment_id))
        tx.run(tx.delete(tail).where(tail.c.batch_no.in_(some)))
