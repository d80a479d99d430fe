"""Checkpoints: what a log says it contains, in three lines (C2SP tlog-checkpoint).

    <origin>
    <number of entries>
    <root hash in base64>

Signed as a note by a key whose name is the origin. Who holds two checkpoints of one log can ask
for the proof that the one extends the other; who holds one can check anything below it.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from auditkeep.errors import ProofError
from auditkeep.tlog.merkle import EMPTY_ROOT, HASH_SIZE
from auditkeep.tlog.note import Signer, Verifier, open_note, sign

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_LINES = 3


@dataclass(frozen=True)
class Checkpoint:
    """A log's name, size and root."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, body: str) -> "Checkpoint":
        """From a note's text; lines after the third are extensions, ignored. Else ProofError."""
        lines = body.split("\n")
        if len(lines) <= _LINES or not lines[0] or not _SIZE.fullmatch(lines[1]):
            raise ProofError("This is not a checkpoint: origin, size and root are expected.")
        try:
            root = base64.b64decode(lines[2], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProofError("The checkpoint's root is not base64.") from error
        if len(root) != HASH_SIZE or base64.b64encode(root).decode() != lines[2]:
            raise ProofError(f"The checkpoint's root is not a hash of {HASH_SIZE} bytes.")
        checkpoint = cls(lines[0], int(lines[1]), root)
        if checkpoint.size == 0 and root != EMPTY_ROOT:
            raise ProofError("The checkpoint names a root for a log without entries.")
        return checkpoint

    def signed(self, signer: Signer) -> str:
        """The signed note of this checkpoint; the signer must carry the log's own name."""
        if signer.name != self.origin:
            raise ProofError(f"The key {signer.name} cannot sign for the log {self.origin}.")
        return sign(self.body(), [signer])


def open_checkpoint(text: str, verifiers: Sequence[Verifier]) -> Checkpoint:
    """A signed checkpoint; ProofError unless the log itself (a key of its name) signed it."""
    note = open_note(text, verifiers)
    checkpoint = Checkpoint.parse(note.body)
    if all(verifier.name != checkpoint.origin for verifier in note.signed_by):
        raise ProofError(f"The checkpoint of {checkpoint.origin} is not signed by its own key.")
    return checkpoint
