"""AWS's query protocol, as STS speaks it: a form comes, XML goes.

Source: the AWS Query protocol (`Action=…&Version=…`, lists as `Tags.member.1.Key`), the answers as
botocore's parser reads them. Invariants: a parameter given twice is refused, never guessed at; what
cannot stand in XML is replaced, so that every answer parses.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

from auditkeep.errors import (
    AccessDenied,
    InvalidRequest,
    KeyUnknown,
    RequestError,
    SessionEnded,
    SignatureIncomplete,
    SignatureMissing,
    SignatureWrong,
    Throttled,
    UnknownOperation,
)
from auditkeep.wire.messages import Request, Response

FORM = b"application/x-www-form-urlencoded"
MOST_PARAMETERS = 200
LARGEST = 64 * 1024
"""Bytes of a form; the longest identity token is a third of it."""

Members = Mapping[str, "str | Members"]
"""An answer: texts by name, and structures of them."""

_XML = (b"content-type", b"text/xml")
_UNFIT = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CODES: tuple[tuple[type[RequestError], str, int], ...] = (
    (AccessDenied, "AccessDenied", 403),
    (Throttled, "Throttling", 400),
    (SignatureMissing, "MissingAuthenticationToken", 403),
    (SignatureIncomplete, "IncompleteSignature", 400),
    (KeyUnknown, "InvalidClientTokenId", 403),
    (SessionEnded, "ExpiredToken", 403),
    (SignatureWrong, "SignatureDoesNotMatch", 403),
    (UnknownOperation, "InvalidAction", 400),
    (InvalidRequest, "ValidationError", 400),
)
"""What STS calls errors that the REST services call otherwise."""


def parameters(request: Request) -> dict[str, str]:
    """The parameters of a request, from its query and, where it is a form, its body.

    InvalidRequest when they are too many, too large, repeated, or not UTF-8.
    """
    parts = [part for part in request.query.split(b"&") if part]
    if request.body:
        if len(request.body) > LARGEST:
            raise InvalidRequest(f"The form is larger than {LARGEST} bytes.")
        parts += [part for part in request.body.split(b"&") if part]
    if len(parts) > MOST_PARAMETERS:
        raise InvalidRequest(f"The request has more than {MOST_PARAMETERS} parameters.")
    found: dict[str, str] = {}
    for part in parts:
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        try:
            key, text = unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest("The parameters are not percent-encoded UTF-8.") from error
        if key in found:
            raise InvalidRequest("A parameter is given more than once.")
        found[key] = text
    return found


def answer(action: str, namespace: str, result: Members, request_id: str) -> Response:
    """`<ActionResponse><ActionResult>…`, as every operation of the protocol answers."""
    text = (
        f'<{action}Response xmlns="{namespace}"><{action}Result>{_members(result)}'
        f"</{action}Result><ResponseMetadata><RequestId>{_text(request_id)}</RequestId>"
        f"</ResponseMetadata></{action}Response>"
    )
    return Response(200, text.encode(), (_XML,))


def refusal(error: Exception, namespace: str, request_id: str) -> Response:
    """The answer to a request that failed, whatever the error is; none but ours is repeated."""
    code, status, message = (
        "InternalFailure",
        500,
        "The server failed to answer; its log tells why.",
    )
    if isinstance(error, RequestError):
        found = next((c for c in _CODES if isinstance(error, c[0])), None)
        code, status = found[1:] if found else (error.code, error.status)
        message = str(error)
    kind = "Receiver" if status >= 500 else "Sender"
    text = (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{_text(message)}</Message></Error>"
        f"<RequestId>{_text(request_id)}</RequestId></ErrorResponse>"
    )
    return Response(status, text.encode(), (_XML,))


def _members(members: Members) -> str:
    return "".join(
        f"<{name}>{_text(value) if isinstance(value, str) else _members(value)}</{name}>"
        for name, value in members.items()
    )


def _text(value: str) -> str:
    return escape(_UNFIT.sub("\ufffd", value))
