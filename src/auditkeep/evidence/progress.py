"""How far a tenant's evidence has come: the number of its last batch, in the order of commits.

Batches of classes kept aside (`lake.buckets.ASIDE`) do not count: nothing here depends on them.
"""

from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import tenants
from auditkeep.db.tx import Tx

_LAST = Prepared(tenants.c.last_evidence_batch)


def last_batch_no(tx: Tx) -> int:
    """0 while nothing was ever appended. Who writes it down holds the tenant's lock."""
    rows = tx.fetch(_LAST)
    return int(rows[0].last_evidence_batch) if rows else 0
