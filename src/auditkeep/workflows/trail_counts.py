"""What came of reading a trail, and what ended it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from auditkeep.errors import NotCollected
from auditkeep.sources.digest_findings import Finding
from auditkeep.workflows.ingest import Counts

MOST_TOLD = 1_000
"""Broken links and the like that are told one by one; all are counted and kept."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A place that could not be read to its end, and why."""

    place: str
    error: NotCollected


@dataclass(slots=True)
class TrailCounts:
    """What came of a pass. `objects` were listed; of them `known` were read before and `waiting`
    are left for the next pass; `broken` is what digests accuse.
    """

    read: Counts
    places: int = 0
    places_done: int = 0
    objects: int = 0
    known: int = 0
    waiting: int = 0
    digests: int = 0
    broken: list[Finding] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def tell(self, findings: list[Finding]) -> None:
        """Take in what digests accuse."""
        room = MOST_TOLD - len(self.broken)
        self.broken += [f for f in findings if f.broken][:room]

    def described(self) -> dict[str, object]:
        """For the record of the run."""
        return {
            "digests": self.digests,
            "failures": [f"{f.place}: {f.error}" for f in self.failures[:MOST_TOLD]],
            "objectsKnown": self.known,
            "objectsListed": self.objects,
            "objectsWaiting": self.waiting,
            "places": self.places,
        }


TrailProgress = Callable[[TrailCounts], None]


class Interrupted(BaseException):
    """Raised by whoever follows the progress of a pass, to end it where it is."""


def outcome_of(error: BaseException) -> str:
    """How the record of a run names what ended it."""
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
