"""Members from AWS Organizations: read with boto3 from moto, kept, and missed when they leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from tests.operations.world import DENIED, HOME, NOT_FOUND, OTHER, OWNER, VALIDATION, World

from auditkeep.accounts import store as accounts
from auditkeep.accounts.members import Member, Organisation
from auditkeep.app import members
from auditkeep.clock import Instant
from auditkeep.collection import baseline
from auditkeep.collection.looks import Plans
from auditkeep.errors import InputError, SetupError
from auditkeep.ids import Tenant
from auditkeep.sources import organizations

A, B, C = "222233334444", "333344445555", "444455556666"


def told(*accounts: str, manager: str = HOME, all_features: bool = True) -> Organisation:
    return Organisation(
        id="o-abcdefghij", manager=manager, all_features=all_features,
        members=tuple(Member(a, f"name {a}", f"{a}@example.org") for a in (manager, *accounts)),
    )  # fmt: skip


@pytest.fixture
def world(world_with: Callable[..., World]) -> World:
    return world_with(organizations="aws")


def refresh(world: World, *accounts: str, **how: Any) -> frozenset[str]:
    return members.refresh(world.db, world.deps, world.clock, lambda: told(*accounts, **how))


def scoped(world: World, *accounts: str, client: Any = None, **more: Any) -> Any:
    scope = {"awsAccounts": [{"id": a} for a in accounts]}
    return world.assessment(client=client, scope=scope, **more)


def administered(world: World, *accounts: str) -> tuple[Any, str]:
    """A client of OTHER, which administers the organisation, and a framework of it."""
    refresh(world, OTHER, *accounts)
    other = world.account(OTHER)
    world.ask("register_organization_admin_account", adminAccountId=OTHER)
    control = world.ask(
        "create_control", client=other, name="c",
        controlMappingSources=[{"sourceName": "s", "sourceType": "AWS_Cloudtrail",
                                "sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST",
                                                  "keywordValue": "iam_CreateUser"}}],
    )["control"]["id"]  # fmt: skip
    framework = world.ask(
        "create_assessment_framework", client=other, name="f",
        controlSets=[{"name": "s", "controls": [{"id": control}]}],
    )["framework"]["id"]  # fmt: skip
    return other, framework


# --- reading -----------------------------------------------------------------------------------


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("organizations", region_name="us-east-1")


def test_every_account_on_every_page_is_read_with_the_organisation_itself(aws: Any) -> None:
    organisation = aws.create_organization(FeatureSet="ALL")["Organization"]
    made = {
        aws.create_account(AccountName=f"a{n}", Email=f"a{n}@example.org")["CreateAccountStatus"][
            "AccountId"
        ]
        for n in range(23)
    }
    found = organizations.read()
    assert (found.id, found.manager) == (organisation["Id"], organisation["MasterAccountId"])
    assert found.all_features
    assert {m.account for m in found.members} == made | {found.manager}
    assert "a7@example.org" in {m.email for m in found.members}


def test_suspended_accounts_are_no_members() -> None:
    described = {"Id": "o-abcdefghij", "MasterAccountId": HOME, "FeatureSet": "ALL"}
    accounts = [{"Id": A, "Status": "ACTIVE"}, {"Id": B, "Status": "SUSPENDED"}]
    found = organizations.parse((described, accounts))
    assert [m.account for m in found.members] == [A]


def test_an_organisation_that_cannot_be_read_is_told_in_a_sentence(aws: Any) -> None:
    with pytest.raises(InputError, match="AWS Organizations could not be read"):
        organizations.read()
    with pytest.raises(InputError, match="without 'Id'"):
        organizations.parse(({"MasterAccountId": HOME, "FeatureSet": "ALL"}, []))


# --- what members mean ---------------------------------------------------------------------------


def test_before_members_were_read_an_account_assesses_itself_only(world: World) -> None:
    scoped(world, HOME)
    seen = world.refusal(lambda w: scoped(w, HOME, A, frameworkId=w.theirs))
    assert (seen["Code"], seen["status"]) == VALIDATION
    seen = world.refused("register_organization_admin_account", adminAccountId=OTHER)
    assert (seen["Code"], seen["status"]) == VALIDATION
    assert "no member of the organisation" in seen["Message"]


def test_only_the_delegated_administrator_names_other_members(world: World) -> None:
    other, framework = administered(world, A)
    owner = [{"roleType": "PROCESS_OWNER", "roleArn": OWNER}]
    scoped(world, OTHER, A, HOME, client=other, frameworkId=framework, roles=owner)
    seen = world.refusal(
        lambda w: scoped(w, A, C, client=other, frameworkId=framework, roles=owner)
    )
    assert (seen["Code"], seen["status"]) == VALIDATION
    assert f"{C}, which the organisation does not have" in seen["Message"]


def test_the_organisation_is_called_and_managed_as_aws_says(world: World) -> None:
    refresh(world, HOME, OTHER, manager=A)
    seen = world.refused("register_organization_admin_account", adminAccountId=OTHER)
    assert (seen["Code"], seen["status"]) == DENIED
    manager = world.account(A)
    seen = world.refused("register_organization_admin_account", client=manager, adminAccountId=A)
    assert "cannot be its delegated administrator" in seen["Message"]
    made = world.ask("register_organization_admin_account", client=manager, adminAccountId=OTHER)
    assert made["organizationId"] == "o-abcdefghij"


def test_an_organisation_for_billing_only_is_refused(world: World) -> None:
    refresh(world, A)
    with pytest.raises(SetupError, match="consolidated billing"):
        refresh(world, B, all_features=False)
    assert refresh(world, A) == frozenset()


def test_a_list_that_is_not_whole_takes_nobody_away(world: World) -> None:
    refresh(world, A, B)
    empty = Organisation("o-abcdefghij", HOME, all_features=True, members=())
    with pytest.raises(InputError, match="not whole"):
        members.refresh(world.db, world.deps, world.clock, lambda: empty)
    assert refresh(world, A, B) == frozenset()


def test_an_account_that_leaves_goes_out_of_every_scope_and_stays_out(world: World) -> None:
    other, framework = administered(world, A, B)
    made = scoped(world, A, B, client=other, frameworkId=framework)
    alone = scoped(world, A, client=other, frameworkId=framework)
    world.clock.advance(1_000_000)
    assert refresh(world, OTHER, B) == {A}

    def scope(assessment: Any) -> list[str]:
        shown = world.ask("get_assessment", client=other, assessmentId=assessment.id)
        return [a["id"] for a in shown["assessment"]["metadata"]["scope"]["awsAccounts"]]

    assert (scope(made), scope(alone)) == ([B], [])
    newest = world.ask("get_change_logs", client=other, assessmentId=made.id)["changeLogs"][0]
    assert (newest["objectType"], newest["action"]) == ("ASSESSMENT", "UPDATE_METADATA")
    assert newest["createdBy"].startswith(f"arn:aws:iam::{OTHER}:role/aws-service-role/")
    assert refresh(world, OTHER, A, B) == frozenset()
    assert (scope(made), scope(alone)) == ([B], [])


def test_an_administrator_that_leaves_administers_nothing(world: World) -> None:
    other, framework = administered(world, A)
    made = scoped(world, OTHER, client=other, frameworkId=framework)
    refresh(world, A)
    seen = world.refused("get_organization_admin_account")
    assert (seen["Code"], seen["status"]) == NOT_FOUND
    with world.db.system_read() as tx:
        from auditkeep.assessments import store
        from auditkeep.ids import Tenant

        assert store.get(tx.of(Tenant(OTHER, "us-east-1")), made.id).dormant


def test_an_account_that_joins_gets_the_baseline_from_then_on(world: World) -> None:
    tenant = Tenant(OTHER, "us-east-1")

    def looked_at() -> dict[str, Instant]:
        with world.db.read(tenant) as tx:
            plan = Plans(world.deps.library, world.deps.settings).of(tx, world.clock.now())
        return {a: d.opens_at for a, _, d in plan.questions()}

    other, framework = administered(world, A)
    with world.db.write(tenant) as tx:
        began = baseline.put(tx, world.deps.library, [framework], [], world.clock.now()).since
    assert looked_at() == dict.fromkeys((HOME, OTHER, A), began)
    world.clock.advance(1_000_000)
    refresh(world, OTHER, A, B)
    joined = world.clock.now()
    assert looked_at() == {**dict.fromkeys((HOME, OTHER, A), began), B: joined}
    refresh(world, OTHER, B)
    assert looked_at() == {HOME: began, OTHER: began, B: joined}
    world.ask("deregister_organization_admin_account", adminAccountId=OTHER)
    with world.db.write(tenant) as tx:
        accounts.register(tx, None, world.clock.now())
    assert looked_at() == {OTHER: began}
    del other


def test_where_nobody_tells_the_operator_removes_an_account(
    world_with: Callable[..., World],
) -> None:
    world = world_with()
    made = scoped(world, HOME, A)
    with world.db.system_write() as tx:
        assert members.leave(tx, world.deps, world.clock.now(), {A}) == 1
        assert members.leave(tx, world.deps, world.clock.now(), {A, HOME}) == 0
    shown = world.ask("get_assessment", assessmentId=made.id)["assessment"]
    assert [a["id"] for a in shown["metadata"]["scope"]["awsAccounts"]] == [HOME]


def test_the_thread_keeps_what_was_read_when_a_reading_fails(world: World) -> None:
    asked = 0

    def read() -> Organisation:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise InputError("AWS Organizations could not be read: no.")
        return told(A)

    thread = members.MembersThread(world.db, world.deps, world.clock, read)
    thread.start()
    for _ in range(200):
        if asked:
            break
        time.sleep(0.02)
    thread.stop()
    with pytest.raises(InputError):
        members.refresh(world.db, world.deps, world.clock, read)
    assert refresh(world, A) == frozenset()
