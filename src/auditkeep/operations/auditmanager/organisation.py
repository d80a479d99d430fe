"""The delegated administrator of the organisation (spec sections 8.4 and 10.2).

While there is one, the managing account neither collects nor creates assessments in that region.
Both handing over and taking back end the collection of whoever audited until then: those
assessments sleep, as after a deregistration, and nothing of them is lost.
"""

from dataclasses import replace

from auditkeep.accounts import members, organisation
from auditkeep.collection import baseline
from auditkeep.ids import Tenant
from auditkeep.operations.auditmanager.propagation import organisation_passed_on
from auditkeep.operations.call import Call, pair
from auditkeep.wire.models import auditmanager as am


def register_organization_admin_account(
    call: Call, ask: am.RegisterOrganizationAdminAccountRequest
) -> am.RegisterOrganizationAdminAccountResponse:
    """Idempotent; another account takes its place only after it was deregistered."""
    hand_over(call, ask.admin_account_id)
    return am.RegisterOrganizationAdminAccountResponse(
        admin_account_id=ask.admin_account_id,
        organization_id=organisation.organisation_id(call.tx),
    )


def deregister_organization_admin_account(
    call: Call, ask: am.DeregisterOrganizationAdminAccountRequest
) -> am.DeregisterOrganizationAdminAccountResponse:
    take_back(call, ask.admin_account_id)
    return am.DeregisterOrganizationAdminAccountResponse()


def get_organization_admin_account(
    call: Call, _ask: am.GetOrganizationAdminAccountRequest
) -> am.GetOrganizationAdminAccountResponse:
    """Tells the managing account and the administrator; for any other there is none."""
    return am.GetOrganizationAdminAccountResponse(
        admin_account_id=organisation.get_administrator(call.tx),
        organization_id=organisation.organisation_id(call.tx),
    )


def hand_over(call: Call, account: str) -> None:
    """Register a delegated administrator; the managing account's own collection ends."""
    organisation.require_manager(call.tx)
    if call.deps.settings.organizations == "aws" and not organisation.manages_as(call.tx, account):
        members.require_member(call.tx, account)
    if organisation.register(call.tx, account, call.now):
        call.tx.lock_tenant()  # no assessment is created between the registration and the end
        organisation_passed_on(call)
        baseline.members_changed(call.tx.system().of(Tenant(account, call.tenant.region)))


def take_back(call: Call, account: str | None = None) -> Call:
    """Deregister the delegated administrator, whose collection in this region ends.

    The same request, seen as that administrator's tenant's.
    """
    tenant = Tenant(organisation.deregister(call.tx, account), call.tenant.region)
    theirs = replace(call, tx=call.tx.system().of(tenant), tenant=tenant)
    theirs.tx.lock_tenant()
    organisation_passed_on(theirs)
    return theirs


OPERATIONS = (
    pair(am.REGISTER_ORGANIZATION_ADMIN_ACCOUNT, register_organization_admin_account),
    pair(am.DEREGISTER_ORGANIZATION_ADMIN_ACCOUNT, deregister_organization_admin_account),
    pair(am.GET_ORGANIZATION_ADMIN_ACCOUNT, get_organization_admin_account),
)
