"""Proofs: from an observation's leaf to a signed checkpoint, in two steps.

A leaf leads to its batch's root, the batch record holds that root, its log entry leads to the
checkpoint's. Everything a verifier needs is here; docs/formats.md says how it checks.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from auditkeep.clock import Instant
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import batches, checkpoints, log_entries
from auditkeep.db.tx import Tx
from auditkeep.errors import LogError, StorageError
from auditkeep.lake.batch import load_leaves, open_opening
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import log_tiles, newest_row, require_tiles
from auditkeep.tlog.merkle import Tree


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint of the log with its signed note."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class BatchProof:
    """One batch's place in the log, and the paths of some of its leaves to the batch's root."""

    batch_no: int
    record: str
    salt: bytes
    log_index: int
    inclusion: tuple[bytes, ...]
    checkpoint: str
    """The signed note that `inclusion` leads to."""
    paths: Mapping[int, tuple[bytes, ...]]


class LogReader:
    """The log at one signed checkpoint: proofs of one report share it, and the tiles it read."""

    def __init__(self, lake: Lake, checkpoint: SignedCheckpoint) -> None:
        self.checkpoint = checkpoint
        self._tiles = log_tiles(lake, checkpoint.size)
        require_tiles(self._tiles, checkpoint.root)

    @classmethod
    def newest(cls, tx: Tx, lake: Lake) -> "LogReader":
        """The log at its newest signed checkpoint; LogError before the first."""
        row = newest_row(tx.system(), signed=True)
        if row is None or row.note is None:
            raise LogError("The log has no checkpoint yet; it is written within a second.")
        return cls(lake, SignedCheckpoint(row.size, row.root, row.note))

    @classmethod
    def at(cls, tx: Tx, lake: Lake, size: int) -> "LogReader | None":
        """The log at the signed checkpoint of that size; None if there is none."""
        system = tx.system()
        row = system.first(system.select(checkpoints).where(checkpoints.c.size == size))
        if row is None or row.note is None:
            return None
        return cls(lake, SignedCheckpoint(row.size, bytes(row.root), row.note))

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        return tuple(self._tiles.inclusion(index))

    def consistency(self, old_size: int) -> tuple[bytes, ...]:
        """The path that shows that an older checkpoint's log is the beginning of this one."""
        return tuple(self._tiles.consistency(old_size))


def prove(
    tx: Tx, lake: Lake, batch_no: int, indexes: Collection[int], log: LogReader | None = None
) -> BatchProof:
    """The proof of a batch and of the observations at `indexes` of it.

    Pass one `LogReader` for all proofs of a report, so that they lead to one checkpoint. LogError
    while the batch is not in the log yet (the sequencer takes it in within a second).
    """
    log = log if log is not None else LogReader.newest(tx, lake)
    row = tx.first(tx.select(batches).where(batches.c.batch_no == batch_no))
    if row is None:
        raise StorageError(f"There is no batch {batch_no}.")
    log_index = _log_index(tx, row.log_position)
    if log_index is None or log_index >= log.checkpoint.size:
        raise LogError(
            f"Batch {batch_no} is not covered by the log's checkpoint of {log.checkpoint.size} "
            "entries yet; it will be within a second. Try again."
        )
    opening = open_opening(lake, tx.tenant, batch_no, bytes(row.opening))
    root = bytes(row.root)
    kept = None if row.leaves is None else bytes(row.leaves)
    tree = Tree(load_leaves(lake, tx.tenant, batch_no, root, kept, row.rows))
    if tree.root != root:
        raise StorageError(f"The leaf hashes of batch {batch_no} were changed.")
    return BatchProof(
        batch_no=batch_no,
        record=opening.record.decode(),
        salt=opening.salt,
        log_index=log_index,
        inclusion=log.inclusion(log_index),
        checkpoint=log.checkpoint.note,
        paths={index: tuple(tree.path(index)) for index in sorted(set(indexes))},
    )


def places(tx: Tx, batch_nos: Collection[int]) -> Iterator[tuple[int, int, Instant]]:
    """Some batches that are in the log: number, index of its entry, and when it was committed."""
    numbers = sorted(batch_nos)
    system = tx.system()
    for some in in_pieces(numbers):
        query = tx.select(batches.c.batch_no, batches.c.log_position, batches.c.committed_at)
        rows = tx.all(query.where(batches.c.batch_no.in_(some)))
        positions = [row.log_position for row in rows]
        entries = system.select(log_entries.c.position, log_entries.c.log_index)
        found = system.all(entries.where(log_entries.c.position.in_(positions)))
        indexes = {row.position: row.log_index for row in found}
        for row in rows:
            index = indexes.get(row.log_position)
            if index is not None:
                yield row.batch_no, index, Instant(row.committed_at)


def _log_index(tx: Tx, position: int) -> int | None:
    system = tx.system()
    query = system.select(log_entries.c.log_index).where(log_entries.c.position == position)
    found: int | None = system.scalar(query)
    return found
