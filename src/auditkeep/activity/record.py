"""The record of one call, in the form that AWS CloudTrail gives its own.

Source: AWS, "CloudTrail record contents for management events". Our own reader of CloudTrail files
(`sources.cloudtrail`) reads these records like any other's, and so do the tools people have.
Pure. What a record shows of request and answer is decided in `redaction`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from auditkeep import __version__
from auditkeep.access import resources
from auditkeep.access.principals import Principal
from auditkeep.activity.heard import Heard, Strangers
from auditkeep.activity.model import Noted
from auditkeep.activity.redaction import shown
from auditkeep.clock import MINUTE, SECOND, Instant, iso
from auditkeep.crypto.uses import KeyUse
from auditkeep.ids import Tenant, quick_id
from auditkeep.logs import redacted
from auditkeep.wire.model import AnyOperation, Shape

VERSION = "1.08"
OWN_SOURCE = "auditkeep"
"""The event source of what is no service's API: acts of the operator, counts, losses."""

MOST_BYTES = 32 * 1024
"""Of the JSON of a request, and of an answer; what is longer is told as left out, with its size."""
LONGEST_TEXT = 1024
"""Characters of a user agent or an error message."""

_NAMES = {"source_ip_address": "sourceIPAddress", "request_id": "requestID", "event_id": "eventID"}
_TYPES = {
    "assessment": "AWS::AuditManager::Assessment",
    "assessmentFramework": "AWS::AuditManager::AssessmentFramework",
    "control": "AWS::AuditManager::Control",
}
_NOBODY = Raw(b'{"type":"Unknown"}')
_ITSELF = Raw(b'{"type":"AWSService","invokedBy":"auditkeep"}')
_encode = msgspec.json.Encoder().encode


def _name(attribute: str) -> str:
    head, *rest = attribute.split("_")
    return _NAMES.get(attribute) or head + "".join(word.title() for word in rest)


class _Resource(msgspec.Struct, frozen=True, gc=False):
    account_id: str = msgspec.field(name="accountId")
    type: str
    arn: str = msgspec.field(name="ARN")


class _Record(msgspec.Struct, frozen=True, gc=False, rename=_name):
    event_version: str
    user_identity: Raw
    event_time: str
    event_source: str
    event_name: str
    aws_region: str
    source_ip_address: str
    user_agent: str
    error_code: str | UnsetType
    error_message: str | UnsetType
    request_parameters: Raw | None
    response_elements: Raw | None
    additional_event_data: dict[str, Any] | UnsetType
    request_id: str | UnsetType
    event_id: str
    read_only: bool
    resources: tuple[_Resource, ...] | UnsetType
    event_type: str
    management_event: bool
    recipient_account_id: str
    event_category: str


def of_call(heard: Heard, answer: Shape | Mapping[str, Any] | None = None) -> Noted:
    """The record of a call whose operation, principal and tenant are known.

    `answer` is given for calls that changed something, and only then is anything of it shown.
    """
    operation, principal, tenant = heard.operation, heard.principal, heard.tenant
    if operation is None or principal is None or tenant is None:
        raise ValueError("a call of nobody or of nothing is counted, not written down")
    found = _resources(operation, tenant, heard.ask)
    request: Raw | None = None
    if heard.too_large:
        request = _omitted(heard.too_large)
    elif heard.ask is not None:
        request = _elements(heard.ask)
    return _noted(
        at=heard.at,
        source=_source(operation.service),
        name=operation.name,
        account=tenant.account,
        region=tenant.region,
        identity=identity(principal),
        actor=principal.arn,
        peer=heard.peer or "unknown",
        agent=_text((heard.agent or b"").decode("latin-1")),
        code=heard.code,
        message=_text(heard.message),
        parameters=request,
        answer=None if answer is None else _elements(answer),
        additional=_additional(heard),
        request_id=heard.request_id,
        reads=heard.reads,
        resources=found,
    )


def _additional(heard: Heard) -> dict[str, Any] | UnsetType:
    told: dict[str, Any] = {}
    if not heard.proven:
        told["identity"] = "claimed; the signature did not hold"
    if heard.warnings:
        told["warnings"] = list(heard.warnings)
    return told or UNSET


def of_operator(
    name: str,
    user: str,
    tenant: Tenant,
    parameters: Mapping[str, Any],
    at: Instant,
) -> Noted:
    """The record of what somebody did with the command line, on the machine itself."""
    who = {"type": "Operator", "principalId": "operator", "userName": user}
    return _noted(
        at=at,
        source=OWN_SOURCE,
        name=name,
        account=tenant.account,
        region=tenant.region,
        identity=Raw(_encode(who)),
        actor=f"operator/{user}",
        peer="localhost",
        agent=f"auditkeep/{__version__}",
        parameters=_elements(parameters),
        reads=False,
    )


def of_key_use(use: KeyUse, owner: Tenant) -> Noted:
    """The record of one use of a master key or a signing key, in the form of those of AWS KMS."""
    told: dict[str, Any] = {"keyId": use.key_id, "encryptionContext": dict(use.context)}
    kept: tuple[_Resource, ...] = ()
    if use.key_id.startswith("arn:"):
        kept = (_Resource(use.key_id.split(":")[4], "AWS::KMS::Key", use.key_id),)
    return _noted(
        at=use.at,
        source=OWN_SOURCE,
        name=use.operation,
        account=owner.account,
        region=owner.region,
        identity=_ITSELF,
        actor=None,
        peer="localhost",
        agent=f"auditkeep/{__version__}",
        code=use.error,
        parameters=Raw(_encode(told)),
        resources=kept,
        reads=use.operation != "CreateGrant",
    )


def of_strangers(counted: Strangers, home: Tenant, at: Instant) -> Noted:
    """One minute of requests by nobody known, counted."""
    first = Instant(counted.minute * MINUTE)
    return _noted(
        at=first,
        source=OWN_SOURCE,
        name="UnauthenticatedRequests",
        account=home.account,
        region=home.region,
        identity=_NOBODY,
        actor=None,
        peer="various",
        agent="various",
        additional={
            "from": _time(first // SECOND),
            "to": _time(min(at, first + MINUTE) // SECOND),
            "requests": counted.count,
            "byErrorCode": dict(counted.codes),
            "accessKeyIds": dict(counted.keys),
            "sourceIPAddresses": dict(counted.peers),
        },
        reads=True,
        kind="AwsServiceEvent",
    )


def of_loss(count: int, home: Tenant, at: Instant) -> Noted:
    """That records of reads or refusals were lost, and how many."""
    return _noted(
        at=at,
        source=OWN_SOURCE,
        name="RecordsLost",
        account=home.account,
        region=home.region,
        identity=_NOBODY,
        actor=None,
        peer="localhost",
        agent=f"auditkeep/{__version__}",
        additional={"records": count},
        reads=True,
        kind="AwsServiceEvent",
    )


@lru_cache(maxsize=1024)
def identity(principal: Principal) -> Raw:
    """The `userIdentity` of a user, of a session of a role, or of somebody known elsewhere."""
    if not principal.access_key_id:
        elsewhere = {
            "type": "WebIdentityUser",
            "principalId": principal.arn,
            "userName": principal.user,
        }
        return Raw(_encode(elsewhere))
    who: dict[str, Any] = {
        "type": "IAMUser" if principal.session is None else "AssumedRole",
        "principalId": principal.user_id or principal.user,
        "arn": principal.arn,
        "accountId": principal.account,
        "accessKeyId": principal.access_key_id,
    }
    context: dict[str, Any] = {}
    if principal.session is None:
        who["userName"] = principal.user
    else:
        role = principal.role or principal.user
        context["sessionIssuer"] = {
            "type": "Role",
            "principalId": principal.user_id.partition(":")[0],
            "arn": f"arn:aws:iam::{principal.account}:role/{role}",
            "accountId": principal.account,
            "userName": role,
        }
    if principal.issued_at is not None:
        context["attributes"] = {
            "creationDate": _time(principal.issued_at // SECOND),
            "mfaAuthenticated": "false" if principal.mfa_at is None else "true",
        }
    if context:
        who["sessionContext"] = context
    return Raw(_encode(who))


def _noted(
    *,
    at: Instant,
    source: str,
    name: str,
    account: str,
    region: str,
    identity: Raw,
    actor: str | None,
    peer: str,
    agent: str,
    reads: bool,
    code: str = "",
    message: str = "",
    parameters: Raw | None = None,
    answer: Raw | None = None,
    additional: dict[str, Any] | UnsetType = UNSET,
    request_id: str = "",
    resources: tuple[_Resource, ...] = (),
    kind: str = "AwsApiCall",
) -> Noted:
    event_id = quick_id()
    record = _Record(
        VERSION,
        identity,
        _time(at // SECOND),
        source,
        name,
        region,
        peer,
        agent,
        code or UNSET,
        message or UNSET,
        parameters,
        answer,
        additional,
        request_id or UNSET,
        event_id,
        reads,
        resources or UNSET,
        kind,
        True,  # a management event, as everything here is
        account,
        "Management",
    )
    return Noted(
        at=at,
        event_id=event_id,
        name=name,
        source=source,
        account=account,
        region=region,
        actor=actor,
        resources=tuple((r.arn, r.type) for r in resources),
        raw=_encode(record),
    )


def _source(service: str) -> str:
    return OWN_SOURCE if service == OWN_SOURCE else f"{service}.amazonaws.com"


def _resources(operation: AnyOperation, tenant: Tenant, ask: Shape | None) -> tuple[_Resource, ...]:
    arn = resources.ANY if ask is None else resources.resource_of(operation, tenant, ask)
    if arn == resources.ANY:
        return ()
    kind = arn.rpartition(":")[2].partition("/")[0]
    return (_Resource(tenant.account, _TYPES.get(kind, "AWS::AuditManager::Resource"), arn),)


def _elements(value: Shape | Mapping[str, Any]) -> Raw | None:
    """What is shown of a request or an answer; None where nothing is."""
    found = shown(value)
    if not found:
        return None
    text = _encode(found)
    if b"?" in text or b"://" in text:  # nothing that `redacted` cuts ends within a JSON string
        text = redacted(text.decode()).encode()
    return Raw(text) if len(text) <= MOST_BYTES else _omitted(len(text))


def _omitted(size: int) -> Raw:
    return Raw(_encode({"omitted": True, "originalSize": size, "reason": "too large"}))


def _text(text: str) -> str:
    """What a client sent, as far as it can be printed."""
    cut = redacted(text[:LONGEST_TEXT])
    return cut if cut.isprintable() else "".join(c if c.isprintable() else "?" for c in cut)


@lru_cache(maxsize=256)
def _time(second: int) -> str:
    return f"{iso(Instant(second * SECOND))[:19]}Z"
