"""Places: how many of a pool's threads work at the same time, however many of them there are.

A thread holds a place while it works. One that must wait for long, for a reason of its job's own,
leaves its place to another meanwhile, and has one again before it goes on.

Invariants: never are more places held than there are; who comes back to its work goes before who
would begin some, as soon as a place is given way.
"""

import threading


class Places:
    """So many places. Safe to share between threads."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._returning = 0
        self._changed = threading.Condition()

    def enter(self, seconds: float) -> bool:
        """Take a place to begin work; False when there was none for so long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free > self._returning, seconds):
                return False
            self._free -= 1
            return True

    def leave(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def come_back(self) -> None:
        """Take a place again to go on with work."""
        with self._changed:
            self._returning += 1
            self._changed.wait_for(lambda: self._free > 0)
            self._returning -= 1
            self._free -= 1

    @property
    def wanted(self) -> bool:
        """Whether somebody waits to go on, and there is no free place."""
        return self._returning > self._free
