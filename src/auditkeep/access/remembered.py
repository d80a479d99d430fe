"""What was looked up a moment ago, kept for seconds: a request then reads and unseals nothing.

Bounded in time, so that a key that was disabled or a policy that was changed elsewhere counts
soon, and in size, whatever clients ask for. Only what was found is kept: a key made just now works.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from auditkeep.clock import SECOND, Instant

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

TTL = 5 * SECOND
MOST = 4096


class Remembered(Generic[K, V]):
    """A small cache over one lookup. Safe to share between threads."""

    def __init__(self, look_up: Callable[[K], V | None], *, ttl: int = TTL) -> None:
        self._look_up = look_up
        self._ttl = ttl
        self._lock = threading.Lock()
        self._kept: dict[K, tuple[Instant, V]] = {}

    def peek(self, key: K, now: Instant) -> V | None:
        """What is remembered, without looking up anything."""
        kept = self._kept.get(key)
        return kept[1] if kept is not None and 0 <= now - kept[0] < self._ttl else None

    def get(self, key: K, now: Instant) -> V | None:
        known = self.peek(key, now)
        if known is not None:
            return known
        value = self._look_up(key)
        with self._lock:
            self._kept.pop(key, None)
            if value is not None:
                if len(self._kept) >= MOST:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = (now, value)
        return value

    def forget(self, key: K) -> None:
        with self._lock:
            self._kept.pop(key, None)
