"""Asking somebody outside for a key, so that one who does not answer holds nobody else up.

- What was answered last is remembered: while an endpoint does not answer, or a key is disabled or
  denied, nobody asks again for a while, and everybody is told at once. After that while one asks;
  if it is well again, so is everything. Nothing has to be repaired.
- At most AT_ONCE ask one endpoint at the same time and ALTOGETHER ask any, so that a region which
  is silent leaves the others a place. Who finds none within PATIENCE is told so: the threads that
  are left answer everybody else.

Invariant: `ask` holds no lock while it waits for an answer.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from auditkeep.crypto.asking import require_free
from auditkeep.errors import KeyAway, KeyUnusable

T = TypeVar("T")

AT_ONCE = 2
ALTOGETHER = 3
"""Fewer than the threads that answer requests."""
PATIENCE = 0.3
"""Seconds to wait for one's turn to ask."""
PAUSE = 10.0
"""Seconds for which what was answered last is taken to be so still."""
PROBE = 10.0
"""Seconds for which others are told the last answer while one asks anew."""


@dataclass(slots=True)
class _Told:
    until: float
    error: KeyAway


class Guard:
    """What is known of endpoints and keys. Safe to share between threads."""

    def __init__(self, *, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)
        self._asking: dict[str, int] = {}
        self._told: dict[str, _Told] = {}

    def ask(self, endpoint: str, key_id: str, work: Callable[[], T]) -> T:
        """What `work` answers; KeyAway at once while it is known that it would not."""
        require_free(key_id)
        for name in (endpoint, key_id):
            self._require_open(name)
        with self._turn(endpoint, key_id):
            try:
                answer = work()
            except KeyAway as error:
                if error.state == "unreachable":
                    self._remember(endpoint, error)
                else:
                    self._forget(endpoint)  # it did answer
                    self._remember(key_id, error)
                raise
            except KeyUnusable:
                self._forget(endpoint, key_id)
                raise
        self._forget(endpoint, key_id)
        return answer

    def forget(self) -> None:
        """Ask again whatever was answered before, as when somebody has just changed it."""
        with self._lock:
            self._told.clear()

    def _require_open(self, name: str) -> None:
        now = self._ticks()
        with self._lock:
            told = self._told.get(name)
            if told is None:
                return
            if now >= told.until:
                told.until = now + PROBE  # this one asks; the others hear what was said last
                return
        raise KeyAway(str(told.error), told.error.state)

    def _remember(self, name: str, error: KeyAway) -> None:
        with self._lock:
            self._told[name] = _Told(self._ticks() + PAUSE, error)

    def _forget(self, *names: str) -> None:
        if self._told:
            with self._lock:
                for name in names:
                    self._told.pop(name, None)

    @contextmanager
    def _turn(self, endpoint: str, key_id: str) -> Iterator[None]:
        with self._free:
            if not self._free.wait_for(lambda: self._has_place(endpoint), PATIENCE):
                raise KeyAway(
                    f"The key {key_id} could not be asked for: others wait for keys that answer "
                    "slowly. Nothing was done; try again in a moment.",
                    "unreachable",
                )
            self._asking[endpoint] = self._asking.get(endpoint, 0) + 1
        try:
            yield
        finally:
            with self._free:
                self._asking[endpoint] -= 1
                if not self._asking[endpoint]:
                    del self._asking[endpoint]
                self._free.notify_all()

    def _has_place(self, endpoint: str) -> bool:
        asking = self._asking
        return asking.get(endpoint, 0) < AT_ONCE and sum(asking.values()) < ALTOGETHER
