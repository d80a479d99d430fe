"""Each use of a key that protects others, until the activity log takes it and keeps it.

Who uses it is this deployment; what is to be told is which key, for what, and whether it was let.

A use is what the master key itself (or a signing key) did. A bucket's key that was unwrapped a
moment ago and is still in memory uses no master: the record of its unwrapping says for how long it
may stay there.

Invariants: `note` takes no lock that is held for long and never fails, for it stands in the path of
every write; memory is bounded, and what had no room is counted.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from auditkeep.clock import Clock, Instant

MOST = 20_000
"""Uses held at once, some 10 MB."""

Operation = Literal["Encrypt", "Decrypt", "Sign", "CreateGrant"]


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One use: `context` names what the key was used for, `error` why it was not let."""

    at: Instant
    operation: Operation
    key_id: str
    context: Mapping[str, str]
    error: str = ""


class Note(Protocol):
    """Takes down one use of a key."""

    def __call__(
        self, operation: Operation, key_id: str, context: Mapping[str, str], error: str = ""
    ) -> None: ...


def unheard(operation: Operation, key_id: str, context: Mapping[str, str], error: str = "") -> None:
    """For keys outside of a deployment, as in an auditor's hands: nobody takes down their use."""


class Uses:
    """Uses that wait to be written down. Safe to share between threads."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._held: deque[KeyUse] = deque()
        self._lost = 0

    def note(
        self, operation: Operation, key_id: str, context: Mapping[str, str], error: str = ""
    ) -> None:
        use = KeyUse(self._clock.now(), operation, key_id, dict(context), error)
        with self._lock:
            if len(self._held) < self._most:
                self._held.append(use)
            else:
                self._lost += 1

    def any(self) -> bool:
        """Whether anything waits to be written down."""
        return bool(self._held or self._lost)

    def take(self) -> tuple[list[KeyUse], int]:
        """Everything noted since the last time, oldest first, and how many had no room."""
        with self._lock:
            held, self._held = list(self._held), deque()
            lost, self._lost = self._lost, 0
        return held, lost
