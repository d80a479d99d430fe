"""Who merges small segments: a thread in `serve` and in workers, of one process at a time, and a
command beside them. That it is one spares work, no more: merges of two do not harm each other.
"""

import logging
from collections.abc import Callable
from typing import Any

from auditkeep.app.parts import Parts
from auditkeep.app.places import Places
from auditkeep.errors import AuditkeepError, Busy
from auditkeep.ids import Tenant
from auditkeep.lake.compact import Merged
from auditkeep.repeating import Repeating
from auditkeep.workflows.compact import Compacted, bounds_of, compact_tenant

_log = logging.getLogger("auditkeep.compact")


class Compacting:
    """Started once, if the settings say so."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = Places.of(parts.settings).compact_lock
        seconds = parts.settings.compact_minutes * 60
        self._on = seconds > 0
        self._thread = Repeating(
            "compactor",
            self.turn,
            seconds,
            log=_log,
            put_off="Merging of small segments is put off",
            at_once=False,  # a start has other things to do
        )

    def start(self) -> None:
        if self._on:
            self._thread.start()

    def stop(self) -> None:
        """Waits for the merge under way; what is left is for the next start."""
        self._thread.stop()

    def turn(self) -> None:
        """Merge what should be, of every tenant; what fails with one holds no other."""
        try:
            hold = self._parts.db.hold("compactor", self._lock)
        except Busy:
            return  # another process is at it
        try:
            for tenant in self._parts.every_tenant():
                if self._thread.stopping:
                    return
                self._one(tenant)
        finally:
            hold.release()

    def _one(self, tenant: Tenant) -> None:
        where = f"{tenant.account} in {tenant.region}"

        def told(merged: Merged) -> None:
            _log.info("%s: %d segments became one of %d rows.", where, merged.replaced, merged.rows)

        try:
            compact_tenant(
                self._parts.lake,
                bounds_of(self._parts.settings),
                tenant,
                self._parts.clock,
                told=told,
                stopping=lambda: self._thread.stopping,
            )
        except AuditkeepError as error:
            _log.warning("Merging of small segments of %s is put off: %s", where, error)


def run(
    parts: Parts, tenant: Tenant | None, *, everything: bool, told: Callable[[Merged], object]
) -> dict[str, Any]:
    """Merge what should be, of a tenant or of all; what was done, and what is left to do."""
    tenants = parts.every_tenant() if tenant is None else [tenant]
    bounds = bounds_of(parts.settings)
    done: list[Compacted] = [
        compact_tenant(parts.lake, bounds, one, parts.clock, everything=everything, told=told)
        for one in tenants
    ]
    return {
        "merged": sum(one.merged for one in done),
        "replaced": sum(one.replaced for one in done),
        "observations": sum(one.rows for one in done),
        "left": sum(one.left for one in done),
    }
