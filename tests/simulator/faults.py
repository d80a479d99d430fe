"""What goes wrong, for whom, and on which call.

A rule says whom it concerns (account, region, `service:Operation`, each a pattern), on which of the
calls that it concerns (the first, every third, all from a time on), and what then happens.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from auditkeep.clock import Instant

Kind = Literal[
    "throttled",
    "denied",
    "expired",
    "skewed",
    "opted-out",
    "broken",
    "fails",
    "cut",
    "closed",
    "slow",
]
"""
throttled, denied, expired, skewed, opted-out: refused as the service's protocol says it;
broken: an internal error of the service; fails: `code` and `status` as given;
cut: the connection ends in the middle of the answer; closed: it ends without any;
slow: the answer comes after `seconds`.
"""

Turns = Collection[int] | Callable[[int], bool] | None


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    seconds: float = 0.0
    code: str = ""
    status: int = 400
    message: str = ""


@dataclass
class Rule:
    """A fault and whom it strikes; `struck` counts how often it did."""

    fault: Fault
    operation: str = "*"
    account: str = "*"
    region: str = "*"
    turns: Turns = None
    """Which of the calls concerned, counted from 1; None for all."""
    since: Instant | None = None
    until: Instant | None = None
    seen: int = 0
    struck: int = 0

    def concerns(self, account: str, region: str, names: Collection[str], at: Instant) -> bool:
        return (
            fnmatchcase(account, self.account)
            and fnmatchcase(region, self.region)
            and any(fnmatchcase(name, self.operation) for name in names)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )

    def turn(self) -> bool:
        """Count a call that it concerns; whether this is one to strike."""
        self.seen += 1
        if self.turns is None:
            strikes = True
        elif callable(self.turns):
            strikes = self.turns(self.seen)
        else:
            strikes = self.seen in self.turns
        self.struck += strikes
        return strikes


@dataclass
class Faults:
    """The rules in force, oldest first; safe between threads."""

    rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        kind: Kind,
        operation: str = "*",
        *,
        account: str = "*",
        region: str = "*",
        turns: Turns = None,
        since: Instant | None = None,
        until: Instant | None = None,
        seconds: float = 0.0,
        code: str = "",
        status: int = 400,
        message: str = "",
    ) -> Rule:
        """From now on; the rule can be handed to `drop`."""
        fault = Fault(kind, seconds, code, status, message)
        rule = Rule(fault, operation, account, region, turns, since, until)
        with self._lock:
            self.rules.append(rule)
        return rule

    def drop(self, rule: Rule) -> None:
        with self._lock:
            self.rules.remove(rule)

    def strike(self, account: str, region: str, names: Collection[str], at: Instant) -> list[Fault]:
        """What strikes this call; every rule that concerns it counts it."""
        if not self.rules:
            return []
        with self._lock:
            return [
                rule.fault
                for rule in self.rules
                if rule.concerns(account, region, names, at) and rule.turn()
            ]
