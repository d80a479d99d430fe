"""Answers kept under all that they depend on, so that a stale one is never asked for again.

A key holds whatever the answer was computed from: versions, batch numbers, days. Nothing is ever
invalidated; what is no longer asked for is the first to be given up.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memo(Generic[Value]):
    """At most `size` answers, the least recently used given up first. Safe between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        with self._lock:
            if key not in self._known:
                return None
            self._known.move_to_end(key)
            return self._known[key]

    def put(self, key: Hashable, value: Value) -> None:
        with self._lock:
            self._known[key] = value
            self._known.move_to_end(key)
            if len(self._known) > self._size:
                self._known.popitem(last=False)

    def clear(self) -> None:
        """Give up everything, when what answers were computed from must not be remembered."""
        with self._lock:
            self._known.clear()
