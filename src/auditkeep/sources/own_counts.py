"""How many resources there are by a service's own count, which no list had a part in.

A list that broke off, or left something out, looks like a shorter list. Some services keep a count
beside what they list; it is asked for once, behind the last page, and goes into the record of the
run next to what was read (`countedBySource`). Sources, in botocore's models: Auto Scaling
`DescribeAccountLimits`, IAM `GetAccountSummary`, Lambda `GetAccountSettings`, RDS
`DescribeAccountAttributes`, Route 53 `Get…Count`. Only what counts exactly what a list lists is
here. IAM's count of policies is not: it counts those of the customer, and the list has AWS's own
too; nor are its providers and MFA devices, which are of several lists, nor what RDS counts without
the default ones (groups of parameters, options and security), nor what Config says that it records
(`GetDiscoveredResourceCounts`): resources, where evaluations are listed.

Invariant: a count that cannot be had takes nothing from an answer that was; the two may also differ
because something was made or deleted between them, so that a difference is told, and is no fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditkeep.errors import NotCollected
from auditkeep.mapping.calls import Call
from auditkeep.sources import paths
from auditkeep.sources.pull import Request
from auditkeep.sources.refusals import asking


@dataclass(frozen=True, slots=True)
class OwnCount:
    """The operation that tells a count, and where it stands in the answer.

    `entry`: at the path is a list; the count is one member of the entry that has another so.
    """

    operation: str
    path: str
    entry: tuple[str, str, str] | None = None

    def read(self, answer: Mapping[str, Any]) -> int | None:
        found: Any = paths.member(answer, self.path)
        if self.entry is not None:
            name, value, member = self.entry
            entries = found if isinstance(found, list) else []
            found = next((e.get(member) for e in entries if e.get(name) == value), None)
        return found if isinstance(found, int) else None


def _quota(name: str) -> OwnCount:
    """What RDS says of a quota's use, where that is a count of what there is in the account."""
    return OwnCount(
        "DescribeAccountAttributes", "AccountQuotas", ("AccountQuotaName", name, "Used")
    )


_SUMMARY = "GetAccountSummary"
_LIMITS = "DescribeAccountLimits"
COUNTS: Mapping[tuple[str, str], OwnCount] = {
    ("autoscaling", "DescribeAutoScalingGroups"): OwnCount(_LIMITS, "NumberOfAutoScalingGroups"),
    ("autoscaling", "DescribeLaunchConfigurations"): OwnCount(
        _LIMITS, "NumberOfLaunchConfigurations"
    ),
    ("iam", "ListGroups"): OwnCount(_SUMMARY, "SummaryMap.Groups"),
    ("iam", "ListInstanceProfiles"): OwnCount(_SUMMARY, "SummaryMap.InstanceProfiles"),
    ("iam", "ListRoles"): OwnCount(_SUMMARY, "SummaryMap.Roles"),
    ("iam", "ListServerCertificates"): OwnCount(_SUMMARY, "SummaryMap.ServerCertificates"),
    ("iam", "ListUsers"): OwnCount(_SUMMARY, "SummaryMap.Users"),
    ("lambda", "ListFunctions"): OwnCount("GetAccountSettings", "AccountUsage.FunctionCount"),
    ("rds", "DescribeDBClusters"): _quota("DBClusters"),
    ("rds", "DescribeDBInstances"): _quota("DBInstances"),
    ("rds", "DescribeDBSubnetGroups"): _quota("DBSubnetGroups"),
    ("rds", "DescribeEventSubscriptions"): _quota("EventSubscriptions"),
    ("route53", "ListHealthChecks"): OwnCount("GetHealthCheckCount", "HealthCheckCount"),
    ("route53", "ListHostedZones"): OwnCount("GetHostedZoneCount", "HostedZoneCount"),
}


def actions(call: Call) -> frozenset[str]:
    """The IAM actions that the count of a call's resources takes."""
    own = COUNTS.get((call.service, call.operation))
    return frozenset() if own is None else frozenset({f"{call.service}:{own.operation}"})


def counted(client: Any, call: Call) -> tuple[int, Request] | None:
    """The count that belongs to a call, and how it was asked for; None where none can be had."""
    own = COUNTS.get((call.service, call.operation))
    if own is None:
        return None
    from botocore import xform_name  # noqa: PLC0415 - heavy

    try:
        with asking(client, own.operation):
            answer = getattr(client, xform_name(own.operation))()
    except NotCollected:
        return None
    found = own.read(answer)
    return None if found is None else (found, Request(call.service, own.operation, {}))
