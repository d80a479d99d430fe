"""What became of the records of an ingest, counted while it runs."""

from collections import Counter
from dataclasses import dataclass, field

MOST_REJECTIONS = 1_000
"""Rejections of one file that are told one by one; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record, or the rest of a file, that cannot be kept, and why."""

    file: str
    position: str
    reason: str


@dataclass(slots=True)
class Counts:
    """Records are unmatched, rejected, or observations: new, duplicate or conflicting ones."""

    files: int = 0
    repeated_files: int = 0
    """Of the files: read by an earlier run, and not read again."""
    verified_files: int = 0
    """Of the files: those that a signed digest names with this very content."""
    records: int = 0
    observations: int = 0
    unmatched: int = 0
    duplicates: int = 0
    conflicts: int = 0
    cuts: int = 0
    """Secrets that were cut out of observations, also of those that proved to be duplicates."""
    findings: Counter[str] = field(default_factory=Counter)
    """What digests said, by its kind."""
    rejections: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why records were unmatched."""
    rejected: list[Rejection] = field(default_factory=list)

    def reject(self, file: str, position: str, reason: str, told: int) -> None:
        """Count one more; `told` is how many of the file were told before."""
        self.rejections += 1
        if told < MOST_REJECTIONS:
            self.rejected.append(Rejection(file, position, reason))
        elif told == MOST_REJECTIONS:
            self.rejected.append(Rejection(file, "", "has more records like these, counted only"))
