"""How far a tenant's lake has come: the number of its last batch, in the order of commits."""

from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import tenants
from auditkeep.db.tx import Tx

_LAST = Prepared(tenants.c.last_batch_no)


def last_batch_no(tx: Tx) -> int:
    """0 while nothing was ever appended. Who writes it down holds the tenant's lock."""
    rows = tx.fetch(_LAST)
    return int(rows[0].last_batch_no) if rows else 0
