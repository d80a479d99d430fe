"""A certificate of destruction: what was destroyed and when, and that the log says so.

Source: docs/formats.md, "Certificate of destruction". The file is exactly the canonical JSON of its
object; the log's key signs a note of the SHA-256 of the same without `signature`. Beside what is
certified it carries the records of who asked for the destruction and what it was, with the proofs
that lead them to a signed checkpoint: so the certificate says nothing that the log does not hold.

Rule: as with reports, only a log key that was pinned beforehand makes a certificate valid.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from auditkeep import clock
from auditkeep.errors import KeyUnusable, ProofError
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.note import Signer, Verifier, open_note, sign
from auditkeep.tlog.shared import SharedPaths
from auditkeep.verify.findings import Findings, State
from auditkeep.verify.format import BatchLine, Owner, RecordLine, canonical
from auditkeep.verify.record import ProvenBatch, check_batch, check_record

KIND: Final = "auditkeep/destruction-certificate/1"
ACTION = "DeregisterAccount"
MAX_SIZE = 64 << 20
"""Bytes: a tenant of many years and ten thousand keys has some 20 MB."""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A bucket key that was destroyed: `destruction` is the id of the record that says so."""

    id: str
    klass: str = msgspec.field(name="class")
    month: str
    generation: int
    master_key: str
    destruction: str


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who asked for the destruction, in which request; `by` is when it was to be done."""

    action: str
    at: str
    by: str
    principal: str
    request: str


class Amounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much was destroyed. All but `keys` and `batches` is the server's word alone."""

    keys: int
    batches: int
    observations: int
    files: int
    rows: int
    objects: int


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A record of the destruction in the log: its batch, its place there, and its text.

    `index` is the place of the batch's entry in the log; `position` the record's in the batch.
    """

    kind: Literal["authority", "destruction"]
    index: int
    batch_no: int = msgspec.field(name="batch_no")
    position: int
    raw: str
    envelope: str
    nonce: str
    path: tuple[str, ...]


class LogPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The log at the checkpoint that all proofs lead to."""

    origin: str
    size: int
    root: str
    checkpoint: str
    entries: tuple[Entry, ...]
    batches: tuple[BatchLine, ...]


class Certificate(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename="camel",
    omit_defaults=True,
    kw_only=True,
):
    """The whole file; `signature` is empty until it is signed."""

    kind: Literal["auditkeep/destruction-certificate/1"]
    id: str
    account: str
    region: str
    asked: Asked
    destroyed_at: str
    key_backup_days: int
    out_of_backups_by: str
    statement: str
    destroyed: Amounts
    keys: tuple[Key, ...]
    log: LogPart
    signature: str = ""

    def note_text(self) -> str:
        """What is signed: three lines, of which the last is the hash of all the rest."""
        unsigned = msgspec.structs.replace(self, signature="")
        digest = hashlib.sha256(canonical(unsigned)).hexdigest()
        return f"{KIND}\n{self.log.origin}\n{digest}\n"

    def signed(self, signer: Signer) -> "Certificate":
        """This certificate with the signature of the log's key."""
        return msgspec.structs.replace(self, signature=sign(self.note_text(), [signer]))

    def file_bytes(self) -> bytes:
        return canonical(self)


def statement_of(destroyed_at: str, days: int, out_by: str) -> str:
    """The sentence that a certificate states, from its own members."""
    return (
        f"Destroyed live at {destroyed_at}, out of backups by {out_by}: the keys are in no key "
        f"store here any more, and no backup of one is kept for longer than {days} days. Without "
        "them what other backups hold cannot be read."
    )


class _Authority(msgspec.Struct, frozen=True):
    kind: Literal["authority"]
    v: Literal[1]
    id: str
    action: str
    at: str
    principal: str
    request: str


class _Bucket(msgspec.Struct, frozen=True):
    id: str
    klass: str = msgspec.field(name="class")
    month: str
    generation: int
    key: str


class _Destruction(msgspec.Struct, frozen=True):
    kind: Literal["destruction"]
    v: Literal[1]
    id: str
    at: str
    authority: str
    buckets: tuple[_Bucket, ...]


@dataclass(frozen=True)
class Checked:
    """The answer about one certificate; `certificate` is None if it cannot be read at all."""

    state: State
    problems: tuple[str, ...]
    doubts: tuple[str, ...]
    certificate: Certificate | None
    fingerprint: str = ""

    def summary(self) -> dict[str, Any]:
        """The answer as a JSON object for people and scripts."""
        body: dict[str, Any] = {
            "state": self.state,
            "problems": list(self.problems),
            "doubts": list(self.doubts),
        }
        told = self.certificate
        if told is None:
            return body
        return body | {
            "certificate": told.id,
            "account": told.account,
            "region": told.region,
            "askedBy": told.asked.principal,
            "askedAt": told.asked.at,
            "destroyedAt": told.destroyed_at,
            "outOfBackupsBy": told.out_of_backups_by,
            "statement": told.statement,
            "keys": [key.id for key in told.keys],
            "log": told.log.origin,
            "logEntries": told.log.size,
            "logPositions": [{"kind": e.kind, "index": e.index} for e in told.log.entries],
            "logKeyFingerprint": self.fingerprint,
        }


def is_certificate(head: bytes) -> bool:
    """Whether a file that begins so is a certificate and no archive: it is a JSON object."""
    return head.startswith(b"{")


def verify_certificate(content: bytes, pinned: Sequence[str]) -> Checked:
    """Check a certificate with the log keys that somebody trusts. Reads and writes nothing."""
    found = Findings()
    told = _read(content, found)
    if told is None:
        return Checked(found.state, found.problems, found.doubts, None)
    keys = [key for key in map(Verifier.parse, pinned) if key.name == told.log.origin]
    if not keys:
        found.doubt(
            f"No key of the log {told.log.origin} is pinned, so nobody can tell who made this "
            "certificate. Give the log's key, as you got it on another way, with --key."
        )
        return Checked(found.state, found.problems, found.doubts, told)
    _check_signature(told, keys, found)
    checkpoint = _checkpoint(told, keys, found)
    if checkpoint is not None:
        _check_records(told, checkpoint, found)
    _check_times(told, found)
    return Checked(found.state, found.problems, found.doubts, told, keys[0].fingerprint)


def _read(content: bytes, found: Findings) -> Certificate | None:
    if len(content) > MAX_SIZE:
        found.problem("This is too large for a certificate of destruction.")
        return None
    try:
        told = msgspec.json.decode(content, type=Certificate)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        found.problem(f"This does not read as a certificate of destruction: {error}.")
        return None
    if told.file_bytes() != content:
        found.problem(
            "The file is not the canonical JSON of its content: something was added to it, or it "
            "was formatted anew. Ask for it as it was made."
        )
    return told


def _check_signature(told: Certificate, keys: Sequence[Verifier], found: Findings) -> None:
    try:
        note = open_note(told.signature, keys)
    except ProofError as error:
        found.problem(f"The certificate's signature does not hold: {error}")
        return
    if note.body != told.note_text():
        found.problem("The certificate was changed: its signature is that of another one.")


def _checkpoint(told: Certificate, keys: Sequence[Verifier], found: Findings) -> Checkpoint | None:
    try:
        checkpoint = open_checkpoint(told.log.checkpoint, keys)
    except (ProofError, KeyUnusable) as error:
        found.problem(f"The checkpoint in the certificate cannot be trusted: {error}")
        return None
    if (checkpoint.size, checkpoint.root.hex()) != (told.log.size, told.log.root):
        found.problem("The certificate names another size or root than its checkpoint.")
    return checkpoint


def _check_records(told: Certificate, checkpoint: Checkpoint, found: Findings) -> None:
    """Each record against the log, and the certificate against what the records say."""
    proven: dict[int, ProvenBatch] = {}
    indexes = {line.batch_no: line.index for line in told.log.batches}
    for line in told.log.batches:
        try:
            proven[line.batch_no] = check_batch(line, checkpoint)
        except ProofError as error:
            found.problem(f"Batch {line.batch_no}: {error}.")
    holding: list[Entry] = []
    for entry in told.log.entries:
        try:
            _check_entry(told, entry, proven, indexes)
        except ProofError as error:
            found.problem(f"The {entry.kind} at entry {entry.index} of the log: {error}.")
        else:
            holding.append(entry)
    try:
        _compare(told, holding)
    except ProofError as error:
        found.problem(f"{error}.")


def _check_entry(
    told: Certificate, entry: Entry, proven: dict[int, ProvenBatch], indexes: dict[int, int]
) -> None:
    batch = proven.get(entry.batch_no)
    if batch is None or indexes[entry.batch_no] != entry.index:
        raise ProofError(f"its batch {entry.batch_no} is not proven to be there")
    if batch.tenant != Owner(told.account, told.region):
        raise ProofError("it belongs to another account or region")
    line = RecordLine(
        evidence_id="",
        file="",
        batch_no=entry.batch_no,
        index=entry.position,
        nonce=entry.nonce,
        envelope=entry.envelope,
        path=entry.path,
    )
    raw_hash = hashlib.sha256(entry.raw.encode()).digest()
    envelope = check_record(line, batch, raw_hash, SharedPaths(batch.root, batch.rows))
    if envelope.source != "GOVERNANCE":
        raise ProofError(f"it is an observation of the source {envelope.source}")


def _compare(told: Certificate, entries: Sequence[Entry]) -> None:
    """The certificate names exactly what the proven records do; ProofError if it does not."""
    raws = {
        kind: [e.raw for e in entries if e.kind == kind] for kind in ("authority", "destruction")
    }
    try:
        given = [msgspec.json.decode(raw, type=_Authority) for raw in raws["authority"]]
        done = [msgspec.json.decode(raw, type=_Destruction) for raw in raws["destruction"]]
    except msgspec.MsgspecError as error:
        raise ProofError(f"A record does not read as one ({error})") from error
    if len(given) != 1:
        raise ProofError("The certificate must carry the one record of who asked for it")
    authority = given[0]
    asked = (authority.action, authority.at, authority.principal, authority.request)
    if asked != (told.asked.action, told.asked.at, told.asked.principal, told.asked.request):
        raise ProofError("Who asked for it, and when, is not what the log holds")
    if authority.action != ACTION:
        raise ProofError(f"It was asked for by {authority.action}, not by {ACTION}")
    if any(one.authority != authority.id for one in done):
        raise ProofError("A destruction cites another authority than the one that is given")
    if any(one.at > told.destroyed_at for one in done) or authority.at > told.destroyed_at:
        raise ProofError("It says to have been done before it was begun")
    logged = {
        Key(
            id=b.id,
            klass=b.klass,
            month=b.month,
            generation=b.generation,
            master_key=b.key,
            destruction=one.id,
        )
        for one in done
        for b in one.buckets
    }
    if logged != set(told.keys) or len(told.keys) != len(logged):
        raise ProofError("The keys it names are not those that the log says were destroyed")
    if told.destroyed.keys != len(told.keys):
        raise ProofError("It counts another number of keys than it names")


def _check_times(told: Certificate, found: Findings) -> None:
    try:
        live = clock.parse(told.destroyed_at)
        out = clock.iso(clock.Instant(live + told.key_backup_days * clock.DAY))
    except (ValueError, OverflowError):
        found.problem("The certificate does not say when the destruction was done.")
        return
    if out != told.out_of_backups_by:
        found.problem("The day by which it is out of backups does not follow from its members.")
    if told.statement != statement_of(
        told.destroyed_at, told.key_backup_days, told.out_of_backups_by
    ):
        found.problem("The certificate's statement is not what its members say.")
