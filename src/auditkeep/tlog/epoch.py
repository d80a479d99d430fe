"""Epochs: how a log that had to begin anew names the one before (docs/formats.md, "Epochs").

    log-epoch/1
    <name of the former log>
    <key of the new log, as a vkey>
    <entries that the new log keeps of the former>
    <their root in base64>
    <entries of the former log's last checkpoint>
    <its root in base64>

A note signed by the former log's key. The kept entries are the beginning of both logs, so that a
checkpoint of the former log up to that size is a state of the new one.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from auditkeep.errors import KeyUnusable, ProofError
from auditkeep.tlog.merkle import HASH_SIZE
from auditkeep.tlog.note import Signer, Verifier, open_note, sign

_HEAD = "log-epoch/1"
_LINES = 8


@dataclass(frozen=True)
class Epoch:
    """The beginning of a new log, and the end of the one before."""

    former: str
    vkey: str
    kept_size: int
    kept_root: bytes
    last_size: int
    last_root: bytes

    @property
    def verifier(self) -> Verifier:
        return Verifier.parse(self.vkey)

    def body(self) -> str:
        return (
            f"{_HEAD}\n{self.former}\n{self.vkey}\n{self.kept_size}\n{_base64(self.kept_root)}\n"
            f"{self.last_size}\n{_base64(self.last_root)}\n"
        )

    def signed(self, signer: Signer) -> str:
        """The note; the signer must be the former log's own."""
        if signer.name != self.former:
            raise ProofError(f"The key {signer.name} cannot end the log {self.former}.")
        return sign(self.body(), [signer])

    @classmethod
    def parse(cls, body: str) -> "Epoch":
        """From a note's text; ProofError if it is none."""
        lines = body.split("\n")
        if len(lines) != _LINES or lines[0] != _HEAD or lines[-1]:
            raise ProofError("This is not the beginning of a log's epoch.")
        try:
            verifier = Verifier.parse(lines[2])
            epoch = cls(
                lines[1],
                verifier.vkey,
                int(lines[3]),
                base64.b64decode(lines[4], validate=True),
                int(lines[5]),
                base64.b64decode(lines[6], validate=True),
            )
        except (KeyUnusable, binascii.Error, ValueError) as error:
            raise ProofError("The beginning of a log's epoch is malformed.") from error
        if (
            epoch.body() != body
            or not 0 <= epoch.kept_size <= epoch.last_size
            or {len(epoch.kept_root), len(epoch.last_root)} != {HASH_SIZE}
        ):
            raise ProofError("The beginning of a log's epoch contradicts itself.")
        return epoch


def follow(notes: Sequence[str], known: Sequence[Verifier]) -> list[Epoch]:
    """The epochs, in order, that keys which are known lead to; the others are passed over."""
    keys = list(known)
    found: list[Epoch] = []
    for text in notes:
        try:
            note = open_note(text, keys)
            epoch = Epoch.parse(note.body)
        except ProofError:
            continue
        if any(verifier.name == epoch.former for verifier in note.signed_by):
            found.append(epoch)
            keys.append(epoch.verifier)
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
