"""Epochs: how a log that had to begin anew names the one before (docs/formats.md, "Epochs").

    log-epoch/1
    <name of the former log>
    <key of the new log, as a vkey>
    <entries that the new log keeps of the former>
    <their root in base64>
    <entries of the former log's last checkpoint, or "unknown">
    <its root in base64, or "unknown">

A note signed by the former log's key. The kept entries are the beginning of both logs, so that a
checkpoint of the former log up to that size is a state of the new one. Where the former log
ended is unknown after a restore for which nothing but a backup was left.
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
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Epoch:
    """The beginning of a new log, and the end of the one before."""

    former: str
    vkey: str
    kept_size: int
    kept_root: bytes
    last_size: int | None
    """None, as the root: nobody could say where the former log had ended."""
    last_root: bytes | None

    @property
    def verifier(self) -> Verifier:
        return Verifier.parse(self.vkey)

    @property
    def has_sound_end(self) -> bool:
        """Whether the former log's end, if it is known, is one that it may have had."""
        if self.last_size is None or self.last_root is None:
            return self.last_size is None and self.last_root is None
        return self.kept_size <= self.last_size and len(self.last_root) == HASH_SIZE

    def body(self) -> str:
        return (
            f"{_HEAD}\n{self.former}\n{self.vkey}\n{self.kept_size}\n{_base64(self.kept_root)}\n"
            f"{_UNKNOWN if self.last_size is None else self.last_size}\n"
            f"{_UNKNOWN if self.last_root is None else _base64(self.last_root)}\n"
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
                None if lines[5] == _UNKNOWN else int(lines[5]),
                None if lines[6] == _UNKNOWN else base64.b64decode(lines[6], validate=True),
            )
        except (KeyUnusable, binascii.Error, ValueError) as error:
            raise ProofError("The beginning of a log's epoch is malformed.") from error
        if (
            epoch.body() != body
            or epoch.kept_size < 0
            or len(epoch.kept_root) != HASH_SIZE
            or not epoch.has_sound_end
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
