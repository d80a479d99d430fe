"""Sweeping: objects that a failed attempt left behind and nothing refers to.

Only segments and leaf hashes: each has exactly one row that names it, written in the transaction
for which it was put. An object is left alone while it is younger than the longest write could take,
for its transaction may be about to commit.
"""

from auditkeep.clock import MINUTE, Instant
from auditkeep.db.schema import batches, segments
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant
from auditkeep.lake.batch import leaves_name
from auditkeep.lake.lake import Lake
from auditkeep.lake.segments import object_name

LONGEST_WRITE = 60 * MINUTE


def sweep(lake: Lake, tenant: Tenant, now: Instant) -> list[str]:
    """Delete what is orphaned of a tenant; the names of the objects that went."""
    owner = f"{tenant.account}/{tenant.region}/"
    names = [*lake.objects.list(f"segments/{owner}"), *lake.objects.list(f"leaves/{owner}")]
    old = [name for name in names if lake.objects.modified(name) < now - LONGEST_WRITE]
    if not old:
        return []
    # Looked up after the list: what was put before and committed since is found to be in use.
    with lake.db.read(tenant) as tx:
        used = _used(tx)
    orphans = [name for name in old if name not in used]
    for name in orphans:
        lake.objects.delete(name)
    return orphans


def _used(tx: Tx) -> set[str]:
    used = {object_name(tx.tenant, row.id) for row in tx.stream(tx.select(segments.c.id))}
    b = batches.c
    with_object = tx.select(b.batch_no, b.root).where(b.leaves.is_(None))
    used |= {
        leaves_name(tx.tenant, row.batch_no, bytes(row.root)) for row in tx.stream(with_object)
    }
    return used
