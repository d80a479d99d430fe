"""Requests made from botocore's service model: one valid per operation, and every way to break it.

Independent of the generated structs on purpose: what is asked for comes from the model itself.
"""

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import botocore.session

from auditkeep.wire.model import AnyOperation

MODEL = botocore.session.get_session().get_service_model("auditmanager")
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

SAMPLES = {
    "UUID": UUID,
    "AccountId": "111122223333",
    "AccountName": "Audit & Co",
    "AuditManagerArn": f"arn:aws:auditmanager:us-east-1:111122223333:control/{UUID}",
    "CloudTrailArn": "arn:aws:cloudtrail:us-east-1:111122223333:eventdatastore/x",
    "ControlCatalogId": "arn:aws:controlcatalog:::objective/x",
    "ControlDomainId": "arn:aws:controlcatalog:::domain/x",
    "CreatedBy": "Nikki Wolf",
    "LastUpdatedBy": "Nikki Wolf",
    "EmailAddress": "a@example.com",
    "Filename": "policy.txt",
    "GenericArn": "arn:aws:iam::111122223333:role/Owner",
    "IamArn": "arn:aws:iam::111122223333:role/Owner",
    "KmsKey": f"arn:aws:kms:us-east-1:111122223333:key/{UUID}",
    "Region": "eu-west-1",
    "S3Url": "s3://audit-reports/wire (1)",
    "SNSTopic": "audit-topic",
    "SnsArn": "arn:aws:sns:us-east-1:111122223333:audit",
    "TimestampUUID": f"1700000000_{UUID}",
    "Token": "QUJD+/8=",
    "organizationId": "o-abcdefghij",
    "AssessmentReportName": "report-1.0",
    "ManualEvidenceLocalFileName": "policy v2.pdf",
    "KeywordValue": "iam_CreateUser",
    "TagKey": "team",
}
BREAKERS = ["\\", "/", "_", "no", "Ünicode", "\n", "#", "aws:x", " "]


@dataclass(frozen=True)
class Sent:
    method: str
    path: bytes
    query: bytes
    body: bytes


@dataclass(frozen=True)
class Broken:
    operation: str
    what: str
    field: str
    """The member at fault as an answer names it."""
    ask: dict[str, Any]


def valid(shape: Any) -> Any:
    """A value with every member set."""
    kind = shape.type_name
    if kind == "structure":
        return {name: valid(inner) for name, inner in shape.members.items()}
    if kind == "list":
        return [valid(shape.member)] * max(1, shape.metadata.get("min", 1))
    if kind == "map":
        return {valid(shape.key): valid(shape.value)}
    if getattr(shape, "enum", None):
        return shape.enum[0]
    return {"string": SAMPLES.get(shape.name, "Some text"), "integer": 7, "boolean": True}[kind]


def request_of(name: str) -> Any:
    shape = MODEL.operation_model(name).input_shape
    return {} if shape is None else valid(shape)


def send(operation: AnyOperation, ask: dict[str, Any]) -> Sent:
    """The request as it travels, laid out as the model binds it."""
    rest = copy.deepcopy(ask)
    labels, query = {}, []
    for binding in operation.bindings:
        if binding.member not in rest:
            continue
        value = rest.pop(binding.member)
        if binding.location == "uri":
            labels[binding.name] = value
        elif isinstance(value, list):
            query += [(binding.name, item) for item in value]
        else:
            query.append((binding.name, value))
    path = "/".join(
        quote(str(labels[s[1:-1]]), safe="") if s.startswith("{") else s
        for s in operation.path.split("/")
    )
    body = json.dumps(rest).encode() if rest or operation.method in ("POST", "PUT") else b""
    return Sent(operation.method, path.encode(), urlencode(query, quote_via=quote).encode(), body)


def broken(name: str) -> Iterator[Broken]:
    """Every constraint of the operation's input, violated one at a time."""
    operation = MODEL.operation_model(name)
    shape = operation.input_shape
    if shape is None:
        return
    whole = valid(shape)
    outside = {
        m
        for m, s in shape.members.items()
        if s.serialization.get("location") in ("uri", "querystring")
    }
    labels = {m for m, s in shape.members.items() if s.serialization.get("location") == "uri"}
    for what, field, steps, value in _faults(shape, "", ()):
        top = steps[0]
        if top in labels and value in ("", None, _MISSING):
            continue  # without the segment it is another path
        if top in outside and value is None:
            continue  # there is no null outside the body
        if top in outside and not _travels(value, shape.members[top], len(steps)):
            continue
        yield Broken(name, what, field, _changed(whole, steps, value))


def _travels(value: Any, shape: Any, depth: int) -> bool:
    """Whether a value can be sent in path or query at all: all that travels there is text."""
    if isinstance(value, list):
        return depth == 1 and shape.type_name == "list"
    return isinstance(value, str) or value is _MISSING


_MISSING: Any = object()


def _changed(whole: Any, steps: tuple[Any, ...], value: Any) -> Any:
    result = copy.deepcopy(whole)
    at = result
    for step in steps[:-1]:
        at = at[step]
    if value is _MISSING:
        del at[steps[-1]]
    else:
        at[steps[-1]] = value
    return result


def _faults(shape: Any, path: str, steps: tuple[Any, ...]) -> Iterator[tuple[str, str, Any, Any]]:
    for member, inner in shape.members.items():
        field = f"{path}.{member}" if path else member
        here = (*steps, member)
        if member in shape.required_members:
            yield "missing", field, here, _MISSING
            yield "null", field, here, None
        yield from _of(inner, field, here)


def _of(shape: Any, field: str, steps: tuple[Any, ...]) -> Iterator[tuple[str, str, Any, Any]]:
    kind, meta = shape.type_name, shape.metadata
    if kind == "structure":
        yield from _wrong(("text", 5, [], True), field, steps)
        yield from _faults(shape, field, steps)
    elif kind == "list":
        yield from _wrong((5, {}, True), field, steps)
        if meta.get("min", 0) > 0:
            yield "too few", field, steps, []
        if "max" in meta:
            yield "too many", field, steps, [valid(shape.member)] * (meta["max"] + 1)
        yield from _of(shape.member, f"{field}[0]", (*steps, 0))
    elif kind == "map":
        yield from _wrong(("text", 5, [], True), field, steps)
        if "max" in meta:
            many = {f"{valid(shape.key)}{n}": valid(shape.value) for n in range(meta["max"] + 1)}
            yield "too many", field, steps, many
        for what, value in _strings(shape.key):
            if isinstance(value, str):
                yield f"key {what}", field, steps, {value: valid(shape.value)}
        key = valid(shape.key)
        for what, _, _, value in _of(shape.value, "", ()):
            yield what, f"{field}.{key}", (*steps, key), value
    elif getattr(shape, "enum", None):
        for value in ("NOT_ONE_OF_THEM", "", shape.enum[0].swapcase(), 5, [], {}, True):
            yield f"{value!r}", field, steps, value
    elif kind == "integer":
        for value in ("x", "", "1.5", "٣", " 7", "1e3"):
            yield f"{value!r}", field, steps, value
        if "min" in meta:
            yield "too small", field, steps, str(meta["min"] - 1)
        if "max" in meta:
            yield "too large", field, steps, str(meta["max"] + 1)
    elif kind == "boolean":
        yield from _wrong(("true", 1, [], {}), field, steps)
    else:
        for what, value in _strings(shape):
            yield what, field, steps, value


def _wrong(
    values: tuple[Any, ...], field: str, steps: tuple[Any, ...]
) -> Iterator[tuple[str, str, Any, Any]]:
    yield from ((f"a {type(value).__name__}", field, steps, value) for value in values)


def _strings(shape: Any) -> Iterator[tuple[str, Any]]:
    meta, good = shape.metadata, SAMPLES.get(shape.name, "Some text")
    others: tuple[Any, ...] = (5, 1.5, [], {}, True)
    yield from ((f"a {type(other).__name__}", other) for other in others)
    yield "U+0000", f"{good}\0"
    if meta.get("min", 0) > 0:
        yield "too short", good[: meta["min"] - 1]
    if "max" in meta:
        yield "too long", (good * (meta["max"] // len(good) + 1))[: meta["max"] + 1]
    pattern = _ascii_pattern(meta.get("pattern"))
    if pattern is not None:
        for breaker in BREAKERS:
            value = (breaker + good)[: meta.get("max", 4000)]
            if pattern.search(value) is None:
                yield f"pattern {breaker!r}", value


def _ascii_pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None or text.startswith("(?s)") or text == ".*":
        return None  # no text breaks it: we read `.*`, as a control set is named, as anything
    text = text.replace(r"\s-_", r"\s\-_")
    return re.compile(rf"\A(?:{text.removeprefix('^').removesuffix('$')})\Z", re.ASCII)
