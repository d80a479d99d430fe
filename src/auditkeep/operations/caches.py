"""What one process remembers between requests, each under all it was computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from auditkeep.clock import Instant
from auditkeep.evidence.folders import FolderMemo
from auditkeep.evidence.insights import InsightsMemo
from auditkeep.evidence.memo import Memo
from auditkeep.operations.overview import Kind, Named, Numbers, Overview, Standings, Watching
from auditkeep.wire.model import Encoded
from auditkeep.wire.models import auditmanager as am


class KeptAnswer(NamedTuple):
    """GetAssessment's answer to one principal, who may be an owner of the assessment."""

    encoded: Encoded
    to_owner: bool


class Listed(NamedTuple):
    """An assessment as lists show it: to its owners, and to each delegate with what is theirs."""

    key: tuple[Instant, str]
    item: am.AssessmentMetadataItem
    owners: frozenset[str]
    delegates: Mapping[str, am.AssessmentMetadataItem]


def _sizes() -> Memo[int]:
    return Memo(4096)


def _standings() -> Memo[Standings]:
    return Memo(64)


def _watching() -> Memo[Watching]:
    return Memo(64)


def _kinds() -> Memo[Sequence[Kind]]:
    return Memo(64)


def _numbers() -> Memo[Numbers]:
    return Memo(64)


def _overviews() -> Memo[Overview]:
    return Memo(64)


def _controls() -> Memo[tuple[Named, ...]]:
    return Memo(512)


def _alike_controls() -> Memo[tuple[Named, ...]]:
    return Memo(256)


def _folders() -> FolderMemo:
    return FolderMemo(20_000)


def _assessments() -> Memo[KeptAnswer]:
    return Memo(128)


def _listed() -> Memo[Listed]:
    return Memo(5_000)


@dataclass(frozen=True, slots=True)
class Caches:
    """Bounded, shared by all threads, and never wrong: see `evidence.memo`."""

    folders: FolderMemo = field(default_factory=_folders)
    assessments: Memo[KeptAnswer] = field(default_factory=_assessments)
    """GetAssessment's answers, under version, last batch and who asked."""
    listed: Memo[Listed] = field(default_factory=_listed)
    """Items of ListAssessments, under their version."""
    insights: InsightsMemo = field(default_factory=InsightsMemo)
    sizes: Memo[int] = field(default_factory=_sizes)
    """How many controls an assessment has, under its version."""
    controls: Memo[tuple[Named, ...]] = field(default_factory=_controls)
    """The controls of an assessment, under its version."""
    alike_controls: Memo[tuple[Named, ...]] = field(default_factory=_alike_controls)
    """The same under themselves, so that assessments of one framework hold them once."""
    standings: Memo[Standings] = field(default_factory=_standings)
    """Who counts in insights, under the version of all assessments."""
    watching: Memo[Watching] = field(default_factory=_watching)
    """The same, and how they look, under that version and the day."""
    kinds: Memo[Sequence[Kind]] = field(default_factory=_kinds)
    """The same, and their controls."""
    numbers: Memo[Numbers] = field(default_factory=_numbers)
    """What insights count over all assessments, under that version, the day and the last batch."""
    overviews: Memo[Overview] = field(default_factory=_overviews)
    """What insights list over all assessments, under the same."""

    def clear(self) -> None:
        """Give up everything: some of it was computed from what is being destroyed."""
        for one in fields(self):
            getattr(self, one.name).clear()
