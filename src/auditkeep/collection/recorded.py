"""The records of runs, found again by the ids that envelopes name."""

from collections.abc import Collection, Iterator

from auditkeep.clock import DAY, Instant, day_of
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import rollups
from auditkeep.db.tx import Tx
from auditkeep.evidence.lens import FOREVER
from auditkeep.lake.encoding import observation_id
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored, View
from auditkeep.lake.read import find, headers

LONGEST_RUN = 31 * DAY
"""How long before what it collected a run may have begun: a backfill takes weeks."""


def records(
    tx: Tx, lake: Lake, runs: Collection[str], first: Instant | None, last: Instant | None
) -> Iterator[Stored]:
    """The records of some runs, oldest first; those that are under way or destroyed have none.

    `first` and `last` are when the first and last of what they collected was taken in, where
    that is known.
    """
    if not runs:
        return
    start = Instant(0) if first is None else Instant(max(0, first - LONGEST_RUN))
    end = FOREVER if last is None else Instant(last + 1)
    t = rollups.c
    query = tx.select(t.match_key).where(t.source == "RUN", t.day >= day_of(start)).distinct()
    keys = frozenset(row.match_key for row in tx.all(query))
    # An id is the second it began, which is not known here, and what follows from the run's own id.
    wanted = {observation_id(tx.tenant, "RUN", (run,), Instant(0))[4:] for run in runs}
    found = sorted(
        (header.event_time, header.id)
        for header in headers(tx, lake, [View(keys, None, None, start, end)])
        if header.id[4:] in wanted
    )
    for some in in_pieces([id_ for _, id_ in found]):
        kept = find(tx, lake, some)
        yield from (kept[id_] for id_ in some if id_ in kept)
