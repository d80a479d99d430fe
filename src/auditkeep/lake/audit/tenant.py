"""One tenant: every batch from its opening to its last observation, and every stored file.

Batches are walked by number, a few at a time and each time in a snapshot of its own, beside a
server that goes on working: what looks wrong is looked at again in a newer snapshot before it is
said, because it may have been sealed or destroyed in between. A segment is read whole when the
first of its batches comes by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Row, and_, func

from auditkeep.clock import MINUTE, Instant, iso
from auditkeep.db.schema import (
    batches,
    blobs,
    buckets,
    log_entries,
    observation_ids,
    segments,
    tail,
    tenants,
)
from auditkeep.db.tx import Tx
from auditkeep.errors import AuditkeepError, ObjectMissing
from auditkeep.ids import Tenant
from auditkeep.lake import parquet, read
from auditkeep.lake.audit import rows as checks
from auditkeep.lake.audit.findings import Position, State
from auditkeep.lake.audit.governance import Allowed
from auditkeep.lake.audit.log import Covered
from auditkeep.lake.batch import DESTROYED, load_leaves, open_opening
from auditkeep.lake.blobs import get_stored, stored_name
from auditkeep.lake.columns import tail_object, unpack
from auditkeep.lake.encoding import TimeWriter, batch_record
from auditkeep.lake.governance import CLASS, Recovery
from auditkeep.lake.lake import Lake
from auditkeep.lake.segments import object_name
from auditkeep.tlog.merkle import root as merkle_root

AT_A_TIME = 500
"""Batches of one snapshot, fewer where they are large."""
BYTES_AT_A_TIME = 32 << 20
SLICE = 8_000
"""Rows of a segment in memory, fewer where they are large."""
SLICE_BYTES = 32 << 20
LATE = 10 * MINUTE
"""How much older than the newest checkpoint a batch may be without being in the log."""

Tick = Callable[[], None]
_Kept = tuple[int, bytes, bytes]
"""Batch, id and raw bytes of an observation."""
_FILES = 200


@dataclass(slots=True)
class _Batch:
    """A batch's row with what the catalog says around it."""

    batch_no: int
    bucket_id: str
    klass: str
    gone: bool
    unit_id: str
    rows: int
    size: int
    root: bytes
    opening: bytes
    leaves: bytes | None
    segment_id: str | None
    committed_at: int
    entry: bytes | None
    log_index: int | None


class TenantAudit:
    """The audit of one tenant; `found` and `at` are what survives an interruption."""

    def __init__(
        self, lake: Lake, tenant: Tenant, covered: Covered, found: State, at: Position, tick: Tick
    ) -> None:
        self._lake = lake
        self._tenant = tenant
        self._covered = covered
        self._found = found
        self._at = at
        self._tick = tick
        self._allowed = Allowed()
        self._times = TimeWriter()
        self._governed = 0
        self._lost_keys: set[str] = set()
        self._forgiven: dict[str, Recovery] = {}
        """Buckets that a restore brought back without their keys, by what declared so."""

    def check(self) -> None:
        """All of it, from where the position stands."""
        self._read_governance()
        if not self._at.batches_done:
            self._check_batches()
            self._check_ids()
            self._at.batches_done = True
        self._check_files()

    # --- governance --------------------------------------------------------------------------

    def _read_governance(self) -> None:
        """Take in governance records that are new since the last time, from batches that hold."""
        while chosen := self._next(self._governed, AT_A_TIME, klass=CLASS):
            for batch in chosen:
                self._governed = batch.batch_no
                quiet = State(self._found.origin, self._found.started_at)
                with self._lake.db.read(self._tenant) as tx:
                    kept = self._records(tx, batch, quiet)
                if quiet.sound:  # otherwise the walk below names what is wrong
                    for id_, raw in kept:
                        if fault := self._allowed.add(id_, raw):
                            self._found.problem(f"{self._where(batch)}: {fault}")
        for recovery in self._allowed.recoveries:
            if recovery.origin == self._lake.origin:
                self._found.lost.extend(r for r in recovery.lost if r not in self._found.lost)
            self._forgiven.update(dict.fromkeys(recovery.keys, recovery))
            if recovery.lost:
                spans = ", ".join(f"{low} to {high}" for low, high in recovery.lost)
                self._found.notice(
                    f"A restore before {recovery.at} lost what entries {spans} of the log "
                    f"{recovery.origin} stood for, as {recovery.principal} declared."
                )

    def _records(self, tx: Tx, batch: _Batch, found: State) -> list[tuple[bytes, bytes]]:
        """(id, raw bytes) of a governance batch, after its opening and leaves were checked."""
        kept: list[_Kept] = []
        if batch.entry is None or not self._check_opening(batch, found):
            return []
        if batch.segment_id is None:
            self._check_tail(tx, batch, found, kept)
        else:
            self._check_segment(tx, batch.segment_id, found, kept)
        # A segment gives the rows of other batches too, whose openings were not looked at.
        return [(id_, raw) for batch_no, id_, raw in kept if batch_no == batch.batch_no]

    # --- batches -----------------------------------------------------------------------------

    def _check_batches(self) -> None:
        at, found = self._at, self._found
        if not at.until:  # what is appended from here on is for the next audit
            with self._lake.db.read(self._tenant) as tx:
                at.until = tx.scalar(tx.select(tenants.c.last_batch_no)) or 0
        while chosen := self._next(at.after_batch, AT_A_TIME):
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

    def _check_batch(self, batch: _Batch) -> None:
        trial = State(self._found.origin, self._found.started_at)
        seen, lost = dict(self._at.segments), set(self._lost_keys)
        self._one(batch, trial)
        if not trial.sound:
            self._at.segments, self._lost_keys = seen, lost
            self._read_governance()
            # It may have been sealed or destroyed since its row was read: look once more.
            again = self._next(batch.batch_no - 1, 1)
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

    def _one(self, batch: _Batch, found: State) -> None:
        self._check_place(batch, found)
        if batch.segment_id == DESTROYED or batch.gone:
            self._check_absent(batch, found)
            return
        if not self._check_opening(batch, found):
            return
        with self._lake.db.read(self._tenant) as tx:
            if batch.segment_id is None:
                self._check_tail(tx, batch, found, None)
            elif batch.segment_id not in self._at.segments:
                self._at.segments[batch.segment_id] = self._check_segment(
                    tx, batch.segment_id, found, None
                )

    def _check_place(self, batch: _Batch, found: State) -> None:
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

    def _check_opening(self, batch: _Batch, found: State) -> bool:
        """Whether its salt and record are those of its entry, and the record that of its row."""
        try:
            opening = open_opening(
                self._lake, self._tenant, batch.bucket_id, batch.batch_no, batch.opening
            )
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
            bucket=batch.bucket_id,
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

    def _closed(self, batch: _Batch, error: AuditkeepError, found: State) -> None:
        if batch.bucket_id in self._lake.keystore.bucket_ids():
            found.problem(f"{self._where(batch)}: its opening was changed or swapped ({error})")
        elif (declared := self._forgiven.get(batch.bucket_id)) is not None:
            found.counts.destroyed += 1
            found.notice(
                f"A restore before {declared.at} brought back the bucket {batch.bucket_id} "
                f"({batch.klass} of {self._owner}) without its key, which had been destroyed since "
                f"the backup, as {declared.principal} declared: it cannot be read."
            )
        elif batch.bucket_id not in self._lost_keys:
            self._lost_keys.add(batch.bucket_id)
            found.problem(
                f"The key of bucket {batch.bucket_id} ({batch.klass} of {self._owner}) is not in "
                f"the key store, and no destruction names it: batch {batch.batch_no} and all "
                "others of that bucket cannot be read."
            )

    def _check_absent(self, batch: _Batch, found: State) -> None:
        found.counts.destroyed += 1
        wanted = [i for i in self._allowed.places(batch.batch_no) if not self._allowed.opened(i)]
        with self._lake.db.read(self._tenant) as tx:
            for id_, stored in read.find(tx, self._lake, wanted).items():
                self._allowed.open(id_, stored.raw)
        fault = self._allowed.fault(batch.batch_no, batch.rows, batch.root, batch.entry or b"")
        if fault is not None:
            found.problem(f"{self._where(batch)}: {fault}.")

    # --- observations ------------------------------------------------------------------------

    def _check_tail(self, tx: Tx, batch: _Batch, found: State, kept: list[_Kept] | None) -> None:
        where = f"{self._where(batch)} (in the tail)"
        blob = tx.scalar(tx.select(tail.c.blob).where(tail.c.batch_no == batch.batch_no))
        if blob is None:
            found.problem(f"{where}: its observations are missing.")
            return
        try:
            key = self._lake.keys.object_key(
                self._tenant, batch.bucket_id, tail_object(batch.batch_no)
            )
            columns = unpack(key, self._tenant, batch.batch_no, bytes(blob))
            heavy = columns.heavy
            nonces = checks.nonces(heavy.nonces)
            leaves = checks.leaves(nonces, heavy.envelopes, heavy.raws)
            lights = list(checks.light_of(columns, self._times))
        except (AuditkeepError, msgspec.MsgspecError, ValueError, IndexError) as error:
            found.problem(f"{where}: its observations cannot be read ({error})")
            return
        self._check_leaves(batch, where, leaves, found)
        collected_at = iso(Instant(columns.light.collected_at))
        for index, (light, envelope, raw) in enumerate(
            zip(lights, heavy.envelopes, heavy.raws, strict=True)
        ):
            told = checks.differing(light, collected_at, envelope)
            if told is not None:
                self._misread(where, index, light[0], told, found)
            if light[2] == checks.MANUAL:
                self._check_manual(tx, where, index, raw, found)
            if kept is not None:
                kept.append((batch.batch_no, bytes.fromhex(light[0]), raw))
        found.counts.observations += len(leaves)

    def _check_segment(
        self, tx: Tx, segment_id: str, found: State, kept: list[_Kept] | None
    ) -> int:
        """Read a segment once, for all of its batches; the last of them."""
        members = self._members(tx, segment_id)
        if not members:  # destroyed since its batch was read: a second look tells
            found.problem(f"The segment {segment_id} of {self._owner} has no batches any more.")
            return 0
        last = max(b.batch_no for b in members)
        row = tx.first(tx.select(segments).where(segments.c.id == segment_id))
        name = object_name(self._tenant, segment_id)
        where = f"The segment {segment_id} ('{name}', {_numbers(members)})"
        if row is None:
            found.problem(f"{where}: its row is missing from the database.")
            return last
        try:
            if self._hash_of(name) != (row.size, bytes(row.sha256)):
                found.problem(f"{where}: the file is not the one that was written.")
        except ObjectMissing:
            found.problem(f"{where}: the file is missing.")
            return last
        inside = f"(in the segment {segment_id})"
        sheets = {b.batch_no: _Sheet(b, f"{self._where(b)} {inside}") for b in members}
        try:
            opening = parquet.Opening(
                segment_id,
                self._lake.objects.url(name),
                self._lake.keys.object_key(self._tenant, row.bucket_id, segment_id),
            )
            each = max(1, min(SLICE, SLICE_BYTES * row.rows // (1 + sum(b.size for b in members))))
            for part in parquet.slices(opening, each):
                self._check_slice(tx, where, part, sheets, found, kept)
                self._tick()
        except AuditkeepError as error:
            found.problem(f"{where}: {error}")
            return last
        for sheet in sheets.values():
            self._close(sheet, found)
        found.counts.segments += 1
        return last

    def _check_slice(
        self,
        tx: Tx,
        where: str,
        part: Sequence[Sequence[Any]],
        sheets: dict[int, "_Sheet"],
        found: State,
        kept: list[_Kept] | None,
    ) -> None:
        numbers, indexes, ats, ids, _, sources, *_, envelopes, raws, nonces = part
        leaves = checks.leaves(nonces, envelopes, raws)
        for place, (batch_no, index, leaf) in enumerate(zip(numbers, indexes, leaves, strict=True)):
            sheet = sheets.get(batch_no)
            if sheet is None or not sheet.put(index, leaf):
                found.problem(
                    f"{where}: observation {ids[place]} is there as number {index} of batch "
                    f"{batch_no}, where it does not belong."
                )
        times = {at: iso(Instant(at)) for at in set(ats)}
        for place, told in checks.misread(part, times):
            sheet = sheets.get(numbers[place])
            if sheet is not None:
                self._misread(sheet.where, indexes[place], ids[place], told, found)
        if checks.MANUAL in sources:
            for place, source in enumerate(sources):
                sheet = sheets.get(numbers[place])
                if source == checks.MANUAL and sheet is not None:
                    self._check_manual(tx, sheet.where, indexes[place], raws[place], found)
        if kept is not None:
            kept.extend(zip(numbers, map(bytes.fromhex, ids), raws, strict=True))
        found.counts.observations += len(leaves)

    def _close(self, sheet: "_Sheet", found: State) -> None:
        """After all rows of a segment: is each batch whole?"""
        missing = sheet.missing()
        if missing:
            found.problem(
                f"{sheet.where}: {len(missing)} of its {sheet.batch.rows} observations are "
                f"missing, the first is number {missing[0]}."
            )
        else:
            self._check_leaves(sheet.batch, sheet.where, sheet.leaves(), found)

    def _check_leaves(
        self, batch: _Batch, where: str, leaves: Sequence[bytes], found: State
    ) -> None:
        """Leaves of what is stored, against the logged root and the leaf hashes that were kept."""
        if len(leaves) != batch.rows:
            found.problem(f"{where}: it has {len(leaves)} observations; {batch.rows} were logged.")
            return
        try:
            kept = load_leaves(
                self._lake, self._tenant, batch.batch_no, batch.root, batch.leaves, batch.rows
            )
        except AuditkeepError as error:
            found.problem(f"{where}: its leaf hashes cannot be read ({error})")
            kept = list(leaves)
        if merkle_root(leaves) == batch.root:
            if kept != list(leaves):
                found.problem(f"{where}: its leaf hashes were changed; its observations hold.")
            return
        wrong = [i for i, leaf in enumerate(leaves) if leaf != kept[i]]
        if merkle_root(kept) != batch.root or not wrong:
            found.problem(f"{where}: its observations are not those that were logged.")
            return
        named = ", ".join(map(str, wrong[:5])) + (" …" if len(wrong) > 5 else "")
        found.problem(
            f"{where}: {'observation' if len(wrong) == 1 else 'observations'} number {named} "
            "changed: bytes, envelope or nonce are not those that were logged."
        )

    def _misread(self, where: str, index: int, id_: str, member: str, found: State) -> None:
        found.problem(
            f"{where}: observation number {index} ({id_}) is searched under another {member} "
            "than was logged."
        )

    def _check_manual(self, tx: Tx, where: str, index: int, raw: bytes, found: State) -> None:
        file = checks.manual_file(raw)
        if file is None:
            return
        row = tx.first(tx.select(blobs.c.sha256).where(blobs.c.id == stored_name(tx, file[0])))
        if row is None:
            found.problem(f"{where}: the file of observation number {index} is missing.")
        elif bytes(row.sha256).hex() != file[1]:
            found.problem(
                f"{where}: the file kept for observation number {index} is not the one that was "
                "logged."
            )

    # --- ids and files -----------------------------------------------------------------------

    def _check_ids(self) -> None:
        """Every observation is found by its id: one row each, in its batch."""
        b, o = batches.c, observation_ids.c
        with self._lake.db.read(self._tenant) as tx:
            alive = (b.segment_id.is_(None)) | (b.segment_id != DESTROYED)
            expected = tx.scalar(tx.select(func.sum(b.rows)).where(alive)) or 0
            mine = o.batch_no.in_(tx.select(b.batch_no).where(alive))
            there = tx.scalar(tx.select(func.count(o.batch_no)).where(mine)) or 0
            if expected == there:
                return
            counted = tx.select(o.batch_no, func.count(o.batch_no).label("ids"))
            ids = {r.batch_no: r.ids for r in tx.stream(counted.group_by(o.batch_no))}
            for row in tx.stream(tx.select(b.batch_no, b.rows).where(alive)):
                if ids.get(row.batch_no, 0) != row.rows:
                    self._found.problem(
                        f"Batch {row.batch_no} of {self._owner}: {ids.get(row.batch_no, 0)} of its "
                        f"{row.rows} observations are found by their ids."
                    )

    def _check_files(self) -> None:
        """Stored files: each opens, and has the size and hash it was kept with."""
        at = self._at
        while True:
            with self._lake.db.read(self._tenant) as tx:
                query = tx.select(blobs.c.id).where(blobs.c.id > at.after_file)
                names = [r.id for r in tx.all(query.order_by(blobs.c.id).limit(_FILES))]
            if not names:
                return
            for name in names:
                fault = self._file_fault(name) and self._file_fault(name)
                if fault:
                    self._found.problem(f"The stored file '{name}' of {self._owner}: {fault}")
                self._found.counts.files += 1
                at.after_file = name
                self._tick()

    def _file_fault(self, name: str) -> str | None:
        with self._lake.db.read(self._tenant) as tx:
            row = tx.first(tx.select(blobs).where(blobs.c.id == name))
            if row is None:
                return None  # deleted since the list was read
            state, size = sha256(), 0
            try:
                for part in get_stored(tx, self._lake, name):
                    state.update(part)
                    size += len(part)
                    self._tick()
            except AuditkeepError as error:
                # what a restore brought back without its key is told with its batches
                return None if row.bucket_id in self._forgiven else str(error)
            if (size, state.digest()) != (row.size, bytes(row.sha256)):
                return "it is not the one that was kept."
        return None

    # --- the catalog -------------------------------------------------------------------------

    def _next(self, after: int, most: int, *, klass: str | None = None) -> list[_Batch]:
        """The next batches by number; fewer where they are many bytes."""
        with self._lake.db.read(self._tenant) as tx:
            found = []
            size = 0
            for row in tx.all(self._query(tx, batches.c.batch_no > after, klass).limit(most)):
                found.append(_batch(row))
                size += row.size
                if size > BYTES_AT_A_TIME:
                    break
        return found

    def _members(self, tx: Tx, segment_id: str) -> list[_Batch]:
        rows = tx.all(self._query(tx, batches.c.segment_id == segment_id, None))
        return [_batch(row) for row in rows]

    def _query(self, tx: Tx, condition: Any, klass: str | None) -> Any:
        b, k, e = batches, buckets, log_entries.c
        joined = b.outerjoin(
            k,
            and_(k.c.account == b.c.account, k.c.region == b.c.region, k.c.id == b.c.bucket_id),
        ).outerjoin(log_entries, e.position == b.c.log_position)
        query = (
            tx.system()
            .select(
                b,
                k.c["class"].label("klass"),
                k.c.destroyed_at,
                e.entry,
                e.log_index,
            )
            .select_from(joined)
            .where(tx.mine(b), condition)
            .order_by(b.c.batch_no)
        )
        return query if klass is None else query.where(k.c["class"] == klass)

    def _hash_of(self, name: str) -> tuple[int, bytes]:
        state, size = sha256(), 0
        with self._lake.objects.open(name) as stream:
            while part := stream.read(1 << 20):
                state.update(part)
                size += len(part)
        return size, state.digest()

    @property
    def _owner(self) -> str:
        return f"{self._tenant.account} in {self._tenant.region}"

    def _where(self, batch: _Batch) -> str:
        return f"Batch {batch.batch_no} of {self._owner}"

    def _missing(self, low: int, high: int) -> None:
        named = f"Batch {low}" if low == high else f"Batches {low} to {high}"
        self._found.problem(f"{named} of {self._owner}: missing from the database.")


class _Sheet:
    """The leaves of one batch of a segment, as its rows come by in another order."""

    def __init__(self, batch: _Batch, where: str) -> None:
        self.batch = batch
        self.where = where
        self._leaves: list[bytes | None] = [None] * batch.rows

    def put(self, index: int, leaf: bytes) -> bool:
        """False if there is no such place, or it is taken."""
        if not 0 <= index < len(self._leaves) or self._leaves[index] is not None:
            return False
        self._leaves[index] = leaf
        return True

    def missing(self) -> list[int]:
        return [i for i, leaf in enumerate(self._leaves) if leaf is None]

    def leaves(self) -> list[bytes]:
        return [leaf for leaf in self._leaves if leaf is not None]


def _numbers(members: Sequence[_Batch]) -> str:
    low, high = members[0].batch_no, members[-1].batch_no
    return f"batch {low}" if low == high else f"batches {low} to {high}"


def _difference(expected: bytes, logged: bytes) -> str:
    """Which members of a batch record differ from the row's, as the end of a sentence."""
    try:
        told = msgspec.json.decode(logged)
    except msgspec.MsgspecError:
        return ""
    ours = msgspec.json.decode(expected)
    names = sorted(name for name in ours if told.get(name) != ours[name])
    return f" ({', '.join(names)})" if names else ""


def _batch(row: Row[Any]) -> _Batch:
    return _Batch(
        batch_no=row.batch_no,
        bucket_id=row.bucket_id,
        klass=row.klass or "",
        gone=row.destroyed_at is not None,
        unit_id=row.unit_id,
        rows=row.rows,
        size=row.size,
        root=bytes(row.root),
        opening=bytes(row.opening),
        leaves=None if row.leaves is None else bytes(row.leaves),
        segment_id=row.segment_id,
        committed_at=row.committed_at,
        entry=None if row.entry is None else bytes(row.entry),
        log_index=row.log_index,
    )
