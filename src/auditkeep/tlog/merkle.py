"""The Merkle tree of Certificate Transparency (RFC 6962 section 2.1; checking as RFC 9162 2.1.3-4).

Purpose: roots, inclusion paths and consistency paths, and the checking of each. All hashes are
SHA-256, 32 bytes. "Leaves" here are leaf hashes; `leaf_hash` makes one from data.

Invariants: leaves and inner nodes are hashed under different prefixes, so neither passes for the
other; the checking functions accept exactly the paths that the making functions give, of exactly
their length, and raise ProofError for everything else; nothing is quadratic (`Tree` builds its
levels once, for all paths).

A node (level, index) is the root of the complete subtree over leaves
[index * 2**level, (index + 1) * 2**level). Every range that RFC 6962 hashes is a fold of such
nodes, which is why the same code serves leaves in memory and tiles in storage (`tiles`).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from auditkeep.errors import ProofError

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves (RFC 6962 section 2.1)."""

Node = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree (level, index)."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree over leaf hashes in memory: levels are built once, each path is then a lookup."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        # A last node without a sibling moves up unchanged: the same root as RFC 6962's split at
        # the largest power of two, without its recursion.
        self._levels = [list(hashes)]
        while len(row := self._levels[-1]) > 1:
            above = [
                sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)
            ]
            if len(row) % 2:
                above.append(row[-1])
            self._levels.append(above)

    @property
    def size(self) -> int:
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        return self._levels[-1][0] if self.size else EMPTY_ROOT

    def path(self, index: int) -> list[bytes]:
        """The inclusion path of a leaf, from its sibling up; ProofError if there is none."""
        _require_leaf(index, self.size)
        path = []
        for row in self._levels[:-1]:
            if (sibling := index ^ 1) < len(row):
                path.append(row[sibling])
            index >>= 1
        return path

    def consistency(self, old_size: int) -> list[bytes]:
        """The path that shows that the first `old_size` leaves are those of an older tree."""
        return consistency_path(self.node, old_size, self.size)

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree of this tree."""
        return self._levels[level][index]


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    return Tree(hashes).root


def consistency_path(node: Node, old_size: int, size: int) -> list[bytes]:
    """RFC 6962 section 2.1.2, from the nodes of a tree of `size` leaves.

    Empty when there is nothing to show (equal sizes, or an old tree without leaves).
    """
    if not 0 <= old_size <= size:
        raise ProofError(f"A log of {size} entries has no older state of {old_size} entries.")
    if old_size in (0, size):
        return []
    path: list[bytes] = []
    low, high, whole = 0, size, True
    while old_size != high:
        split = low + _split(high - low)
        if old_size <= split:
            path.append(range_hash(node, split, high))
            high = split
        else:
            path.append(range_hash(node, low, split))
            low, whole = split, False
    if not whole:
        path.append(range_hash(node, low, high))
    path.reverse()
    return path


def path_from_nodes(node: Node, index: int, size: int) -> list[bytes]:
    """The inclusion path of one leaf of a tree that gives its complete subtrees."""
    _require_leaf(index, size)
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        split = low + _split(high - low)
        if index < split:
            path.append(range_hash(node, split, high))
            high = split
        else:
            path.append(range_hash(node, low, split))
            low = split
    path.reverse()
    return path


def range_hash(node: Node, low: int, high: int) -> bytes:
    """MTH of leaves [low, high), `low` being a multiple of the largest power of two that fits."""
    if low == high:
        return EMPTY_ROOT
    parts: list[bytes] = []
    while low < high:
        level = (high - low).bit_length() - 1
        parts.append(node(level, low >> level))
        low += 1 << level
    result = parts.pop()
    while parts:
        result = node_hash(parts.pop(), result)
    return result


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf and its path lead to (RFC 9162 section 2.1.3.2).

    ProofError if the path has another length than this place in a tree of this size asks for.
    Whether the root is the right one is for the caller to compare.
    """
    _require_leaf(index, size)
    _require_hashes(leaf, *path)
    if len(path) != path_length(index, size):
        raise ProofError(
            f"An inclusion path of {len(path)} hashes does not fit entry {index} of {size}."
        )
    inner = (index ^ (size - 1)).bit_length()
    result = leaf
    for level, sibling in enumerate(path):
        # Above `inner` the node is the last of its row: only siblings on its left are left.
        if level >= inner or index >> level & 1:
            result = sha256(b"\x01" + sibling + result).digest()
        else:
            result = sha256(b"\x01" + result + sibling).digest()
    return result


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], expected_root: bytes
) -> None:
    """ProofError unless the leaf is at `index` of the tree with this size and root."""
    if root_from_path(leaf, index, size, path) != expected_root:
        raise ProofError("The inclusion path does not lead to the root.")


def verify_consistency(
    old_size: int, old_root: bytes, size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """ProofError unless the older tree is the beginning of the newer (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old_size <= size:
        raise ProofError(f"A log of {old_size} entries cannot be older than one of {size}.")
    _require_hashes(old_root, new_root, *path)
    if old_size in (0, size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if path or old_root != expected:
            raise ProofError("Two states of the log do not agree.")
        return
    steps = list(path)
    if not old_size & (old_size - 1):
        steps.insert(0, old_root)  # a complete old tree is itself the first node of the path
    if not steps:
        raise ProofError("The consistency path is too short.")
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if not last:
            raise ProofError("The consistency path is too long.")
        if node & 1 or node == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, step)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("The consistency path is too short.")
    if old != old_root or new != new_root:
        raise ProofError("Two states of the log do not agree.")


def path_length(index: int, size: int) -> int:
    """How many hashes the inclusion path of a leaf has."""
    _require_leaf(index, size)
    # Up to where the leaf's way joins that of the last leaf, every row has a sibling; above, the
    # node is the last of its row and has one only where it is a right child.
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def _split(width: int) -> int:
    """The largest power of two smaller than `width` (RFC 6962: k < n <= 2k)."""
    return 1 << ((width - 1).bit_length() - 1)


def _require_leaf(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise ProofError(f"There is no entry {index} in a tree of {size}.")


def _require_hashes(*hashes: bytes) -> None:
    if any(len(value) != HASH_SIZE for value in hashes):
        raise ProofError(f"A hash in a proof does not have {HASH_SIZE} bytes.")
