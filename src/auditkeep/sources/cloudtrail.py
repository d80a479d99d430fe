"""CloudTrail events -> observations (spec 3.4).

Kept are management events that change something and that some control could use: never data,
Insights or network activity events, nor the seven that AWS leaves out by name, nor (unless asked
for) read-only ones (`mapping.event_flags` says which are). An event that no control could use is
looked at no further than its name.
Where every record is kept, those are kept too, under keys that no control has (`mapping.leftout`).

What is kept of a record are its bytes as they stood in the file, after cuts. Its natural key is its
event id; a record without one is known by the SHA-256 of its bytes as kept.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

import msgspec
from msgspec import Raw

from auditkeep.clock import Instant
from auditkeep.ids import is_account
from auditkeep.mapping import cloudtrail, event_flags, places
from auditkeep.mapping.interest import Interest
from auditkeep.mapping.leftout import NAMELESS, left_out
from auditkeep.observations import Observation, Resource
from auditkeep.sources.batch import DEFAULT, Batch, Form, Limits, Single
from auditkeep.sources.holders import MAX_DEPTH, held
from auditkeep.sources.records import (
    NO_CONTROL,
    UNREADABLE,
    Context,
    Parsed,
    Rejected,
    Tally,
    unreadable,
)
from auditkeep.sources.split import Splitter
from auditkeep.sources.times import read_time
from auditkeep.sources.window import Blocks

READER = "cloudtrail/1"

MAX_ARNS = 20
"""Resources taken from request and answer of one event."""

MIN_ARN = len('"arn:aws:12345"')
"""Bytes of the shortest text that holds one; most events have no answer but `null`."""

READ_ONLY = "read-only"
EXCLUDED = "left out by name"
NOT_MANAGEMENT = "not a management event"

_MANAGEMENT = frozenset({None, "Management"})
_NOT_CALLS = frozenset({"AwsCloudTrailInsight", "AwsVpceEvent"})

_ARN_BEGINS = b'"arn:aws'
_ARN = re.compile(rb'"(arn:aws[a-z-]{0,20}:[^"\\\s]{5,1800})"(?!\s*:)')

_KNOWN_NAMES = 65_536
"""Distinct names remembered for one interest; real ones are a few thousand."""


class _Head(msgspec.Struct, gc=False, rename="camel"):
    """As much of an event as decides whether anybody could want it."""

    event_name: str = ""


class _Identity(msgspec.Struct, gc=False, rename="camel"):
    type: str | None = None
    arn: str | None = None
    account_id: str | None = None
    principal_id: str | None = None
    user_name: str | None = None
    invoked_by: str | None = None


class _Resource(msgspec.Struct, gc=False):
    upper_arn: str | None = msgspec.field(name="ARN", default=None)
    lower_arn: str | None = msgspec.field(name="arn", default=None)
    type: str | None = None


class _Event(msgspec.Struct, gc=False, rename="camel"):
    """As much of an event as its observation says (CloudTrail record contents, 1.11)."""

    event_name: str | None = None
    event_source: str | None = None
    event_time: str | int | float | None = None
    event_id: str | None = msgspec.field(name="eventID", default=None)
    event_type: str | None = None
    event_category: str | None = None
    management_event: bool | str | None = None
    read_only: bool | str | None = None
    aws_region: str | None = None
    recipient_account_id: str | None = None
    user_identity: _Identity | None = None
    resources: list[_Resource] | None = None
    request_parameters: Raw = Raw(b"")
    response_elements: Raw = Raw(b"")
    digest_start_time: str | None = None


@lru_cache(maxsize=_KNOWN_NAMES)
def _anchor(name: str) -> bytes:
    """How the member stands in nearly all records that have this name."""
    return f'"eventName":"{name}"'.encode()


_HEAD = msgspec.json.Decoder(_Head)
_EVENT = msgspec.json.Decoder(_Event)
_FORM = Form(
    msgspec.json.Decoder(list[_Head]).decode,
    _EVENT.decode,
    lambda event, head: (event.event_name or "") == head.event_name,
    frozenset({"Records", "Events", "logEvents"}),
    lambda head: _anchor(head.event_name),
)


class _Names:
    """Which events' names could, from some source, be of interest."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._unwanted: set[str] = set()
        """Names that were met and are of none; real ones are a few thousand."""

    def of_interest(self, heads: Sequence[_Head]) -> list[int]:
        """The indexes of those that could be, in order."""
        unwanted = self._unwanted
        # most are met again and again: what this leaves is little
        left = [index for index, head in enumerate(heads) if head.event_name not in unwanted]
        return [index for index in left if self._is_wanted(heads[index].event_name)]

    def _is_wanted(self, name: str) -> bool:
        # an event without a name is looked at closely, to say what is wrong with it
        if not name or name in self._wanted or cloudtrail.without_version(name) in self._wanted:
            return True
        if len(self._unwanted) >= _KNOWN_NAMES:
            self._unwanted.clear()
        self._unwanted.add(name)
        return False


class _Kind(msgspec.Struct, frozen=True, gc=False):
    """What source and name say of an event: its match key, and why it is not evidence, if so.

    `listed`: it is evidence whatever its flag `readOnly` says.
    """

    key: str
    unwanted: str | None
    prefix: str
    listed: bool = False


_INSIGHT = _Kind(NAMELESS, None, "cloudtrail")
"""Such an event names no call."""


class _Kinds(dict[tuple[str, str], _Kind]):
    """Source and name of an event -> its kind; filled when asked."""

    def __init__(self, keys: frozenset[str] | None) -> None:
        super().__init__()
        self._keys = keys

    def __missing__(self, names: tuple[str, str]) -> _Kind:
        if len(self) >= _KNOWN_NAMES:
            self.clear()
        key = cloudtrail.event_key(*names)
        unwanted = None
        if self._keys is not None and key not in self._keys:
            unwanted = NO_CONTROL
        elif key in cloudtrail.EXCLUDED:
            unwanted = EXCLUDED
        prefix, _, _ = key.partition(":")
        kind = self[names] = _Kind(key, unwanted, prefix, key in event_flags.listed())
        return kind


@lru_cache(maxsize=16)
def _known(interest: Interest) -> tuple[_Names | None, _Kinds]:
    """What one text taught is known in the next: most are small, and names repeat."""
    names = None if interest.keys is None else _Names(interest.event_names)
    return names, _Kinds(interest.keys)


def parse(blocks: Blocks, context: Context, tally: Tally, limits: Limits = DEFAULT) -> Parsed:
    """All events of a text, in any of their forms, in order."""
    reader = _Reader(context, tally)
    for item in Splitter(blocks, _FORM, limits):
        if isinstance(item, Batch):
            yield from reader.batch(item)
        elif isinstance(item, Single):
            yield from reader.value(item.raw, item.position, 0)
        else:
            yield item


class _Reader:
    """Turns the events of one text into observations."""

    def __init__(self, context: Context, tally: Tally) -> None:
        self._context = context
        self._tally = tally
        self._names, self._kinds = _known(context.interest)

    def batch(self, batch: Batch[_Head, _Event]) -> list[Observation | Rejected]:
        """Consecutive events: those of interest are decoded again, in full."""
        heads = batch.heads
        names = self._names
        wanted: Sequence[int] = range(len(heads))
        if names is not None:
            wanted = names.of_interest(heads)
            self._pass_over(NO_CONTROL, len(heads) - len(wanted))
        found: list[Observation | Rejected] = []
        if not wanted:
            return found
        for index, (raw, event) in zip(wanted, batch.records(wanted), strict=True):
            position = batch.position(index)
            if not heads[index].event_name:
                found.extend(self.value(raw, position, 0))
            elif (one := self._read(raw, position, event)) is not None:
                found.append(one)
        return found

    def _pass_over(self, reason: str, count: int) -> None:
        if count:
            self._tally.records += count
            self._tally.unmatched[reason] += count

    def value(self, raw: bytes, position: str, depth: int) -> Parsed:
        """One value: an event, or something that holds events."""
        inner = False
        if depth < MAX_DEPTH and not _is_event(raw):
            for item in held(raw, position):
                inner = True
                if isinstance(item, Rejected):
                    self._tally.records += 1
                    yield item
                else:
                    yield from self.value(*item, depth + 1)
        if not inner and (found := self._read(raw, position)) is not None:
            yield found

    def _read(
        self, raw: bytes, position: str, event: _Event | None = None
    ) -> Observation | Rejected | None:
        """An event; None if nobody wants it."""
        self._tally.records += 1
        if event is None:
            try:
                event = _EVENT.decode(raw)
            except UNREADABLE as error:
                return unreadable(position, error)
        if not event.event_name or not event.event_source:
            if not _is_insight(event):
                return _nameless(event, position)
            reason: str | None = NOT_MANAGEMENT
            kind = _INSIGHT
        else:
            kind = self._kinds[event.event_source, event.event_name]
            reason = kind.unwanted or self._unwanted(event, kind)
        if reason is not None:
            if not self._context.interest.left_out:
                self._tally.unmatched[reason] += 1
                return None
            kind = _Kind(left_out(kind.key), None, kind.prefix)
        if event.event_time is None:
            return Rejected(position, "it has no eventTime")
        try:
            at = read_time(event.event_time)
        except ValueError:
            return Rejected(position, f"its eventTime {event.event_time!r:.60} is no time")
        return self._observation(event, raw, position, kind, at)

    def _unwanted(self, event: _Event, kind: _Kind) -> str | None:
        """Why an event of a wanted kind is not evidence, or None if it is."""
        if (
            event.event_category not in _MANAGEMENT
            or event.event_type in _NOT_CALLS
            or (event.management_event is not True and _is(event.management_event, value=False))
        ):
            return NOT_MANAGEMENT
        if (
            event.read_only is not False
            and not kind.listed
            and not self._context.reads
            and _is_read(event)
        ):
            return READ_ONLY
        return None

    def _observation(
        self,
        event: _Event,
        raw: bytes,
        position: str,
        kind: _Kind,
        at: Instant,
    ) -> Observation | Rejected:
        if not raw.isascii():
            # what the decoder passes over it does not check, but what is kept must be JSON
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                return unreadable(position, error)
        kept, cuts = self._context.cutter.cut(raw)
        tenant = self._context.tenant
        return Observation(
            source="AWS_Cloudtrail",
            natural_key=(event.event_id or f"sha256:{sha256(kept).hexdigest()}",),
            event_time=at,
            match_key=kind.key,
            account=_account(event) or tenant.account,
            region=places.origin_region(kind.prefix, event.aws_region or tenant.region),
            raw=kept,
            reader=READER,
            position=position,
            resources=_resources(event),
            actor=_actor(event.user_identity),
            event_name=event.event_name or "",
            event_source=event.event_source or "",
            cuts=cuts,
        )


def _is_insight(event: _Event) -> bool:
    return event.event_category == "Insight" or event.event_type == "AwsCloudTrailInsight"


def _nameless(event: _Event, position: str) -> Rejected:
    if event.digest_start_time:
        return Rejected(position, "it is a CloudTrail digest, which holds no events")
    return Rejected(position, f"it has no event{'Source' if event.event_name else 'Name'}")


def _is_event(raw: bytes) -> bool:
    """Whether a value has an event's name: then it is read as one, whatever else it holds."""
    try:
        return bool(_HEAD.decode(raw).event_name)
    except UNREADABLE:
        # the full decoder says what is wrong with it
        return True


def _is(flag: bool | str | None, *, value: bool) -> bool:
    """Whether a flag, which some exports write as text, has that value."""
    if flag is None or flag is value:
        return flag is value
    return isinstance(flag, str) and flag.lower() == str(value).lower()


def _is_read(event: _Event) -> bool:
    if event.read_only is None:
        return event_flags.READS.match(event.event_name or "") is not None
    return _is(event.read_only, value=True)


def _account(event: _Event) -> str | None:
    """Who received the event; who called, where old events do not say."""
    if event.recipient_account_id and is_account(event.recipient_account_id):
        return event.recipient_account_id
    caller = event.user_identity.account_id if event.user_identity else None
    return caller if caller and is_account(caller) else None


def _actor(identity: _Identity | None) -> str | None:
    if identity is None:
        return None
    return (
        identity.arn
        or identity.invoked_by
        or identity.principal_id
        or identity.user_name
        or identity.type
    )


def _resources(event: _Event) -> tuple[Resource, ...]:
    """Those the event lists, then the ARNs that stand in its request and answer."""
    found: dict[str, Resource] = {}
    for resource in event.resources or ():
        arn = resource.upper_arn or resource.lower_arn
        if arn and len(found) < MAX_ARNS:
            found[arn] = Resource(arn, arn, resource.type)
    for part in (event.request_parameters, event.response_elements):
        if len(part) >= MIN_ARN:
            _mentioned(bytes(part), found)
    return tuple(found.values()) if found else ()


def _mentioned(text: bytes, found: dict[str, Resource]) -> None:
    """Add the ARNs that are values in a text; finding where one may begin is the quick part."""
    at = text.find(_ARN_BEGINS)
    while at >= 0 and len(found) < MAX_ARNS:
        match = _ARN.match(text, at)
        if match is None:
            at += 1
        else:
            arn = match[1].decode()
            if arn not in found:
                found[arn] = Resource(arn, arn)
            at = match.end()
        at = text.find(_ARN_BEGINS, at)
