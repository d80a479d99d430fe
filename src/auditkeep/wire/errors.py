"""Errors as REST-JSON 1 sends them.

The header `x-amzn-ErrorType` and the member `__type` name the code, `message` is a sentence; some
codes carry members of their own (specification section 10.1). What was not raised on purpose
becomes `InternalServerException`: the client learns the request id, the log learns where it
happened; neither learns a value, for those may be secret.
"""

import traceback
from typing import Any

import msgspec

from auditkeep.errors import (
    AuditkeepError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RequestError,
    StorageFull,
    StoreAway,
    Throttled,
)
from auditkeep.wire.messages import Response

_AWAY = "The object store is out of reach at this moment; nothing was changed. Try again."
_SOON = 5_000_000
"""Microseconds after which trying again is worth it."""
JSON = (b"content-type", b"application/json")
DEEPEST_CAUSE = 8
LONGEST_MESSAGE = 2048
"""Characters of a message, as the model's shape of it allows."""


def to_response(error: Exception, request_id: str) -> Response:
    """The answer to a request that failed with `error`, whatever it is."""
    if isinstance(error, StoreAway):
        return _answer("InternalServerException", 503, {"message": _AWAY}, _hint(_SOON))
    if not isinstance(error, RequestError):
        return _answer("InternalServerException", 500, {"message": _internal(error, request_id)})
    body: dict[str, Any] = {"message": _fitting(str(error))}
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, InvalidRequest):
        body["reason"] = error.reason
        if error.fields:
            body["fields"] = [{"name": f.name, "message": f.message} for f in error.fields]
    elif isinstance(error, NotFound):
        body["resourceId"] = error.resource_id
        body["resourceType"] = error.resource_type
    elif isinstance(error, Throttled):
        headers = _hint(error.retry_after)
    elif isinstance(error, MethodNotAllowed):
        headers = ((b"allow", ", ".join(error.allowed).encode()),)
    return _answer(error.code, error.status, body, headers)


def describe(error: BaseException) -> str:
    """Where an error came from, for the log: kinds and places, and our own sentences.

    Messages of other libraries are left out: a driver's repeats the parameters of its statement.
    """
    lines: list[str] = []
    current: BaseException | None = error
    for _ in range(DEEPEST_CAUSE):
        if current is None:
            break
        kind = type(current)
        said = f": {current}" if isinstance(current, AuditkeepError) else ""
        lines.append(f"{kind.__module__}.{kind.__qualname__}{said}")
        lines += [
            f"  {frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(current.__traceback__)
        ]
        current = current.__cause__ or current.__context__
    return "\n".join(lines)


def _hint(retry_after: int) -> tuple[tuple[bytes, bytes], ...]:
    """When to try again: milliseconds for botocore (standard and adaptive mode), seconds (RFC 9110)
    for everybody else. botocore's legacy mode reads neither and waits by itself.
    """
    milliseconds, seconds = -(-retry_after // 1_000), -(-retry_after // 1_000_000)
    return (
        (b"x-amz-retry-after", str(milliseconds).encode()),
        (b"retry-after", str(seconds).encode()),
    )


def _internal(error: Exception, request_id: str) -> str:
    if isinstance(error, StorageFull):
        return str(error)
    return (
        "The server failed to answer; nothing was changed. "
        f"Its log tells why, under the request id {request_id}."
    )


def _fitting(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"


def _answer(
    code: str, status: int, body: dict[str, Any], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Response:
    content = msgspec.json.encode({"__type": code, **body})
    return Response(status, content, (JSON, (b"x-amzn-errortype", code.encode()), *headers))
