"""Keeping a segment: the encrypted file as an object, then its row in the catalog.

Segment ids are random for each attempt; the object is durable before the row is written. An
attempt that failed in between leaves an object that nothing refers to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from auditkeep.clock import Instant
from auditkeep.db.schema import segments
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import parquet
from auditkeep.lake.columns import Columns
from auditkeep.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment whose object is kept."""

    id: str
    bucket_id: str
    rows: int
    size: int
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
        sha256=sha256(data).digest(),
        min_time=Instant(min(min(b.light.event_times) for b in batches)),
        max_time=Instant(max(max(b.light.event_times) for b in batches)),
        min_batch=min(b.batch_no for b in batches),
        max_batch=max(b.batch_no for b in batches),
        match_keys=tuple(sorted({key for b in batches for key in b.light.match_keys})),
        created_at=now,
    )
