"""The one that writes the log: indexes, tiles, checkpoint, signature, publication, in this order.

Each step is durable before the next begins, and each can be repeated after a crash:
1. pending entries get their indexes, in order of position, in one transaction: from here on what
   the log will say is decided;
2. tiles, whose content follows from the indexes, so that putting them twice is harmless;
3. the checkpoint's row, whose primary key is the size: never two roots for one size;
4. the signature over exactly that row; 5. publication as the object `log/checkpoint`.

One holder at a time: a lock file on SQLite, an advisory lock on PostgreSQL. Should two ever
overlap, steps 1 and 3 still admit only one history.
"""

import threading
from collections.abc import Sequence
from typing import Self

from sqlalchemy import bindparam, func

from auditkeep.clock import Instant, SystemClock
from auditkeep.db.schema import checkpoints, log_entries
from auditkeep.db.tx import SystemTx
from auditkeep.errors import LogError, ObjectExists, ObjectMissing, ProofError
from auditkeep.lake import published
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.merkle import EMPTY_ROOT
from auditkeep.tlog.tiles import TileReader, new_tiles

FOLDER = published.FOLDER

MOST = 16_384
"""Entries of one step: what grows the log for a second of the fastest ingest many times over."""


class Sequencer:
    """Holds the log for writing from its making to `close`; Busy if another holds it."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._hold = lake.db.hold("sequencer", lake.data / "sequencer.lock")
        try:
            self._require_sound()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process write the log."""
        self._hold.release()

    def step(self, now: Instant | None = None) -> Checkpoint | None:
        """Take in what is pending and publish; the newest checkpoint, None for an empty log."""
        lake = self._lake
        self._hold.require()
        with lake.db.system_read() as tx:
            newest = newest_row(tx)
            pending = _has_pending(tx, newest.size if newest else 0)
        if newest is not None and (newest.note is None or not self._is_published(newest.size)):
            self._publish(newest.size)
        if pending:
            size, root = self._grow(newest)
            self._decide(size, root, now if now is not None else SystemClock().now())
            self._publish(size)
        with lake.db.system_read() as tx:
            last = newest_row(tx)
        return None if last is None else Checkpoint(lake.origin, last.size, last.root)

    def _grow(self, newest: "Row | None") -> tuple[int, bytes]:
        """Indexes for pending entries and durable tiles; the new size and its root."""
        objects = self._lake.objects
        old = newest.size if newest else 0
        with self._lake.db.system_write() as tx:
            tx.lock("log")
            _give_indexes(tx)
        reach("log.indexed")
        with self._lake.db.system_read() as tx:
            entries = _entries(tx, old)

        _require_root(log_tiles(self._lake, old), newest)
        fresh = new_tiles(lambda path: objects.get(FOLDER + path), old, entries)
        for path, content in fresh.items():
            _put_same(self._lake, FOLDER + path, content)
            reach("log.tile-kept")
        self._drop_partials(list(fresh))
        size = old + len(entries)
        return size, log_tiles(self._lake, size).root()

    def _decide(self, size: int, root: bytes, now: Instant) -> None:
        reach("log.before-checkpoint")
        with self._lake.db.system_write() as tx:
            tx.lock("log")
            query = tx.select(checkpoints.c.root).where(checkpoints.c.size == size)
            there = tx.scalar(query)
            if there is None:
                row = {"size": size, "root": root, "note": None, "created_at": now}
                tx.insert(checkpoints, row)
            elif bytes(there) != root:
                raise LogError(
                    f"The log would have two roots for {size} entries. Its tiles or its database "
                    "were changed; nothing was signed."
                )
        reach("log.checkpoint-decided")

    def _publish(self, size: int) -> None:
        """Sign the row of this size, and nothing else, and let the world see it."""
        lake = self._lake
        with lake.db.system_read() as tx:
            row = tx.first(tx.select(checkpoints).where(checkpoints.c.size == size))
        if row is None:
            raise LogError(f"The checkpoint of {size} entries is not in the database.")
        note = row.note
        if note is None:
            note = Checkpoint(lake.origin, size, bytes(row.root)).signed(lake.signer)
            with lake.db.system_write() as tx:
                tx.run(tx.update(checkpoints).where(checkpoints.c.size == size).values(note=note))
            reach("log.checkpoint-signed")
        self._hold.require()
        lake.objects.replace(published.NAME, note.encode())
        reach("log.published")

    def _is_published(self, size: int) -> bool:
        seen = published.read(self._lake.objects)
        return seen is not None and seen.size >= size

    def _drop_partials(self, paths: Sequence[str]) -> None:
        """A full tile takes the place of its partial ones (C2SP allows them to go)."""
        objects = self._lake.objects
        for path in paths:
            if ".p/" not in path:
                for name in list(objects.list(f"{FOLDER}{path}.p/")):
                    objects.delete(name)

    def _require_sound(self) -> None:
        """LogError unless database and tiles carry on from what was published and signed."""
        lake = self._lake
        with lake.db.system_read() as tx:
            published.require_not_behind(tx, lake)
            newest = newest_row(tx)
        if newest is None:
            return
        if newest.note is not None:
            try:
                signed = open_checkpoint(newest.note, [lake.signer.verifier])
            except ProofError as error:
                raise LogError(
                    f"The newest checkpoint of the database, of {newest.size} entries, is not "
                    "signed by this deployment's log key."
                ) from error
            if (signed.size, signed.root) != (newest.size, newest.root):
                raise LogError("The newest checkpoint of the database is not the one it signed.")
        _require_root(log_tiles(lake, newest.size), newest)


class SequencerThread:
    """Steps whenever something was appended, and at least every `interval` seconds."""

    def __init__(self, lake: Lake, sequencer: Sequencer, interval: float = 1.0) -> None:
        self._lake = lake
        self._sequencer = sequencer
        self._interval = interval
        self._stopping = False
        self.error: Exception | None = None
        """What the last step failed with; None after one that did not."""
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was appended: an append's `after_commit` does the same through the lake."""
        self._lake.appended.set()

    def stop(self) -> None:
        """Take in what is pending, then end and let go of the log."""
        self._stopping = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._sequencer.close()

    def _run(self) -> None:
        last = False
        while not last:
            last = self._stopping
            self._lake.appended.clear()
            try:
                self._sequencer.step()
                self.error = None
            except Exception as error:  # noqa: BLE001 - shown to whoever asks; the next step may do
                self.error = error
            if not last:
                self._lake.appended.wait(self._interval)


class Row:
    """The newest checkpoint's row."""

    __slots__ = ("note", "root", "size")

    def __init__(self, size: int, root: bytes, note: str | None) -> None:
        self.size = size
        self.root = root
        self.note = note


def newest_row(tx: SystemTx, *, signed: bool = False) -> Row | None:
    """The row of the largest checkpoint, or of the largest signed one."""
    query = tx.select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1)
    if signed:
        query = query.where(checkpoints.c.note.is_not(None))
    row = tx.first(query)
    return None if row is None else Row(row.size, bytes(row.root), row.note)


def _has_pending(tx: SystemTx, size: int) -> bool:
    """Whether entries wait for an index, or have one that no checkpoint covers yet."""
    t = log_entries.c
    waiting = tx.first(tx.select(t.position).where(t.log_index.is_(None)).limit(1))
    uncovered = tx.first(tx.select(t.position).where(t.log_index >= size).limit(1))
    return waiting is not None or uncovered is not None


def _give_indexes(tx: SystemTx) -> None:
    t = log_entries.c
    last = tx.scalar(tx.select(func.max(t.log_index)))
    first = 0 if last is None else int(last) + 1
    waiting = tx.select(t.position).where(t.log_index.is_(None)).order_by(t.position).limit(MOST)
    rows = [{"at": row.position, "given": first + n} for n, row in enumerate(tx.all(waiting))]
    if rows:
        statement = tx.update(log_entries).where(t.position == bindparam("at"))
        tx.run(statement.values(log_index=bindparam("given")), rows)


def _entries(tx: SystemTx, first: int) -> list[bytes]:
    """The entries from index `first` on; LogError if an index is missing."""
    t = log_entries.c
    query = tx.select(t.log_index, t.entry).where(t.log_index >= first).order_by(t.log_index)
    rows = tx.all(query)
    if [row.log_index for row in rows] != list(range(first, first + len(rows))):
        raise LogError(f"Log entries are missing from the database behind entry {first}.")
    return [bytes(row.entry) for row in rows]


def log_tiles(lake: Lake, size: int) -> TileReader:
    """The log of `size` entries as its tiles have it."""
    return TileReader(lambda path: lake.objects.get(FOLDER + path), size)


def _require_root(tiles: TileReader, row: Row | None) -> None:
    expected = EMPTY_ROOT if row is None else row.root
    require_tiles(tiles, expected)


def require_tiles(tiles: TileReader, expected: bytes) -> None:
    """LogError unless the tiles are there and have the root that the checkpoint names."""
    try:
        found = tiles.root()
    except (ObjectMissing, ProofError):
        found = None
    if found != expected:
        raise LogError(
            f"The log's tiles do not have the root of its checkpoint of {tiles.size} entries: "
            "they were changed or lost. Restore the objects under 'log/'."
        )


def _put_same(lake: Lake, name: str, content: bytes) -> None:
    """Put a tile; one that is there already must be the very same."""
    try:
        lake.objects.put(name, content)
    except ObjectExists:
        if lake.objects.get(name) != content:
            raise LogError(
                f"The log's tile '{name}' is there already and says something else."
            ) from None
