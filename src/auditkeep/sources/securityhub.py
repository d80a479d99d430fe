"""Security Hub findings (ASFF) -> observations (spec 3.3).

A finding is evidence if it comes from a Security Hub control: by the consolidated id it carries,
or by the standard and id of the time before consolidation. Findings of other products are nobody's
business here; archived ones neither, because they say that a check no longer applies (its control
was disabled, its resource is gone). A suppressed finding is kept and says SUPPRESSED.

A finding that changes keeps its id, so the natural key is (id, updated-at, hash of the content as
kept); the hash ignores the order of members and white space.
"""

import re

import msgspec
from msgspec import UNSET, Raw, UnsetType

from auditkeep.ids import is_account
from auditkeep.mapping import securityhub
from auditkeep.observations import Observation, Resource
from auditkeep.sources.batch import DEFAULT, Limits, Single
from auditkeep.sources.content import content_hash
from auditkeep.sources.records import NO_CONTROL, Context, Parsed, Rejected, Tally, read_each, told
from auditkeep.sources.times import read_time
from auditkeep.sources.values import Lists, Record, records, values
from auditkeep.sources.window import Blocks

READER = "securityhub/1"

OTHER_PRODUCT = "a finding of another product"
UNKNOWN_CONTROL = "a control that no table knows"
ARCHIVED = "archived"

_PRODUCT = re.compile(r"arn:[^:]+:securityhub:([^:]*):[^:]*:product/aws/securityhub")
_STANDARD = re.compile(r"(?:^|[:/])([a-z0-9-]+)/v/(\d[0-9.]*)/(?:rule/)?([A-Za-z0-9.]+)$")
_CONSOLIDATED = re.compile(r"security-control/([A-Za-z0-9.]+)$")


class _Compliance(msgspec.Struct, gc=False, rename="pascal"):
    status: str | None = None
    security_control_id: str | None = None


class _Workflow(msgspec.Struct, gc=False, rename="pascal"):
    status: str | None = None


class _Resource(msgspec.Struct, gc=False, rename="pascal"):
    id: str
    type: str | None = None
    region: str | None = None


class _Detail(msgspec.Struct, gc=False):
    findings: list[Raw] | UnsetType = UNSET


class _Finding(msgspec.Struct, gc=False, rename="pascal"):
    """As much of a finding as its observation says, or what holds findings."""

    id: str | None = None
    product_arn: str = ""
    generator_id: str = ""
    aws_account_id: str = ""
    region: str | None = None
    updated_at: str | None = None
    record_state: str | None = None
    compliance: _Compliance | None = None
    workflow: _Workflow | None = None
    product_fields: dict[str, str | None] | None = None
    resources: list[_Resource] | None = None
    findings: list[Raw] | UnsetType = UNSET
    lower_findings: list[Raw] | UnsetType = msgspec.field(name="findings", default=UNSET)
    detail: _Detail | None = msgspec.field(name="detail", default=None)


_LISTS = frozenset({"Findings", "findings"})
_FINDING = msgspec.json.Decoder(_Finding)


def parse(blocks: Blocks, context: Context, tally: Tally, limits: Limits = DEFAULT) -> Parsed:
    """All findings of a text, in any of their forms, in order."""
    return read_each(values(blocks, _LISTS, limits), lambda one: _read(one, context, tally))


def _read(one: Single, context: Context, tally: Tally) -> Parsed:
    findings = records(one, _FINDING, _held, tally)
    return read_each(findings, lambda finding: told(_observation(finding, context), tally))


def _held(value: _Finding) -> Lists:
    """Findings inside of an answer or an event of the bus."""
    if value.id is not None:
        return {}
    detail = UNSET if value.detail is None else value.detail.findings
    return {
        "Findings": value.findings,
        "findings": value.lower_findings,
        "detail.findings": detail,
    }


def _observation(one: Record[_Finding], context: Context) -> Observation | Rejected | str:
    """The observation, why there is none, or (as text) why nobody wants it."""
    finding, raw, position = one
    if finding.id is None:
        return Rejected(position, "it is no finding: it has no Id")
    product = _PRODUCT.fullmatch(finding.product_arn)
    if product is None:
        return OTHER_PRODUCT
    key = _key(finding)
    if key is None:
        return UNKNOWN_CONTROL
    if not context.interest.wants(key):
        return NO_CONTROL
    if finding.record_state == "ARCHIVED":
        return ARCHIVED
    if finding.updated_at is None:
        return Rejected(position, "it has no UpdatedAt")
    try:
        at = read_time(finding.updated_at)
    except ValueError:
        return Rejected(position, f"its UpdatedAt {finding.updated_at!r:.60} is no time")
    kept, cuts = context.cutter.cut(raw)
    verdict = _verdict(finding)
    account = finding.aws_account_id
    return Observation(
        source="AWS_Security_Hub",
        natural_key=(finding.id, finding.updated_at, content_hash(kept)),
        event_time=at,
        match_key=key,
        account=account if is_account(account) else context.tenant.account,
        region=finding.region or product[1] or context.tenant.region,
        raw=kept,
        reader=READER,
        position=position,
        verdict=verdict,
        resources=tuple(_resource(r, verdict) for r in finding.resources or ()),
        event_name=key.partition(":")[2],
        event_source="securityhub.amazonaws.com",
        cuts=cuts,
    )


def _key(finding: _Finding) -> str | None:
    """The match key: from the consolidated id, else from what named a standard's control."""
    if finding.compliance is not None and finding.compliance.security_control_id:
        return securityhub.control_key(finding.compliance.security_control_id)
    fields = finding.product_fields or {}
    consolidated = _CONSOLIDATED.search(finding.generator_id)
    if consolidated:
        return securityhub.control_key(consolidated[1])
    for text in (fields.get("StandardsControlArn"), finding.generator_id, _from_fields(fields)):
        named = _STANDARD.search(text or "")
        if named:
            return securityhub.standard_key(named[1], named[2], named[3])
    return None


def _from_fields(fields: dict[str, str | None]) -> str:
    """The standard and its control as one path, from the fields that name them apart."""
    standard = fields.get("StandardsArn") or fields.get("StandardsGuideArn") or ""
    return f"{standard}/{fields.get('ControlId') or fields.get('RuleId') or ''}"


def _verdict(finding: _Finding) -> str | None:
    if finding.workflow is not None and finding.workflow.status == "SUPPRESSED":
        return "SUPPRESSED"
    return finding.compliance.status if finding.compliance is not None else None


def _resource(resource: _Resource, verdict: str | None) -> Resource:
    arn = resource.id if resource.id.startswith("arn:") else None
    return Resource(value=resource.id, arn=arn, type=resource.type, verdict=verdict)
