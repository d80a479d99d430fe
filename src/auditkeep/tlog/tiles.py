"""A log as files that never change: 256 hashes to a tile, tiles upon tiles (C2SP tlog-tiles).

`tile/<L>/<N>` holds the hashes of level 8L from index 256N on; `tile/entries/<N>` the entries
themselves, each after its length in two bytes, big-endian. The last tile of a level may be partial:
`.p/<W>` holds W of 256. N is written in groups of three digits, all but the last with an x before.

Purpose: `new_tiles` says what must be kept for the log to grow; `TileReader` gives root and proofs
of any size that was ever published, by reading a few tiles. Reading and writing are the caller's.

Invariants: a full tile of a path has one possible content, a partial tile is its beginning, so that
putting the same growth twice is harmless; proofs are made of what tiles say, so whoever
makes them compares `root()` with the signed checkpoint first.
"""

from collections.abc import Callable, Sequence
from functools import partial

from auditkeep.errors import LogError, ObjectMissing, ProofError
from auditkeep.tlog.merkle import (
    HASH_SIZE,
    consistency_path,
    leaf_hash,
    node_hash,
    path_from_nodes,
    range_hash,
    root,
)

HEIGHT = 8
WIDTH = 1 << HEIGHT
MAX_ENTRY = 0xFFFF
"""Bytes of an entry: its length is written in two bytes."""
_CACHED_TILES = 1024
"""8 MiB of tiles: a reader's memory stays flat however many proofs it is asked for."""

Get = Callable[[str], bytes]
"""Gives the content of a path, or raises ObjectMissing."""


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """`tile/1/x001/x234/067.p/8`."""
    return f"tile/{level}/{_number(index)}{_width_suffix(width)}"


def entries_path(index: int, width: int = WIDTH) -> str:
    """`tile/entries/x001/x234/067.p/8`."""
    return f"tile/entries/{_number(index)}{_width_suffix(width)}"


def bundle(entries: Sequence[bytes]) -> bytes:
    """Entries one after another, each behind its length."""
    if any(len(entry) > MAX_ENTRY for entry in entries):
        raise LogError(f"A log entry may have at most {MAX_ENTRY} bytes.")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; LogError if it is cut short."""
    entries = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise LogError("An entry bundle of the log is cut short.")
        entries.append(data[at + 2 : end])
        at = end
    return entries


def new_tiles(get: Get, old_size: int, entries: Sequence[bytes]) -> dict[str, bytes]:
    """What must be durable, in this order, before a checkpoint of old_size + len(entries) is.

    Partial tiles of the old size are read through `get`.
    """
    if not entries:
        return {}
    new: dict[str, bytes] = {}
    first, kept = divmod(old_size, WIDTH)
    before = unbundle(_start(get, entries_path, first, kept)) if kept else []
    if len(before) < kept:
        raise LogError(f"The log's {entries_path(first, kept)} holds too few entries.")
    rows = [*before[:kept], *entries]
    for at in range(0, len(rows), WIDTH):
        part = rows[at : at + WIDTH]
        new[entries_path(first + at // WIDTH, len(part))] = bundle(part)

    hashes = [leaf_hash(entry) for entry in entries]
    level, start = 0, old_size
    while hashes:
        first, kept = divmod(start, WIDTH)
        if kept:
            old = _start(get, partial(tile_path, level), first, kept)
            hashes = [*_hashes(old, kept, tile_path(level, first, kept)), *hashes]
        above = []
        for at in range(0, len(hashes), WIDTH):
            part = hashes[at : at + WIDTH]
            new[tile_path(level, first + at // WIDTH, len(part))] = b"".join(part)
            if len(part) == WIDTH:
                above.append(root(part))
        hashes, level, start = above, level + 1, start >> HEIGHT
    return new


class TileReader:
    """A log of `size` entries, read from its tiles."""

    def __init__(self, get: Get, size: int) -> None:
        self._get = get
        self.size = size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def root(self) -> bytes:
        return range_hash(self.node, 0, self.size)

    def inclusion(self, index: int) -> list[bytes]:
        """The inclusion path of an entry."""
        return path_from_nodes(self.node, index, self.size)

    def consistency(self, old_size: int) -> list[bytes]:
        """The path that shows that the first `old_size` entries have not changed."""
        return consistency_path(self.node, old_size, self.size)

    def entries(self, number: int) -> list[bytes]:
        """The entries of the bundle with this number: at most 256, from 256 * number on."""
        width = self._width(0, number)
        found = unbundle(_start(self._get, entries_path, number, width))
        if len(found) < width:
            raise LogError(f"The log's {entries_path(number, width)} holds too few entries.")
        return found[:width]

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree, from the tile that holds it or the row below it."""
        tile_level, inside = divmod(level, HEIGHT)
        low = index << inside
        tile = self._tile(tile_level, low // WIDTH)
        part = tile[low % WIDTH : low % WIDTH + (1 << inside)]
        if len(part) < 1 << inside:
            raise ProofError(f"A log of {self.size} entries has no node ({level}, {index}).")
        while len(part) > 1:
            part = [node_hash(part[i], part[i + 1]) for i in range(0, len(part), 2)]
        return part[0]

    def _tile(self, level: int, index: int) -> list[bytes]:
        found = self._tiles.pop((level, index), None)
        if found is None:
            width = self._width(level, index)
            data = _start(self._get, partial(tile_path, level), index, width)
            found = _hashes(data, width, tile_path(level, index, width))
            if len(self._tiles) >= _CACHED_TILES:
                del self._tiles[next(iter(self._tiles))]
        self._tiles[level, index] = found  # now the youngest: a dict keeps the order of insertion
        return found

    def _width(self, level: int, index: int) -> int:
        width = min(WIDTH, (self.size >> (HEIGHT * level)) - index * WIDTH)
        if width <= 0:
            raise ProofError(f"A log of {self.size} entries has no tile {level}/{index}.")
        return width


def _start(get: Get, path: Callable[[int, int], str], index: int, width: int) -> bytes:
    """A tile of at least `width`: a partial one may be gone once the full one exists."""
    try:
        return get(path(index, width))
    except ObjectMissing:
        if width == WIDTH:
            raise
        return get(path(index, WIDTH))


def _hashes(data: bytes, width: int, path: str) -> list[bytes]:
    if len(data) < width * HASH_SIZE or len(data) % HASH_SIZE:
        raise LogError(f"The log's {path} has {len(data)} bytes: it was cut short or changed.")
    return [data[i : i + HASH_SIZE] for i in range(0, width * HASH_SIZE, HASH_SIZE)]


def _number(index: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def _width_suffix(width: int) -> str:
    if not 1 <= width <= WIDTH:
        raise LogError(f"A tile holds 1 to {WIDTH} hashes, not {width}.")
    return "" if width == WIDTH else f".p/{width}"
