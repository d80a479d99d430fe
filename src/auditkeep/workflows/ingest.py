"""Reading files into the lake: walk, read, append, and say how it went.

Small files are appended several to a transaction, each as a unit and batch of its own; a large one
part by part. What a transaction commits is acknowledged, and nothing else: a run that was
interrupted is simply started again, and passes over the units that are there without reading them.
Memory depends neither on the size of files nor on their number.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast, get_args

from auditkeep.clock import Clock, Instant, SystemClock, iso
from auditkeep.collection import definitions
from auditkeep.collection.counts import Counts, Rejection
from auditkeep.collection.findings import part_of
from auditkeep.collection.ingest import (
    MAX_BYTES,
    MAX_ROWS,
    Part,
    Source,
    collect_rules,
    question,
    read_opened,
    unit_id,
    walk,
)
from auditkeep.collection.runs import Run
from auditkeep.db.schema import units
from auditkeep.db.tx import Tx
from auditkeep.errors import InputError, SetupError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import Appended, Unit, append
from auditkeep.lake.buckets import fetching
from auditkeep.lake.keeping import FACTS, UNSEEN
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.observations import How, Observation
from auditkeep.sources import files
from auditkeep.sources.digest_findings import Finding
from auditkeep.sources.digests import Keys
from auditkeep.sources.records import Context, Rejected, Tally
from auditkeep.sources.rules import Rule
from auditkeep.sources.secrets import Cutter
from auditkeep.workflows.local_digests import LocalDigests

__all__ = ["Counts", "Progress", "Rejection", "ingest"]

Progress = Callable[[Counts], None]

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
    observed_at: Instant | None = None,
    keys: Keys | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Read files, or folders of them, for `tenant`; what `interest` wants is kept, once.

    `principal` is who asked; `observed_at` is when results were found that do not say it; with
    CloudTrail's public `keys` the digests among the files are checked. What cannot be read is in
    the counts. StorageFull, LogError and their like end the run; what was
    committed before stays.
    """
    if source not in get_args(Source):
        raise SetupError(f"Files can be read of {', '.join(get_args(Source))}, not of '{source}'.")
    present = clock or SystemClock()
    run = Run(new_id(), source, principal, present.now(), secrets.token_bytes(32))
    context = Context(tenant, interest, Cutter(run.cut_key), reads=reads, observed_at=observed_at)
    remembered = None
    if source == "config":
        collect_rules(paths, context.rules)
        with lake.db.read(tenant) as tx:
            remembered = definitions.version(tx)
        context = replace(context, definitions=_Remembered(lake, tenant))
    work = Reading(lake, cast("Source", source), context, run, present, progress, remembered)
    asked: dict[str, object] = {"paths": [str(path) for path in paths]}
    local = None
    if keys is not None:
        local = LocalDigests(paths, keys, present.now())
        asked["publicKeys"] = sorted(keys)
    try:
        work.read(paths, local)
    except KeyboardInterrupt:
        # what was committed stays and is told; what waited is read again by the next run
        work.conclude(asked, "interrupted")
        raise
    work.conclude(asked, "completed")
    return work.counts


class _Remembered:
    """A `sources.rules.Definitions` of accounts' rules as they were told last; none is awaited."""

    def __init__(self, lake: Lake, tenant: Tenant) -> None:
        self._lake = lake
        self._tenant = tenant
        self._read: dict[tuple[str, str], dict[str, Rule]] = {}

    def find(self, name: str, arn: str, account: str, region: str) -> Rule | None:
        place = account, region
        if place not in self._read:
            with self._lake.db.read(self._tenant) as tx:
                self._read[place] = definitions.named(tx, *place)
        return definitions.meant(self._read[place], name, arn)

    def awaited(self, account: str, region: str) -> bool:  # noqa: ARG002 - a file is of any time
        return False


class Reading:
    """One run's way through its files; watches their reading."""

    def __init__(
        self,
        lake: Lake,
        source: Source,
        context: Context,
        run: Run,
        clock: Clock,
        progress: Progress | None,
        remembered: tuple[int, int] | None = None,
    ) -> None:
        self.counts = Counts()
        self._lake = lake
        self._source: Source = source
        self._context = context
        self._tenant = context.tenant
        self._run = run
        self._clock = clock
        self._progress = progress
        self.question = question(source, context, remembered)
        self._path = ""
        self._told: Counter[str] = Counter()
        self._counted = Tally()
        self._waiting: list[Part] = []
        self._since = time.monotonic()

    def read(self, paths: Sequence[Path], local: LocalDigests | None = None) -> None:
        for found in walk(paths):
            if not isinstance(found, Path):
                self.reject(str(found[0]), found[1])
            elif local is None:
                self.file(str(found), files.opened(found))
            elif not local.owns(found):
                self.file(str(found), files.opened(found), judge=local.judge(found))
        findings = local.conclude() if local is not None else []
        if findings:
            self.found(findings, "file")
        self.commit()

    def found(
        self, findings: Sequence[Finding], how: How, then: Callable[[Tx], None] | None = None
    ) -> None:
        """Have what digests said appended, and count it."""
        self.counts.findings.update(f.problem for f in findings)
        part = part_of(findings, how)
        part.then = then
        self.take(part)

    def conclude(self, parameters: Mapping[str, object], outcome: str) -> None:
        """Append the run's own record."""
        keys = self._context.interest.keys
        told: dict[str, object] = {
            "interest": "everything" if keys is None else f"{len(keys)} match keys",
            "question": self.question.hex(),
            "reads": self._context.reads,
            **parameters,
        }
        if self._context.observed_at is not None:
            told["observedAt"] = iso(self._context.observed_at)
        now = self._clock.now()
        record = self._run.observation(self._tenant, told, self.counts, outcome=outcome, ended=now)
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

    def reject(self, file: str, reason: str) -> None:
        """Tell of a file that cannot be read at all."""
        self._reject(file, "", reason)

    def _reject(self, file: str, position: str, reason: str) -> None:
        self.counts.reject(file, position, reason, self._told[file])
        self._told[file] += 1

    # --- files and their parts --------------------------------------------------------------

    def file(
        self,
        name: str,
        opened: AbstractContextManager[tuple[BinaryIO, bytes]],
        *,
        judge: Callable[[BinaryIO], How] | None = None,
        then: Callable[[Tx], None] | None = None,
    ) -> bool:
        """Read one file, wherever it lies; whether it could be read, now or before.

        `judge` is given the open file first and says how it came here; `then` is done in the
        transaction that commits the last of it.
        """
        self._path = name
        self._counted = Tally()
        self.counts.files += 1
        last = None
        try:
            with opened as (file, content):
                how: How = "file" if judge is None else judge(file)
                self.counts.verified_files += how == "verified-log"
                context, source, asked = self._context, self._source, self.question
                for part in read_opened(name, file, content, source, context, asked, self, how):
                    if part.last:
                        last = part
                    else:
                        self.take(part)
                repeated = unit_id(asked, content)
        except InputError as error:
            self.rejected(Rejected("", str(error)))
            return False
        finally:
            self._told.pop(self._path, None)
        if last is None:
            self.counts.repeated_files += 1
            if then is not None:
                # the unit is there, or waits to be: what follows from it is done with the next ones
                self.take(Part(Unit(repeated, self._source, name), last=True, then=then))
        else:
            last.then = then
            self.take(last)
        return True

    def take(self, part: Part) -> None:
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
            self.commit()

    def commit(self) -> None:
        """Append what waits, in one transaction."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._append(waiting)
            if self._progress is not None:
                self._progress(self.counts)

    def _append(self, parts: Sequence[Part]) -> None:
        """Acknowledge parts; counted once they are durable."""
        now = self._clock.now()

        def kept() -> list[Appended]:
            done = []
            with self._lake.db.write(self._tenant) as tx:
                for part in parts:
                    result = append(
                        tx,
                        self._lake,
                        unit=part.unit,
                        klass=FACTS,
                        observations=part.observations,
                        provenance=self._run.provenance(part.how),
                        now=now,
                    )
                    if part.then is not None:
                        part.then(tx)
                    done.append(result)
            return done

        done = fetching(kept)
        counts = self.counts
        for part, result in zip(parts, done, strict=True):
            if part.unit.kind != self._source:  # the run's own record, and what digests said
                continue
            counts.observations += result.new
            counts.duplicates += result.duplicates
            counts.duplicates += len(part.observations) if result.repeated else 0
            counts.conflicts += result.conflicts
            counts.cuts += _cuts(part.observations)
            if result.unkept:
                counts.unmatched += result.unkept
                counts.reasons[UNSEEN] += result.unkept
            for position, reason in result.refused:
                self._reject(part.unit.name, position, reason)


def _cuts(observations: Sequence[Observation]) -> int:
    return sum(len(o.cuts) for o in observations)
