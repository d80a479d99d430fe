"""A record as it waits, and the observation it becomes.

Calls that only read come many at a time; those of one tenant that came together are kept as one
observation, which holds them as a CloudTrail file does (`{"Records":[…]}`). Everything else is an
observation of its own.
"""

from collections.abc import Sequence

import msgspec

from auditkeep import __version__
from auditkeep.clock import Instant
from auditkeep.ids import quick_id
from auditkeep.observations import Observation, Provenance, Resource

READER = "activity/1"
PREFIX = "activity:"
TOGETHER = "Reads"
"""The event name of an observation that holds several records."""


class Noted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record, or several that are kept together, and what is known of it without reading it."""

    at: Instant
    event_id: str
    name: str
    source: str
    account: str
    region: str
    actor: str | None
    resources: tuple[tuple[str, str], ...]
    raw: bytes

    def observation(self) -> Observation:
        return Observation(
            source="ACTIVITY",
            natural_key=(self.event_id,),
            event_time=self.at,
            match_key=match_key(self.name),
            account=self.account,
            region=self.region,
            raw=self.raw,
            reader=READER,
            position=self.event_id,
            resources=tuple(Resource(value=arn, arn=arn, type=t) for arn, t in self.resources),
            actor=self.actor,
            event_name=self.name,
            event_source=self.source,
        )


class _File(msgspec.Struct, gc=False):
    records: list[msgspec.Raw] = msgspec.field(name="Records", default_factory=list)


_FILE = msgspec.json.Decoder(_File)


def match_key(event_name: str) -> str:
    """What activity is found by; no keyword of any control resolves to it."""
    return f"{PREFIX}{event_name}"


def together(some: Sequence[Noted]) -> Noted:
    """Several records of one tenant as one observation; a single one stays what it is."""
    first = some[0]
    if len(some) == 1:
        return first
    return Noted(
        at=first.at,
        event_id=quick_id(),
        name=TOGETHER,
        source="auditkeep",
        account=first.account,
        region=first.region,
        actor=None,
        resources=(),
        raw=b'{"Records":[' + b",".join([n.raw for n in some]) + b"]}",
    )


def records_of(raw: bytes) -> list[bytes]:
    """The records that an observation holds, oldest first."""
    if not raw.startswith(b'{"Records":['):
        return [raw]
    return [bytes(record) for record in _FILE.decode(raw).records]


def provenance(writer: str) -> Provenance:
    """Of what Auditkeep itself was witness to; `writer` names the process that wrote it."""
    return Provenance(
        how="witnessed",
        collector="activity",
        run=writer,
        software=f"auditkeep/{__version__}",
    )
