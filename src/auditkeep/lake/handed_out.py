"""Which earlier checkpoints somebody outside may hold, so that a report can be tied to them.

A report carries a consistency proof from each of them to its own checkpoint. Held are: those that
`auditkeep log checkpoint` printed, the last one of each UTC day, and the newest few, which somebody
may have copied from the published object.
"""

from sqlalchemy import func

from auditkeep.clock import DAY
from auditkeep.db.schema import checkpoints, meta
from auditkeep.db.tx import SystemTx

_PREFIX = "handed-out/"
NEWEST = 32
"""How many of the newest checkpoints are taken to be held, whoever read them."""


def note(tx: SystemTx, size: int) -> None:
    """Remember that the checkpoint of this size left the house."""
    tx.upsert(meta, [{"key": f"{_PREFIX}{size}", "value": "1"}], replace=["value"])


def sizes(tx: SystemTx, below: int) -> list[int]:
    """Sizes of the checkpoints that may be held outside, smaller than `below`, ascending."""
    t = checkpoints.c
    signed = (t.note.is_not(None), t.size < below)
    newest = tx.select(t.size).where(*signed).order_by(t.size.desc()).limit(NEWEST)
    daily = tx.select(func.max(t.size)).where(*signed).group_by(t.created_at // DAY)
    noted = tx.select(meta.c.key).where(meta.c.key.startswith(_PREFIX))
    found = {int(row[0]) for query in (newest, daily) for row in tx.all(query)}
    found |= {int(row.key.removeprefix(_PREFIX)) for row in tx.all(noted)}
    return sorted(size for size in found if 0 < size < below)
