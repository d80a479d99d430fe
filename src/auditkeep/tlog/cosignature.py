"""Cosignatures: somebody else's signature under a checkpoint (C2SP tlog-cosignature, version 1).

    — <witness> base64(key id(4) ‖ u64be(seconds since 1970) ‖ Ed25519 signature(64))

What is signed is not the checkpoint alone but

    cosignature/v1
    time <seconds since 1970>
    <the checkpoint's text>

so that it says when, and can never be passed off as the log's own signature. The key's vkey has
the algorithm byte 0x04; the key id covers it.

Invariant: a cosignature by a witness that is known must hold, or all of them are refused; those by
unknown witnesses are ignored.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from auditkeep.clock import SECOND, Instant
from auditkeep.crypto.signing import NoteKey, verify_ed25519
from auditkeep.errors import KeyUnusable, ProofError
from auditkeep.tlog.note import split

_ALGORITHM = b"\x04"
_KEY_SIZE = 32
_ID_SIZE = 4
_TIME_SIZE = 8
_SIGNATURE_SIZE = 64
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_LATEST = 1 << 42
"""Seconds: what a cosignature may say, and still be a time that can be shown."""


@dataclass(frozen=True)
class WitnessKey:
    """The public half of a witness's key."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> "WitnessKey":
        """A vkey's parts, checked against each other; KeyUnusable if it is none."""
        problem = (
            f"{vkey[:100]!r} is not a witness's key: it must read name+8 hex digits+base64, on one "
            "line, and be for cosignatures (version 1)."
        )
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            blob = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise KeyUnusable(problem) from error
        if not _NAME.fullmatch(name) or len(blob) != 1 + _KEY_SIZE or blob[:1] != _ALGORITHM:
            raise KeyUnusable(problem)
        key = cls(name, blob[1:])
        if key.vkey != f"{name}+{key_id}+{encoded}":
            raise KeyUnusable(
                f"The witness's key {vkey[:100]!r} contradicts itself: its parts do not belong "
                "together, so it was mistyped or changed."
            )
        return key

    @property
    def key_id(self) -> bytes:
        material = self.name.encode() + b"\n" + _ALGORITHM + self.public
        return hashlib.sha256(material).digest()[:_ID_SIZE]

    @property
    def vkey(self) -> str:
        encoded = base64.b64encode(_ALGORITHM + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


@dataclass(frozen=True)
class Cosignature:
    """That a witness has seen a checkpoint as the continuation of all it saw before, and when."""

    witness: WitnessKey
    at: Instant


def cosign(body: str, name: str, key: NoteKey, now: Instant) -> str:
    """The signature line, with its newline, of a checkpoint's text."""
    if not _NAME.fullmatch(name):
        raise KeyUnusable(
            f"{name!r} cannot name a witness: no spaces, plus signs or control characters."
        )
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
