"""Reading files into the lake: walk, read, append, and say how it went.

Small files are appended several to a transaction, each as a unit and batch of its own; a large one
part by part. What a transaction commits is acknowledged, and nothing else: a run that was
interrupted is simply started again, and passes over the units that are there without reading them.
Memory depends neither on the size of files nor on their number.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast, get_args

from auditkeep.clock import Clock, SystemClock
from auditkeep.collection.counts import Counts, Rejection
from auditkeep.collection.ingest import (
    MAX_BYTES,
    MAX_ROWS,
    Part,
    Source,
    collect_rules,
    question,
    read_file,
    walk,
)
from auditkeep.collection.runs import Run
from auditkeep.db.schema import units
from auditkeep.errors import InputError, SetupError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import append
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation
from auditkeep.sources.records import Context, Rejected, Tally
from auditkeep.sources.secrets import Cutter

__all__ = ["Counts", "Progress", "Rejection", "ingest"]

Progress = Callable[[Counts], None]

FACTS = "facts"
"""The class of buckets that sources' facts lie in."""

TOGETHER_UNITS = 64
TOGETHER_SECONDS = 2.0
"""Units share a transaction until they are so many, or the first has waited so long."""


def ingest(
    lake: Lake,
    tenant: Tenant,
    source: str,
    paths: Sequence[Path],
    interest: Interest,
    *,
    principal: str,
    reads: bool = False,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Read files, or folders of them, for `tenant`; what `interest` wants is kept, once.

    `principal` is who asked. What cannot be read is in the counts. StorageFull, LogError and their
    like end the run; what was committed before stays.
    """
    if source not in get_args(Source):
        raise SetupError(f"Files can be read of {', '.join(get_args(Source))}, not of '{source}'.")
    present = clock or SystemClock()
    run = Run(new_id(), source, principal, present.now(), secrets.token_bytes(32))
    context = Context(tenant, interest, Cutter(run.cut_key), reads=reads)
    if source == "config":
        collect_rules(paths, context.rules)
    work = _Ingest(lake, cast("Source", source), context, run, present, progress)
    try:
        work.read(paths)
    except KeyboardInterrupt:
        # what was committed stays and is told; what waited is read again by the next run
        work.conclude(paths, "interrupted")
        raise
    work.conclude(paths, "completed")
    return work.counts


class _Ingest:
    """One run's way through its files; watches their reading."""

    def __init__(
        self,
        lake: Lake,
        source: Source,
        context: Context,
        run: Run,
        clock: Clock,
        progress: Progress | None,
    ) -> None:
        self.counts = Counts()
        self._lake = lake
        self._source: Source = source
        self._context = context
        self._tenant = context.tenant
        self._run = run
        self._clock = clock
        self._progress = progress
        self._question = question(source, context)
        self._path = ""
        self._told: Counter[str] = Counter()
        self._counted = Tally()
        self._waiting: list[Part] = []
        self._since = time.monotonic()

    def read(self, paths: Sequence[Path]) -> None:
        for found in walk(paths):
            if isinstance(found, Path):
                self._file(found)
            else:
                self._path = str(found[0])
                self.rejected(Rejected("", found[1]))
        self._commit()

    def conclude(self, paths: Sequence[Path], outcome: str) -> None:
        """Append the run's own record."""
        keys = self._context.interest.keys
        parameters = {
            "interest": "everything" if keys is None else f"{len(keys)} match keys",
            "paths": [str(path) for path in paths],
            "question": self._question.hex(),
            "reads": self._context.reads,
        }
        now = self._clock.now()
        record = self._run.observation(
            self._tenant, parameters, self.counts, outcome=outcome, ended=now
        )
        self._append([Part(self._run.unit, [record])])

    # --- what is heard while a file is read ---------------------------------------------------

    def committed(self, unit: str) -> bool:
        if any(part.unit.id == unit for part in self._waiting):
            return True
        with self._lake.db.read(self._tenant) as tx:
            return tx.first(tx.select(units.c.id).where(units.c.id == unit)) is not None

    def seen(self, tally: Tally) -> None:
        counts, before = self.counts, self._counted
        counts.records += tally.records - before.records
        new = tally.unmatched - before.unmatched
        counts.unmatched += new.total()
        counts.reasons += new
        self._counted = Tally(tally.records, tally.unmatched.copy())
        if self._progress is not None:
            self._progress(counts)

    def rejected(self, rejected: Rejected) -> None:
        self._reject(self._path, rejected.position, rejected.reason)

    def _reject(self, file: str, position: str, reason: str) -> None:
        self.counts.reject(file, position, reason, self._told[file])
        self._told[file] += 1

    # --- files and their parts --------------------------------------------------------------

    def _file(self, path: Path) -> None:
        self._path = str(path)
        self._counted = Tally()
        self.counts.files += 1
        last = None
        try:
            for part in read_file(path, self._source, self._context, self._question, self):
                if part.last:
                    last = part
                else:
                    self._take(part)
        except InputError as error:
            self.rejected(Rejected("", str(error)))
            return
        finally:
            self._told.pop(self._path, None)
        if last is None:
            self.counts.repeated_files += 1
        else:
            self._take(last)

    def _take(self, part: Part) -> None:
        """Append a part: at once if it is large, soon with others if it is small."""
        waiting = self._waiting
        if not waiting:
            self._since = time.monotonic()
        waiting.append(part)
        if (
            len(waiting) >= TOGETHER_UNITS
            or sum(len(p.observations) for p in waiting) >= MAX_ROWS
            or sum(p.size for p in waiting) >= MAX_BYTES
            or time.monotonic() - self._since >= TOGETHER_SECONDS
        ):
            self._commit()

    def _commit(self) -> None:
        """Append what waits, in one transaction."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._append(waiting)
            if self._progress is not None:
                self._progress(self.counts)

    def _append(self, parts: Sequence[Part]) -> None:
        """Acknowledge parts; counted once they are durable."""
        now = self._clock.now()
        provenance = self._run.provenance()
        with self._lake.db.write(self._tenant) as tx:
            done = [
                append(
                    tx,
                    self._lake,
                    unit=part.unit,
                    klass=FACTS,
                    observations=part.observations,
                    provenance=provenance,
                    now=now,
                )
                for part in parts
            ]
        counts = self.counts
        for part, result in zip(parts, done, strict=True):
            if part.unit.kind == "run":
                continue
            counts.observations += result.new
            counts.duplicates += result.duplicates
            counts.duplicates += len(part.observations) if result.repeated else 0
            counts.conflicts += result.conflicts
            counts.cuts += _cuts(part.observations)
            for position, reason in result.refused:
                self._reject(part.unit.name, position, reason)


def _cuts(observations: Sequence[Observation]) -> int:
    return sum(len(o.cuts) for o in observations)
