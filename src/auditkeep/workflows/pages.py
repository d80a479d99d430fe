"""Pages of answers that were read and wait to be kept together.

A page is an ingest unit, or a few where it holds more than one append should take. They share a
transaction until they are many, or long, or the first has waited long enough; whoever keeps them
writes how far their questions are in the same transaction.
"""

import time
from dataclasses import dataclass, field

from auditkeep.clock import Instant
from auditkeep.collection.pulls import Asked, Pulling
from auditkeep.collection.targets import Place
from auditkeep.db.tx import Tx
from auditkeep.lake.append import Appended, Unit, append
from auditkeep.lake.keeping import FACTS
from auditkeep.lake.lake import Lake
from auditkeep.observations import Observation, Provenance
from auditkeep.sources.pull import Page, Puller
from auditkeep.sources.records import Context, Rejected, Tally

TOGETHER_PAGES = 64
TOGETHER_ROWS = 16_384
TOGETHER_BYTES = 32 * 1024 * 1024
TOGETHER_SECONDS = 2.0
"""Pages share a transaction until they are so many, or the first has waited so long."""


def read(puller: Puller, page: Page, context: Context, line: Asked) -> list[Observation]:
    """What a page holds; counted in the line of its question."""
    line.took(page)
    tally = Tally()
    found: list[Observation] = []
    for item in puller.parse(page, context, tally):
        if isinstance(item, Rejected):
            line.refuse([(item.position, item.reason)])
        else:
            found.append(item)
    line.records += tally.records
    line.unmatched += tally.unmatched.total()
    return found


def keep(
    tx: Tx,
    lake: Lake,
    unit: Unit,
    observations: list[Observation],
    provenance: Provenance,
    now: Instant,
) -> Appended:
    """Append what was read, or the record of a run."""
    return append(
        tx,
        lake,
        unit=unit,
        klass=FACTS,
        observations=observations,
        provenance=provenance,
        now=now,
    )


@dataclass(slots=True)
class _Part:
    """A page, or what of it fits one append."""

    unit: Unit
    observations: list[Observation]
    line: Asked


@dataclass(slots=True)
class Pages:
    """Those of one run at one place."""

    lake: Lake
    place: Place
    run: Pulling
    context: Context
    _waiting: list[_Part] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0
    _since: float = 0.0

    @property
    def full(self) -> bool:
        """Whether they have waited long enough."""
        return (
            len(self._waiting) >= TOGETHER_PAGES
            or self._bytes >= TOGETHER_BYTES
            or self._rows >= TOGETHER_ROWS
            or (bool(self._waiting) and time.monotonic() - self._since >= TOGETHER_SECONDS)
        )

    def take(self, puller: Puller, page: Page, line: Asked) -> None:
        """Read a page; it waits for others to be kept with."""
        if not self._waiting:
            self._since = time.monotonic()
        found = read(puller, page, self.context, line)
        number = 0
        while len(found) > TOGETHER_ROWS:
            number += 1
            self._wait(page, f"/part-{number}", found[:TOGETHER_ROWS], line)
            found = found[TOGETHER_ROWS:]
        self._wait(page, "", found, line)

    def _wait(self, page: Page, suffix: str, found: list[Observation], line: Asked) -> None:
        name = f"{self.place.name}/{page.ask.what}".rstrip("/")
        unit = Unit(page.unit + suffix, self.place.source, name)
        self._waiting.append(_Part(unit, found, line))
        self._rows += len(found)
        self._bytes += sum(len(o.raw) for o in found)

    def keep(self, tx: Tx, now: Instant) -> list[tuple[Asked, int]]:
        """Append all that waits; the questions of which something was told in two ways, and how
        often.
        """
        contradicted = []
        waiting, self._waiting, self._rows, self._bytes = self._waiting, [], 0, 0
        for part in waiting:
            provenance = self.run.provenance(self.place)
            result = keep(tx, self.lake, part.unit, part.observations, provenance, now)
            part.line.kept(result, part.observations)
            if result.conflicts:
                contradicted.append((part.line, result.conflicts))
        return contradicted
