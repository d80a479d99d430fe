"""When the digests of one place were made: whether one that names a log file may still come.

Source: AWS CloudTrail user guide, "Digest file location": each trail that delivers to a bucket
makes a digest an hour, of the files delivered in it; they come hourly, an hour late. Pure.
"""

from collections.abc import Sequence

from auditkeep.clock import MINUTE, Instant
from auditkeep.sources.trail_layout import Key

WAIT = 180 * MINUTE
"""How long a log file waits for the digest that names it."""

HOUR = 60 * MINUTE
SLACK = 10 * MINUTE
"""How far a file's name may differ from when a digest says it was delivered."""


class DigestTimes:
    """Ends of the times that digests cover, chain by chain."""

    def __init__(self) -> None:
        self._ends: dict[str, list[Instant]] = {}

    def add(self, key: Key) -> None:
        if not key.backfill:
            self._ends.setdefault(key.chain, []).append(key.at)

    @property
    def any(self) -> bool:
        return bool(self._ends)

    def covers(self, at: Instant) -> bool:
        """Whether each trail that made digests then has made both that could name a file."""
        alive = [e for e in self._ends.values() if any(abs(end - at) <= WAIT for end in e)]
        return bool(alive) and all(_named_by_then(ends, at) for ends in alive)

    def may_come(self, delivered: Instant, at: Instant, now: Instant) -> bool:
        """Whether a digest that names a file may still come: `at` is the time in its name."""
        return now - delivered < WAIT and not self.covers(at)


def _named_by_then(ends: Sequence[Instant], at: Instant) -> bool:
    firsts = [e for e in ends if at - SLACK <= e < at + HOUR + SLACK]
    return any(first < e <= first + HOUR + SLACK for first in firsts for e in ends)
