"""RegisterOrganizationAdminAccount, Deregister…, Get…, and registering in one shot."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.operations.making import OWNER, assessment, rows_of, shown

from auditkeep.accounts import store as accounts
from auditkeep.assessments import store as assessments_store
from auditkeep.db import schema
from auditkeep.errors import AccessDenied, InvalidRequest, NotFound
from auditkeep.ids import Tenant
from auditkeep.operations.auditmanager import accounts as account_operations
from auditkeep.operations.auditmanager import assessments, organisation
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

HOME = "111122223333"
ADMIN = "999988887777"
OTHER = "444455556666"
REGION = "us-east-1"


@pytest.fixture(autouse=True)
def _set_up(call: Call) -> None:
    """The deployment was set up for HOME."""
    call.tx.system().insert(
        schema.meta,
        {"key": "account", "value": HOME},
        {"key": "log_origin", "value": "auditkeep.test/log"},
    )


def register(call: Call, account: str = ADMIN) -> Any:
    ask = am.RegisterOrganizationAdminAccountRequest(admin_account_id=account)
    return shown(organisation.register_organization_admin_account(call, ask))


def deregister(call: Call, account: str | None = None) -> None:
    ask = am.DeregisterOrganizationAdminAccountRequest(admin_account_id=account)
    organisation.deregister_organization_admin_account(call, ask)


def read(call: Call) -> Any:
    ask = am.GetOrganizationAdminAccountRequest()
    return shown(organisation.get_organization_admin_account(call, ask))


def enabled(call: Call) -> bool:
    ask = am.GetSettingsRequest(attribute="IS_AWS_ORG_ENABLED")
    return bool(shown(account_operations.get_settings(call, ask))["settings"]["isAwsOrgEnabled"])


def dormant(call: Call) -> list[bool]:
    return [a.dormant for a in assessments_store.active(call.tx)]


def save(call: Call, made: Any, *accounts: str) -> None:
    scope = am.Scope(aws_accounts=tuple(am.AWSAccount(id=a) for a in accounts or (HOME,)))
    ask = am.UpdateAssessmentRequest(assessment_id=made["metadata"]["id"], scope=scope)
    assessments.update_assessment(call, ask)


def test_an_administrator_is_registered_read_and_deregistered(call: Call) -> None:
    with pytest.raises(NotFound):
        read(call)
    registered = register(call)
    assert registered["adminAccountId"] == ADMIN
    assert re.fullmatch(r"o-[a-z0-9]{10,32}", registered["organizationId"])
    assert register(call) == read(call) == registered
    deregister(call, ADMIN)
    with pytest.raises(NotFound):
        read(call)
    assert register(call, OTHER)["organizationId"] == registered["organizationId"]


def test_the_organisation_follows_from_the_deployment(call: Call) -> None:
    before = register(call)["organizationId"]
    system = call.tx.system()
    meta = schema.meta
    system.run(system.update(meta).where(meta.c.key == "log_origin").values(value="another"))
    assert read(call)["organizationId"] != before


def test_only_the_managing_account_decides(call: Call, elsewhere: Call) -> None:
    with pytest.raises(AccessDenied, match="does not manage"):
        register(elsewhere, OTHER)
    register(call)
    for account in (None, ADMIN):
        with pytest.raises(AccessDenied, match="does not manage"):
            deregister(elsewhere, account)
    with pytest.raises(InvalidRequest, match="cannot be its delegated administrator"):
        register(call, HOME)


def test_a_deployment_that_was_never_set_up_has_no_organisation(call: Call) -> None:
    system = call.tx.system()
    system.run(system.delete(schema.meta))
    with pytest.raises(AccessDenied):
        register(call)
    with pytest.raises(NotFound):
        read(call)


def test_another_administrator_needs_the_first_to_go(call: Call) -> None:
    register(call)
    sentence = f"Cannot change delegated Admin for an active account {HOME} from {ADMIN} to {OTHER}"
    with pytest.raises(InvalidRequest, match=sentence):
        register(call, OTHER)
    assert read(call)["adminAccountId"] == ADMIN


def test_it_is_one_account_in_all_regions(call: Call, call_as: Any) -> None:
    ireland = call_as(Tenant(HOME, "eu-west-1"))
    register(call)
    with pytest.raises(NotFound):
        read(ireland)
    with pytest.raises(InvalidRequest, match="in us-east-1 first"):
        register(ireland, OTHER)
    assert register(ireland) == read(ireland) == read(call)
    deregister(call)
    assert read(ireland)["adminAccountId"] == ADMIN


def test_deregistering_nobody_is_said_in_words_that_clients_know(call: Call) -> None:
    with pytest.raises(InvalidRequest, match="Tenant is not in expected state"):
        deregister(call)
    register(call)
    with pytest.raises(InvalidRequest, match=f"the delegated administrator is {ADMIN}"):
        deregister(call, OTHER)
    assert read(call)["adminAccountId"] == ADMIN


def test_only_the_two_who_take_part_are_told(call: Call, call_as: Any) -> None:
    admin, other = call_as(Tenant(ADMIN, REGION)), call_as(Tenant(OTHER, REGION))
    assert [enabled(c) for c in (call, admin, other)] == [False, False, False]
    registered = register(call)
    assert [enabled(c) for c in (call, admin, other)] == [True, True, False]
    assert read(admin) == registered
    with pytest.raises(NotFound):
        read(other)
    everything = account_operations.update_settings(call, am.UpdateSettingsRequest())
    assert shown(everything)["settings"]["isAwsOrgEnabled"] is True
    deregister(call)
    assert [enabled(c) for c in (call, admin, other)] == [False, False, False]


def test_who_has_handed_over_neither_collects_nor_creates(call: Call) -> None:
    made = assessment(call)
    register(call)
    assert dormant(call) == [True]
    with pytest.raises(InvalidRequest, match=f"delegated administrator {ADMIN}"):
        assessment(call)
    save(call, made, HOME, OTHER)
    assert dormant(call) == [True]
    deregister(call)
    assert dormant(call) == [True]
    save(call, made)
    assert dormant(call) == [False]
    assessment(call)


def test_registering_again_wakes_and_closes_nothing(call: Call, elsewhere: Call) -> None:
    register(call)
    assessment(elsewhere, owners=(OWNER,))
    register(call)
    assert dormant(elsewhere) == [False]


def test_taking_back_ends_the_administrators_collection(call: Call, elsewhere: Call) -> None:
    made = assessment(elsewhere)
    register(call)
    assert dormant(elsewhere) == [False]
    deregister(call)
    assert dormant(elsewhere) == [True]
    assert rows_of(elsewhere, "assessments") == 1
    save(elsewhere, made)
    assert dormant(elsewhere) == [False]


def test_one_shot_registration_names_the_administrator(call: Call) -> None:
    accounts.deregister(call.tx)
    ask = am.RegisterAccountRequest(delegated_admin_account=ADMIN)
    for _ in range(2):
        assert account_operations.register_account(call, ask).status == "ACTIVE"
        assert read(call)["adminAccountId"] == ADMIN
    sentence = "Cannot change delegated Admin for an active account"
    with pytest.raises(InvalidRequest, match=sentence):
        account_operations.register_account(
            call, am.RegisterAccountRequest(delegated_admin_account=OTHER)
        )
    account_operations.register_account(call, am.RegisterAccountRequest())
    assert read(call)["adminAccountId"] == ADMIN


def test_deregistering_the_managing_account_takes_back(call: Call, elsewhere: Call) -> None:
    assessment(elsewhere)
    register(call)
    account_operations.deregister_account(elsewhere, am.DeregisterAccountRequest())
    accounts.register(elsewhere.tx, None, call.now)
    assert read(call)["adminAccountId"] == ADMIN
    account_operations.deregister_account(call, am.DeregisterAccountRequest())
    assert dormant(elsewhere) == [True]
    with pytest.raises(NotFound):
        read(elsewhere)
