"""Security Hub: consolidated findings of its controls, as they are now."""

from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.simulator.asking import Ask, Handler, Output
from tests.simulator.encoding import Refusal
from tests.simulator.estate import FINDING, Resource

from auditkeep.clock import DAY, Instant, from_datetime, iso

_STANDARD = "standards/aws-foundational-security-best-practices/v/1.0.0"


def finding(resource: Resource, first: Instant) -> Output:
    """A finding in AWS's format, as it was at one version."""
    members = resource.members
    account, region = resource.account, resource.region
    control, status = members["control"], members["status"]
    finding_id = uuid5(NAMESPACE_URL, f"{account}/{region}/{resource.name}")
    made = {
        "SchemaVersion": "2018-10-08",
        "Id": f"arn:aws:securityhub:{region}:{account}:security-control/{control}/finding/{finding_id}",
        "ProductArn": f"arn:aws:securityhub:{region}::product/aws/securityhub",
        "ProductName": "Security Hub",
        "CompanyName": "AWS",
        "Region": region,
        "GeneratorId": f"security-control/{control}",
        "AwsAccountId": account,
        "Types": ["Software and Configuration Checks"],
        "FirstObservedAt": _text(first),
        "LastObservedAt": _text(resource.at),
        "CreatedAt": _text(first),
        "UpdatedAt": _text(resource.at),
        "Severity": {"Label": "MEDIUM", "Normalized": 40, "Original": "MEDIUM"},
        "Title": f"{control} on {members['resource']}",
        "Description": f"A simulated judgement of {control}.",
        "ProductFields": {"aws/securityhub/ProductName": "Security Hub"},
        "Resources": [
            {"Type": "Other", "Id": members["resource"], "Partition": "aws", "Region": region}
        ],
        "Compliance": {
            "Status": status,
            "SecurityControlId": control,
            "AssociatedStandards": [{"StandardsId": _STANDARD}],
        },
        "WorkflowState": "NEW",
        "Workflow": {"Status": members["workflow"]},
        "RecordState": members["record_state"],
    }
    return {**made, **members["more"]}


def _text(at: Instant) -> str:
    return iso(at)[:23] + "Z"


def _findings(ask: Ask) -> Output:
    _on(ask)
    filters: dict[str, Any] = ask.params.get("Filters", {})

    def found(at: Instant) -> list[Output]:
        firsts = ask.estate.versions(ask.account, ask.region, FINDING)
        made = [
            finding(r, firsts[r.name][0].at)
            for r in ask.estate.listed(ask.account, ask.region, FINDING, at)
        ]
        kept = [one for one in made if all(_fits(one, k, v, at) for k, v in filters.items())]
        for criterion in reversed(ask.params.get("SortCriteria", [])):
            down = criterion.get("SortOrder") == "desc"
            field = criterion["Field"]
            kept.sort(key=lambda one: _at_path(one, field), reverse=down)
        return kept

    page, more = ask.page(found, ask.params.get("NextToken"), most=100)
    return {"Findings": page, "NextToken": more}


_PATHS = {
    "ComplianceStatus": "Compliance.Status",
    "ComplianceSecurityControlId": "Compliance.SecurityControlId",
    "WorkflowStatus": "Workflow.Status",
    "SeverityLabel": "Severity.Label",
    "ResourceId": "Resources.0.Id",
    "ResourceType": "Resources.0.Type",
}


def _at_path(found: Any, path: str) -> str:
    for part in _PATHS.get(path, path).split("."):
        found = found[int(part)] if part.isdigit() else found.get(part, "")
    return str(found)


def _fits(found: Output, name: str, filters: list[Output], at: Instant) -> bool:
    """Filters of one field: any of those that say what it is, and all of those that say what not."""
    value = _at_path(found, name)
    if name.endswith("At"):
        return any(_in_range(_instant(value), one, at) for one in filters)
    nots = [f for f in filters if f.get("Comparison", "EQUALS").startswith(("NOT", "PREFIX_NOT"))]
    if any(_same(value, f) for f in nots):
        return False
    rest = [f for f in filters if f not in nots]
    return not rest or any(_same(value, f) for f in rest)


def _same(value: str, one: Output) -> bool:
    how = str(one.get("Comparison", "EQUALS")).removeprefix("NOT_")
    if how in {"PREFIX", "PREFIX_NOT_EQUALS"}:
        return value.startswith(str(one["Value"]))
    wanted = str(one["Value"])
    return wanted in value if how == "CONTAINS" else value == wanted


def _instant(text: str) -> Instant:
    return from_datetime(datetime.fromisoformat(text))


def _in_range(value: Instant, one: Output, now: Instant) -> bool:
    if "DateRange" in one:
        return value >= now - int(one["DateRange"]["Value"]) * DAY
    start, end = one.get("Start"), one.get("End")
    return (not start or value >= _instant(start)) and (not end or value <= _instant(end))


def _on(ask: Ask) -> None:
    if not ask.estate.hub_on(ask.account, ask.region, ask.at):
        raise Refusal(
            "InvalidAccessException",
            f"Account {ask.account} is not subscribed to AWS Security Hub",
            401,
        )


def _newer(ask: Ask) -> Output:
    """The newer Security Hub is not on here: it is another product, and enabled by itself."""
    raise Refusal("AccessDeniedException", f"Security Hub V2 is not enabled in {ask.region}.", 403)


def _hub(ask: Ask) -> Output:
    _on(ask)
    return {
        "HubArn": f"arn:aws:securityhub:{ask.region}:{ask.account}:hub/default",
        "SubscribedAt": "2026-01-01T00:00:00.000Z",
        "AutoEnableControls": True,
        "ControlFindingGenerator": "SECURITY_CONTROL",
    }


def _standards(ask: Ask) -> Output:
    _on(ask)
    arn = f"arn:aws:securityhub:{ask.region}::{_STANDARD}"
    one = {
        "StandardsSubscriptionArn": f"arn:aws:securityhub:{ask.region}:{ask.account}:subscription/fsbp",
        "StandardsArn": arn,
        "StandardsInput": {},
        "StandardsStatus": "READY",
    }
    return {"StandardsSubscriptions": [one]}


HANDLERS: dict[str, Handler] = {
    "securityhub:GetFindings": _findings,
    "securityhub:GetFindingsV2": _newer,
    "securityhub:DescribeHub": _hub,
    "securityhub:GetEnabledStandards": _standards,
}
