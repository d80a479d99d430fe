"""Asking AWS: what every source that is pulled takes and gives.

A `Puller` has two verbs. `get` alone touches the network: it yields the pages that a source
answered, each an ingest unit with the place to go on from after it. `parse` is pure and reads a
page into observations, as the parsers of files do. Neither knows the database, and none of them
imports boto3: clients come from whoever holds credentials.

Invariants
- A page is yielded only when all of it was answered; what fails later takes nothing from it.
- A page's unit follows from its content and from what was asked, so asking again after a crash
  adds nothing, and a page that came out differently is never passed over for its number.
- What fails is one of the kinds below, each a sentence and a reason that coverage can count by.

    NotCollected               (auditkeep.errors)
    ├── Denied                 the account's policies do not allow it: `action` is what they lack
    ├── Throttled              asked too often
    │   └── NotYet                 it was, and is left alone until its pace allows another request
    ├── SwitchedOff            what is asked about is not in use there: `feature`
    │   └── RegionOff          the whole region is not, for that account
    ├── Expired                credentials are over, unknown or missing
    ├── WrongTime              our clock or theirs is wrong
    ├── Gone                   the account is closed or suspended
    ├── Unreachable            no answer, or none that can be used; later may help
    └── Refused                an answer that asking again would not change
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from auditkeep.clock import Day, Instant
from auditkeep.errors import NotCollected
from auditkeep.mapping.interest import Interest
from auditkeep.observations import SourceType
from auditkeep.sources.records import Context, Parsed, Tally
from auditkeep.sources.rules import Rule

Reason = Literal[
    "denied",
    "throttled",
    "switched-off",
    "region-off",
    "expired",
    "wrong-time",
    "gone",
    "unreachable",
    "refused",
]
"""Why something due was not collected, as coverage and the gap ledger write it."""


class Clients(Protocol):
    """Where clients come from; their credentials are already those of the account in question."""

    def client(self, service: str, region: str) -> Any:
        """A botocore client of a service as botocore names it, e.g. `ec2`; for this thread only.

        `region` may be `ids.GLOBAL_REGION`: then the home region of the account's partition.
        NotCollected if the account's role cannot be taken.
        """


@dataclass(frozen=True)
class Ask:
    """One question: of which source, account and region, about what and since when.

    `what` is the keyword of an API call, "" where a source has one question only. `slot` is the
    UTC day that a scheduled question is asked for. `since` is when the last complete look began
    (None: look at the current state); a source that is late goes back further by itself. `until`
    bounds a look into the past. `at` makes it a first look: what is so at that moment is an
    observation of that moment, however long it has been so. `wanted` are the match keys that are
    worth asking for; `spare` those of them that need not be there, as another stands in for each.
    """

    source: SourceType
    account: str
    region: str
    what: str = ""
    slot: Day | None = None
    since: Instant | None = None
    until: Instant | None = None
    at: Instant | None = None
    wanted: Interest = field(default_factory=Interest.everything)
    spare: frozenset[str] = frozenset()

    @cached_property
    def digest(self) -> bytes:
        """Of all that decides, beside the answers, what is read from them."""
        place = (self.source, self.account, self.region, self.what)
        told = ("auditkeep/ask/1", *place, self.slot, self.at)
        return sha256(msgspec.json.encode((told, self.wanted.fingerprint))).digest()


@dataclass(frozen=True, slots=True)
class Request:
    """One call as it was made: for the record of the run."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """One resource of a page that could not be asked about; the others were."""

    resource: str
    reason: Reason
    sentence: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What a source answered, as one ingest unit.

    `resume` is where to go on after this page, None if this was the last; `counted` is how many
    there are in all by the source's own count, where it keeps one.
    """

    ask: Ask
    unit: str
    body: bytes
    requests: tuple[Request, ...]
    resume: str | None = None
    counted: int | None = None
    faults: tuple[Fault, ...] = ()
    rules: tuple[Rule, ...] | None = None
    """All rules of AWS Config that there are, where the page tells them."""


class Puller(Protocol):
    """One source that is asked."""

    @property
    def source(self) -> SourceType: ...

    @property
    def reader(self) -> str: ...

    def actions(self, what: str) -> frozenset[str]:
        """The IAM actions that `get` may need for a question."""

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        """The pages of an answer, from the beginning or after one that was kept.

        NotCollected where it cannot go on; the pages before it are good.
        """

    def parse(self, page: Page, context: Context, tally: Tally) -> Parsed:
        """The observations of one page; what cannot be read is `Rejected` with its position."""


def unit_of(ask: Ask, reader: str, body: bytes) -> str:
    """The name of a page's unit: it follows from the question, its reader and the content."""
    return sha256(b"auditkeep/page/1" + ask.digest + reader.encode() + b"\0" + body).hexdigest()


class Denied(NotCollected):
    reason: ClassVar[Reason] = "denied"

    def __init__(self, sentence: str, *, action: str, **told: str) -> None:
        super().__init__(sentence, **told)
        self.action = action


class Throttled(NotCollected):
    reason: ClassVar[Reason] = "throttled"
    again: ClassVar[bool] = True


class NotYet(Throttled):
    """An account that throttled is not asked now; whoever waited for its pace gave up waiting."""


class SwitchedOff(NotCollected):
    """`feature` names what is off, e.g. `config-recorder`, `config-rule:NAME`, `securityhub`."""

    reason: ClassVar[Reason] = "switched-off"

    def __init__(self, sentence: str, *, feature: str, **told: str) -> None:
        super().__init__(sentence, **told)
        self.feature = feature


class RegionOff(SwitchedOff):
    reason: ClassVar[Reason] = "region-off"

    def __init__(self, sentence: str, **told: str) -> None:
        super().__init__(sentence, feature="region", **told)


class Expired(NotCollected):
    reason: ClassVar[Reason] = "expired"
    again: ClassVar[bool] = True


class WrongTime(NotCollected):
    reason: ClassVar[Reason] = "wrong-time"


class Gone(NotCollected):
    reason: ClassVar[Reason] = "gone"


class Unreachable(NotCollected):
    reason: ClassVar[Reason] = "unreachable"
    again: ClassVar[bool] = True


class Refused(NotCollected):
    reason: ClassVar[Reason] = "refused"
