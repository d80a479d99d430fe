"""Whoever else vouches for a checkpoint: the seam for C2SP tlog-witness.

A witness signs a checkpoint only when it extends the last one it saw, so that a log cannot show
different histories to different people without one of its witnesses noticing.
"""

from collections.abc import Sequence
from typing import Protocol


class Witness(Protocol):
    """Someone outside who remembers the last checkpoint of this log."""

    @property
    def vkey(self) -> str:
        """The key that its cosignatures are checked with."""
        ...

    def cosign(self, note: str, old_size: int, consistency: Sequence[bytes]) -> str:
        """The signature lines to add to a signed checkpoint; ProofError if it is refused."""
        ...
