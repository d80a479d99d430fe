"""Answers as their protocol writes them: JSON, REST JSON, query, EC2 and REST XML.

Source: botocore's response parsers, which read them. An encoder is compiled once for each output
shape; a value is a dict by the model's member names, times are aware datetimes or instants.
"""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from botocore.model import OperationModel

from auditkeep.clock import to_datetime
from auditkeep.wire.messages import Response

Encode = Callable[[Any], Any]
Write = Callable[[Any], str]

_XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Refusal(Exception):
    """An error as a service answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def answer(
    protocol: str, operation: OperationModel, value: dict[str, Any], request: str
) -> Response:
    """The response to a call that went well."""
    if protocol == "json":
        body = json.dumps(_json_of(operation)(value)).encode()
        return Response(200, body, ((b"content-type", b"application/x-amz-json-1.1"), _id(request)))
    if protocol in {"query", "ec2"}:
        return Response(
            200,
            _query(operation, value, request, protocol == "ec2").encode(),
            ((b"content-type", b"text/xml"), _id(request)),
        )
    return _rest(protocol, operation, value, request)


def refusal(protocol: str, service: str, error: Refusal, request: str) -> Response:
    """The response to a call that went wrong."""
    code, text = error.code, str(error)
    kind = "Server" if error.status >= 500 else "Client"
    if protocol in {"json", "rest-json"}:
        body = json.dumps({"__type": code, "message": text, "Message": text}).encode()
        named = (b"x-amzn-errortype", code.encode())
        content = (b"content-type", b"application/x-amz-json-1.1")
        return Response(error.status, body, (content, named, _id(request)))
    inside = f"<Code>{escape(code)}</Code><Message>{escape(text)}</Message>"
    if protocol == "ec2":
        xml = f"<Response><Errors><Error>{inside}</Error></Errors><RequestID>{request}</RequestID></Response>"
    elif service == "s3":
        xml = f"<Error>{inside}<RequestId>{request}</RequestId></Error>"
    else:
        sender = "Receiver" if kind == "Server" else "Sender"
        xml = (
            f"<ErrorResponse><Error><Type>{sender}</Type>{inside}</Error>"
            f"<RequestId>{request}</RequestId></ErrorResponse>"
        )
    content = (b"content-type", b"text/xml")
    return Response(error.status, (_XML_HEAD + xml).encode(), (content, _id(request)))


def _id(request: str) -> tuple[bytes, bytes]:
    return (b"x-amzn-requestid", request.encode())


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return to_datetime(value)


def _time(value: Any, style: str) -> Any:
    moment = _moment(value).astimezone(UTC)
    if style == "unixTimestamp":
        return moment.timestamp()
    if style == "rfc822":
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _same(value: Any) -> Any:
    return value


# ---- JSON


@cache
def _json_of(operation: OperationModel) -> Encode:
    if operation.output_shape is None:
        return lambda _: {}
    return _jsons(operation.output_shape)


def _jsons(shape: Any) -> Encode:
    return _compiled(shape, {})


def _compiled(shape: Any, known: dict[str, Encode]) -> Encode:
    kind = shape.type_name
    if kind == "structure":
        return _structure(shape, known)
    if kind == "list":
        each = _compiled(shape.member, known)
        return lambda value: [each(one) for one in value]
    if kind == "map":
        inner = _compiled(shape.value, known)
        return lambda value: {key: inner(one) for key, one in value.items()}
    if kind == "timestamp":
        style = shape.serialization.get("timestampFormat", "unixTimestamp")
        return lambda value: _time(value, style)
    if kind == "blob":
        return lambda value: base64.b64encode(_bytes(value)).decode()
    return _same


def _structure(shape: Any, known: dict[str, Encode]) -> Encode:
    """By shape name: shapes may hold themselves."""
    if shape.name in known:
        return lambda value: known[shape.name](value)  # noqa: PLW0108  # not yet made
    known[shape.name] = _same
    members: dict[str, tuple[str, Encode]] = {}
    for name, member in shape.members.items():
        sent = member.serialization.get("name", name)
        members[name] = (sent, _compiled(member, known))

    def encode(value: Any) -> Any:
        found = {}
        for name, one in value.items():
            if one is not None:
                sent, inner = members[name]
                found[sent] = inner(one)
        return found

    known[shape.name] = encode
    return encode


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


# ---- XML


@cache
def _xml_of(operation: OperationModel) -> dict[str, Write]:
    """Writers of the members of an output, by member name."""
    known: dict[str, Write] = {}
    shape = operation.output_shape
    return {name: _element(name, member, known) for name, member in shape.members.items()}


def _element(name: str, shape: Any, known: dict[str, Write]) -> Write:
    """Writes one member: its element, or one for each member of a flattened list."""
    kind, how = shape.type_name, shape.serialization
    tag = how.get("name", name)
    if kind == "list":
        member = shape.member
        if how.get("flattened"):
            each = _inner(member, known)
            tag = member.serialization.get("name", tag)
            return lambda value: "".join(f"<{tag}>{each(one)}</{tag}>" for one in value)
        each, item = _inner(member, known), member.serialization.get("name", "member")
        return lambda value: (
            f"<{tag}>" + "".join(f"<{item}>{each(one)}</{item}>" for one in value) + f"</{tag}>"
        )
    if kind == "map":
        return _mapping(tag, shape, known)
    inner = _inner(shape, known)
    attributes = _attributes(shape)
    return lambda value: f"<{tag}{attributes(value)}>{inner(value)}</{tag}>"


def _attributes(shape: Any) -> Write:
    """Members that are written as attributes of their structure's element."""
    if shape.type_name != "structure":
        return lambda _: ""
    names = {
        name: member.serialization["name"]
        for name, member in shape.members.items()
        if member.serialization.get("xmlAttribute")
    }
    if not names:
        return lambda _: ""
    spaces = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    return lambda value: (
        spaces
        + "".join(
            f" {tag}={quoteattr(str(value[name]))}" for name, tag in names.items() if name in value
        )
    )


def _mapping(tag: str, shape: Any, known: dict[str, Write]) -> Write:
    key = shape.key.serialization.get("name", "key")
    item = shape.value.serialization.get("name", "value")
    inner = _inner(shape.value, known)

    def entries(value: Any, entry: str) -> str:
        return "".join(
            f"<{entry}><{key}>{escape(str(k))}</{key}><{item}>{inner(v)}</{item}></{entry}>"
            for k, v in value.items()
        )

    if shape.serialization.get("flattened"):
        return lambda value: entries(value, tag)
    return lambda value: f"<{tag}>{entries(value, 'entry')}</{tag}>"


def _inner(shape: Any, known: dict[str, Write]) -> Write:
    """Writes what stands inside an element."""
    kind = shape.type_name
    if kind == "structure":
        return _xml_structure(shape, known)
    if kind == "list":
        each, item = _inner(shape.member, known), shape.member.serialization.get("name", "member")
        return lambda value: "".join(f"<{item}>{each(one)}</{item}>" for one in value)
    if kind == "map":
        whole = _mapping("map", shape, known)
        return lambda value: whole(value).removeprefix("<map>").removesuffix("</map>")
    if kind == "timestamp":
        style = shape.serialization.get("timestampFormat", "iso8601")
        return lambda value: str(_time(value, style))
    if kind == "blob":
        return lambda value: base64.b64encode(_bytes(value)).decode()
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    return lambda value: escape(str(value))


def _xml_structure(shape: Any, known: dict[str, Write]) -> Write:
    if shape.name in known:
        return lambda value: known[shape.name](value)  # noqa: PLW0108  # not yet made
    known[shape.name] = str
    members = {
        name: _element(name, member, known)
        for name, member in shape.members.items()
        if not member.serialization.get("xmlAttribute")
    }

    def write(value: Any) -> str:
        return "".join(
            members[name](one) for name, one in value.items() if one is not None and name in members
        )

    known[shape.name] = write
    return write


def _members(operation: OperationModel, value: dict[str, Any]) -> str:
    if operation.output_shape is None:
        return ""
    writers = _xml_of(operation)
    return "".join(writers[name](one) for name, one in value.items() if one is not None)


def _query(operation: OperationModel, value: dict[str, Any], request: str, ec2: bool) -> str:
    name, inside = operation.name, _members(operation, value)
    if ec2:
        return (
            f"{_XML_HEAD}<{name}Response><requestId>{request}</requestId>{inside}</{name}Response>"
        )
    shape = operation.output_shape
    wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
    if wrapper:
        inside = f"<{wrapper}>{inside}</{wrapper}>"
    metadata = f"<ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>"
    return f"{_XML_HEAD}<{name}Response>{inside}{metadata}</{name}Response>"


# ---- REST


def _rest(
    protocol: str, operation: OperationModel, value: dict[str, Any], request: str
) -> Response:
    shape, status = operation.output_shape, operation.http.get("responseCode", 200)
    headers = [_id(request)]
    inside = dict(value)
    if shape is None:
        return Response(status, b"", tuple(headers))
    for name, member in shape.members.items():
        where = member.serialization.get("location")
        if where and name in inside:
            one = inside.pop(name)
            if where == "statusCode":
                status = one
            elif one is not None:
                headers += _headers(member, name, one)
    payload = shape.serialization.get("payload")
    if payload is None:
        body = _body(protocol, operation, inside)
    elif payload not in inside:
        body = b""
    elif shape.members[payload].type_name == "structure":
        body = _payload(protocol, operation, payload, inside[payload])
    else:
        body = _bytes(inside[payload])
    if not any(name == b"content-type" for name, _ in headers):
        kind = b"application/json" if protocol == "rest-json" else b"application/xml"
        headers.append((b"content-type", kind))
    return Response(status, body, tuple(headers))


def _headers(member: Any, name: str, value: Any) -> list[tuple[bytes, bytes]]:
    sent = member.serialization.get("name", name)
    if member.type_name == "map":
        return [(f"{sent}{k}".lower().encode(), str(v).encode()) for k, v in value.items()]
    if member.type_name == "timestamp":
        value = _time(value, member.serialization.get("timestampFormat", "rfc822"))
    elif member.type_name == "boolean":
        value = "true" if value else "false"
    elif member.type_name == "list":
        value = ",".join(map(str, value))
    if member.type_name == "string" and getattr(member, "is_jsonvalue", False):
        value = base64.b64encode(json.dumps(value).encode()).decode()
    return [(sent.lower().encode(), str(value).encode())]


def _body(protocol: str, operation: OperationModel, value: dict[str, Any]) -> bytes:
    if protocol == "rest-json":
        return json.dumps(_json_of(operation)(value)).encode()
    tag = operation.output_shape.serialization.get("name", f"{operation.name}Result")
    return f"{_XML_HEAD}<{tag}>{_members(operation, value)}</{tag}>".encode()


def _payload(protocol: str, operation: OperationModel, name: str, value: Any) -> bytes:
    if protocol == "rest-json":
        return json.dumps(_jsons(operation.output_shape.members[name])(value)).encode()
    return (_XML_HEAD + _xml_of(operation)[name](value)).encode()
