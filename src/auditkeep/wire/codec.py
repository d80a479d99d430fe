"""From what travelled to a request's struct, and from a response's struct to bytes.

REST-JSON 1 as AWS Audit Manager speaks it (specification section 10.1): members travel in path,
query or body as the model binds them; unknown members are ignored; `null` means absent at any
depth; every constraint of the model is enforced. msgspec judges; `faults` explains.

Invariants: whatever the bytes, `decode` returns a struct that fits its shape or raises
InvalidRequest; no string of a request holds U+0000, which PostgreSQL cannot keep.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from auditkeep.errors import InvalidRequest
from auditkeep.wire import query as query_string
from auditkeep.wire.faults import faults, sentence
from auditkeep.wire.model import AnyOperation, Binding, Encoded, Shape

DEEPEST = 32
"""Levels of nesting a body may have; no shape of a model needs more than eight."""

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where one operation's members travel, worked out once."""

    bound: frozenset[str]
    query: dict[str, Binding]
    body: bool
    """Whether any member travels in the body; if none does, a body is not looked at."""


@cache
def _plan(operation: AnyOperation) -> _Plan:
    bound = frozenset(b.member for b in operation.bindings)
    members = {f.encode_name for f in msgspec.structs.fields(operation.request)}
    by_name = {b.name: b for b in operation.bindings if b.location == "querystring"}
    return _Plan(bound, by_name, bool(members - bound))


def decode(
    operation: AnyOperation, labels: dict[str, str], query: bytes = b"", body: bytes = b""
) -> Shape:
    """The request struct of `operation`, or InvalidRequest that names each member at fault.

    `labels` are the decoded values of the path (`router.Match`), `query` and `body` raw bytes.
    """
    plan = _plan(operation)
    members = _body(body, plan) if plan.body and body else {}
    nul = b"\\u0000" in body  # JSON lets no other spelling of it through
    for binding in operation.bindings:
        if binding.location == "uri":
            members[binding.member] = _scalar(binding, labels[binding.name])
    if query:
        _merge_query(plan, query, members)
    # an encoded NUL in path or query; rarely true, and then the walk below tells
    nul = nul or any("\0" in str(members.get(name, "")) for name in plan.bound)
    try:
        asked: Shape = msgspec.convert(members, operation.request)
    except msgspec.ValidationError as error:
        raise _explained(operation, members, str(error)) from error
    if nul and faults(operation.request, members):
        raise _explained(operation, members, "")
    return asked


def encode(response: Shape) -> bytes:
    """JSON without unset members; an empty answer is `{}`."""
    return response.body if isinstance(response, Encoded) else _ENCODER.encode(response)


def _body(body: bytes, plan: _Plan) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
        if b"null" in body or body.count(b"[") + body.count(b"{") > DEEPEST:
            value = _without_nulls(value, DEEPEST)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}.", reason="cannotParse") from error
    except RecursionError as error:
        raise _too_deep() from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.", reason="cannotParse")
    for name in plan.bound:
        value.pop(name, None)  # what travels in path or query is taken from nowhere else
    return value


def _without_nulls(value: Any, levels: int) -> Any:
    """The value without members that are null; InvalidRequest when it is nested too deeply."""
    if isinstance(value, dict):
        if not levels:
            raise _too_deep()
        return {k: _without_nulls(v, levels - 1) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        if not levels:
            raise _too_deep()
        return [_without_nulls(v, levels - 1) for v in value]
    return value


def _merge_query(plan: _Plan, query: bytes, members: dict[str, Any]) -> None:
    for name, text in query_string.pairs(query):
        binding = plan.query.get(name)
        if binding is None:
            continue  # unknown, as X-Amz-Signature and its like are
        if binding.kind == "list":
            members.setdefault(binding.member, []).append(text)
        elif binding.member in members:
            raise InvalidRequest.of_field(binding.member, "must be given once")
        else:
            members[binding.member] = _scalar(binding, text)


def _scalar(binding: Binding, text: str) -> object:
    if binding.kind == "integer":
        if _INTEGER.fullmatch(text) is None:
            raise InvalidRequest.of_field(binding.member, "must be an integer")
        return int(text)
    if binding.kind == "boolean":
        if text not in ("true", "false"):
            raise InvalidRequest.of_field(binding.member, "must be true or false")
        return text == "true"
    return text


def _explained(operation: AnyOperation, members: dict[str, Any], words: str) -> InvalidRequest:
    found = faults(operation.request, members)
    if not found:  # msgspec sees a fault the walk does not know: its words are better than none
        return InvalidRequest(words, reason="fieldValidationFailed")
    return InvalidRequest(sentence(found), reason="fieldValidationFailed", fields=tuple(found))


def _too_deep() -> InvalidRequest:
    return InvalidRequest(
        f"The body is nested more than {DEEPEST} levels deep.", reason="cannotParse"
    )
