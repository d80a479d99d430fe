"""One tenant, walked: every batch with its place in the log and its opening, or what let it go.

Batches are walked by number, a few at a time and each time in a snapshot of its own, beside a
server that goes on working: what looks wrong is looked at again in a newer snapshot before it is
said, because it may have been sealed or destroyed in between. A segment is read whole when the
first of its batches comes by.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from sqlalchemy import func

from auditkeep.clock import MINUTE, Instant, iso
from auditkeep.db.schema import batches, tenants
from auditkeep.db.tx import Tx
from auditkeep.errors import AuditkeepError
from auditkeep.ids import Tenant
from auditkeep.lake import read
from auditkeep.lake.audit.catalog import Batch, Catalog
from auditkeep.lake.audit.files import Files
from auditkeep.lake.audit.findings import Position, State
from auditkeep.lake.audit.governance import Allowed, Told
from auditkeep.lake.audit.log import Covered
from auditkeep.lake.audit.observations import Kept, Observations
from auditkeep.lake.batch import DESTROYED, open_opening
from auditkeep.lake.encoding import batch_record
from auditkeep.lake.governance import CLASS, Recovery
from auditkeep.lake.lake import Lake

AT_A_TIME = 500
"""Batches of one snapshot, fewer where they are large."""
LATE = 10 * MINUTE
"""How much older than the newest checkpoint a batch may be without being in the log."""

Tick = Callable[[], None]


class TenantAudit:
    """The audit of one tenant; `found` and `at` are what survives an interruption."""

    def __init__(
        self,
        lake: Lake,
        tenant: Tenant,
        covered: Covered,
        found: State,
        at: Position,
        tick: Tick,
        now: Instant,
    ) -> None:
        self._lake = lake
        self._tenant = tenant
        self._catalog = Catalog(lake, tenant)
        self._where, self._owner = self._catalog.where, self._catalog.owner
        self._observations = Observations(self._catalog, self._absence, tick)
        self._files = Files(self._catalog, found, tick)
        self._covered = covered
        self._found = found
        self._at = at
        self._tick = tick
        self._allowed = Allowed(now)
        self._governed = 0
        self._lost_keys: set[str] = set()
        self._forgiven: dict[str, Recovery] = {}
        """Buckets that a restore brought back without their keys, by what declared so."""

    def check(self) -> None:
        """All of it, from where the position stands."""
        self._read_governance()
        if not self._at.batches_done:
            self._check_batches()
            self._files.check_ids()
            self._at.batches_done = True
        self._files.check_files(self._at, self._forgiven)

    # --- governance --------------------------------------------------------------------------

    def _read_governance(self) -> None:
        """Take in governance records that are new since the last time, from batches that hold."""
        while chosen := self._catalog.next(self._governed, AT_A_TIME, klass=CLASS):
            for batch in chosen:
                self._governed = batch.batch_no
                quiet = State(self._found.origin, self._found.started_at)
                with self._lake.db.read(self._tenant) as tx:
                    kept = self._records(tx, batch, quiet)
                if quiet.sound:  # otherwise the walk below names what is wrong
                    for id_, raw in kept:
                        committed = Instant(batch.committed_at)
                        if fault := self._allowed.add(batch.batch_no, committed, id_, raw):
                            self._found.problem(f"{self._where(batch)}: {fault}")
        with self._lake.db.read(self._tenant) as tx:
            self._allowed.look(partial(self._lake.keeper.lenses, tx), partial(_rows_in, tx))
        for recovery in self._allowed.recoveries:
            if recovery.origin == self._lake.origin:
                self._found.lost.extend(r for r in recovery.lost if r not in self._found.lost)
            self._forgiven.update(dict.fromkeys(recovery.keys, recovery))
            if recovery.backup:
                self._found.notice(
                    f"A restore before {recovery.at} went back to the backup {recovery.backup}: "
                    f"what the log {recovery.origin} had published after {recovery.size} entries "
                    f"is lost, as {recovery.principal} declared."
                )
            if recovery.lost:
                spans = ", ".join(f"{low} to {high}" for low, high in recovery.lost)
                self._found.notice(
                    f"A restore before {recovery.at} lost what entries {spans} of the log "
                    f"{recovery.origin} stood for, as {recovery.principal} declared."
                )

    def _records(self, tx: Tx, batch: Batch, found: State) -> list[tuple[bytes, bytes]]:
        """(id, raw bytes) of a governance batch, after its opening and leaves were checked."""
        kept: list[Kept] = []
        if batch.entry is None or not self._check_opening(batch, found):
            return []
        if batch.segment_id is None:
            self._observations.check_tail(tx, batch, found, kept)
        else:
            self._observations.check_segment(tx, batch.segment_id, found, kept)
        # A segment gives the rows of other batches too, whose openings were not looked at.
        return [(id_, raw) for batch_no, id_, raw in kept if batch_no == batch.batch_no]

    # --- batches -----------------------------------------------------------------------------

    def _check_batches(self) -> None:
        at, found = self._at, self._found
        if not at.until:  # what is appended from here on is for the next audit
            with self._lake.db.read(self._tenant) as tx:
                at.until = tx.scalar(tx.select(tenants.c.last_batch_no)) or 0
        while chosen := self._catalog.next(at.after_batch, AT_A_TIME):
            for batch in chosen:
                if batch.batch_no != at.after_batch + 1:
                    self._missing(at.after_batch + 1, batch.batch_no - 1)
                self._check_batch(batch)
                at.after_batch = batch.batch_no
                found.counts.batches += 1
                at.segments = {s: last for s, last in at.segments.items() if last > batch.batch_no}
                self._tick()
            if at.after_batch >= at.until:
                break
        if at.after_batch < at.until:
            self._missing(at.after_batch + 1, at.until)

    def _check_batch(self, batch: Batch) -> None:
        trial = State(self._found.origin, self._found.started_at)
        seen, lost = dict(self._at.segments), set(self._lost_keys)
        self._one(batch, trial)
        if not trial.sound:
            self._at.segments, self._lost_keys = seen, lost
            self._read_governance()
            # It may have been sealed or destroyed since its row was read: look once more.
            again = self._catalog.next(batch.batch_no - 1, 1)
            trial = State(self._found.origin, self._found.started_at)
            if again and again[0].batch_no == batch.batch_no:
                self._one(again[0], trial)
            else:
                trial.problem(f"{self._where(batch)} was removed from the database.")
        for sentence in trial.problems:
            self._found.problem(sentence)
        for sentence in trial.notices:
            self._found.notice(sentence)
        counts, more = self._found.counts, trial.counts
        counts.observations += more.observations
        counts.segments += more.segments
        counts.destroyed += more.destroyed
        counts.pending += more.pending

    def _one(self, batch: Batch, found: State) -> None:
        self._check_place(batch, found)
        if turned := self._allowed.overtaken(batch.batch_no, Instant(batch.committed_at)):
            found.problem(f"{self._where(batch)}: {turned}.")
        if batch.segment_id == DESTROYED or batch.gone:
            if not self._is_forgiven(batch, found):
                self._check_absent(batch, found)
            return
        if not self._check_opening(batch, found):
            return
        with self._lake.db.read(self._tenant) as tx:
            if batch.segment_id is None:
                self._observations.check_tail(tx, batch, found, None)
            elif batch.segment_id not in self._at.segments:
                self._at.segments[batch.segment_id] = self._observations.check_segment(
                    tx, batch.segment_id, found, None
                )

    def _check_place(self, batch: Batch, found: State) -> None:
        """Whether the log holds an entry for it, or will soon."""
        if batch.entry is None:
            found.problem(f"{self._where(batch)}: its entry is missing from the log.")
        elif batch.log_index is None or batch.log_index >= self._covered.size:
            found.counts.pending += 1
            if batch.log_index is None and batch.committed_at < self._covered.created_at - LATE:
                found.problem(
                    f"{self._where(batch)}: committed at {iso(Instant(batch.committed_at))}, it is "
                    "still not in the log, which has grown since."
                )

    def _check_opening(self, batch: Batch, found: State) -> bool:
        """Whether its salt and record are those of its entry, and the record that of its row."""
        try:
            self._lake.keys.require(self._tenant, batch.bucket_id)
            opening = open_opening(self._lake, self._tenant, batch.batch_no, batch.opening)
        except AuditkeepError as error:
            self._closed(batch, error, found)
            return False
        except msgspec.MsgspecError:
            found.problem(f"{self._where(batch)}: its opening cannot be read.")
            return False
        if batch.entry is not None and opening.entry != batch.entry:
            found.problem(
                f"{self._where(batch)}: its opening is not that of the entry in the log; one of "
                "them was changed."
            )
        expected = batch_record(
            self._tenant,
            batch_no=batch.batch_no,
            bucket=self._collected_into(batch, opening.record),
            klass=batch.klass,
            committed_at=Instant(batch.committed_at),
            root=batch.root,
            rows=batch.rows,
            unit_id=batch.unit_id,
        )
        if expected != opening.record:
            found.problem(
                f"{self._where(batch)}: its row in the database is not what was logged"
                f"{_difference(expected, opening.record)}."
            )
            return False
        return True

    def _collected_into(self, batch: Batch, record: bytes) -> str:
        """The bucket that its record should name: the one it lies in, or a generation before."""
        try:
            told = msgspec.json.decode(record, type=Told).bucket
        except msgspec.MsgspecError:
            return batch.bucket_id
        at: str | None = told
        seen = set()
        while at is not None and at != batch.bucket_id:
            seen.add(at)
            at = self._catalog.successor(at, batch.klass)
            if at in seen:
                return batch.bucket_id
        return batch.bucket_id if at is None else told

    def _absence(self, batch: Batch, missing: Sequence[int]) -> str | None:
        """Why observations of a batch may not be missing; None if they may."""
        try:
            opening = open_opening(self._lake, self._tenant, batch.batch_no, batch.opening)
            told = msgspec.json.decode(opening.record, type=Told)
        except (AuditkeepError, msgspec.MsgspecError):
            return "its opening cannot be read"
        if opening.entry != batch.entry:
            return "its opening is not that of the entry in the log"
        return self._allowed.part_fault(told, missing)

    def _closed(self, batch: Batch, error: AuditkeepError, found: State) -> None:
        if batch.bucket_id in self._lake.keystore.bucket_ids():
            found.problem(f"{self._where(batch)}: its opening was changed or swapped ({error})")
        elif self._is_forgiven(batch, found):
            return
        elif batch.bucket_id not in self._lost_keys:
            self._lost_keys.add(batch.bucket_id)
            found.problem(
                f"The key of bucket {batch.bucket_id} ({batch.klass} of {self._owner}) is not in "
                f"the key store, and no destruction names it: batch {batch.batch_no} and all "
                "others of that bucket cannot be read."
            )

    def _is_forgiven(self, batch: Batch, found: State) -> bool:
        """Whether a restore had brought its bucket back, which had been destroyed before."""
        declared = self._forgiven.get(batch.bucket_id)
        if declared is None or batch.klass == CLASS:
            return False
        found.counts.destroyed += 1
        found.notice(
            f"A restore before {declared.at} brought back the bucket {batch.bucket_id} "
            f"({batch.klass} of {self._owner}) without its key, which had been destroyed since "
            f"the backup, as {declared.principal} declared: it cannot be read."
        )
        return True

    def _check_absent(self, batch: Batch, found: State) -> None:
        found.counts.destroyed += 1
        wanted = [i for i in self._allowed.places(batch.batch_no) if not self._allowed.opened(i)]
        with self._lake.db.read(self._tenant) as tx:
            for id_, stored in read.find(tx, self._lake, wanted).items():
                self._allowed.open(id_, stored.raw)
        fault = self._allowed.fault(batch.batch_no, batch.rows, batch.root, batch.entry or b"")
        if fault is not None:
            found.problem(f"{self._where(batch)}: {fault}.")

    def _missing(self, low: int, high: int) -> None:
        named = f"Batch {low}" if low == high else f"Batches {low} to {high}"
        self._found.problem(f"{named} of {self._owner}: missing from the database.")


def _rows_in(tx: Tx, low: int, high: int) -> int:
    """How many observations the batches between two numbers had, by their rows in the catalog,
    which the log is asked about batch by batch.
    """
    rows = tx.select(func.sum(batches.c.rows)).where(batches.c.batch_no.between(low, high))
    return int(tx.scalar(rows) or 0)


def _difference(expected: bytes, logged: bytes) -> str:
    """Which members of a batch record differ from the row's, as the end of a sentence."""
    try:
        told = msgspec.json.decode(logged)
    except msgspec.MsgspecError:
        return ""
    ours = msgspec.json.decode(expected)
    names = sorted(name for name in ours if told.get(name) != ours[name])
    return f" ({', '.join(names)})" if names else ""
