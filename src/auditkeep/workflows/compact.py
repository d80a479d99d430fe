"""Compaction of a tenant's small segments, merge after merge, until there is none to make.

Each merge is a whole by itself (`lake.compact`): stopped or killed in between, what was merged is
merged, and the next run goes on with what is left.
"""

from collections.abc import Callable
from dataclasses import dataclass

from auditkeep.clock import Clock
from auditkeep.ids import Tenant
from auditkeep.lake.compact import Bounds, Merged, compact, waiting
from auditkeep.lake.lake import Lake
from auditkeep.settings import Settings


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one run did, and how many small segments it left that could be merged still."""

    merged: int = 0
    replaced: int = 0
    rows: int = 0
    left: int = 0


def bounds_of(settings: Settings) -> Bounds:
    """A full segment, as the settings say."""
    return Bounds(settings.compact_rows, settings.compact_megabytes << 20)


def compact_tenant(
    lake: Lake,
    bounds: Bounds,
    tenant: Tenant,
    clock: Clock,
    *,
    everything: bool = False,
    told: Callable[[Merged], object] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Compacted:
    """Merge what should be; `told` of each merge as it is done."""
    merged = replaced = rows = 0
    while not stopping():
        done = compact(lake, tenant, now=clock.now(), bounds=bounds, everything=everything)
        if done is None:
            break
        merged += 1
        replaced += done.replaced
        rows += done.rows
        told(done)
    return Compacted(merged, replaced, rows, waiting(lake, tenant, now=clock.now(), bounds=bounds))
