"""Objects of all backups of one place, each kept once.

An object of the lake never changes, but its name may come to mean another one when it is gone. So
what it is kept under follows from its name *and* the mark of its row (`lake.named`), and whatever
is there under that key is the object, copied whole: a second backup copies only what is new, and
one that was cut off goes on behind what it had copied.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import zstandard

from auditkeep.backup.format import Part, get, part
from auditkeep.errors import InputError, ObjectExists, ObjectMissing, StorageError
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.named import Named
from auditkeep.lake.objects import ObjectStore, unreadable

FOLDER = "objects/"
THREADS = 4
"""Objects copied at once: most of the time of a small one is waiting for a disk or a network."""
CHUNK = 1 << 20
MOST_BYTES = 1 << 32
"""Bytes of a list of objects: some twenty million."""


class Kept(NamedTuple):
    """An object of a backup: its name in the lake, the mark of its row, its bytes."""

    name: str
    mark: str
    size: int
    sha256: str

    @property
    def key(self) -> str:
        return key_of(Named(self.name, self.mark))


def key_of(named: Named) -> str:
    """What an object is kept under."""
    digest = hashlib.sha256(f"{named.name}\n{named.mark}".encode()).hexdigest()
    return f"{FOLDER}{digest[:2]}/{digest}"


@dataclass
class Copier:
    """Copies what is not there yet. `known` is what an earlier backup says of objects, by key."""

    source: ObjectStore
    target: ObjectStore
    known: dict[str, Kept]
    tick: Callable[[int, int], None]
    """Told how many objects were copied, and their bytes."""
    copied: int = 0
    copied_bytes: int = 0
    fresh: list[Kept] = field(default_factory=list)
    """What was copied since somebody last looked."""
    _sizes: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._sizes = {entry.key: entry.size for entry in self.target.entries(FOLDER)}

    def copy(self, wanted: Iterable[Named]) -> tuple[list[Kept], list[Named]]:
        """What is in the place now, and what its source does not have (any more)."""
        kept: list[Kept] = []
        missing: list[Named] = []
        left: list[Named] = []
        for one in wanted:
            found = self.known.get(key_of(one))
            if found is not None and self._sizes.get(found.key) == found.size:
                kept.append(found)
            else:
                left.append(one)
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                for one, (done, new) in zip(left, pool.map(self._take, left), strict=True):
                    if done is None:
                        missing.append(one)
                        continue
                    self._note(done, new=new)
                    kept.append(done)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return kept, missing

    def drop(self, one: Kept) -> None:
        """Take back a copy that may not be what its row meant."""
        self.target.delete(one.key)
        self.known.pop(one.key, None)
        self._sizes.pop(one.key, None)

    def _note(self, done: Kept, *, new: bool) -> None:
        self.known[done.key] = done
        self._sizes[done.key] = done.size
        if new:
            self.copied += 1
            self.copied_bytes += done.size
            self.fresh.append(done)
            self.tick(self.copied, self.copied_bytes)
            reach("backup.object-copied")

    def _take(self, one: Named) -> tuple[Kept | None, bool]:
        """One object, and whether it was copied now."""
        key = key_of(one)
        if key in self._sizes:  # of a run that was cut off, or of an older backup, or cut short
            there = None if key in self.known else self._hashed(one, key)
            if there is not None:
                return there, False
            self.target.delete(key)
        try:
            return self._copied(one, key), True
        except ObjectMissing:
            return None, False

    def _hashed(self, one: Named, key: str) -> Kept | None:
        """What lies under a key already; None if it cannot be the object."""
        size, digest = hashed(self.target, key)
        found = Kept(one.name, one.mark, size, digest)
        return found if is_marked(found) else None

    def _copied(self, one: Named, key: str) -> Kept:
        state, size = hashlib.sha256(), 0
        stream = self.source.open(one.name)

        def parts() -> Iterator[bytes]:
            nonlocal size
            while some := stream.read(CHUNK):
                state.update(some)
                size += len(some)
                yield some

        with stream:
            try:
                self.target.put(key, parts())
            except ObjectExists as error:
                raise StorageError(
                    f"Somebody else writes to this place: '{key}' has just been put there."
                ) from error
        kept = Kept(one.name, one.mark, size, state.hexdigest())
        if not is_marked(kept):
            self.target.delete(key)
            raise StorageError(
                f"The object '{one.name}' is not the one that was written: it was damaged. "
                "`auditkeep log audit` tells more; an earlier backup may still have it."
            )
        return kept


def is_marked(kept: Kept) -> bool:
    """Whether the content is what its row says, as far as a row says it: of segments."""
    return not kept.name.startswith("segments/") or kept.mark == kept.sha256


def hashed(store: ObjectStore, key: str) -> tuple[int, str]:
    """Size and SHA-256 of an object, in hex; StorageError if it cannot be read to its end."""
    state, size = hashlib.sha256(), 0
    with store.open(key) as stream:
        try:
            while some := stream.read(CHUNK):
                state.update(some)
                size += len(some)
        except OSError as error:
            raise unreadable(key, error) from error
    return size, state.hexdigest()


def put_list(store: ObjectStore, name: str, kept: Iterable[Kept]) -> Part:
    """Keep which objects belong to a backup."""
    lines = [f"{k.sha256} {k.size} {k.mark} {k.name}\n" for k in sorted(kept)]
    data = zstandard.compress("".join(lines).encode())
    store.put(name, data)
    return part(name, data)


def read_list(store: ObjectStore, told: Part) -> dict[str, Kept]:
    """The same by name; InputError if it is not what was put."""
    data = get(store, told)
    problem = f"'{told.name}' is no list of objects."
    found: dict[str, Kept] = {}
    try:
        text = zstandard.ZstdDecompressor().decompress(data, max_output_size=MOST_BYTES).decode()
        for line in text.splitlines():
            digest, size, mark, name = line.split(" ", 3)
            found[name] = Kept(name, mark, int(size), digest)
    except (zstandard.ZstdError, ValueError) as error:
        raise InputError(problem) from error
    return found


def by_key(kept: Mapping[str, Kept]) -> dict[str, Kept]:
    return {one.key: one for one in kept.values()}
