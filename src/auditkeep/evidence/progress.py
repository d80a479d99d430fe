"""How far a tenant's lake has come: the number of its last batch, in the order of commits."""

from auditkeep.db.schema import tenants
from auditkeep.db.tx import Tx


def last_batch_no(tx: Tx) -> int:
    """0 while nothing was ever appended. Who writes it down holds the tenant's lock."""
    return tx.scalar(tx.select(tenants.c.last_batch_no)) or 0
