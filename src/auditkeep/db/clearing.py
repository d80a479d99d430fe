"""Deleting the rows of a tenant that is erased, a few at a time, so that no writer waits for long.

Every table of a tenant is emptied, also one that is added later, except those named here: `KEPT`,
whose rows stay and why, and `BY_BUCKET` and `BY_BATCH`, where what lies in a bucket that was not
destroyed stays: the records of the destruction itself.
"""

from typing import Final

from sqlalchemy import Table, tuple_

from auditkeep.db.schema import TENANT_TABLES, batches, buckets, jobs, metadata
from auditkeep.db.tx import Tx

KEPT: Final = {
    "tenants": "the numbers of its batches go on, and its status says that it is gone",
    "erasures": "that it was erased, and how far that is",
    "quotas": "the operator's limits, which no tenant escapes by registering again",
    "batches": "places in the log, which must add up for everybody",
    "buckets": "which keys were destroyed, and when",
}
"""Tables whose rows stay, with the reason. None holds anything of the customer's content."""

BY_BUCKET: Final = frozenset({"segments", "replaced", "blobs", "rollups", "activity_pending"})
BY_BATCH: Final = frozenset({"tail", "observation_ids", "units"})

SOME: Final = 5_000
"""Rows that one transaction deletes: writers wait for it on SQLite."""


def tables() -> list[Table]:
    """The tables that are emptied, wholly or but for what lies in buckets that are alive."""
    return [t for t in metadata.sorted_tables if t.name in TENANT_TABLES and t.name not in KEPT]


def clear_some(tx: Tx, table: Table) -> int:
    """Delete at most SOME of the tenant's rows; how many, 0 when nothing is left to delete."""
    key = table.primary_key.columns
    doomed = tx.select(*key)
    alive = tx.select(buckets.c.id).where(buckets.c.destroyed_at.is_(None))
    if table.name in BY_BUCKET:
        doomed = doomed.where(table.c.bucket_id.not_in(alive))
    elif table.name in BY_BATCH:
        stays = tx.select(batches.c.batch_no).where(batches.c.bucket_id.in_(alive))
        number = table.c.batch_no
        doomed = doomed.where(number.is_(None) | number.not_in(stays))
    return tx.run(tx.delete(table).where(tuple_(*key).in_(doomed.limit(SOME))))


def clear_jobs(tx: Tx, kind: str) -> int:
    """Delete the tenant's jobs of all kinds but one: that of the job that does this."""
    mine = (jobs.c.account == tx.tenant.account, jobs.c.region == tx.tenant.region)
    return tx.run(tx.system().delete(jobs).where(*mine, jobs.c.kind != kind))
