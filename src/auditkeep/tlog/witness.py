"""What a log and a witness say to each other (C2SP tlog-witness, `add-checkpoint`).

    old <size of the last checkpoint this witness cosigned>
    <consistency path from there, a hash in base64 to a line>
    <empty line>
    <signed checkpoint>

A witness signs a checkpoint only when it extends the last one it saw, so that a log cannot show
different histories to different people without one of its witnesses noticing.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from auditkeep.errors import ProofError
from auditkeep.tlog.merkle import HASH_SIZE

PATH = "add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
"""The media type of a 409, whose body is the size that the witness knows."""
MAX_REQUEST = 1 << 16
"""Bytes; a checkpoint has a few hundred, a path at most 63 hashes."""
MAX_PATH = 63

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class AddCheckpoint:
    """A log's wish to have a checkpoint cosigned."""

    old_size: int
    path: Sequence[bytes]
    note: str

    def encode(self) -> bytes:
        steps = "".join(f"{base64.b64encode(step).decode()}\n" for step in self.path)
        return f"old {self.old_size}\n{steps}\n{self.note}".encode()

    @classmethod
    def decode(cls, body: bytes) -> "AddCheckpoint":
        """From a request's body; ProofError if it is none."""
        problem = "This is not a request to add a checkpoint."
        try:
            head, cut, note = body.decode().partition("\n\n")
        except UnicodeDecodeError as error:
            raise ProofError(problem) from error
        first, *steps = head.split("\n")
        match = _OLD.fullmatch(first)
        if match is None or not cut or len(steps) > MAX_PATH:
            raise ProofError(problem)
        try:
            path = [base64.b64decode(step, validate=True) for step in steps]
        except (binascii.Error, ValueError) as error:
            raise ProofError(problem) from error
        if any(len(step) != HASH_SIZE for step in path):
            raise ProofError(problem)
        return cls(int(match[1]), path, note)
