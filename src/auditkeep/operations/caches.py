"""What one process remembers between requests, each under all it was computed from."""

from dataclasses import dataclass, field

from auditkeep.evidence.folders import FolderMemo
from auditkeep.evidence.insights import InsightsMemo
from auditkeep.evidence.memo import Memo
from auditkeep.operations.overview import Named, Overview
from auditkeep.wire.model import Encoded


def _sizes() -> Memo[int]:
    return Memo(4096)


def _overviews() -> Memo[Overview]:
    return Memo(64)


def _controls() -> Memo[tuple[Named, ...]]:
    return Memo(256)


def _folders() -> FolderMemo:
    return FolderMemo(20_000)


def _assessments() -> Memo[Encoded]:
    return Memo(64)


@dataclass(frozen=True, slots=True)
class Caches:
    """Bounded, shared by all threads, and never wrong: see `evidence.memo`."""

    folders: FolderMemo = field(default_factory=_folders)
    assessments: Memo[Encoded] = field(default_factory=_assessments)
    """GetAssessment's answers, under version, last batch and the caller's role."""
    insights: InsightsMemo = field(default_factory=InsightsMemo)
    sizes: Memo[int] = field(default_factory=_sizes)
    """How many controls an assessment has, under its version."""
    controls: Memo[tuple[Named, ...]] = field(default_factory=_controls)
    """The controls of an assessment, under its version."""
    overviews: Memo[Overview] = field(default_factory=_overviews)
    """What insights list over all assessments, under their versions, the day and the last batch."""
