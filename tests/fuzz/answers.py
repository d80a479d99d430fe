"""What is wrong with an answer, judged by the service model and by botocore's own parser.

Of a good answer: status 200, JSON, no null and no empty optional string anywhere, no member the
model does not know, every required member, and each value within its shape's length, pattern,
range and enumeration. Of a refusal: a status below 500, the code in header and body alike and one
that the operation may give, a sentence, and the members its shape asks for.

`EXCEPTIONS` names the members whose shape AWS itself does not keep.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.parsers import create_parser
from tests.fuzz.values import strict
from tests.wire.model_cases import MODEL

from auditkeep.wire.messages import Response

EXCEPTIONS = frozenset(
    {
        # the model's SNSTopic is a topic's name without its account; AWS answers with the ARN
        "Settings.snsTopic",
        # the id of a control set is its name, in the guide and in every answer AWS gives
        "ControlSet.id",
        # the pattern of a link knows neither ports nor queries; every presigned S3 URL has a query
        "URL.link",
        # `id` of a control insight is shaped as a control domain's id; AWS answers the control's
        "ControlInsightsMetadataItem.id",
        "ControlInsightsMetadataByAssessmentItem.id",
    }
)
EVERYWHERE = frozenset({"ValidationException", "AccessDeniedException", "ThrottlingException"})
"""Codes that any operation may answer with, modelled or not (specification section 10.1)."""
SIGNING = frozenset(
    {
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "ExpiredTokenException",
    }
)
STATUS = {
    "ValidationException": {400},
    "AccessDeniedException": {403},
    "ResourceNotFoundException": {404},
    "ServiceQuotaExceededException": {402},
    "ThrottlingException": {429},
    "UnknownOperationException": {404, 405},
    **{code: {400, 403} for code in SIGNING},
}
ERRORS: dict[str, Any] = {str(shape.name): shape for shape in MODEL.error_shapes}
_PARSER = create_parser("rest-json")


def wrong(operation: str | None, response: Response) -> list[str]:
    """Everything wrong with the answer to `operation` (None: to no operation at all)."""
    headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
    found = []
    if headers.get("content-type") != "application/json":
        found.append(f"content type {headers.get('content-type')}")
    try:
        body = json.loads(response.body)
    except ValueError:
        return [*found, "the body is not JSON"]
    if not isinstance(body, dict):
        return [*found, "the body is not an object"]
    model = MODEL.operation_model(operation) if operation else None
    if response.status == 200:
        if model is None:
            return [*found, "an operation nobody asked for was answered"]
        if model.output_shape is not None:
            found += differs(model.output_shape, body)
    else:
        found += _refusal(model, response.status, headers, body)
    found += _parsed(model, response, headers)
    return found


def _parsed(model: Any, response: Response, headers: dict[str, str]) -> Iterator[str]:
    sent = {"body": response.body, "headers": headers, "status_code": response.status}
    shape = model.output_shape if model else None
    try:
        parsed = _PARSER.parse(sent, shape)
    except Exception as error:
        yield f"botocore cannot parse it: {type(error).__name__}"
        return
    if response.status != 200 and not (
        parsed.get("Error", {}).get("Code") and parsed["Error"].get("Message")
    ):
        yield "botocore finds no code or no message"


def _refusal(model: Any, status: int, headers: dict[str, str], body: Any) -> Iterator[str]:
    if status >= 500:
        yield f"status {status}"
        return
    code = headers.get("x-amzn-errortype", "")
    if body.get("__type") != code:
        yield f"header says {code}, body {body.get('__type')}"
    if status not in STATUS.get(code, set()):
        yield f"{code} with status {status}"
    allowed = EVERYWHERE | SIGNING | {"UnknownOperationException"}
    if model is not None:
        allowed |= {shape.name for shape in model.error_shapes}
    if code not in allowed:
        yield f"{code} is none of the operation's errors"
    message = body.get("message")
    if not isinstance(message, str) or " " not in message:
        yield f"the message is no sentence: {message!r}"
    shape = ERRORS.get(code)
    if shape is not None:
        rest = {k: v for k, v in body.items() if k != "__type"}
        yield from differs(shape, rest)


def differs(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """What `value` has that `shape` does not allow; members in EXCEPTIONS may have anything."""
    kind = shape.type_name
    where = path or shape.name
    if value is None:
        yield f"{where} is null"
    elif kind == "structure":
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        for name in shape.required_members:
            if name not in value:
                yield f"{where} lacks {name}"
        for name, inner in value.items():
            if name not in shape.members:
                yield f"{where} has the unknown member {name}"
            elif f"{shape.name}.{name}" not in EXCEPTIONS:
                yield from differs(shape.members[name], inner, f"{where}.{name}")
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        yield from _outside(shape, len(value), where)
        for item in value:
            yield from differs(shape.member, item, f"{where}[]")
    elif kind == "map":
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        yield from _outside(shape, len(value), where)
        for key, item in value.items():
            yield from differs(shape.key, key, f"{where} key")
            yield from differs(shape.value, item, f"{where} value")
    elif kind == "string":
        yield from _string(shape, value, where)
    elif kind in ("integer", "long"):
        if not isinstance(value, int) or isinstance(value, bool):
            yield f"{where} is no integer"
        else:
            yield from _outside(shape, value, where)
    elif kind == "timestamp":
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield f"{where} is no number"
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"{where} is not true or false"


def _outside(shape: Any, size: int, where: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield f"{where} has {size}, allowed are {low} to {high}"


def _string(shape: Any, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where} is no string"
        return
    yield from _outside(shape, len(value), where)
    if getattr(shape, "enum", None):
        if value not in shape.enum:
            yield f"{where} is {value!r}, which is none of its values"
        return
    pattern = _pattern(shape.name, shape.metadata.get("pattern", ""), shape)
    if pattern is not None and pattern.search(value) is None:
        yield f"{where} does not match {shape.metadata['pattern']}: {value[:60]!r}"


@cache
def _pattern(_name: str, _text: str, shape: Any) -> re.Pattern[str] | None:
    return strict(shape)
