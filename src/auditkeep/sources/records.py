"""What every source's parser takes and gives.

A record is read (an `Observation`), is nobody's business (tallied with its reason), or cannot be
read (`Rejected`, with its position). Nothing is dropped in silence, and one bad record never
stops a file. Whether a time is possible is decided by the lake, for all sources alike.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from auditkeep.clock import Instant
from auditkeep.ids import Tenant
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation
from auditkeep.sources.rules import Definitions, Rules
from auditkeep.sources.secrets import Cutter

T = TypeVar("T")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes from outside may raise: wrong JSON, wrong UTF-8, too deep."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record, or the rest of a file, that cannot be read; `position` is empty for a file."""

    position: str
    reason: str


Parsed = Iterator[Observation | Rejected]

NO_CONTROL = "no control uses it"
"""Why most records are nobody's business."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a parser must know: whose files these are and what is worth keeping.

    `tenant` stands in for an account or region that a record does not name. `reads` admits
    read-only CloudTrail events. `rules` names Config rules' owners and identifiers,
    `definitions` of those that it does not know.
    `observed_at` is when results were found that do not say it themselves.
    """

    tenant: Tenant
    interest: Interest
    cutter: Cutter
    reads: bool = False
    rules: Rules = field(default_factory=Rules)
    observed_at: Instant | None = None
    definitions: Definitions | None = None


@dataclass(slots=True)
class Tally:
    """How many records a parser saw, and why those went unkept that were not rejected."""

    records: int = 0
    unmatched: Counter[str] = field(default_factory=Counter)


def read_each(items: Iterable[T | Rejected], read: Callable[[T], Parsed]) -> Parsed:
    """What is read of each item, and what was rejected among them, in order."""
    for item in items:
        if isinstance(item, Rejected):
            yield item
        else:
            yield from read(item)


def told(found: Observation | Rejected | str, tally: Tally) -> Parsed:
    """What a record is; or, as text, why nobody wants it, which is tallied."""
    if isinstance(found, str):
        tally.unmatched[found] += 1
    else:
        yield found


def unreadable(position: str, error: Exception) -> Rejected:
    """The rejection of a record that the decoder refused, in the decoder's words."""
    if isinstance(error, RecursionError):
        return Rejected(position, "it is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Rejected(position, "it is not valid UTF-8")
    if isinstance(error, msgspec.ValidationError):
        return Rejected(position, f"it has not the shape of a record: {error}")
    return Rejected(position, f"it is not JSON: {error}")
