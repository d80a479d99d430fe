"""The log against itself: the database's entries, the tiles, every checkpoint ever signed.

Everything is computed anew from the entries, in one pass and in memory that grows by one hash for
each 256 entries. Nothing that is stored is believed: roots, tiles and signatures follow from the
entries or are named.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from auditkeep.clock import Instant
from auditkeep.db.schema import checkpoints, log_entries
from auditkeep.errors import LogError, ObjectMissing, ProofError, StorageError
from auditkeep.lake import published
from auditkeep.lake.audit.findings import State
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import FOLDER, newest_row
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.epoch import follow
from auditkeep.tlog.merkle import EMPTY_ROOT, leaf_hash, node_hash
from auditkeep.tlog.merkle import root as merkle_root
from auditkeep.tlog.note import Verifier
from auditkeep.tlog.tiles import HEIGHT, WIDTH, bundle, entries_path, tile_path

Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Covered:
    """The newest signed checkpoint: what batches are held to."""

    size: int
    created_at: Instant


class Frontier:
    """The roots of the complete subtrees of a growing tree."""

    def __init__(self) -> None:
        self.size = 0
        self._nodes: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf = node_hash(self._nodes.pop(), leaf)
            size >>= 1
        self._nodes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._nodes:
            return EMPTY_ROOT
        result = self._nodes[-1]
        for node in self._nodes[-2::-1]:
            result = node_hash(node, result)
        return result


def check_log(lake: Lake, held: str | None, found: State, tick: Tick) -> Covered:
    """Check the whole log; `held` is the text of a checkpoint that somebody outside has kept."""
    public = _published(lake, found)
    with lake.db.system_read() as tx:
        newest = newest_row(tx, signed=True)
        created = tx.scalar(
            tx.select(checkpoints.c.created_at)
            .where(checkpoints.c.note.is_not(None))
            .order_by(checkpoints.c.size.desc())
            .limit(1)
        )
    size = newest.size if newest is not None else 0
    if public is not None and public.size > size:
        found.problem(
            f"The published checkpoint has {public.size} entries, the database's newest {size}: "
            "the database was rolled back or restored. `auditkeep log recover` says what is "
            "missing."
        )
    elif public is None and newest is not None:
        found.problem(f"The published checkpoint, the object '{published.NAME}', is gone.")
    outside = [c for c in (public, _held(lake, held, size, found)) if c is not None]
    _walk(lake, size, outside, found, tick)
    return Covered(size, Instant(created or 0))


def _published(lake: Lake, found: State) -> Checkpoint | None:
    try:
        text = lake.objects.get(published.NAME).decode()
        return open_checkpoint(text, [lake.signer.verifier])
    except ObjectMissing:
        return None
    except (ProofError, UnicodeDecodeError) as error:
        found.problem(f"The published checkpoint, the object '{published.NAME}', is wrong: {error}")
        return None


def _held(lake: Lake, text: str | None, size: int, found: State) -> Checkpoint | None:
    if text is None:
        return None
    try:
        held = open_checkpoint(text, lake.verifiers)
    except ProofError as error:
        found.problem(f"The checkpoint you hold is not one of this log: {error}")
        return None
    if held.origin != lake.origin and _was_lost(lake, held, found):
        return None
    if held.size > size:
        found.problem(
            f"The checkpoint you hold has {held.size} entries, this log {size}: the log was rolled "
            "back, or restored from an older state."
        )
        return None
    return held


def _was_lost(lake: Lake, held: Checkpoint, found: State) -> bool:
    """Whether a checkpoint of a former log lies beyond what the epochs since have kept of it."""
    notes = [log.note for log in lake.former]
    epochs = follow(notes, [v for v in lake.verifiers if v.name == held.origin])
    kept = min((epoch.kept_size for epoch in epochs), default=held.size)
    if not epochs or held.size <= kept:
        return False
    last = epochs[0].last_size
    if last is not None and held.size > last:
        found.problem(
            f"The checkpoint you hold has {held.size} entries, but the log {held.origin} is said "
            f"to have ended with {last}: some of it was concealed."
        )
    else:
        found.notice(
            f"The checkpoint you hold, of {held.size} entries, is beyond the {kept} that were kept "
            f"when the log {held.origin} had to begin anew; what it covers from there on is lost."
        )
    return True


def _walk(lake: Lake, size: int, outside: Sequence[Checkpoint], found: State, tick: Tick) -> None:
    """Entries in order, tile by tile; each checkpoint where the tree has its size."""
    ours, theirs = Frontier(), Frontier()
    marks = _marks(lake, size, outside, found)
    mark = next(marks, None)
    above: list[bytes] = []
    for number in range((size + WIDTH - 1) // WIDTH):
        first = number * WIDTH
        width = min(WIDTH, size - first)
        kept = _stored(lake, first, width, found)
        expected = bundle(kept) if len(kept) == width else None
        tiled = _bundle(lake, number, width, found)
        if expected is not None and tiled is not None and tiled != kept:
            wrong = next(i for i in range(width) if tiled[i] != kept[i])
            found.problem(
                f"Entry {first + wrong} of the log is not the same in '{FOLDER}"
                f"{entries_path(number, width)}' and in the database."
            )
        entries = kept if len(kept) == width else tiled
        if entries is None:
            return  # what lies behind cannot be put together; what is missing was named
        hashes = [leaf_hash(entry) for entry in entries]
        others = hashes if tiled is None else [leaf_hash(entry) for entry in tiled]
        _compare(lake, 0, number, hashes, found)
        for one, other in zip(hashes, others, strict=True):
            ours.add(one)
            theirs.add(other)
            while mark is not None and mark.size == ours.size:
                _require_root(mark, ours.root(), theirs.root(), found)
                mark = next(marks, None)
        if width == WIDTH:
            above.append(merkle_root(hashes))
        found.counts.entries += width
        tick()
    _check_above(lake, above, found)


def _stored(lake: Lake, first: int, width: int, found: State) -> list[bytes]:
    """The database's entries of one tile; those that are missing are named."""
    t = log_entries.c
    with lake.db.system_read() as tx:
        query = (
            tx.select(t.log_index, t.entry)
            .where(t.log_index >= first, t.log_index < first + width)
            .order_by(t.log_index)
        )
        rows = {row.log_index: bytes(row.entry) for row in tx.all(query)}
    missing = [i for i in range(first, first + width) if i not in rows]
    for low, high in _runs(missing):
        named = f"Entry {low}" if low == high else f"Entries {low} to {high}"
        found.problem(f"{named} of the log: missing from the database.")
    return [rows[i] for i in range(first, first + width) if i in rows]


def _bundle(lake: Lake, number: int, width: int, found: State) -> list[bytes] | None:
    data, name = _tile(lake, entries_path(number, width), entries_path(number))
    if data is None:
        found.problem(f"The log's object '{name}' is missing.")
        return None
    entries = [data[at + 2 : at + 34] for at in range(0, width * 34, 34)]
    if bundle(entries) != data[: width * 34] or len(data) % 34:
        found.problem(f"The log's object '{name}' is cut short or not a bundle of entries.")
        return None
    return entries


def _compare(lake: Lake, level: int, number: int, hashes: Sequence[bytes], found: State) -> None:
    """One tile of hashes against those that follow from the entries."""
    width = len(hashes)
    data, name = _tile(lake, tile_path(level, number, width), tile_path(level, number))
    if data is None:
        found.problem(f"The log's object '{name}' is missing.")
    elif data[: width * 32] != b"".join(hashes) or len(data) % 32:
        found.problem(f"The log's object '{name}' does not hold the hashes of its entries.")


def _check_above(lake: Lake, hashes: list[bytes], found: State) -> None:
    """The tiles over the tiles."""
    level = 1
    while hashes:
        above: list[bytes] = []
        for start in range(0, len(hashes), WIDTH):
            part = hashes[start : start + WIDTH]
            _compare(lake, level, start >> HEIGHT, part, found)
            if len(part) == WIDTH:
                above.append(merkle_root(part))
        hashes, level = above, level + 1


def _tile(lake: Lake, path: str, full: str) -> tuple[bytes | None, str]:
    """A tile by its partial name, or the full one that took its place; None if there is neither."""
    for name in dict.fromkeys((path, full)):
        try:
            return lake.objects.get(FOLDER + name), FOLDER + name
        except ObjectMissing:
            continue
        except StorageError:
            return None, FOLDER + name
    return None, FOLDER + path


@dataclass(frozen=True, slots=True)
class _Mark:
    """A root that the log must have at some size, and who says so."""

    size: int
    root: bytes
    whose: str


def _marks(lake: Lake, size: int, outside: Sequence[Checkpoint], found: State) -> Iterator[_Mark]:
    """Every checkpoint up to `size`, ascending; signatures are checked on the way."""
    extra = sorted(
        (_Mark(c.size, c.root, "that was published or is held outside") for c in outside),
        key=lambda mark: mark.size,
    )
    t = checkpoints.c
    last = 0
    while True:
        with lake.db.system_read() as tx:
            query = tx.select(checkpoints).where(t.size > last, t.size <= size).order_by(t.size)
            rows = tx.all(query.limit(1_000))
        if not rows:
            break
        for row in rows:
            while extra and extra[0].size <= row.size:
                yield extra.pop(0)
            _check_note(lake, row.size, bytes(row.root), row.note, found)
            found.counts.checkpoints += 1
            yield _Mark(row.size, bytes(row.root), "in the database")
        last = rows[-1].size
    yield from extra


def _check_note(lake: Lake, size: int, root: bytes, note: str | None, found: State) -> None:
    if note is None:
        return  # decided, and about to be signed
    try:
        signed = open_checkpoint(note, lake.verifiers)
    except ProofError as error:
        found.problem(f"The checkpoint of {size} entries is not signed by the log's key: {error}")
        return
    if (signed.size, signed.root) != (size, root):
        found.problem(f"The checkpoint of {size} entries in the database is not the one it signed.")


def _require_root(mark: _Mark, ours: bytes, theirs: bytes, found: State) -> None:
    if mark.root == ours == theirs:
        return
    if mark.root == theirs:
        where = "the database's entries do not give its root, the tiles do: entries were changed"
    elif mark.root == ours:
        where = "the tiles do not give its root, the database's entries do: tiles were changed"
    else:
        where = "neither entries nor tiles give its root: the log was rewritten"
    found.problem(f"The checkpoint of {mark.size} entries {mark.whose}: {where}.")


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield run[0], run[-1]


def check_key(lake: Lake, known: Verifier, found: State) -> None:
    """The log's key must be the one that an auditor knows, or follow from it by epochs."""
    ours = lake.signer.verifier
    followed = [epoch.verifier for epoch in follow([log.note for log in lake.former], [known])]
    if ours not in (known, *followed):
        found.problem(
            f"This deployment's log key (fingerprint {ours.fingerprint}) is not the one you hold "
            f"({known.fingerprint}): it was replaced, and everything may have been signed anew."
        )


def require_held(lake: Lake, text: str, known: Verifier | None = None) -> None:
    """LogError at once for a file that is no checkpoint at all, before hours of work."""
    try:
        open_checkpoint(text, [*lake.verifiers, *([] if known is None else [known])])
    except ProofError as error:
        raise LogError(f"The checkpoint that was given cannot be used: {error}") from error
