"""Evidence's attributes: the source's own words as a flat map of short texts (spec section 1.9).

Nested members become dotted keys (`requestParameters.bucketName`), list members are numbered.
Keys hold 100 characters and values 200 (shapes EvidenceAttributeKey and EvidenceAttributeValue);
what is longer is cut and ends in `…`, and a record with very many members ends in a line that
says how many are left out. Only a person's own words are never cut. The whole record is in the
lake and in every report.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

LONGEST_KEY = 100
LONGEST_VALUE = 200
MOST = 100
"""Attributes of one evidence: enough to recognise it, few enough to list a page of them."""

_CUT = "…"
_DEEPEST = 12

_SHOWN: dict[str, tuple[str, ...]] = {
    "AWS_Cloudtrail": (
        "eventID",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "errorCode",
        "errorMessage",
        "readOnly",
        "userIdentity",
        "requestParameters",
        "responseElements",
        "additionalEventData",
        "serviceEventDetails",
    ),
    "AWS_Security_Hub": (
        "Id",
        "GeneratorId",
        "ProductArn",
        "AwsAccountId",
        "Region",
        "Title",
        "Description",
        "Severity",
        "Compliance",
        "Workflow",
        "WorkflowState",
        "RecordState",
        "CreatedAt",
        "UpdatedAt",
        "Types",
        "Remediation",
        "ProductFields",
    ),
    "MANUAL": ("form", "text", "fileName", "path", "size", "sha256", "uploader"),
}
"""Which members of a record are shown, in this order; of other sources all are."""


def attributes(source: str, raw: bytes) -> dict[str, str]:
    """The attributes of a record; none where its bytes are not a JSON object."""
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    if not isinstance(record, dict):
        return {}
    record = _unwrapped(record)
    shown = _SHOWN.get(source)
    if shown is not None:
        # a source's record in another form, as OCSF, has none of these: then all is shown
        record = {name: record[name] for name in shown if name in record} or record
    found: dict[str, str] = {}
    left_out = 0
    for key, value in _leaves(record, "", 0):
        if source == "MANUAL" and key == "text":
            found |= _in_full(key, value)
        elif len(found) < MOST - 1:
            found[_shortened(key, LONGEST_KEY)] = _shortened(value, LONGEST_VALUE)
        else:
            left_out += 1
    if left_out:
        found[_CUT] = f"{left_out} more in the record itself"
    return found


def _in_full(key: str, text: str) -> dict[str, str]:
    """What a person wrote is shown whole, in as many parts as it takes: `text`, `text.2`, …"""
    starts = range(0, len(text), LONGEST_VALUE)
    return {
        key if number == 1 else f"{key}.{number}": text[start : start + LONGEST_VALUE]
        for number, start in enumerate(starts, 1)
    }


def _unwrapped(record: dict[str, Any]) -> dict[str, Any]:
    """What an EventBridge envelope carries, where the record came in one."""
    detail = record.get("detail")
    return detail if isinstance(detail, dict) and "detail-type" in record else record


def _leaves(value: Any, key: str, depth: int) -> Iterator[tuple[str, str]]:
    """Members without members, in the record's order; null says nothing and is passed over."""
    if isinstance(value, dict | list) and depth < _DEEPEST:
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in named:
            yield from _leaves(member, f"{key}.{name}" if key else str(name), depth + 1)
    elif isinstance(value, str):
        yield key, value
    elif value is not None:
        yield key, msgspec.json.encode(value).decode()


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + _CUT
