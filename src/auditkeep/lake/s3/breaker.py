"""Who asks a store that is silent, while it is: one at a time, and not at once again.

A request that gets no answer holds whoever made it for as long as it may last, and with them a
thread, or a transaction that others wait for. So after one that was not answered, requests are
refused at once for `PAUSE`; then one of them tries, and the others go on being refused until it
has come to its end. An answer of any kind, a refusal too, ends that.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from auditkeep.errors import StoreAway

T = TypeVar("T")

PAUSE = 5.0
"""Seconds between two tries."""


class Breaker:
    """What is known of one store's silence. Safe to share between threads."""

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._words = ""
        self._again = 0.0

    def through(self, ask: Callable[[], T]) -> T:
        """What `ask` gives or raises; StoreAway at once while the store is known to be silent."""
        self._require()
        words = ""
        try:
            return ask()
        except StoreAway as away:
            words = str(away) if away.silent else ""
            raise
        finally:
            self._note(words)

    def _require(self) -> None:
        with self._lock:
            if not self._words:
                return
            now = time.monotonic()
            if now < self._again:
                raise StoreAway(self._words, silent=True)
            self._again = now + 3_600.0  # until this one's try has ended

    def _note(self, words: str) -> None:
        if not words and not self._words:
            return
        with self._lock:
            self._words = words
            self._again = time.monotonic() + self._pause
