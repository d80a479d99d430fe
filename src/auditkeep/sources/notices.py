"""What a queue says of objects that arrived in a bucket: S3's, SNS's, EventBridge's, CloudTrail's.

Sources: Amazon S3 user guide, "Event message structure"; Amazon SNS developer guide, "message
delivery"; "Amazon S3 events in EventBridge" (`Object Created`); AWS CloudTrail user guide,
"Configuring Amazon SNS notifications" (`s3Bucket`, `s3ObjectKey`). Pure. A message that says
something else is refused with a sentence; one that S3 sends to try the way says nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from auditkeep.errors import InputError
from auditkeep.sources.records import UNREADABLE

MAX_DEPTH = 3
"""A bus that tells a topic that tells a queue."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An object that was put into a bucket."""

    bucket: str
    key: str


def arrived(body: str) -> list[Arrived]:
    """The objects that a message tells of; InputError if it is no such message."""
    return list(_told(_decoded(body), 0))


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except UNREADABLE as error:
        raise InputError(f"The message is not JSON: {error}.") from error


def _told(said: Any, depth: int) -> Iterator[Arrived]:
    if not isinstance(said, dict):
        raise InputError("The message tells of no object: it is not a JSON object.")
    if isinstance(said.get("Records"), list):
        for record in said["Records"]:
            yield from _of_s3(record)
    elif said.get("Event") == "s3:TestEvent":
        return
    elif said.get("source") == "aws.s3":
        if said.get("detail-type") == "Object Created":
            # the only form that writes keys as they are
            yield Arrived(
                *_members(said, ("detail", "bucket", "name"), ("detail", "object", "key"))
            )
    elif isinstance(said.get("s3ObjectKey"), list):
        for key in said["s3ObjectKey"]:
            yield Arrived(_text(said.get("s3Bucket")), _text(key))
    elif isinstance(said.get("Message"), str) and depth < MAX_DEPTH:
        if said["Message"].startswith("CloudTrail validation message"):
            return
        yield from _told(_decoded(said["Message"]), depth + 1)
    else:
        raise InputError("The message tells of no object in a bucket.")


def _of_s3(record: Any) -> Iterator[Arrived]:
    name = record.get("eventName", "") if isinstance(record, dict) else ""
    if not isinstance(name, str) or not name:
        raise InputError("The message tells of no object: a record has no eventName.")
    if name.removeprefix("s3:").startswith("ObjectCreated:"):
        bucket, key = _members(record, ("s3", "bucket", "name"), ("s3", "object", "key"))
        yield Arrived(bucket, unquote_plus(key))


def _members(said: Any, *paths: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    for path in paths:
        value = said
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        found.append(_text(value))
    return tuple(found)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InputError("The message names an object without its bucket or key.")
    return value
