"""What people and systems are told (spec sections 8.1 and 8.2).

*Notices* go to owners and delegates. As at AWS, three things make one: a control set is delegated,
handed back, and its review completed. *Events* go to systems: one for each of six things that
happen to an assessment. Beyond AWS, gaps of collecting make one of each, gathered (ADR 0032). A
*message* is either of them on its way out of the house.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from auditkeep import clock
from auditkeep.clock import Instant
from auditkeep.ids import Tenant

NoticeKind = Literal[
    "CONTROL_SET_DELEGATED", "CONTROL_SET_HANDED_BACK", "CONTROL_SET_REVIEWED", "COLLECTION_GAPS"
]

DetailType = Literal[
    "Assessment Created",
    "Assessment Updated",
    "Assessment Deleted",
    "Assessment ControlSet Delegation Created",
    "Assessment ControlSet Reviewed",
    "Assessment Control Reviewed",
    "Assessment Collection Gaps",
]
EventName = Literal["CREATE", "UPDATE_METADATA", "DELETE", "REVIEWED"]
EventType = Literal["ASSESSMENT", "DELEGATION", "CONTROL_SET", "CONTROL"]

OCCURRENCES: dict[DetailType, tuple[EventName, EventType]] = {
    "Assessment Created": ("CREATE", "ASSESSMENT"),
    "Assessment Updated": ("UPDATE_METADATA", "ASSESSMENT"),
    "Assessment Deleted": ("DELETE", "ASSESSMENT"),
    "Assessment ControlSet Delegation Created": ("CREATE", "DELEGATION"),
    "Assessment ControlSet Reviewed": ("REVIEWED", "CONTROL_SET"),
    "Assessment Control Reviewed": ("REVIEWED", "CONTROL"),
    "Assessment Collection Gaps": ("UPDATE_METADATA", "ASSESSMENT"),
}
"""`eventName` (ActionEnum) and `eventType` (ObjectTypeEnum) of each kind of event."""

AWS_SOURCE = "aws.auditmanager"
"""The source that AWS's own events carry. On a real bus it is reserved: only AWS may use it."""

OWN_SOURCE = "auditkeep"
"""The source of what AWS has no event for, and who says what nobody did."""

SUBJECT = "Audit Manager notification"

MAIL, SNS, WEBHOOK, BUS = "notice-mail", "notice-sns", "webhook", "event-bus"
CHANNELS = (MAIL, SNS, WEBHOOK, BUS)
"""The kinds of the jobs that deliver. Keys: a notice's id for mail, a message's for a topic and
the bus, and `MESSAGE/NAME` for a webhook.
"""


class About(msgspec.Struct, frozen=True):
    """The control set a notice is about; "" where it is about the whole assessment."""

    assessment_id: str
    assessment_name: str
    set_id: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One notice as its recipient reads it; `description` is never empty."""

    id: str
    recipient: str
    kind: NoticeKind
    about: About
    description: str
    source: str
    created_at: Instant


class Telling(msgspec.Struct, frozen=True, kw_only=True, tag="notice"):
    """What a notice says, without whom it is for: as topics and webhooks get it."""

    id: str
    kind: NoticeKind
    about: About
    description: str
    source: str
    at: Instant

    def body(self) -> dict[str, object]:
        """The JSON of spec 8.1; `eventTime` in epoch milliseconds, as in events."""
        set_id = self.about.set_id
        return {
            "assessmentId": self.about.assessment_id,
            "assessmentName": self.about.assessment_name,
            **({"controlSetId": set_id, "controlSetName": set_id} if set_id else {}),
            "source": self.source,
            "description": self.description,
            "eventTime": _milliseconds(self.at),
            "type": self.kind,
        }


class Gaps(msgspec.Struct, frozen=True, rename="camel"):
    """How many gaps an event is about: new ones, those that are over, and those that last."""

    gaps_opened: int
    gaps_closed: int
    gaps_lasting: int


class Event(msgspec.Struct, frozen=True, kw_only=True, tag="event", omit_defaults=True):
    """One event of spec 8.2, or of gaps."""

    id: str
    detail_type: DetailType
    account: str
    region: str
    author: str
    """The caller's ARN, an assumed role's session included."""
    assessment_id: str
    assessment_name: str
    at: Instant
    gaps: Gaps | None = None

    @property
    def resources(self) -> list[str]:
        return [Tenant(self.account, self.region).arn("assessment", self.assessment_id)]

    def detail(self) -> dict[str, object]:
        name, kind = OCCURRENCES[self.detail_type]
        return {
            "eventID": self.id,
            "author": self.author,
            "assessmentTenantId": self.account,
            "assessmentName": self.assessment_name,
            "eventTime": _milliseconds(self.at),
            "eventName": name,
            "eventType": kind,
            "assessmentID": self.assessment_id,
            **({} if self.gaps is None else msgspec.to_builtins(self.gaps)),
        }

    def envelope(self, source: str = AWS_SOURCE) -> dict[str, object]:
        """The whole event as EventBridge hands it to its targets."""
        return {
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": source if self.gaps is None else OWN_SOURCE,
            "account": self.account,
            "time": clock.to_datetime(self.at).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self.region,
            "resources": self.resources,
            "detail": self.detail(),
        }


Message = Telling | Event


def sentence(kind: NoticeKind, set_id: str) -> str:
    """What a notice says where nobody left a comment: it must say something (spec 8.1)."""
    match kind:
        case "CONTROL_SET_DELEGATED":
            return f"The control set '{set_id}' was delegated to you."
        case "CONTROL_SET_HANDED_BACK":
            return f"The control set '{set_id}' is now UNDER_REVIEW."
        case "CONTROL_SET_REVIEWED":
            return f"The control set '{set_id}' is now REVIEWED."
        case "COLLECTION_GAPS":
            return "Evidence was not collected as it should be, or is again."


def deliveries(
    message_id: str,
    *,
    topic: bool = False,
    hooks: Iterable[str] = (),
    mails: Iterable[str] = (),
    bus: bool = False,
) -> list[tuple[str, str, str]]:
    """The jobs that deliver a message and its notices: kind, key and lane of each."""
    return [
        *([(SNS, message_id, "")] if topic else []),
        *((WEBHOOK, f"{message_id}/{name}", name) for name in hooks),
        *((MAIL, notice, "") for notice in mails),
        *([(BUS, message_id, "")] if bus else []),
    ]


def _milliseconds(at: Instant) -> int:
    return at // 1000
