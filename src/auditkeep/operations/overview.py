"""What insights say of a day over all assessments: kept whole, under all it was computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from auditkeep.assessments.store import Standing
from auditkeep.clock import Day
from auditkeep.evidence.counts import Counts
from auditkeep.evidence.insights import Alike

NAME = 60
"""Characters of a name that count for the order of a list, so that they fit a token."""


class Named(msgspec.Struct, frozen=True, gc=False):
    """A control of an assessment, as far as insights show it."""

    ordinal: int
    control_id: str
    name: str
    set_name: str
    removed: bool
    domains: tuple[str, ...]


@dataclass(slots=True)
class ControlRow:
    """One control of the library, over the assessments that were asked about."""

    id: str
    name: str
    set_name: str = ""
    ordinal: int = 0
    counts: Counts = field(default_factory=Counts)

    @property
    def rank(self) -> tuple[int | str, ...]:
        return -self.counts.noncompliant, self.name[:NAME], self.id, self.ordinal


@dataclass(slots=True)
class DomainRow:
    """One domain, over the assessments that were asked about."""

    id: str
    name: str
    failing: int = 0
    controls: int = 0
    counts: Counts = field(default_factory=Counts)

    @property
    def rank(self) -> tuple[int | str, ...]:
        return -self.counts.noncompliant, self.name[:NAME], self.id


@dataclass(frozen=True, slots=True)
class Standings:
    """Who counts on a day, and on any later one while no assessment changes."""

    day: Day
    watched: Sequence[Standing]
    """The assessments that are ACTIVE, first, and those that ended on the day."""
    active: int
    controls: int
    """Of the ACTIVE ones."""


@dataclass(frozen=True, slots=True)
class Watching:
    """Who counts on a day, and how they look at it; the same until an assessment changes."""

    watched: Sequence[Standing]
    """As in `Standings`."""
    alike: Sequence[Alike]
    """The same assessments, by how they look at the day."""
    active: int
    controls: int


@dataclass(frozen=True, slots=True)
class Kind:
    """Assessments that look alike and have the same controls."""

    group: int
    """Which of `Watching.alike`."""
    controls: tuple[Named, ...]
    ids: Sequence[str]
    active: int
    """How many of them are ACTIVE."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """All evidence of a day by class of verdict, and the controls that failed."""

    active: int
    controls: int
    counts: Counts
    failing: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Domains with evidence, and the controls of each; nothing changes once it is made."""

    domains: Sequence[DomainRow]
    controls: Mapping[str, Sequence[ControlRow]]
