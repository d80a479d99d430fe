"""Metering at append: how many new observations some active lens sees (spec 9.4, design section 1).

Which observations those are is the business of whoever knows lenses: a `Meter` is handed to the
lake when it is opened. It is asked under the tenant's lock, in the transaction of the batch, and
what it counts commits with the batch: so each observation is metered once or not at all, and never
again, whatever is repeated, interrupted, seen by further lenses later, or destroyed.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from auditkeep.clock import Instant, day_of
from auditkeep.db.bulk import merge_usage
from auditkeep.db.tx import Tx
from auditkeep.lake.rollups import Groups
from auditkeep.observations import Observation

Origin = tuple[str, str, str]
"""Origin account, origin region and source of observations."""


class Meter(Protocol):
    """Knows which observations are seen."""

    def seen(
        self, tx: Tx, lens_version: int, observations: Sequence[Observation], groups: Groups
    ) -> Mapping[Origin, int]:
        """How many of a batch's observations some active lens sees, by where they come from.

        `groups` are their rollups. What was learned of the tenant's lenses holds for as long as
        `lens_version` is the same.
        """
        ...


class Unmetered:
    """Counts nothing: for lakes that nobody looks at through lenses."""

    def seen(
        self, _tx: Tx, _version: int, _observations: Sequence[Observation], _groups: Groups
    ) -> Mapping[Origin, int]:
        return {}


def add(tx: Tx, counts: Mapping[Origin, int], now: Instant) -> None:
    """Add to the tenant's usage of the UTC day of `now`."""
    merge_usage(tx, [(day_of(now), *origin, n) for origin, n in sorted(counts.items()) if n])
