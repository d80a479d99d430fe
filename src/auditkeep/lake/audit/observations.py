"""Observations of batches, in the tail and in segments: each against its leaf and its envelope.

A segment is read once for all of its batches, slice by slice, whatever order its rows lie in.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from auditkeep.clock import Instant, iso
from auditkeep.db.schema import blobs, segments, tail
from auditkeep.db.tx import Tx
from auditkeep.errors import AuditkeepError, ObjectMissing
from auditkeep.lake import parquet
from auditkeep.lake.audit import rows as checks
from auditkeep.lake.audit.catalog import Batch, Catalog
from auditkeep.lake.audit.findings import State
from auditkeep.lake.batch import load_leaves
from auditkeep.lake.blobs import stored_name
from auditkeep.lake.columns import tail_object, unpack
from auditkeep.lake.encoding import TimeWriter
from auditkeep.lake.segments import object_name
from auditkeep.tlog.merkle import root as merkle_root

SLICE = 8_000
"""Rows of a segment in memory, fewer where they are large."""
SLICE_BYTES = 32 << 20

Kept = tuple[int, bytes, bytes]
"""Batch, id and raw bytes of an observation."""


Absence = Callable[[Batch, Sequence[int]], str | None]
"""Why observations of a batch may not be missing, by their indexes; None if they may."""


class Observations:
    """Checks what batches hold, for one tenant."""

    def __init__(self, catalog: Catalog, absence: Absence, tick: Callable[[], None]) -> None:
        self._catalog = catalog
        self._absence = absence
        self._where, self._owner = catalog.where, catalog.owner
        self._lake = catalog.lake
        self._tenant = catalog.tenant
        self._tick = tick
        self._times = TimeWriter()

    def check_tail(self, tx: Tx, batch: Batch, found: State, kept: list[Kept] | None) -> None:
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

    def check_segment(self, tx: Tx, segment_id: str, found: State, kept: list[Kept] | None) -> int:
        """Read a segment once, for all of its batches; the last of them."""
        members = self._catalog.members(tx, segment_id)
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
        sheets = {b.batch_no: Sheet(b, f"{self._where(b)} {inside}") for b in members}
        try:
            opening = parquet.Opening(
                segment_id,
                self._lake.objects,
                name,
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
        sheets: dict[int, "Sheet"],
        found: State,
        kept: list[Kept] | None,
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

    def _close(self, sheet: "Sheet", found: State) -> None:
        """After all rows of a segment: is each batch whole?"""
        missing = sheet.missing()
        fault = self._absence(sheet.batch, missing) if missing else None
        if fault is not None:
            found.problem(
                f"{sheet.where}: {len(missing)} of its {sheet.batch.rows} observations are "
                f"missing, the first is number {missing[0]}, and {fault}."
            )
        elif missing:
            self._check_some_leaves(sheet, found)
        else:
            self._check_leaves(sheet.batch, sheet.where, sheet.leaves(), found)

    def _check_some_leaves(self, sheet: "Sheet", found: State) -> None:
        """What is left of a batch, against the leaf hashes that were kept of all of it."""
        batch, where = sheet.batch, sheet.where
        try:
            kept = load_leaves(
                self._lake, self._tenant, batch.batch_no, batch.root, batch.leaves, batch.rows
            )
        except AuditkeepError as error:
            found.problem(f"{where}: its leaf hashes cannot be read ({error})")
            return
        if merkle_root(kept) != batch.root:
            found.problem(f"{where}: its leaf hashes were changed.")
            return
        wrong = [i for i, leaf in sheet.present() if leaf != kept[i]]
        if wrong:
            self._changed(where, wrong, found)

    def _check_leaves(
        self, batch: Batch, where: str, leaves: Sequence[bytes], found: State
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
        self._changed(where, wrong, found)

    def _changed(self, where: str, wrong: Sequence[int], found: State) -> None:
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

    def _hash_of(self, name: str) -> tuple[int, bytes]:
        state, size = sha256(), 0
        with self._lake.objects.anew(name).open("rb") as stream:  # the file that is read after
            while part := stream.read(1 << 20):
                state.update(part)
                size += len(part)
        return size, state.digest()


class Sheet:
    """The leaves of one batch of a segment, as its rows come by in another order."""

    def __init__(self, batch: Batch, where: str) -> None:
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

    def present(self) -> list[tuple[int, bytes]]:
        return [(i, leaf) for i, leaf in enumerate(self._leaves) if leaf is not None]

    def leaves(self) -> list[bytes]:
        return [leaf for leaf in self._leaves if leaf is not None]


def _numbers(members: Sequence[Batch]) -> str:
    low, high = members[0].batch_no, members[-1].batch_no
    return f"batch {low}" if low == high else f"batches {low} to {high}"
