"""What an audit has found and how far it is: values that outlive an interruption."""

import msgspec

from auditkeep.clock import Instant

MAX_SENTENCES = 1_000
"""Sentences kept; beyond them faults are counted only."""


class Counts(msgspec.Struct):
    """What was checked so far."""

    entries: int = 0
    checkpoints: int = 0
    batches: int = 0
    observations: int = 0
    segments: int = 0
    files: int = 0
    destroyed: int = 0
    pending: int = 0


class Position(msgspec.Struct):
    """Where the audit of one tenant stands; segments it has seen that later batches lie in too."""

    account: str
    region: str
    after_batch: int = 0
    until: int = 0
    segments: dict[str, int] = msgspec.field(default_factory=dict)
    batches_done: bool = False
    after_file: str = ""


class State(msgspec.Struct):
    """One audit: what it found, what it counted, and where it stands."""

    origin: str
    started_at: Instant
    problems: list[str] = msgspec.field(default_factory=list)
    more: int = 0
    notices: list[str] = msgspec.field(default_factory=list)
    counts: Counts = msgspec.field(default_factory=Counts)
    done: list[tuple[str, str]] = msgspec.field(default_factory=list)
    lost: list[tuple[int, int]] = msgspec.field(default_factory=list)
    """Entries of the log that a recovery has declared lost."""
    at: Position | None = None
    v: int = 1

    def problem(self, sentence: str) -> None:
        """Something that is not as it was logged."""
        if sentence in self.problems:
            return
        if len(self.problems) < MAX_SENTENCES:
            self.problems.append(sentence)
        else:
            self.more += 1

    def notice(self, sentence: str) -> None:
        """Something a reader must know that is no fault."""
        if sentence not in self.notices and len(self.notices) < MAX_SENTENCES:
            self.notices.append(sentence)

    @property
    def sound(self) -> bool:
        return not self.problems
