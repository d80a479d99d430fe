"""The files of a report archive that make it checkable: names, shapes and signed bytes.

Source: spec section 5.5 for digest.txt, docs/formats.md ("Report proofs") for the rest. Reports are
written with these structs and checked with them; nothing here reads or writes a file.

Invariant: `digest.txt` is exactly the canonical JSON (RFC 8785) of its object, and what is signed
is the same without the member `hashSignature`: no byte of the file is outside the signature, and
an auditor gets the signed bytes with one `sed`.
"""

import base64
import binascii
import re
from typing import Literal

import msgspec

from auditkeep.crypto.signing import DigestKey, fingerprint
from auditkeep.errors import ProofError

DIGEST = "digest.txt"
CHECKPOINT = "proofs/checkpoint.txt"
LOG_KEY = "proofs/log-key.txt"
REPORT_KEY = "proofs/report-key.txt"
BATCHES = "proofs/batches.jsonl"
RECORDS = "proofs/records.jsonl"
CONSISTENCY = "proofs/consistency.jsonl"
EPOCHS = "proofs/epochs.jsonl"
ANCHORS = "proofs/anchors.jsonl"
COMPLETENESS = "completeness.jsonl"
"""Paths inside the report's folder, the one that holds `digest.txt`. CONSISTENCY, EPOCHS and
ANCHORS are optional."""

_OWN = frozenset(
    {
        DIGEST,
        "README.txt",
        "AssessmentReportSummary.pdf",
        CHECKPOINT,
        LOG_KEY,
        REPORT_KEY,
        BATCHES,
        RECORDS,
        CONSISTENCY,
        EPOCHS,
        ANCHORS,
        COMPLETENESS,
    }
)
_VOLUME = re.compile(r"volumes/[A-Za-z0-9._-]+\.pdf")

_REPORT_KEY_HEAD = "auditkeep/report-key/1"


class ListedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A file of the archive: its path inside the zip, SHA-256 in hex, and size in bytes."""

    file_name: str
    file_hash_value: str
    size: int


class Digest(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename="camel",
    omit_defaults=True,
    kw_only=True,
):
    """digest.txt; `hash_signature` is empty until it is signed."""

    version: Literal["1.0"]
    region: str
    account_id: str
    assessment_id: str
    assessment_report_id: str
    report_name: str
    generated_at: str
    files: tuple[ListedFile, ...]
    hash_algorithm: Literal["SHA-256"]
    signature_algorithm: Literal["SHA256withRSA"]
    signature_date_time: str
    signature_key_id: str
    public_key_fingerprint: str
    hash_signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature covers: canonical JSON of everything but the signature."""
        return canonical(msgspec.structs.replace(self, hash_signature=""))

    def signed(self, key: DigestKey) -> "Digest":
        """This digest with the signature of `key`, whose fingerprint it must already carry."""
        if self.public_key_fingerprint != key.fingerprint:
            raise ProofError("The digest names another report key than the one that signs it.")
        signature = key.sign(self.signed_bytes()).hex()
        return msgspec.structs.replace(self, hash_signature=signature)

    def file_bytes(self) -> bytes:
        """The content of digest.txt."""
        return canonical(self)


class BatchLine(msgspec.Struct, frozen=True):
    """A line of batches.jsonl: one batch that records of the report come from.

    `record` is the batch record's text, `index` its entry's place in the log, `inclusion` the
    entry's path to the checkpoint's root. Hashes and salt are lower-case hex.
    """

    batch_no: int
    record: str
    salt: str
    index: int
    inclusion: tuple[str, ...]


class Attachment(msgspec.Struct, frozen=True):
    """A customer's file beside a manual record: its path inside the zip, and its SHA-256 in hex."""

    file: str
    sha256: str


class RecordLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of records.jsonl: the proof of one evidence item.

    `file` is the path inside the zip of the source's bytes as kept, `index` the place in the batch,
    `envelope` the envelope's text, `path` the leaf's path to the batch's root.
    """

    evidence_id: str = msgspec.field(name="evidenceId")
    file: str
    batch_no: int
    index: int
    nonce: str
    envelope: str
    path: tuple[str, ...]
    attachment: Attachment | None = None


class ConsistencyLine(msgspec.Struct, frozen=True):
    """A line of consistency.jsonl: that the log of `old` entries is the start of that of `new`."""

    old: int
    new: int
    path: tuple[str, ...]


class EpochLine(msgspec.Struct, frozen=True):
    """A line of epochs.jsonl: the note by which a former log names the one that follows it."""

    note: str


class AnchorLine(msgspec.Struct, frozen=True):
    """A line of anchors.jsonl: a checkpoint of the same log that somebody outside vouches for.

    `note` is the checkpoint with cosignatures below the log's signature, `timestamps` are RFC 3161
    responses over its text in base64, `path` shows that it is the beginning of the report's own.
    """

    note: str
    timestamps: tuple[str, ...]
    path: tuple[str, ...]


class Owner(msgspec.Struct, frozen=True):
    """Whose: an account in a region."""

    account: str
    region: str


class BatchRecord(msgspec.Struct, frozen=True):
    """What a verifier reads of a batch record (docs/formats.md, "Batch record")."""

    v: int
    batch_no: int
    rows: int
    root: str
    unit: str
    committed_at: str
    tenant: Owner


class Origin(msgspec.Struct, frozen=True):
    """What a verifier reads of an envelope's provenance."""

    how: str
    run: str


class Envelope(msgspec.Struct, frozen=True):
    """What a verifier reads of an envelope (docs/formats.md, "Envelope")."""

    v: int
    id: str
    source: str
    natural_key: tuple[str, ...]
    event_time: str
    collected_at: str
    unit: str
    tenant: Owner
    provenance: Origin


class Manual(msgspec.Struct, frozen=True):
    """What a verifier reads of a manual record's raw bytes (docs/formats.md, "Manual evidence")."""

    form: Literal["text", "file", "s3"]
    sha256: str | None = None


def canonical(value: object) -> bytes:
    """RFC 8785 for what Auditkeep writes: objects with ASCII keys, lists, strings, integers."""
    return msgspec.json.encode(value, order="sorted")


def is_own(path: str) -> bool:
    """Whether a path inside the report's folder is that of a file which is no evidence."""
    return path in _OWN or _VOLUME.fullmatch(path) is not None


def report_key_body(origin: str, public_der: bytes) -> str:
    """What the log key signs to say that a report key is of the same house."""
    encoded = base64.b64encode(public_der).decode()
    return f"{_REPORT_KEY_HEAD}\n{origin}\n{fingerprint(public_der)}\n{encoded}\n"


def parse_report_key(body: str) -> tuple[str, bytes]:
    """Origin and SPKI of a report key's endorsement; ProofError if malformed."""
    lines = body.split("\n")
    if len(lines) != 5 or lines[0] != _REPORT_KEY_HEAD or lines[4]:
        raise ProofError(f"{REPORT_KEY} does not read as the endorsement of a report key.")
    try:
        public_der = base64.b64decode(lines[3], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofError(f"{REPORT_KEY} does not hold a key in base64.") from error
    if fingerprint(public_der) != lines[2]:
        raise ProofError(f"{REPORT_KEY} names another key than it holds.")
    return lines[1], public_der
