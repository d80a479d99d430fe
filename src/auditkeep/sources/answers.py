"""What AWS answered, as bytes that are kept: reproducible, and nothing left out.

Where a service answers JSON, the bytes are its own (`heard` takes them before botocore reads
them, so members that botocore does not know yet stay). Where it answers XML or CBOR, the bytes
are canonical JSON of what botocore read: members in order of their names, times as
`2026-05-01T10:11:12.345678Z`, blobs in base64, numbers as they are. `ResponseMetadata` says how
an answer travelled and is not part of it.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from auditkeep.clock import from_datetime, iso
from auditkeep.sources.aws import hook
from auditkeep.sources.pull import Request

METADATA = "ResponseMetadata"

_JSON = ("application/json", "application/x-amz-json-1.0", "application/x-amz-json-1.1")


def canonical(value: object) -> bytes:
    """JSON of what botocore read; the same value gives the same bytes, always."""
    return _ENCODER.encode(_plain(value))


def in_order(value: object) -> bytes:
    """The same of what came out of JSON and so holds neither times nor blobs."""
    return _ENCODER.encode(value)


def answer_of(response: Mapping[str, Any]) -> dict[str, Any]:
    """What was answered, without how it travelled."""
    return {name: value for name, value in response.items() if name != METADATA}


def _plain(value: object) -> object:
    """Times, blobs and streams as JSON holds them; the rest as it is."""
    kind = type(value)
    if kind is str or kind is int or kind is bool:
        return value
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, datetime):
        return iso(from_datetime(value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if hasattr(value, "read"):
        return value.read()
    return value


_ENCODER = msgspec.json.Encoder(order="sorted")


class Heard:
    """The body of the last answer that came while it was listened to, if that was JSON."""

    __slots__ = ("_body",)

    def __init__(self) -> None:
        self._body: bytes | None = None

    def take(self, response: Mapping[str, Any]) -> bytes:
        """The answer's own bytes, or canonical ones of what was read where they are not JSON."""
        body, self._body = self._body, None
        return canonical(answer_of(response)) if body is None else body

    def hear(self, response_dict: Mapping[str, Any]) -> None:
        kind = str(response_dict.get("headers", {}).get("content-type", ""))
        body = response_dict.get("body")
        json = kind.partition(";")[0].strip().lower() in _JSON
        self._body = bytes(body) if json and body and isinstance(body, bytes) else None


_LISTENING: ContextVar[Heard | None] = ContextVar("_LISTENING", default=None)


def _listen(response_dict: Mapping[str, Any], **_: object) -> None:
    ear = _LISTENING.get()
    if ear is not None:
        ear.hear(response_dict)


@contextmanager
def heard(client: Any) -> Iterator[Heard]:
    """Listen to what is answered to this thread."""
    hook(client, "before-parse", _listen)
    ear = Heard()
    token = _LISTENING.set(ear)
    try:
        yield ear
    finally:
        _LISTENING.reset(token)


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call and what it was answered: pages are lists of these.

    `refused`: the answer is the service's error, which says as much as another answer would.
    """

    operation: str
    parameters: dict[str, Any]
    answer: Raw
    refused: bool = False


def exchange(request: Request, answer: bytes, *, refused: bool = False) -> Exchange:
    return Exchange(request.operation, dict(request.parameters), Raw(answer), refused)


def body_of(exchanges: list[Exchange]) -> bytes:
    """A page's body."""
    return _ENCODER.encode(exchanges)


_EXCHANGES = msgspec.json.Decoder(list[Exchange])


def exchanges_of(body: bytes) -> list[Exchange]:
    """The calls of a page's body; msgspec's errors if it is none."""
    return _EXCHANGES.decode(body)
