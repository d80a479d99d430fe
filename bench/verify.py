"""An auditor's proofs: a million inclusion paths led to their roots, on one core.

The limit, in the same run: SHA-256 of as many pairs of hashes as the paths have steps, and nothing
else. Sharing nodes, a path is hashed up to where it meets one that was proven before, which is how
`verify` checks a report; one by one, each is hashed to the root, as for a single record.
Seconds are the process's own, so that neighbours on the machine do not count.
"""

import hashlib
import os
import time
from collections.abc import Callable

from bench.result import Result

from auditkeep.tlog.merkle import Tree, verify_inclusion
from auditkeep.tlog.shared import SharedPaths

PROOFS = 1_000_000
BATCH = 16_384
"""Leaves of one tree: the largest batch."""
SHARED, ALONE = 200_000, 50_000
"""Proofs a second and core."""


def run(scale: float) -> list[Result]:
    rounds = max(1, int(PROOFS * scale) // BATCH)
    leaves = [os.urandom(32) for _ in range(BATCH)]
    tree = Tree(leaves)
    root = tree.root
    paths = [tree.path(index) for index in range(BATCH)]
    steps = len(paths[0])

    def limit() -> None:
        pair, sha256 = b"\x01" + bytes(64), hashlib.sha256
        for _ in range(BATCH * steps):
            sha256(pair).digest()

    def alone() -> None:
        for index, (leaf, path) in enumerate(zip(leaves, paths, strict=True)):
            verify_inclusion(leaf, index, BATCH, path, root)

    def shared() -> None:
        known = SharedPaths(root, BATCH)
        for index, (leaf, path) in enumerate(zip(leaves, paths, strict=True)):
            known.check(leaf, index, path)

    least = BATCH / _seconds(limit, 1)
    return [
        _result("inclusion proofs, sharing nodes", BATCH / _seconds(shared, rounds), least, SHARED),
        _result("inclusion proofs, one by one", BATCH / _seconds(alone, rounds), least, ALONE),
    ]


def _seconds(work: Callable[[], None], rounds: int) -> float:
    """Of one round."""
    started = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - started) / rounds


def _result(name: str, value: float, least: float, target: int) -> Result:
    return Result(
        name=name,
        value=value,
        baseline=least,
        ratio=value / least,
        target=f">= {target:,}",
        unit="proofs/s",
        met=value >= target,
    )
