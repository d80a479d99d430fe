"""Cosignatures: somebody else's signature under a checkpoint (C2SP tlog-cosignature, version 1).

    — <witness> base64(key id(4) ‖ u64be(seconds since 1970) ‖ Ed25519 signature(64))

What is signed is not the checkpoint alone but

    cosignature/v1
    time <seconds since 1970>
    <the checkpoint's text>

so that it says when, and can never be passed off as the log's own signature. Witnesses' keys are
written as `tlog.vkey` says, with the algorithm 0x04.

Invariant: a cosignature by a witness that is known must hold, or all of them are refused; those by
unknown witnesses are ignored.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from auditkeep.clock import SECOND, Instant
from auditkeep.crypto.signing import NoteKey, verify_ed25519
from auditkeep.errors import ProofError
from auditkeep.tlog.note import split
from auditkeep.tlog.vkey import PublicKey

_TIME_SIZE = 8
_SIGNATURE_SIZE = 64
_LATEST = 1 << 42
"""Seconds: what a cosignature may say, and still be a time that can be shown."""


class WitnessKey(PublicKey):
    """The public half of a witness's key."""

    algorithm = b"\x04"
    kind = "witness's key"
    form = (
        "it must read name+8 hex digits+base64, on one line, and be for cosignatures (version 1)."
    )


@dataclass(frozen=True)
class Cosignature:
    """That a witness has seen a checkpoint as the continuation of all it saw before, and when."""

    witness: WitnessKey
    at: Instant


def cosign(body: str, name: str, key: NoteKey, now: Instant) -> str:
    """The signature line, with its newline, of a checkpoint's text."""
    WitnessKey.require_name(name)
    seconds = now // SECOND
    signature = key.sign(_message(body, seconds))
    blob = WitnessKey(name, key.public).key_id + seconds.to_bytes(_TIME_SIZE, "big") + signature
    return f"— {name} {base64.b64encode(blob).decode()}\n"


def cosignatures(note: str, witnesses: Sequence[WitnessKey]) -> list[Cosignature]:
    """Those of known witnesses on a signed checkpoint; ProofError if one does not hold."""
    body, lines = split(note)
    known = {(w.name, w.key_id): w for w in witnesses}
    found = []
    for line in lines:
        witness = known.get((line.name, line.key_id))
        if witness is None:
            continue
        broken = ProofError(f"The cosignature of {line.name} does not hold.")
        if len(line.signature) != _TIME_SIZE + _SIGNATURE_SIZE:
            raise broken
        seconds = int.from_bytes(line.signature[:_TIME_SIZE], "big")
        try:
            verify_ed25519(witness.public, _message(body, seconds), line.signature[_TIME_SIZE:])
        except ProofError as error:
            raise broken from error
        if seconds >= _LATEST:
            raise broken
        found.append(Cosignature(witness, Instant(seconds * SECOND)))
    return found


def _message(body: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{body}".encode()
