"""Destroying all that a tenant has, as an erasure does: the authority is logged, then keys go."""

from __future__ import annotations

from auditkeep.clock import Instant
from auditkeep.db.schema import buckets
from auditkeep.db.tx import Tx
from auditkeep.lake import governance
from auditkeep.lake.destruction import destroy_buckets
from auditkeep.lake.governance import Authority
from auditkeep.lake.lake import Lake


def destroy_everything(tx: Tx, lake: Lake, asked: Authority, now: Instant) -> None:
    """Destroy all classes of the tenant but the governance records that say so."""
    by = asked.principal
    governance.record(tx, lake, [asked], principal=by, run=asked.request, now=now)
    of_all = tx.select(buckets.c.id).where(buckets.c["class"] != governance.CLASS)
    destroy_buckets(tx, lake, [row.id for row in tx.all(of_all)], asked, now)
