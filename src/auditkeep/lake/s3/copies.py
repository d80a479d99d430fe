"""Copies of distant objects on this machine's disk, for readers that open files by themselves.

What is copied is what the bucket holds: ciphertext, which says nothing without its key. Objects
never change, so a copy is never stale; one of an object that was deleted is never asked for again.
Several processes may share a folder: a copy appears whole or not at all.

A copy that was not read for `GRACE` may go, the one that was not read for longest first, once there
are more bytes than admitted. So for a while there may be more: what a query reads is there.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from auditkeep.crypto import durable
from auditkeep.errors import ObjectExists, ObjectMissing
from auditkeep.lake.objects import LocalObjects

AT_ONCE = 8
"""Objects that are fetched beside each other."""
GRACE = 10 * 60.0
"""Seconds: far longer than from asking for a copy to opening it."""
LONGEST = 7 * 86_400.0
"""Seconds after which a copy that nobody read goes whatever room there is."""
_LOOK_EVERY = 60.0


class Copies:
    """A folder of copies of at most `size` bytes."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._objects = LocalObjects(folder)
        self._lock = threading.Lock()
        self._looked = 0.0

    def near(self, keys: Sequence[str], fetch: Callable[[str], Iterable[bytes]]) -> list[Path]:
        """The copies of objects, those that are not there fetched first, some at a time."""
        missing = [key for key in keys if not self._touch(key)]
        if len(missing) == 1:
            self._keep(missing[0], fetch)
        elif missing:
            with ThreadPoolExecutor(min(AT_ONCE, len(missing))) as pool:
                for _ in pool.map(lambda key: self._keep(key, fetch), missing):
                    continue
        if missing:
            self._trim()
        return [self._objects.path(key) for key in keys]

    def anew(self, key: str, data: bytes) -> Path:
        """A copy of these bytes, in place of one that may be there; readers of that go on."""
        self._objects.replace(key, data)
        return self._objects.path(key)

    def forget(self, key: str) -> None:
        """Take a copy away, if there is one."""
        self._objects.delete(key)

    def clear(self, prefix: str) -> None:
        """Take away what was copied under a prefix."""
        for key in list(self._objects.list(prefix)):
            self._objects.delete(key)

    def _touch(self, key: str) -> bool:
        """Whether there is a copy; from now on it was read just now."""
        try:
            os.utime(self._objects.path(key))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _keep(self, key: str, fetch: Callable[[str], Iterable[bytes]]) -> None:
        pieces = iter(fetch(key))
        first = next(pieces)  # says that there is no object before anything is written
        with contextlib.suppress(ObjectExists):  # another reader was faster
            self._objects.put(key, chain((first,), pieces))

    def _trim(self) -> None:
        """Every now and then: what nobody read for long goes, oldest first."""
        with self._lock:
            now = time.monotonic()
            if self._looked and now - self._looked < _LOOK_EVERY:
                return
            self._looked = now
        self.trim(time.time())

    def trim(self, now: float) -> None:
        """Make room as of a time (seconds of the epoch, as files have it)."""
        found = []
        for here, _, names in os.walk(self._folder):
            for name in names:
                path = Path(here, name)
                with contextlib.suppress(FileNotFoundError):
                    told = path.stat()
                    found.append((told.st_mtime, told.st_size, path))
        total = sum(size for _, size, _ in found)
        for read_at, size, path in sorted(found):
            age = now - read_at
            if age < GRACE or (total <= self._size and age < LONGEST):
                continue
            with contextlib.suppress(FileNotFoundError, ObjectMissing):
                if path.stat().st_mtime == read_at:  # nobody has asked for it since
                    durable.remove(path)
                    total -= size
