"""Waiting until the log has taken in what a step needs proofs of.

Where a server runs, its sequencer is rung and does it; where none does, it is done here.
"""

import time

from sqlalchemy import or_, select

from auditkeep.db.database import Database
from auditkeep.db.schema import batches, log_entries
from auditkeep.errors import Busy, LogError
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer, newest_row

_PATIENCE = 15.0
"""Seconds to wait for the log; it takes one."""
_PAUSE = 0.05


def await_log(lake: Lake, tenant: Tenant, upto: int) -> None:
    """Wait until a signed checkpoint covers a tenant's batches up to that number.

    LogError when that does not happen.
    """
    deadline = time.monotonic() + _PATIENCE
    while not _covered(lake.db, tenant, upto):
        if time.monotonic() > deadline:
            raise LogError(
                f"The log has not taken in what was collected for {_PATIENCE:g} s; is its "
                "sequencer running? It is tried again."
            )
        lake.appended.set()
        try:
            with Sequencer(lake) as sequencer:
                sequencer.step()
        except Busy:  # whoever holds the log has just been rung
            time.sleep(_PAUSE)


def _covered(db: Database, tenant: Tenant, upto: int) -> bool:
    with db.read(tenant) as tx:
        newest = newest_row(tx.system(), signed=True)
        size = 0 if newest is None else newest.size
        entry = log_entries.c
        outside = select(entry.position).where(
            or_(entry.log_index.is_(None), entry.log_index >= size)
        )
        waiting = tx.select(batches.c.batch_no).where(
            batches.c.batch_no <= upto, batches.c.log_position.in_(outside)
        )
        return tx.first(waiting.limit(1)) is None
