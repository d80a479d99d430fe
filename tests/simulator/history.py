"""Every call that was received, in order, so that tests can count them."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from auditkeep.clock import Instant

OK = "ok"


@dataclass(frozen=True, slots=True)
class Call:
    """One call, and what came of it."""

    at: Instant
    """By the simulator's clock."""
    account: str
    region: str
    service: str
    operation: str
    caller: str
    params: dict[str, Any] = field(hash=False)
    outcome: str = OK
    """`ok`, the error's code, or the kind of fault that ended it."""
    listed: int = 0
    """Resources in the answer, where it is a list."""

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"


class History:
    """Safe between threads."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)

    def __len__(self) -> int:
        return len(self._calls)

    def calls(
        self,
        operation: str = "*",
        *,
        account: str = "*",
        region: str = "*",
        outcome: str = "*",
        after: int = 0,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> list[Call]:
        """The calls that fit; `after` passes over so many of the first (`len(history)` then)."""
        with self._lock:
            kept = self._calls[after:]
        return [
            call
            for call in kept
            if fnmatchcase(call.name, operation)
            and fnmatchcase(call.account, account)
            and fnmatchcase(call.region, region)
            and fnmatchcase(call.outcome, outcome)
            and (since is None or call.at >= since)
            and (until is None or call.at < until)
        ]

    def count(self, operation: str = "*", **which: Any) -> int:
        return len(self.calls(operation, **which))

    def tally(self, after: int = 0) -> Counter[tuple[str, str, str]]:
        """Calls by account, region and operation."""
        return Counter((c.account, c.region, c.name) for c in self.calls(after=after))
