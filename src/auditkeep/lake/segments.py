"""Keeping a segment: the encrypted file as an object, then its row in the catalog.

Segment ids are random for each attempt; the object is durable before the row is written. An
attempt that failed in between leaves an object that nothing refers to.

A segment whose rows go on in another loses its row at once and its object after a while
(`sweep.GRACE`): whoever began to read before may go on reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

import msgspec

from auditkeep.clock import Instant
from auditkeep.db.schema import batches as batch_table
from auditkeep.db.schema import replaced, segments
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import parquet
from auditkeep.lake.columns import Columns
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import count_gone


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment whose object is kept."""

    id: str
    bucket_id: str
    rows: int
    size: int
    unpacked: int
    sha256: bytes
    min_time: Instant
    max_time: Instant
    min_batch: int
    max_batch: int
    match_keys: tuple[str, ...]
    created_at: Instant

    def insert(self, tx: Tx) -> None:
        """Write its row: from this transaction's commit on, readers find it."""
        row = {name: getattr(self, name) for name in self.__slots__}
        row["match_keys"] = msgspec.json.encode(self.match_keys).decode()
        tx.insert(segments, row)


def object_name(tenant: Tenant, segment_id: str) -> str:
    return f"segments/{tenant.account}/{tenant.region}/{segment_id}.parquet"


def keep(
    lake: Lake, tenant: Tenant, bucket_id: str, batches: Sequence[Columns], now: Instant
) -> Segment:
    """Write the batches' rows into one segment, durably."""
    segment_id = new_id()
    key = lake.keys.object_key(tenant, bucket_id, segment_id)
    data = parquet.encode(batches, segment_id, key)
    lake.objects.put(object_name(tenant, segment_id), data)
    return Segment(
        id=segment_id,
        bucket_id=bucket_id,
        rows=sum(len(batch) for batch in batches),
        size=len(data),
        unpacked=sum(batch.heavy.size for batch in batches),
        sha256=sha256(data).digest(),
        min_time=Instant(min(min(b.light.event_times) for b in batches)),
        max_time=Instant(max(max(b.light.event_times) for b in batches)),
        min_batch=min(b.batch_no for b in batches),
        max_batch=max(b.batch_no for b in batches),
        match_keys=tuple(sorted({key for b in batches for key in b.light.match_keys})),
        created_at=now,
    )


def opening_of(lake: Lake, tenant: Tenant, bucket_id: str, segment_id: str) -> parquet.Opening:
    """What it takes to read a segment; KeyUnusable if its bucket's key is away or destroyed."""
    key = lake.keys.object_key(tenant, bucket_id, segment_id)
    return parquet.Opening(segment_id, lake.objects, object_name(tenant, segment_id), key)


def keep_rewritten(
    lake: Lake,
    tenant: Tenant,
    bucket_id: str,
    parts: Sequence[parquet.Part],
    batches: Sequence[Columns],
    now: Instant,
    *,
    without: Mapping[int, frozenset[int]] = MappingProxyType({}),
    lights: bool = False,
) -> tuple[Segment, parquet.Rewritten] | None:
    """Write rows of other segments and of batches into one, durably; None where nothing is left."""
    segment_id = new_id()
    key = lake.keys.object_key(tenant, bucket_id, segment_id)
    made = parquet.rewrite(parts, batches, segment_id, key, without=without, lights=lights)
    if made is None:
        return None
    lake.objects.put(object_name(tenant, segment_id), made.data)
    segment = Segment(
        id=segment_id,
        bucket_id=bucket_id,
        rows=made.rows,
        size=len(made.data),
        unpacked=made.unpacked,
        sha256=sha256(made.data).digest(),
        min_time=made.min_time,
        max_time=made.max_time,
        min_batch=min(made.rows_of),
        max_batch=max(made.rows_of),
        match_keys=made.match_keys,
        created_at=now,
    )
    return segment, made


def replace(tx: Tx, old: Sequence[str], bucket_id: str, now: Instant) -> None:
    """Take away the rows of segments that others have taken the place of; objects stay a while."""
    tx.run(tx.delete(segments).where(segments.c.id.in_(old)))
    for segment_id in old:
        tx.insert(replaced, {"segment_id": segment_id, "bucket_id": bucket_id, "at": now})


def rows_of(tx: Tx, segment_ids: Sequence[str]) -> dict[int, int]:
    """How many observations of each batch segments hold, as the catalog says."""
    b = batch_table.c
    query = tx.select(b.batch_no, b.rows, b.gone).where(b.segment_id.in_(segment_ids))
    return {row.batch_no: row.rows - count_gone(row.gone) for row in tx.all(query)}
