"""One record's proof: from the source's bytes, through its batch, to the log (docs/formats.md).

    raw bytes, envelope, nonce → leaf → batch root → batch record → entry → checkpoint

Written from the formats alone and sharing no code with the lake that writes them, so that the two
hold each other to what is documented.
"""

import hashlib
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from auditkeep import clock
from auditkeep.errors import ProofError
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.merkle import HASH_SIZE, leaf_hash, verify_inclusion
from auditkeep.tlog.shared import SharedPaths
from auditkeep.verify.format import BatchLine, BatchRecord, Envelope, Owner, RecordLine, canonical

_LEAF = b"\x00auditkeep/leaf/1"
_ENTRY = b"auditkeep/batch/1"
_OBSERVATION = "auditkeep/observation/1"
_T = TypeVar("_T", BatchRecord, Envelope)
_UNKNOWN = "it was made by a newer version of Auditkeep than this one can check"


@dataclass(frozen=True)
class ProvenBatch:
    """A batch whose record the log holds."""

    batch_no: int
    rows: int
    root: bytes
    unit: str
    tenant: Owner
    index: int
    """Its entry's place in the log."""
    committed_at: str


def check_batch(line: BatchLine, checkpoint: Checkpoint) -> ProvenBatch:
    """The batch of a line of batches.jsonl; ProofError if the log does not hold its record."""
    record = _decoded(line.record, BatchRecord, "batch record")
    if record.batch_no != line.batch_no:
        raise ProofError(f"its record is that of batch {record.batch_no}")
    entry = hashlib.sha256(_ENTRY + hex_bytes(line.salt) + line.record.encode()).digest()
    path = [hex_bytes(step) for step in line.inclusion]
    try:
        verify_inclusion(leaf_hash(entry), line.index, checkpoint.size, path, checkpoint.root)
    except ProofError as error:
        raise ProofError(f"the log does not hold its record: {error}") from error
    return ProvenBatch(
        record.batch_no,
        record.rows,
        hex_bytes(record.root),
        record.unit,
        record.tenant,
        line.index,
        record.committed_at,
    )


def check_record(
    line: RecordLine, batch: ProvenBatch, raw_hash: bytes, paths: SharedPaths
) -> Envelope:
    """The envelope of a proven record; ProofError if anything about it was changed.

    `raw_hash` is the SHA-256 of the bytes the report shows for it, `paths` those of the batch's
    tree (a `SharedPaths(batch.root, batch.rows)`, kept from record to record).
    """
    leaf = hashlib.sha256(
        _LEAF + hex_bytes(line.nonce) + hashlib.sha256(line.envelope.encode()).digest() + raw_hash
    ).digest()
    try:
        paths.check(leaf, line.index, _hashes(line.path))
    except ProofError as error:
        raise ProofError(
            "the source's bytes, the envelope, or their place are not those that were logged: "
            f"{error}"
        ) from error
    envelope = _decoded(line.envelope, Envelope, "envelope")
    if envelope.tenant != batch.tenant:
        raise ProofError("its envelope belongs to another account or region than its batch")
    if envelope.unit != batch.unit:
        raise ProofError("its envelope belongs to another ingest unit than its batch")
    if envelope.id != observation_id(envelope):
        raise ProofError("its id does not follow from what identifies it at its source")
    return envelope


def observation_id(envelope: Envelope) -> str:
    """The id in hex that an envelope's own members give; ProofError if they cannot give one."""
    try:
        second = clock.parse(envelope.event_time) // clock.SECOND
        head = second.to_bytes(4, "big")
    except (ValueError, OverflowError) as error:
        raise ProofError(f"its event time {envelope.event_time!r} is none") from error
    tenant = envelope.tenant
    natural_key = list(envelope.natural_key)
    named = [_OBSERVATION, tenant.account, tenant.region, envelope.source, natural_key]
    return (head + hashlib.sha256(canonical(named)).digest()[:12]).hex()


def hex_bytes(text: str) -> bytes:
    """The 32 bytes of a hash, nonce or salt in lower-case hex; ProofError if it is none."""
    try:
        value = bytes.fromhex(text)
    except ValueError as error:
        raise ProofError(f"{text[:80]!r} is not a hash in hex") from error
    if len(value) != HASH_SIZE or value.hex() != text:
        raise ProofError(f"{text[:80]!r} is not a hash in lower-case hex")
    return value


def _hashes(path: tuple[str, ...]) -> list[bytes]:
    """All hashes of a path at once: a path is most of what a record's proof is made of."""
    text = "".join(path)
    try:
        joined = bytes.fromhex(text)
    except ValueError as error:
        raise ProofError("a path holds something that is not hex") from error
    if joined.hex() != text or any(len(step) != 2 * HASH_SIZE for step in path):
        raise ProofError("a path holds something that is not a hash in lower-case hex")
    return [joined[i : i + HASH_SIZE] for i in range(0, len(joined), HASH_SIZE)]


def _decoded(text: str, kind: type[_T], name: str) -> _T:
    try:
        value = msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise ProofError(f"its {name} does not read as one ({error})") from error
    if value.v != 1:
        raise ProofError(f"its {name} is of version {value.v}: {_UNKNOWN}")
    return value
