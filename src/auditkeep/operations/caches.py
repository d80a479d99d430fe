"""What one process remembers between requests, each under all it was computed from."""

from dataclasses import dataclass, field

from auditkeep.evidence.folders import FolderMemo
from auditkeep.evidence.insights import InsightsMemo
from auditkeep.evidence.memo import Memo
from auditkeep.wire.models import auditmanager as am


def _folders() -> FolderMemo:
    return FolderMemo(20_000)


def _assessments() -> Memo[am.Assessment]:
    return Memo(64)


@dataclass(frozen=True, slots=True)
class Caches:
    """Bounded, shared by all threads, and never wrong: see `evidence.memo`."""

    folders: FolderMemo = field(default_factory=_folders)
    assessments: Memo[am.Assessment] = field(default_factory=_assessments)
    """Answers of GetAssessment, under assessment, version and the lake's last batch."""
    insights: InsightsMemo = field(default_factory=InsightsMemo)
