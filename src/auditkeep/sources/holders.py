"""Records inside of other things: log events, messages, lookups, events of a bus.

What holds CloudTrail records on its own: a CloudWatch Logs subscription (`logEvents[].message`,
also as Lambda gets it: base64 of gzip under `awslogs.data`), an EventBridge event (`detail`), an
answer of LookupEvents (`CloudTrailEvent`, a string). Holders may hold holders, a few levels deep.
"""

import base64
import binascii
import io
from collections.abc import Iterator

import msgspec
from msgspec import UNSET, Raw, UnsetType

from auditkeep.errors import InputError
from auditkeep.sources.files import blocks
from auditkeep.sources.records import UNREADABLE, Rejected, unreadable

MAX_DEPTH = 4
MAX_UNPACKED = 64 * 1024 * 1024
"""Bytes that one subscription record may unpack to."""


class _Awslogs(msgspec.Struct, gc=False):
    data: str


class _Holder(msgspec.Struct, gc=False):
    detail: Raw | UnsetType = UNSET
    message: str | UnsetType = UNSET
    lookup: str | UnsetType = msgspec.field(name="CloudTrailEvent", default=UNSET)
    awslogs: _Awslogs | UnsetType = UNSET
    records: list[Raw] | UnsetType = msgspec.field(name="Records", default=UNSET)
    log_events: list[Raw] | UnsetType = msgspec.field(name="logEvents", default=UNSET)
    events: list[Raw] | UnsetType = msgspec.field(name="Events", default=UNSET)


_DECODER = msgspec.json.Decoder(_Holder)

Held = Iterator[tuple[bytes, str] | Rejected]


def held(raw: bytes, position: str) -> Held:
    """What one value holds: bytes and position of each; nothing if it is no holder."""
    try:
        holder = _DECODER.decode(raw)
    except UNREADABLE as error:
        yield unreadable(position, error)
        return
    if holder.detail is not UNSET:
        yield bytes(holder.detail), f"{position}.detail"
    if holder.lookup is not UNSET:
        yield holder.lookup.encode(), f"{position}.CloudTrailEvent"
    elif holder.message is not UNSET:
        yield holder.message.encode(), f"{position}.message"
    if holder.awslogs is not UNSET:
        yield from _subscription(holder.awslogs.data, f"{position}.awslogs")
    for label in ("Records", "logEvents", "Events"):
        values = getattr(holder, _MEMBERS[label])
        if values is not UNSET:
            for index, value in enumerate(values):
                yield bytes(value), f"{position}.{label}[{index}]"


_MEMBERS = {"Records": "records", "logEvents": "log_events", "Events": "events"}


def _subscription(data: str, position: str) -> Held:
    """The text that a subscription delivers, packed as Lambda receives it."""
    unpacked = bytearray()
    try:
        for block in blocks(io.BytesIO(base64.b64decode(data, validate=True))):
            unpacked += block
            if len(unpacked) > MAX_UNPACKED:
                yield Rejected(position, f"it unpacks to more than {MAX_UNPACKED:,} bytes")
                return
    except (binascii.Error, ValueError) as error:
        yield Rejected(position, f"it is not base64: {error}")
        return
    except InputError as error:
        yield Rejected(position, str(error))
        return
    yield bytes(unpacked), position
