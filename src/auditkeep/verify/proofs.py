"""Every evidence item of an archive, from its bytes to the log's checkpoint.

Lines are read one by one and nothing but what later lines need is kept: which batches are proven,
which files are some record's, and the nodes of the batches used last.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from auditkeep.errors import ProofError
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.shared import SharedPaths
from auditkeep.verify.anchors import Anchors, Tally
from auditkeep.verify.completeness import Completeness
from auditkeep.verify.container import Container
from auditkeep.verify.findings import Findings
from auditkeep.verify.format import (
    BATCHES,
    RECORDS,
    BatchLine,
    Digest,
    Envelope,
    Manual,
    Owner,
    RecordLine,
    is_own,
)
from auditkeep.verify.record import ProvenBatch, check_batch, check_record

_Line = TypeVar("_Line", BatchLine, RecordLine)

_LINE_LIMIT = 8 << 20
"""A record's line holds its envelope and one path; this is far above both."""
_MANUAL = "MANUAL"
_MANUAL_LIMIT = 1 << 20
"""The bytes of a manual record describe the upload; they are not the upload."""
_REMEMBERED_BATCHES = 32
"""Whose proven nodes are kept between records: at most some 100 MB for batches of 16,384."""


class Proofs:
    """The proofs of one archive, checked against the hashes of the files it really holds."""

    def __init__(
        self,
        archive: Container,
        folder: str,
        checkpoint: Checkpoint,
        hashes: Mapping[str, bytes],
        found: Findings,
        anchors: Anchors,
    ) -> None:
        self._anchors = anchors
        self.completeness = Completeness(archive, folder, found)
        self._proven = True
        self._archive = archive
        self._folder = folder
        self._checkpoint = checkpoint
        self._hashes = hashes
        self._found = found
        self._batches: dict[int, ProvenBatch | None] = {}  # None: seen, but not proven
        self._paths: dict[int, SharedPaths] = {}
        self._items: set[str] = set()
        self._unproven = {
            name
            for name in archive.names
            if not (name.startswith(folder) and is_own(name.removeprefix(folder)))
        }
        self.records = 0
        """Evidence; the records of runs that collected it are not."""
        self.attachments = 0

    @property
    def batches(self) -> int:
        return len(self._batches)

    @property
    def anchored(self) -> Tally:
        """How the records stand to the checkpoints that others vouch for."""
        return self._anchors.tally

    def check(self, digest: Digest | None) -> None:
        """Check all lines; `digest` says whose report it is, if it could be read."""
        self._check_batches(Owner(digest.account_id, digest.region) if digest else None)
        self._check_records()
        self._anchors.conclude()
        self.completeness.check(digest, proven=self._proven)
        for name in sorted(self._unproven):
            self._found.problem(f"{name} is in the archive, but no record proves it.")

    def _check_batches(self, owner: Owner | None) -> None:
        for number, line in self._lines(BATCHES, BatchLine):
            where = f"Batch {line.batch_no} (line {number} of {BATCHES})"
            if line.batch_no in self._batches:
                self._found.problem(f"{where} is there more than once.")
                continue
            self._batches[line.batch_no] = None
            try:
                batch = check_batch(line, self._checkpoint)
                _require_owner(batch, owner)
            except ProofError as error:
                self._found.problem(f"{where} is not proven: {_clause(error)}.")
            else:
                self._batches[line.batch_no] = batch

    def _check_records(self) -> None:
        for number, line in self._lines(RECORDS, RecordLine):
            where = f"Evidence {line.evidence_id} ({line.file}, line {number} of {RECORDS})"
            if line.evidence_id in self._items:
                self._found.problem(f"{where} is there more than once.")
            self._items.add(line.evidence_id)
            self._unproven.discard(line.file)
            if line.attachment is not None:
                self._unproven.discard(line.attachment.file)
            try:
                envelope = self._check_record(line)
                self._check_attachment(line, envelope)
                self.records += not self.completeness.take(line, envelope)
            except ProofError as error:
                self.records += 1
                self._proven = False
                self._found.problem(f"{where} is not proven: {_clause(error)}.")

    def _check_record(self, line: RecordLine) -> Envelope:
        raw_hash = self._hashes.get(line.file)
        if raw_hash is None:
            raise ProofError("its file is missing or cannot be read")
        batch = self._batches.get(line.batch_no)
        if batch is None:
            raise ProofError(f"its batch {line.batch_no} is missing or not proven")
        envelope = check_record(line, batch, raw_hash, self._paths_of(batch))
        self._anchors.count(batch.index, batch.committed_at)
        return envelope

    def _check_attachment(self, line: RecordLine, envelope: Envelope) -> None:
        """A customer's file is proven by the logged bytes, which hold its hash; and it is there
        exactly when they say that there was one.
        """
        attachment = line.attachment
        if attachment is not None:
            self.attachments += 1
        if envelope.source != _MANUAL:
            if attachment is not None:
                raise ProofError(
                    f"it carries the attachment {attachment.file}, but only manual evidence has any"
                )
            return
        manual = self._manual(line)
        if manual.form == "text":
            if attachment is not None:
                raise ProofError(
                    f"it was given in words, but carries the attachment {attachment.file}"
                )
            return
        if attachment is None:
            raise ProofError("it was handed in with a file, but the report does not carry it")
        real = self._hashes.get(attachment.file)
        if real is None:
            raise ProofError(f"its attachment {attachment.file} is missing or cannot be read")
        if real.hex() != attachment.sha256:
            raise ProofError(f"its attachment {attachment.file} was changed")
        if manual.sha256 != attachment.sha256:
            raise ProofError(f"the logged bytes do not name its attachment {attachment.file}")

    def _manual(self, line: RecordLine) -> Manual:
        """What the logged bytes of a manual record say that was handed in."""
        try:
            return msgspec.json.decode(self._archive.read(line.file, _MANUAL_LIMIT), type=Manual)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ProofError(f"its logged bytes do not say what was handed in: {error}") from error

    def _paths_of(self, batch: ProvenBatch) -> SharedPaths:
        paths = self._paths.pop(batch.batch_no, None) or SharedPaths(batch.root, batch.rows)
        self._paths[batch.batch_no] = paths  # now the youngest: a dict keeps order of insertion
        if len(self._paths) > _REMEMBERED_BATCHES:
            del self._paths[next(iter(self._paths))]
        return paths

    def _lines(self, file: str, kind: type[_Line]) -> Iterator[tuple[int, _Line]]:
        """The readable lines of a file of proofs, with their numbers; the others are problems."""
        name = self._folder + file
        if name not in self._archive:
            self._found.problem(f"The archive lacks {name}, without which nothing can be proven.")
            return
        decoder = msgspec.json.Decoder(kind)
        try:
            for number, text in enumerate(self._archive.lines(name, _LINE_LIMIT), start=1):
                try:
                    line = decoder.decode(text)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    self._found.problem(f"Line {number} of {name} cannot be read: {error}.")
                else:
                    yield number, line
        except ProofError as error:
            self._found.problem(f"{name} cannot be read to its end: {_clause(error)}.")


def _require_owner(batch: ProvenBatch, owner: Owner | None) -> None:
    if owner is not None and batch.tenant != owner:
        raise ProofError(
            f"it belongs to account {batch.tenant.account} in {batch.tenant.region}, "
            f"the report to {owner.account} in {owner.region}"
        )


def _clause(error: ProofError) -> str:
    """An error's sentence as the end of a longer one."""
    return str(error).removesuffix(".")
