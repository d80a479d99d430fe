"""AWS Config: recorder, rules and what they judged, also through an aggregator."""

import json
from typing import Any
from zlib import crc32

from tests.simulator.asking import Ask, Handler, Output
from tests.simulator.encoding import Refusal
from tests.simulator.estate import EVALUATION, RULE, Estate, Resource

from auditkeep.clock import Instant

AGGREGATOR = "config:DescribeConfigurationAggregators"
"""Kind of an aggregator; it sees every account of the organisation in every region."""


def _rule(resource: Resource) -> Output:
    identifier = resource.members.get("identifier")
    arn = f"arn:aws:config:{resource.region}:{resource.account}:config-rule/config-rule-{_short(resource.name)}"
    function = f"arn:aws:lambda:{resource.region}:{resource.account}:function:{resource.name}"
    source = {
        "Owner": "AWS" if identifier else "CUSTOM_LAMBDA",
        "SourceIdentifier": identifier or function,
    }
    more = {k: v for k, v in resource.members.items() if k != "identifier"}
    return {
        "ConfigRuleName": resource.name,
        "ConfigRuleArn": arn,
        "ConfigRuleId": f"config-rule-{_short(resource.name)}",
        "Source": source,
        "ConfigRuleState": "ACTIVE",
        **more,
    }


def _short(name: str) -> str:
    return f"{crc32(name.encode()):08x}"


def _rules(ask: Ask) -> Output:
    wanted = ask.params.get("ConfigRuleNames")

    def rules(at: Instant) -> list[Resource]:
        found = ask.estate.listed(ask.account, ask.region, RULE, at)
        return [r for r in found if not wanted or r.name in wanted]

    page, more = ask.page(rules, ask.params.get("NextToken"), most=25)
    if wanted and {r.name for r in rules(ask.at)} < set(wanted):
        raise Refusal("NoSuchConfigRuleException", "One of the rules does not exist.")
    return {"ConfigRules": [_rule(r) for r in page], "NextToken": more}


def _evaluation(resource: Resource) -> Output:
    members = resource.members
    return {
        "EvaluationResultIdentifier": {
            "EvaluationResultQualifier": {
                "ConfigRuleName": members["rule"],
                "ResourceType": members["type"],
                "ResourceId": members["id"],
                "EvaluationMode": "DETECTIVE",
            },
            "OrderingTimestamp": resource.at,
        },
        "ComplianceType": members["compliance"],
        "ResultRecordedTime": resource.at,
        "ConfigRuleInvokedTime": resource.at,
    }


def _judged(estate: Estate, account: str, region: str, at: Instant, **which: Any) -> list[Resource]:
    """What the rules that exist last said, of those resources and verdicts."""
    rules = {r.name for r in estate.listed(account, region, RULE, at)}
    return [
        e
        for e in estate.listed(account, region, EVALUATION, at)
        if e.members["rule"] in rules
        and all(not value or e.members[key] in _some(value) for key, value in which.items())
    ]


def _some(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _by_rule(ask: Ask) -> Output:
    name = ask.params["ConfigRuleName"]
    if ask.estate.found(ask.account, ask.region, RULE, name, ask.at) is None:
        raise Refusal("NoSuchConfigRuleException", f"There is no rule {name}.")
    page, more = ask.page(
        lambda at: _judged(
            ask.estate, ask.account, ask.region, at,
            rule=name, compliance=ask.params.get("ComplianceTypes"),
        ),
        ask.params.get("NextToken"),
        most=100,
    )  # fmt: skip
    return {"EvaluationResults": [_evaluation(e) for e in page], "NextToken": more}


def _by_resource(ask: Ask) -> Output:
    page, more = ask.page(
        lambda at: _judged(
            ask.estate, ask.account, ask.region, at,
            type=ask.params.get("ResourceType"), id=ask.params.get("ResourceId"),
            compliance=ask.params.get("ComplianceTypes"),
        ),
        ask.params.get("NextToken"),
    )  # fmt: skip
    return {"EvaluationResults": [_evaluation(e) for e in page], "NextToken": more}


def _compliance(judged: list[Resource]) -> Output:
    verdicts = [e.members["compliance"] for e in judged]
    bad = verdicts.count("NON_COMPLIANT")
    found: Output = {
        "ComplianceType": "NON_COMPLIANT"
        if bad
        else "COMPLIANT"
        if "COMPLIANT" in verdicts
        else "INSUFFICIENT_DATA"
    }
    if bad:
        found["ComplianceContributorCount"] = {"CappedCount": min(bad, 25), "CapExceeded": bad > 25}
    return found


def _summary_by_rule(ask: Ask) -> Output:
    wanted, types = ask.params.get("ConfigRuleNames"), ask.params.get("ComplianceTypes")

    def rules(at: Instant) -> list[tuple[str, Output]]:
        everything = _judged(ask.estate, ask.account, ask.region, at)
        found = []
        for rule in ask.estate.listed(ask.account, ask.region, RULE, at):
            said = _compliance([e for e in everything if e.members["rule"] == rule.name])
            if (not wanted or rule.name in wanted) and (
                not types or said["ComplianceType"] in types
            ):
                found.append((rule.name, said))
        return found

    page, more = ask.page(rules, ask.params.get("NextToken"))
    listed = [{"ConfigRuleName": name, "Compliance": said} for name, said in page]
    return {"ComplianceByConfigRules": listed, "NextToken": more}


def _summary_by_resource(ask: Ask) -> Output:
    def resources(at: Instant) -> list[Output]:
        by: dict[tuple[str, str], list[Resource]] = {}
        for e in _judged(ask.estate, ask.account, ask.region, at):
            by.setdefault((e.members["type"], e.members["id"]), []).append(e)
        return [
            {"ResourceType": kind, "ResourceId": name, "Compliance": _compliance(judged)}
            for (kind, name), judged in sorted(by.items())
        ]

    page, more = ask.page(resources, ask.params.get("NextToken"))
    return {"ComplianceByResources": page, "NextToken": more}


def _recorders(ask: Ask) -> Output:
    on = ask.estate.recording(ask.account, ask.region, ask.at)
    arn = f"arn:aws:iam::{ask.account}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
    recorder = {"name": "default", "roleARN": arn, "recordingGroup": {"allSupported": True}}
    return {"ConfigurationRecorders": [recorder] if on else []}


def _recorder_status(ask: Ask) -> Output:
    if not ask.estate.recording(ask.account, ask.region, ask.at):
        return {"ConfigurationRecordersStatus": []}
    status = {"name": "default", "recording": True, "lastStatus": "SUCCESS"}
    return {"ConfigurationRecordersStatus": [status]}


COMPLIANCE = "AWS::Config::ResourceCompliance"
"""Config keeps how a resource complied as the history of an item of its own."""


def _of_item(kind: str, name: str) -> tuple[str, str]:
    """Type and id of the resource that an item is about."""
    if kind != COMPLIANCE:
        return kind, name
    about, _, resource = name.partition("/")
    return about, resource


def _history(ask: Ask) -> Output:
    """Each result about a resource is a version of its item, and of that of its compliance."""
    kind, name = ask.params["resourceType"], ask.params["resourceId"]
    about = _of_item(kind, name)
    later, earlier = ask.params.get("laterTime"), ask.params.get("earlierTime")
    held: dict[Instant, dict[str, str]] = {}
    for versions in ask.estate.versions(ask.account, ask.region, EVALUATION).values():
        for version in versions:
            members = version.members
            if members is None or (members["type"], members["id"]) != about:
                continue
            if version.at <= ask.at and _between(version.at, earlier, later):
                held.setdefault(version.at, {})[members["rule"]] = members["compliance"]
    if not held and later is None and earlier is None:
        raise Refusal("ResourceNotDiscoveredException", f"{kind} {name} was never seen.")
    order = sorted(held, reverse=ask.params.get("chronologicalOrder") != "Forward")
    page, more = ask.page(lambda _: order, ask.params.get("nextToken"))
    items = [_item(ask, kind, name, at, held[at]) for at in page]
    return {"configurationItems": items, "nextToken": more}


def _discovered(ask: Ask) -> Output:
    kind, wanted = ask.params["resourceType"], ask.params.get("resourceIds")

    def found(at: Instant) -> list[str]:
        about = {
            (e.members["type"], e.members["id"])
            for e in ask.estate.listed(ask.account, ask.region, EVALUATION, at)
        }
        if kind == COMPLIANCE:
            names = sorted(f"{type_}/{name}" for type_, name in about)
        else:
            names = sorted(name for type_, name in about if type_ == kind)
        return [name for name in names if not wanted or name in wanted]

    page, more = ask.page(found, ask.params.get("nextToken"))
    listed = [{"resourceType": kind, "resourceId": name} for name in page]
    return {"resourceIdentifiers": listed, "nextToken": more}


def _between(at: Instant, earlier: Any, later: Any) -> bool:
    seconds = at / 1_000_000
    return (earlier is None or seconds >= float(earlier)) and (
        later is None or seconds <= float(later)
    )


def _item(ask: Ask, kind: str, name: str, at: Instant, judged: dict[str, str]) -> Output:
    about, resource = _of_item(kind, name)
    if kind == COMPLIANCE:
        inside: Output = {
            "targetResourceType": about,
            "targetResourceId": resource,
            "configRuleList": [
                {"configRuleName": rule, "complianceType": said}
                for rule, said in sorted(judged.items())
            ],
        }
    else:
        inside = {"id": name, "capturedAt": at}
    return {
        "version": "1.3",
        "accountId": ask.account,
        "configurationItemCaptureTime": at,
        "configurationItemStatus": "OK",
        "configurationStateId": str(at),
        "arn": f"arn:aws:config:::{kind}/{name}",
        "resourceType": kind,
        "resourceId": name,
        "awsRegion": ask.region,
        "configuration": json.dumps(inside),
    }


def _batch(ask: Ask) -> Output:
    found, left = [], []
    for key in ask.params["resourceKeys"]:
        latest = [
            e.at
            for e in ask.estate.listed(ask.account, ask.region, EVALUATION, ask.at)
            if (e.members["type"], e.members["id"]) == (key["resourceType"], key["resourceId"])
        ]
        if latest:
            found.append(_item(ask, key["resourceType"], key["resourceId"], max(latest), {}))
        else:
            left.append(key)
    return {"baseConfigurationItems": found, "unprocessedResourceKeys": left}


# ---- aggregator


def _aggregators(ask: Ask) -> Output:
    found = ask.estate.listed(ask.account, ask.region, AGGREGATOR, ask.at)
    listed = [
        {
            "ConfigurationAggregatorName": r.name,
            "ConfigurationAggregatorArn": f"arn:aws:config:{r.region}:{r.account}:config-aggregator/{r.name}",
            "OrganizationAggregationSource": {
                "RoleArn": f"arn:aws:iam::{r.account}:role/aggregator", "AllAwsRegions": True,
            },
        }
        for r in found
    ]  # fmt: skip
    page, more = ask.page(lambda _: listed, ask.params.get("NextToken"))
    return {"ConfigurationAggregators": page, "NextToken": more}


def _seen(ask: Ask, at: Instant) -> list[tuple[str, str]]:
    """The places an aggregator sees: members that record, in their regions."""
    name = ask.params["ConfigurationAggregatorName"]
    if ask.estate.found(ask.account, ask.region, AGGREGATOR, name, ask.at) is None:
        raise Refusal("NoSuchConfigurationAggregatorException", f"There is no aggregator {name}.")
    return [
        (account.id, region)
        for account in sorted(ask.estate.accounts.values(), key=lambda a: a.id)
        for region in ask.estate.regions
        if account.member(at)
        and ask.estate.opted_in(account.id, region)
        and ask.estate.recording(account.id, region, at)
    ]


def _aggregate_rules(ask: Ask) -> Output:
    filters = ask.params.get("Filters", {})

    def rules(at: Instant) -> list[Output]:
        found = []
        for account, region in _seen(ask, at):
            if (
                filters.get("AccountId", account) != account
                or filters.get("AwsRegion", region) != region
            ):
                continue
            judged = _judged(ask.estate, account, region, at)
            for rule in ask.estate.listed(account, region, RULE, at):
                said = _compliance([e for e in judged if e.members["rule"] == rule.name])
                if filters.get("ComplianceType", said["ComplianceType"]) == said["ComplianceType"]:
                    found.append(
                        {
                            "ConfigRuleName": rule.name,
                            "Compliance": said,
                            "AccountId": account,
                            "AwsRegion": region,
                        }
                    )
        return found

    page, more = ask.page(rules, ask.params.get("NextToken"))
    return {"AggregateComplianceByConfigRules": page, "NextToken": more}


def _aggregate_details(ask: Ask) -> Output:
    params = ask.params
    account, region = params["AccountId"], params["AwsRegion"]
    if (account, region) not in _seen(ask, ask.at):
        raise Refusal("ValidationException", f"The aggregator does not see {account} in {region}.")
    page, more = ask.page(
        lambda at: _judged(
            ask.estate, account, region, at,
            rule=params["ConfigRuleName"], compliance=params.get("ComplianceType"),
        ),
        params.get("NextToken"),
        most=100,
    )  # fmt: skip
    where = {"AccountId": account, "AwsRegion": region}
    return {
        "AggregateEvaluationResults": [{**_evaluation(e), **where} for e in page],
        "NextToken": more,
    }


def _aggregate_batch(ask: Ask) -> Output:
    found, left = [], []
    for key in ask.params["ResourceIdentifiers"]:
        where, kind, name = (
            (key["SourceAccountId"], key["SourceRegion"]), key["ResourceType"], key["ResourceId"],
        )  # fmt: skip
        seen = where in _seen(ask, ask.at)
        judged = _judged(ask.estate, *where, ask.at, type=kind, id=name) if seen else []
        if judged:
            item = _item(ask, kind, name, max(e.at for e in judged), {})
            found.append({**item, "accountId": where[0], "awsRegion": where[1]})
        else:
            left.append(key)
    return {"BaseConfigurationItems": found, "UnprocessedResourceIdentifiers": left}


def _sources(ask: Ask) -> Output:
    listed = [
        {
            "SourceId": account, "SourceType": "ACCOUNT", "AwsRegion": region,
            "LastUpdateStatus": "SUCCEEDED",
        }
        for account, region in _seen(ask, ask.at)
    ]  # fmt: skip
    page, more = ask.page(lambda _: listed, ask.params.get("NextToken"))
    return {"AggregatedSourceStatusList": page, "NextToken": more}


HANDLERS: dict[str, Handler] = {
    "config:DescribeConfigRules": _rules,
    "config:GetComplianceDetailsByConfigRule": _by_rule,
    "config:GetComplianceDetailsByResource": _by_resource,
    "config:DescribeComplianceByConfigRule": _summary_by_rule,
    "config:DescribeComplianceByResource": _summary_by_resource,
    "config:DescribeConfigurationRecorders": _recorders,
    "config:DescribeConfigurationRecorderStatus": _recorder_status,
    "config:GetResourceConfigHistory": _history,
    "config:BatchGetResourceConfig": _batch,
    "config:ListDiscoveredResources": _discovered,
    "config:DescribeConfigurationAggregators": _aggregators,
    "config:DescribeConfigurationAggregatorSourcesStatus": _sources,
    "config:DescribeAggregateComplianceByConfigRules": _aggregate_rules,
    "config:GetAggregateComplianceDetailsByConfigRule": _aggregate_details,
    "config:BatchGetAggregateResourceConfig": _aggregate_batch,
}
