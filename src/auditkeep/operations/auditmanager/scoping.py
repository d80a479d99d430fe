"""What an assessment looks at, from what a client asked: accounts, owners, destination, lenses.

Rules of spec sections 1.7, 9.3 and 10.4. Without AWS Organizations nobody can say which accounts
belong together, so any account id may be in scope: it brings in what was collected about it.
"""

from collections.abc import Callable, Iterable, Mapping

from auditkeep.accounts import members
from auditkeep.assessments import store
from auditkeep.assessments.model import (
    AssessedControl,
    Assessment,
    ControlCopy,
    Document,
    Rhythm,
    ScopedAccount,
)
from auditkeep.clock import Instant
from auditkeep.errors import InvalidRequest, QuotaExceeded
from auditkeep.evidence import lens
from auditkeep.evidence.lens import Reach
from auditkeep.ids import principal_of
from auditkeep.operations.call import Call
from auditkeep.operations.limits import limit
from auditkeep.reports import destination as report_places
from auditkeep.wire.models import auditmanager as am


def accounts(scope: am.Scope) -> tuple[ScopedAccount, ...]:
    """The accounts of a scope, each once; services are ignored, as AWS does since June 2024."""
    found: dict[str, ScopedAccount] = {}
    for account in scope.aws_accounts or ():
        if account.id is None:
            raise InvalidRequest.of_field("scope", "holds an account without an id.")
        found.setdefault(account.id, ScopedAccount(account.id, account.email_address, account.name))
    if not found:
        raise InvalidRequest.of_field("scope", "must name at least one account in awsAccounts.")
    return tuple(found.values())


def check_accounts(call: Call, added: frozenset[str]) -> None:
    """Refuse accounts that are not this tenant's to bring into a scope (spec 10.4; 12, point 4)."""
    if call.deps.settings.organizations == "aws":
        members.require(call.tx, added)
    others = added - {call.tenant.account}
    busy = store.assessing(call.tx, others) if others else None
    if busy is not None:
        raise InvalidRequest.of_field(
            "scope",
            f"names an account that audits itself: AWS Account {busy} has assessments in progress "
            f"in {call.tenant.region}. They must become INACTIVE or be deleted first.",
        )


def services(call: Call, scope: am.Scope) -> tuple[str, ...]:
    """The services of a scope, where the operator wants them back; they mean nothing."""
    if not call.deps.settings.echo_aws_services:
        return ()
    names = (s.service_name for s in scope.aws_services or ())
    return tuple(dict.fromkeys(n for n in names if n is not None))


def owners(roles: Iterable[am.Role]) -> tuple[str, ...]:
    """The audit owners named, each once however written, in their order."""
    found: dict[str, str] = {}
    for role in roles:
        if role.role_type != "PROCESS_OWNER":
            raise InvalidRequest.of_field(
                "roles",
                f"hold the role type {role.role_type}; an assessment itself has only "
                "PROCESS_OWNER. Delegate a control set to make someone its RESOURCE_OWNER.",
            )
        found.setdefault(principal_of(role.role_arn), role.role_arn)
    return tuple(found.values())


def destination(asked: am.AssessmentReportsDestination) -> str:
    """Where reports go: `s3://bucket[/prefix]`, and one where a report can really be put."""
    member = "assessmentReportsDestination"
    if asked.destination is None:
        raise InvalidRequest.of_field(member, "must name its destination, as s3://bucket/prefix.")
    report_places.parse(asked.destination, member)
    return asked.destination


def check_quotas(call: Call, wanted: frozenset[str], assessment_id: str | None) -> None:
    """QuotaExceeded if a new (None) or changed assessment would be one too many, or too wide.

    One assessment alone that names too many accounts is an InvalidRequest (spec 10.4).
    """
    widest = limit(call, "accounts-per-assessment")
    if len(wanted) > widest:
        raise InvalidRequest.of_field(
            "scope", f"names {len(wanted)} accounts; one assessment may have {widest}."
        )
    most, accounts = limit(call, "active-assessments"), limit(call, "member-accounts")
    others = [a for a in store.active(call.tx) if a.id != assessment_id]
    if assessment_id is None and len(others) >= most:
        raise QuotaExceeded(
            f"There are {len(others)} ACTIVE assessments, which is the quota of {most}. "
            "Make one INACTIVE or delete it first."
        )
    union = wanted.union(*(a.document.account_ids for a in others))
    if len(union) > accounts:
        raise QuotaExceeded(
            f"With this scope {len(union)} different accounts would be in ACTIVE assessments; "
            f"the quota is {accounts}."
        )


def reach(call: Call, document: Document) -> Reach:
    setting = call.deps.settings.assessment_regions
    return Reach.of(call.tenant, document.account_ids, setting)


def open_lenses(
    call: Call, assessment: Assessment, controls: Iterable[AssessedControl], at: Instant
) -> None:
    """Let those of some controls that collect by themselves see what happens from `at` on."""
    looking = {c.ordinal: c.copy for c in controls if c.status != "INACTIVE" and not c.removed}
    look(call, assessment, looking, at)


def look(
    call: Call,
    assessment: Assessment,
    copies: Mapping[int, ControlCopy],
    opens_at: Instant,
    *,
    only: Callable[[str], bool] | None = None,
) -> None:
    """Open intervals for some controls, by ordinal: one for each rhythm that a control has.

    With `only`, for those of their match keys that it admits. What looked before keeps the weekday,
    or day of the month, of its first run (spec section 3.5).
    """
    known = lens.anchors(call.tx, assessment.id)
    alike: dict[tuple[Rhythm, Instant], dict[int, set[str]]] = {}
    for ordinal, copy in copies.items():
        for rhythm, keys in copy.by_rhythm().items():
            for key in filter(only, keys) if only else keys:
                anchor = known.get((ordinal, rhythm, key), opens_at)
                alike.setdefault((rhythm, anchor), {}).setdefault(ordinal, set()).add(key)
    where = reach(call, assessment.document)
    for (rhythm, anchor), keys_of in alike.items():
        lens.open_for_controls(
            call.tx,
            assessment.id,
            keys_of,
            where,
            opens_at,
            every=rhythm,
            anchor=anchor,
        )


def reopen_lenses(call: Call, assessment: Assessment) -> None:
    """Close what is open and open it anew: scope or registration changed."""
    lens.close(call.tx, assessment.id, call.now)
    open_lenses(call, assessment, store.controls(call.tx, assessment.id), call.now)
