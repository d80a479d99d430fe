"""What an observation's envelope says about it: the reading, decoded (docs/formats.md)."""

import msgspec

from auditkeep.lake.model import Stored
from auditkeep.observations import Resource


class Reading(msgspec.Struct, frozen=True):
    """How the source's parser understood a record; `actor` is an ARN where there was someone."""

    resources: tuple[Resource, ...] = ()
    actor: str | None = None
    event_name: str = ""
    event_source: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    reading: Reading


_DECODER = msgspec.json.Decoder(_Envelope)


def reading_of(stored: Stored) -> Reading:
    return _DECODER.decode(stored.envelope).reading
