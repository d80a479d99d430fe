"""What the catalog says of a tenant's batches: rows, buckets and entries of the log, together."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_

from auditkeep.db.schema import batches, buckets, log_entries
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake

BYTES_AT_A_TIME = 32 << 20


@dataclass(slots=True)
class Batch:
    """A batch's row with what the catalog says around it."""

    batch_no: int
    bucket_id: str
    klass: str
    gone: bool
    unit_id: str
    rows: int
    size: int
    root: bytes
    opening: bytes
    leaves: bytes | None
    segment_id: str | None
    committed_at: int
    entry: bytes | None
    log_index: int | None


class Catalog:
    """The batches of one tenant, and how they are named in sentences."""

    def __init__(self, lake: Lake, tenant: Tenant) -> None:
        self.lake = lake
        self.tenant = tenant

    def next(self, after: int, most: int, *, klass: str | None = None) -> list[Batch]:
        """The next batches by number; fewer where they are many bytes."""
        with self.lake.db.read(self.tenant) as tx:
            found = []
            size = 0
            for row in tx.all(self._query(tx, batches.c.batch_no > after, klass).limit(most)):
                found.append(_batch(row))
                size += row.size
                if size > BYTES_AT_A_TIME:
                    break
        return found

    def members(self, tx: Tx, segment_id: str) -> list[Batch]:
        rows = tx.all(self._query(tx, batches.c.segment_id == segment_id, None))
        return [_batch(row) for row in rows]

    def _query(self, tx: Tx, condition: Any, klass: str | None) -> Any:
        b, k, e = batches, buckets, log_entries.c
        joined = b.outerjoin(
            k,
            and_(k.c.account == b.c.account, k.c.region == b.c.region, k.c.id == b.c.bucket_id),
        ).outerjoin(log_entries, e.position == b.c.log_position)
        query = (
            tx.system()
            .select(
                b,
                k.c["class"].label("klass"),
                k.c.destroyed_at,
                e.entry,
                e.log_index,
            )
            .select_from(joined)
            .where(tx.mine(b), condition)
            .order_by(b.c.batch_no)
        )
        return query if klass is None else query.where(k.c["class"] == klass)

    def successor(self, bucket_id: str, klass: str) -> str | None:
        """The next generation of a bucket of a class, if it has one."""
        with self.lake.db.read(self.tenant) as tx:
            k = buckets.c
            found: str | None = tx.scalar(
                tx.select(k.successor).where(k.id == bucket_id, k["class"] == klass)
            )
        return found

    @property
    def owner(self) -> str:
        return f"{self.tenant.account} in {self.tenant.region}"

    def where(self, batch: Batch) -> str:
        return f"Batch {batch.batch_no} of {self.owner}"


def _batch(row: Row[Any]) -> Batch:
    return Batch(
        batch_no=row.batch_no,
        bucket_id=row.bucket_id,
        klass=row.klass or "",
        gone=row.destroyed_at is not None,
        unit_id=row.unit_id,
        rows=row.rows,
        size=row.size,
        root=bytes(row.root),
        opening=bytes(row.opening),
        leaves=None if row.leaves is None else bytes(row.leaves),
        segment_id=row.segment_id,
        committed_at=row.committed_at,
        entry=None if row.entry is None else bytes(row.entry),
        log_index=row.log_index,
    )
