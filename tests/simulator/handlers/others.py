"""Operations whose answer a list of samples cannot give: reports made in two steps, and parts of
what another operation lists.
"""

from tests.simulator.asking import Ask, Handler, Output
from tests.simulator.encoding import Refusal
from tests.simulator.estate import ASSOCIATION, LICENCE, USAGE, Resource
from tests.simulator.handlers.listing import element

from auditkeep.clock import Instant, iso


def _generate(ask: Ask) -> Output:
    """Started when it is asked for first, complete from then on."""
    with ask.world.lock:
        ready = ask.account in ask.world.reports
        ask.world.reports.add(ask.account)
    return {"State": "COMPLETE" if ready else "STARTED", "Description": "A credential report"}


def _report(ask: Ask) -> Output:
    if ask.account not in ask.world.reports:
        raise Refusal("ReportNotPresent", "No credential report was asked for.", 410)
    users = ask.estate.listed(ask.account, ask.region, "iam:ListUsers", ask.at)
    rows = [f"{u.name},arn:aws:iam::{ask.account}:user/{u.name},{iso(u.at)}" for u in users]
    text = "\n".join(["user,arn,user_creation_time", *rows])
    return {"Content": text.encode(), "ReportFormat": "text/csv", "GeneratedTime": ask.at}


def _clusters(ask: Ask) -> Output:
    """Those named; without names the one called `default`, as the service has it."""
    wanted = ask.params.get("clusters") or ["default"]
    shape = ask.operation.output_shape.members["clusters"].member
    found, failures = [], []
    for name in wanted:
        short = name.rpartition("/")[2]
        cluster = ask.estate.found(ask.account, ask.region, "ecs:ListClusters", short, ask.at)
        if cluster is None:
            failures.append({"arn": name, "reason": "MISSING"})
        else:
            arn = f"arn:aws:ecs:{cluster.region}:{cluster.account}:cluster/{short}"
            found.append({**element(shape, cluster), "clusterArn": arn, "clusterName": short})
    ask.listed = len(found)
    return {"clusters": found, "failures": failures}


def licence_arn(account: str, region: str, name: str) -> str:
    return f"arn:aws:license-manager:{region}:{account}:license-configuration:{name}"


def _licences(ask: Ask) -> Output:
    shape = ask.operation.output_shape.members["LicenseConfigurations"].member
    page, more = ask.page(
        lambda at: ask.estate.listed(ask.account, ask.region, LICENCE, at),
        ask.params.get("NextToken"),
    )
    shown = [
        {
            **element(shape, r),
            "LicenseConfigurationId": r.name,
            "LicenseConfigurationArn": licence_arn(ask.account, ask.region, r.name),
        }
        for r in page
    ]
    return {"LicenseConfigurations": shown, "NextToken": more}


def _of_licence(kind: str, member: str) -> Handler:
    """What belongs to one licence: resources of a kind whose `parent` it is."""

    def handler(ask: Ask) -> Output:
        name = str(ask.params["LicenseConfigurationArn"]).rpartition(":")[2]
        if ask.estate.found(ask.account, ask.region, LICENCE, name, ask.at) is None:
            raise Refusal("InvalidParameterValueException", f"There is no licence {name}.")

        def parts(at: Instant) -> list[Resource]:
            found = ask.estate.listed(ask.account, ask.region, kind, at)
            return [r for r in found if r.members.get("parent") == name]

        page, more = ask.page(parts, ask.params.get("NextToken"))
        shape = ask.operation.output_shape.members[member].member
        return {member: [element(shape, r) for r in page], "NextToken": more}

    return handler


def _streams(ask: Ask) -> Output:
    """Ten at a time, each list beginning after a name, as Firehose has it: without a token."""
    after = ask.params.get("ExclusiveStartDeliveryStreamName", "")
    found = [
        r.name
        for r in ask.estate.listed(ask.account, ask.region, ask.kind, ask.at)
        if r.name > after
    ]
    size = min(ask.params.get("Limit", 10), ask.page_size)
    ask.listed = len(found[:size])
    return {"DeliveryStreamNames": found[:size], "HasMoreDeliveryStreams": len(found) > size}


def _summary(ask: Ask) -> Output:
    names = ("Users", "Groups", "Roles", "InstanceProfiles")
    told = {name: _number(ask, f"iam:List{name}") for name in names}
    told["ServerCertificates"] = _number(ask, "iam:ListServerCertificates")
    return {"SummaryMap": told}


def _functions(ask: Ask) -> Output:
    return {"AccountUsage": {"FunctionCount": _number(ask, "lambda:ListFunctions")}}


def _groups(ask: Ask) -> Output:
    kinds = {
        "NumberOfAutoScalingGroups": "DescribeAutoScalingGroups",
        "NumberOfLaunchConfigurations": "DescribeLaunchConfigurations",
    }
    return {name: _number(ask, f"autoscaling:{kind}") for name, kind in kinds.items()}


def _quotas(ask: Ask) -> Output:
    names = ("DBInstances", "DBClusters", "DBSubnetGroups", "EventSubscriptions")
    return {
        "AccountQuotas": [
            {"AccountQuotaName": "AllocatedStorage", "Used": 2_000, "Max": 100_000},
            *(
                {"AccountQuotaName": n, "Used": _number(ask, f"rds:Describe{n}"), "Max": 40}
                for n in names
            ),
        ]
    }


def _zones(ask: Ask) -> Output:
    return {"HostedZoneCount": _number(ask, "route53:ListHostedZones")}


def _checks(ask: Ask) -> Output:
    return {"HealthCheckCount": _number(ask, "route53:ListHealthChecks")}


def _number(ask: Ask, kind: str) -> int:
    return sum(1 for _ in ask.estate.listed(ask.account, ask.region, kind, ask.at))


HANDLERS: dict[str, Handler] = {
    "autoscaling:DescribeAccountLimits": _groups,
    "rds:DescribeAccountAttributes": _quotas,
    "route53:GetHealthCheckCount": _checks,
    "route53:GetHostedZoneCount": _zones,
    "iam:GenerateCredentialReport": _generate,
    "iam:GetAccountSummary": _summary,
    "iam:GetCredentialReport": _report,
    "lambda:GetAccountSettings": _functions,
    "ecs:DescribeClusters": _clusters,
    "firehose:ListDeliveryStreams": _streams,
    "license-manager:ListLicenseConfigurations": _licences,
    "license-manager:ListUsageForLicenseConfiguration": _of_licence(
        USAGE, "LicenseConfigurationUsageList"
    ),
    "license-manager:ListAssociationsForLicenseConfiguration": _of_licence(
        ASSOCIATION, "LicenseConfigurationAssociations"
    ),
}
