"""Reading files into the lake, exactly once.

A file is an ingest unit named by its content. Units that were committed before are passed over
unread, so that an interrupted ingest is simply started again. Small files share a transaction, each
as a unit and batch of its own: what a transaction commits is acknowledged, and nothing else.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from auditkeep.clock import Clock, SystemClock
from auditkeep.collection import reading
from auditkeep.collection.counts import Counts, Rejection
from auditkeep.collection.reading import Part
from auditkeep.collection.runs import Run
from auditkeep.db.schema import units
from auditkeep.errors import InputError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.sources import config, files
from auditkeep.sources.records import Context, Rejected, Tally
from auditkeep.sources.rules import Rules
from auditkeep.sources.secrets import Cutter

__all__ = ["Counts", "Rejection", "ingest"]

Progress = Callable[[Counts], None]

GROUP_ROWS = 4_096
GROUP_FILES = 256
"""Files share a transaction until they bring so many observations, or are so many."""


def ingest(
    lake: Lake,
    tenant: Tenant,
    source: str,
    paths: list[Path],
    interest: Interest,
    *,
    principal: str,
    reads: bool = False,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Read every file at `paths` for `tenant`; what `interest` wants is kept.

    Raises InputError where there is nothing to read, StorageFull and LogError as `append` does;
    what was committed before stays and is passed over by the next run.
    """
    present = clock if clock is not None else SystemClock()
    run = Run(new_id(), source, principal, present.now())
    counts = Counts()
    found = list(reading.found_in(paths))
    context = Context(
        tenant=tenant,
        interest=interest,
        cutter=Cutter(os.urandom(32)),
        reads=reads,
        rules=_rules(found) if source == "config" else Rules(),
    )
    work = _Ingest(lake, tenant, run, context, counts, present)
    for group in _groups(found):
        work.read(group)
        if progress is not None:
            progress(counts)
    if counts.files > counts.repeated_files:
        work.conclude([str(p) for p in paths])
    return counts


class _Ingest:
    """One run's way through its files."""

    def __init__(
        self,
        lake: Lake,
        tenant: Tenant,
        run: Run,
        context: Context,
        counts: Counts,
        clock: Clock,
    ) -> None:
        self._lake = lake
        self._tenant = tenant
        self._run = run
        self._context = context
        self._counts = counts
        self._clock = clock
        self._waiting: list[Part] = []

    def read(self, group: Sequence[Path]) -> None:
        """Read those files of a group that are new, and commit what they hold."""
        for path, whole in self._new(group):
            self._file(path, whole)
        self._commit()

    def conclude(self, paths: list[str]) -> None:
        """Append the run's own record."""
        now = self._clock.now()
        record = self._run.observation(self._tenant, paths, self._counts, now)
        unit = Unit(f"run/{self._run.id}", "run", self._run.source)
        with self._lake.db.write(self._tenant) as tx:
            append(
                tx,
                self._lake,
                unit=unit,
                klass="facts",
                observations=[record],
                provenance=self._run.provenance(),
                now=now,
            )

    def _new(self, group: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        """The group's files that no earlier run, nor an earlier file of this one, has read."""
        named: dict[str, Path] = {}
        for path in group:
            self._counts.files += 1
            try:
                whole = reading.unit_id(self._run.source, path)
            except InputError as error:
                self._counts.reject(str(path), "", str(error), 0)
                continue
            if whole in named:
                self._counts.repeated_files += 1
            else:
                named[whole] = path
        with self._lake.db.read(self._tenant) as tx:
            query = tx.select(units.c.id).where(units.c.id.in_(list(named)))
            known = {row.id for row in tx.all(query)}
        self._counts.repeated_files += len(known)
        yield from ((path, whole) for whole, path in named.items() if whole not in known)

    def _file(self, path: Path, whole: str) -> None:
        counts, tally, told = self._counts, Tally(), 0

        def reject(item: Rejected) -> None:
            nonlocal told
            counts.reject(str(path), item.position, item.reason, told)
            told += 1

        for part in reading.parts(self._run.source, path, whole, self._context, tally, reject):
            self._waiting.append(part)
            if sum(len(p.observations) for p in self._waiting) >= GROUP_ROWS:
                self._commit()
        counts.records += tally.records
        counts.unmatched += tally.unmatched.total()
        counts.reasons += tally.unmatched

    def _commit(self) -> None:
        """Acknowledge what waits, in one transaction; counted once it is durable."""
        if not self._waiting:
            return
        now = self._clock.now()
        provenance = self._run.provenance()
        with self._lake.db.write(self._tenant) as tx:
            done = [
                (
                    part,
                    append(
                        tx,
                        self._lake,
                        unit=part.unit,
                        klass="facts",
                        observations=part.observations,
                        provenance=provenance,
                        now=now,
                    ),
                )
                for part in self._waiting
            ]
        self._waiting = []
        counts = self._counts
        for part, result in done:
            counts.observations += result.new
            counts.duplicates += result.duplicates
            counts.conflicts += result.conflicts
            if result.repeated:
                counts.duplicates += len(part.observations)
            for told, (position, reason) in enumerate(result.refused):
                counts.reject(part.unit.name, position, reason, told)


def _groups(found: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(found), GROUP_FILES):
        yield found[start : start + GROUP_FILES]


def _rules(found: Sequence[Path]) -> Rules:
    """What the files tell of rules, before any of their results is read."""
    rules = Rules()
    for path in found:
        try:
            config.collect_rules(files.get(path), rules)
        except InputError:
            # told when the file is read for its results
            continue
    return rules
