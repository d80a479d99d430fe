"""OCSF events -> observations: findings and API activity of any product and cloud.

Source: the Open Cybersecurity Schema Framework, 1.0 to 1.6. Read are compliance, vulnerability and
detection findings (classes 2003, 2002, 2004; 2001 of version 1.0) and API activity (6003, and what
CloudTrail becomes: account change 3001, authentication 3002). Other classes are nobody's business.

What AWS's own products say keeps AWS's match keys: a Security Hub control's finding is evidence of
that control, a CloudTrail event of that event, by the rules of spec 3.3 and 3.4. Everything else
has a keyword of `mapping.scanners`. Verdicts are in Security Hub's words (spec 3.6): a
vulnerability or detection that is open is FAILED, one that was resolved PASSED.

Accounts of other clouds are not accounts that an assessment can have in its scope: what is found
there belongs to the account that reads it, in every region, and says where it was seen in its own
resources. A finding that changes keeps its id, so the natural key holds time and content too.
"""

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, Raw, UnsetType

from auditkeep.clock import Instant
from auditkeep.ids import GLOBAL_REGION, is_account
from auditkeep.mapping import cloudtrail, places, scanners, securityhub
from auditkeep.mapping.leftout import left_out
from auditkeep.observations import Observation, Resource, SourceType
from auditkeep.sources.batch import DEFAULT, Limits, Single
from auditkeep.sources.content import content_hash
from auditkeep.sources.records import NO_CONTROL, Context, Parsed, Rejected, Tally, read_each, told
from auditkeep.sources.times import read_time
from auditkeep.sources.values import Lists, Record, records, values
from auditkeep.sources.window import Blocks

READER = "ocsf/1"

OTHER_CLASS = "a class that is no evidence"
READ_ONLY = "read-only"
EXCLUDED = "left out by name"
DELETED = "withdrawn by its product"

_SECURITY, _VULNERABILITY, _COMPLIANCE, _DETECTION = 2001, 2002, 2003, 2004
_ACTIVITIES = frozenset({3001, 3002, 6003})
_KINDS = {_VULNERABILITY: "Vulnerability", _DETECTION: "Detection", _SECURITY: "Detection"}

_CLOSED = 3
"""`activity_id` of a finding: its product has closed it. So says `status_id` 4, resolved."""
_SUPPRESSED, _RESOLVED, _ARCHIVED, _WITHDRAWN = 3, 4, 5, 6
_READ = 2
"""`activity_id` of API activity that changes nothing."""

_WORDS = {
    "pass": "PASSED",
    "passed": "PASSED",
    "compliant": "PASSED",
    "fail": "FAILED",
    "failed": "FAILED",
    "non_compliant": "FAILED",
    "warning": "WARNING",
    "manual": "NOT_AVAILABLE",
    "muted": "SUPPRESSED",
}
_STATUS = {1: "PASSED", 2: "WARNING", 3: "FAILED"}
"""`compliance.status_id`."""


class _Named(msgspec.Struct, gc=False):
    name: str | None = None
    uid: str | None = None


class _Product(msgspec.Struct, gc=False):
    name: str | None = None
    uid: str | None = None
    vendor_name: str | None = None


class _Metadata(msgspec.Struct, gc=False):
    product: _Product | None = None
    uid: str | None = None
    event_code: str | None = None


class _Cloud(msgspec.Struct, gc=False):
    account: _Named | None = None
    region: str | None = None
    provider: str | None = None


class _Compliance(msgspec.Struct, gc=False):
    control: str | None = None
    status: str | None = None
    status_id: int | None = None


class _Info(msgspec.Struct, gc=False):
    uid: str | None = None
    modified_time: int | None = None
    modified_time_dt: str | None = None


class _Resource(msgspec.Struct, gc=False):
    uid: str | None = None
    name: str | None = None
    type: str | None = None
    region: str | None = None


class _Api(msgspec.Struct, gc=False):
    operation: str | None = None
    service: _Named | None = None


class _Actor(msgspec.Struct, gc=False):
    user: _Named | None = None
    invoked_by: str | None = None


class _Detail(msgspec.Struct, gc=False):
    findings: list[Raw] | UnsetType = UNSET


class _Event(msgspec.Struct, gc=False):
    """As much of an event as its observation says, or what holds events."""

    class_uid: int | None = None
    activity_id: int | None = None
    time: int | str | None = None
    time_dt: str | None = None
    status_id: int | None = None
    status_code: str | int | None = None
    is_alert: bool | None = None
    metadata: _Metadata | None = None
    cloud: _Cloud | None = None
    compliance: _Compliance | None = None
    finding_info: _Info | None = None
    finding: _Info | None = None
    resources: list[_Resource] | None = None
    resource: _Resource | None = None
    api: _Api | None = None
    actor: _Actor | None = None
    findings: list[Raw] | UnsetType = UNSET
    upper_findings: list[Raw] | UnsetType = msgspec.field(name="Findings", default=UNSET)
    detail: _Detail | UnsetType = UNSET

    @property
    def info(self) -> _Info:
        """What says which finding it is: `finding` was its name in version 1.0."""
        return self.finding_info or self.finding or _Info()

    @property
    def product(self) -> _Product:
        return (self.metadata and self.metadata.product) or _Product()

    @property
    def is_aws(self) -> bool:
        """Whether one of AWS's own products says it."""
        return (self.product.vendor_name or "").upper() in {"AWS", "AMAZON"}


LISTS = frozenset({"Findings", "findings", "events", "Records"})
_EVENT = msgspec.json.Decoder(_Event)


def parse(blocks: Blocks, context: Context, tally: Tally, limits: Limits = DEFAULT) -> Parsed:
    """All events of a text: a list, lines, one by itself, or an answer or bus event around them."""
    return read_each(values(blocks, LISTS, limits), lambda one: read(one, context, tally))


def read(one: Single, context: Context, tally: Tally) -> Parsed:
    """One value: an event, or something that holds events."""
    events = records(one, _EVENT, _held, tally)
    return read_each(events, lambda event: told(_read(event, context), tally))


def _held(event: _Event) -> Lists:
    if event.class_uid is not None:
        return {}
    detail = UNSET if event.detail is UNSET else event.detail.findings
    return {
        "findings": event.findings,
        "Findings": event.upper_findings,
        "detail.findings": detail,
    }


def _read(one: Record[_Event], context: Context) -> Observation | Rejected | str:
    """The observation, why there is none, or (as text) why nobody wants it."""
    event, raw, position = one
    if event.class_uid is None:
        return Rejected(position, "it is no OCSF event: it has no class_uid")
    if event.class_uid in _ACTIVITIES:
        return _activity(event, raw, position, context)
    if event.class_uid in _KINDS or event.class_uid == _COMPLIANCE:
        return _finding(event, raw, position, context)
    return OTHER_CLASS


def _finding(
    event: _Event, raw: bytes, position: str, context: Context
) -> Observation | Rejected | str:
    source, key, rule = _rule(event)
    if key is None:
        return Rejected(position, "it does not say which control or check it is of")
    if not context.interest.wants(key):
        return NO_CONTROL
    if event.status_id in {_ARCHIVED, _WITHDRAWN}:
        return DELETED
    uid = event.info.uid
    if not uid:
        return Rejected(position, "it is no finding: it has no finding_info.uid")
    at = _time(event)
    if isinstance(at, str):
        return Rejected(position, at)
    verdict = _verdict(event)
    kept, cuts = context.cutter.cut(raw)
    account, region = _place(event, context)
    listed = event.resources or ([event.resource] if event.resource else [])
    return Observation(
        source=source,
        natural_key=("ocsf", event.product.name or "", uid, str(at), content_hash(kept)),
        event_time=at,
        match_key=key,
        account=account,
        region=region,
        raw=kept,
        reader=READER,
        position=position,
        verdict=verdict,
        resources=tuple(_resources(listed, verdict)),
        event_name=rule,
        event_source=event.product.name or "",
        cuts=cuts,
    )


def _rule(event: _Event) -> tuple[SourceType, str | None, str]:
    """Source, match key and name of what a finding is of; no key where it does not say."""
    product = event.product.name or "unknown"
    control = event.compliance.control if event.compliance else None
    code = event.metadata.event_code if event.metadata else None
    if product == "Prowler" and code:
        return "SCANNER", scanners.match_key(scanners.keyword("Prowler_", code)), code
    if event.class_uid == _COMPLIANCE:
        named = control or code
        if named and event.is_aws and product.startswith("Security Hub"):
            return "AWS_Security_Hub", securityhub.control_key(named), named
        if not named:
            return "SCANNER", None, ""
        return "SCANNER", scanners.match_key(scanners.keyword("OCSF_", product, named)), named
    kind = _KINDS[event.class_uid or 0]
    return "SCANNER", scanners.match_key(scanners.keyword("OCSF_", product, kind)), kind


def _verdict(event: _Event) -> str | None:
    """In Security Hub's words; a product's own word where that is unknown; None without any."""
    if event.status_id == _SUPPRESSED:
        return "SUPPRESSED"
    said = event.compliance.status if event.compliance else None
    if said is None and event.product.name == "Prowler" and isinstance(event.status_code, str):
        said = event.status_code
    if said:
        return _WORDS.get(said.lower(), said.upper())
    if event.compliance is not None and event.compliance.status_id is not None:
        return _STATUS.get(event.compliance.status_id)
    if event.class_uid == _COMPLIANCE:
        return None
    closed = event.status_id == _RESOLVED or event.activity_id == _CLOSED
    return "PASSED" if closed else "FAILED"


def _left_out(event: _Event, key: str, context: Context) -> str | None:
    """Why an activity is no evidence, as in `sources.cloudtrail`; None if it is."""
    if key in cloudtrail.EXCLUDED:
        return EXCLUDED
    if event.class_uid == 6003 and event.activity_id == _READ and not context.reads:
        return READ_ONLY
    return None


def _activity(
    event: _Event, raw: bytes, position: str, context: Context
) -> Observation | Rejected | str:
    operation = event.api.operation if event.api else None
    if not operation:
        return Rejected(position, "it does not say which operation was called: it has no api")
    service = (event.api and event.api.service and event.api.service.name) or ""
    source: SourceType = "SCANNER"
    prefix = ""
    if event.is_aws and event.product.name == "CloudTrail" and service:
        source, key = "AWS_Cloudtrail", cloudtrail.event_key(service, operation)
        prefix = key.partition(":")[0]
    else:
        word = scanners.keyword("OCSF_", event.product.name or "unknown", operation)
        key = scanners.match_key(word)
    if not context.interest.wants(key):
        return NO_CONTROL
    if (reason := _left_out(event, key, context)) is not None:
        if not context.interest.left_out:
            return reason
        key = left_out(key)
    at = _time(event)
    if isinstance(at, str):
        return Rejected(position, at)
    kept, cuts = context.cutter.cut(raw)
    account, region = _place(event, context)
    uid = event.metadata.uid if event.metadata else None
    user = event.actor.user if event.actor else None
    invoker = event.actor.invoked_by if event.actor else None
    return Observation(
        source=source,
        natural_key=("ocsf", event.product.name or "", uid or content_hash(kept)),
        event_time=at,
        match_key=key,
        account=account,
        region=places.origin_region(prefix, region),
        raw=kept,
        reader=READER,
        position=position,
        resources=tuple(_resources(event.resources or [], None)),
        actor=(user and (user.uid or user.name)) or invoker,
        event_name=operation,
        event_source=service or event.product.name or "",
        cuts=cuts,
    )


def _time(event: _Event) -> Instant | str:
    """When a finding was last changed, when a call was made; or why that is not known."""
    info = event.info
    for value in (info.modified_time_dt, info.modified_time, event.time_dt, event.time):
        if value is not None:
            try:
                return read_time(value)
            except ValueError:
                return f"its time {value!r:.60} is no time"
    return "it has no time"


def _place(event: _Event, context: Context) -> tuple[str, str]:
    """Account and region that an assessment's scope can name."""
    cloud = event.cloud
    account = cloud.account.uid if cloud and cloud.account else None
    region = cloud.region if cloud else None
    if account and is_account(account):
        inner = next((r.region for r in event.resources or () if r.region), None)
        return account, region or inner or context.tenant.region
    if cloud is not None and (cloud.provider or "").upper() == "AWS" and region:
        return context.tenant.account, region
    return context.tenant.account, GLOBAL_REGION


def _resources(listed: list[_Resource], verdict: str | None) -> Iterator[Resource]:
    for one in listed:
        value = one.uid or one.name
        if value:
            arn = value if value.startswith("arn:aws") else None
            yield Resource(value=value, arn=arn, type=one.type, verdict=verdict)
