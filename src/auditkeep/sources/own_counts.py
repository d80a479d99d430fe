"""How many resources there are by a service's own count, which no list had a part in.

A list that broke off, or left something out, looks like a shorter list. Some services keep a count
beside what they list; it is asked for once, behind the last page, and goes into the record of the
run next to what was read (`countedBySource`). Sources: IAM `GetAccountSummary`, Lambda
`GetAccountSettings` in botocore's models. IAM's count of policies is left out: it counts those of
the customer, and the list has AWS's own too.

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
    """The operation that tells a count, and where it stands in the answer."""

    operation: str
    path: str


_SUMMARY = "GetAccountSummary"
COUNTS: Mapping[tuple[str, str], OwnCount] = {
    ("iam", "ListGroups"): OwnCount(_SUMMARY, "SummaryMap.Groups"),
    ("iam", "ListRoles"): OwnCount(_SUMMARY, "SummaryMap.Roles"),
    ("iam", "ListUsers"): OwnCount(_SUMMARY, "SummaryMap.Users"),
    ("lambda", "ListFunctions"): OwnCount("GetAccountSettings", "AccountUsage.FunctionCount"),
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
    found = paths.member(answer, own.path)
    if not isinstance(found, int):
        return None
    return found, Request(call.service, own.operation, {})
