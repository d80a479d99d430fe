"""Checking many leaves of one tree: what one path has proven is not hashed again.

Purpose: a report carries hundreds of paths into the same batch, and neighbours share almost all
of theirs. A node on a path that led to the root is the root's word, and so is its sibling.

Invariant: `check` accepts exactly what `merkle.verify_inclusion` accepts: where a known node is
reached, the rest of the path is compared instead of hashed.
"""

from collections.abc import Sequence

from auditkeep.errors import ProofError
from auditkeep.tlog.merkle import HASH_SIZE, node_hash, path_length

_LEVEL = 48
"""Bits of an index; above them a node's number carries its level."""


class SharedPaths:
    """One tree, known by its root and size, and the nodes proven to belong to it."""

    def __init__(self, root: bytes, size: int) -> None:
        self._root = root
        self._size = size
        self._known: dict[int, bytes] = {}

    @property
    def weight(self) -> int:
        """How many nodes are remembered."""
        return len(self._known)

    def check(self, leaf: bytes, index: int, path: Sequence[bytes]) -> None:
        """ProofError unless the leaf is at `index` of this tree."""
        if len(path) != path_length(index, self._size):
            raise ProofError(
                f"An inclusion path of {len(path)} hashes does not fit entry {index} "
                f"of {self._size}."
            )
        known, result, taken, at = self._known, leaf, 0, 0
        row, last = index, self._size - 1
        seen: list[tuple[int, bytes]] = []
        while last:
            number = at << _LEVEL | row
            found = known.get(number)
            if found is not None:
                if found != result:
                    raise ProofError("The inclusion path does not lead to the root.")
                break
            seen.append((number, result))
            if row & 1 or row < last:
                sibling = path[taken]
                if len(sibling) != HASH_SIZE:
                    raise ProofError(f"A hash in a proof does not have {HASH_SIZE} bytes.")
                seen.append((number ^ 1, sibling))
                result = node_hash(sibling, result) if row & 1 else node_hash(result, sibling)
                taken += 1
            row, last, at = row >> 1, last >> 1, at + 1
        else:
            if result != self._root:
                raise ProofError("The inclusion path does not lead to the root.")
        while last:
            if row & 1 or row < last:
                if known[at << _LEVEL | row ^ 1] != path[taken]:
                    raise ProofError("The inclusion path does not lead to the root.")
                taken += 1
            row, last, at = row >> 1, last >> 1, at + 1
        known.update(seen)
