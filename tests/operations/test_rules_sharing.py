"""Share requests between accounts and regions, rule by rule (spec 2.6, 8.3, 10.7, 11)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.operations.world import (
    HOME,
    MANUAL,
    NOT_FOUND,
    NOTHING,
    OTHER,
    QUOTA,
    TRAIL,
    VALIDATION,
    Refusal,
    World,
    table,
)

from auditkeep.clock import DAY

THERE = "eu-west-1"


def start(world: World, framework_id: str, account: str = OTHER, region: str = THERE,
          **more: Any) -> dict[str, Any]:  # fmt: skip
    answer = world.ask(
        "start_assessment_framework_share", frameworkId=framework_id, destinationAccount=account,
        destinationRegion=region, **more,
    )  # fmt: skip
    request: dict[str, Any] = answer["assessmentFrameworkShareRequest"]
    return request


def act(world: World, request_id: str, action: str, client: Any = None, side: str = "") -> Any:
    chosen = side or ("SENT" if action == "REVOKE" else "RECEIVED")
    return world.ask(
        "update_assessment_framework_share", client=client, requestId=request_id,
        requestType=chosen, action=action,
    )["assessmentFrameworkShareRequest"]  # fmt: skip


def delete(world: World, request_id: str, side: str, client: Any = None) -> Any:
    return world.ask(
        "delete_assessment_framework_share", client=client, requestId=request_id, requestType=side
    )


def listed(world: World, side: str, client: Any = None) -> list[dict[str, Any]]:
    found = world.ask(
        "list_assessment_framework_share_requests", client=client, requestType=side,
        maxResults=1000,
    )  # fmt: skip
    return list(found["assessmentFrameworkShareRequests"])


def seen(world: World, request_id: str, side: str, client: Any = None) -> dict[str, Any]:
    (one,) = [r for r in listed(world, side, client) if r["id"] == request_id]
    return one


@pytest.fixture
def there(world: World) -> Any:
    return world.account(OTHER, THERE)


def _shipped(world: World) -> str:
    found = world.ask("list_assessment_frameworks", frameworkType="Standard", maxResults=1)
    return str(found["frameworkMetadataList"][0]["id"])


REFUSED = [
    Refusal(
        "a framework that is not there is not offered",
        lambda w: start(w, NOTHING), NOT_FOUND,
    ),
    Refusal(
        "a shipped framework is not offered",
        lambda w: start(w, _shipped(w)), VALIDATION, "Only custom frameworks",
    ),
    Refusal(
        "a framework is not offered to where it is",
        lambda w: start(w, w.theirs, HOME, "us-east-1"), VALIDATION, "that is where it is",
    ),
    Refusal(
        "a region is named as AWS names them",
        lambda w: start(w, w.theirs, OTHER, "Ireland"), VALIDATION, "destinationRegion",
    ),
    Refusal(
        "an account has twelve digits",
        lambda w: start(w, w.theirs, "12", THERE), VALIDATION, "destinationAccount",
    ),
    Refusal(
        "a request that is not there is not answered",
        lambda w: act(w, NOTHING, "REVOKE"), NOT_FOUND,
    ),
    Refusal(
        "a request that is not there is not deleted",
        lambda w: delete(w, NOTHING, "SENT"), NOT_FOUND,
    ),
    *(
        Refusal(f"{action} is not for requests that are {side}",
                partial(act, request_id=NOTHING, action=action, side=side),
                VALIDATION, "is for requests of the type")
        for action, side in (("ACCEPT", "SENT"), ("DECLINE", "SENT"), ("REVOKE", "RECEIVED"))
    ),
    Refusal(
        "requests are listed by side",
        lambda w: w.ask("list_assessment_framework_share_requests"), VALIDATION, "requestType",
    ),
]  # fmt: skip


@table(REFUSED)
def test_it_is_refused_and_changes_nothing(world: World, row: Refusal) -> None:
    row.holds(world)


# --- every state and every event -----------------------------------------------------------------


def _in_state(world: World, status: str, there: Any) -> str:
    """A request in a state, as each side left it; time has passed where that is what it takes."""
    framework = world.framework()["id"]
    if status == "FAILED":
        return str(start(world, framework, "123456789012")["id"])
    request = str(start(world, framework)["id"])
    if status in {"EXPIRING", "EXPIRED"}:
        world.clock.advance((90 if status == "EXPIRING" else 120) * DAY)
    for action, result in (("ACCEPT", "SHARED"), ("DECLINE", "DECLINED"), ("REVOKE", "REVOKED")):
        if status == result:
            act(world, request, action, None if action == "REVOKE" else there)
    assert seen(world, request, "SENT")["status"] == status
    return request


STATES = ("ACTIVE", "EXPIRING", "SHARED", "FAILED", "EXPIRED", "DECLINED", "REVOKED")
OPEN = {"ACTIVE", "EXPIRING"}
MOVES = {"ACCEPT": "SHARED", "DECLINE": "DECLINED", "REVOKE": "REVOKED"}


@pytest.mark.parametrize("event", [*MOVES, "DELETE SENT", "DELETE RECEIVED", "AGAIN"])
@pytest.mark.parametrize("status", STATES)
def test_a_request_that_is(world: World, there: Any, status: str, event: str) -> None:
    request = _in_state(world, status, there)
    one = seen(world, request, "SENT")
    if event in MOVES:
        client = None if event == "REVOKE" else there
        if status in OPEN:
            assert act(world, request, event, client)["status"] == MOVES[event]
            both = seen(world, request, "SENT"), seen(world, request, "RECEIVED", there)
            assert {r["status"] for r in both} == {MOVES[event]}
            return
        error = world.refusal(lambda w: act(w, request, event, client))
        expected = NOT_FOUND if status == "FAILED" and client is there else VALIDATION
        assert (error["Code"], error["status"]) == expected
    elif event == "AGAIN":
        again = start(world, one["frameworkId"], one["destinationAccount"], comment="once more")
        renewed = status in OPEN | {"SHARED"}
        assert (again["id"] == request) is renewed
        if renewed:
            assert again["creationTime"] == one["creationTime"]
            assert (again["expirationTime"] - again["lastUpdated"]).days == 120
            assert again["comment"] == "once more"
        assert again["status"] == ("FAILED" if status == "FAILED" else "ACTIVE")
    else:
        side = event.split()[1]
        client = there if side == "RECEIVED" else None
        if status in OPEN or (status == "FAILED" and side == "RECEIVED"):
            error = world.refusal(lambda w: delete(w, request, side, client))
            expected = VALIDATION if status in OPEN else NOT_FOUND
            assert (error["Code"], error["status"]) == expected
            return
        delete(world, request, side, client)
        assert request not in {r["id"] for r in listed(world, side, client)}
        if status != "FAILED":
            other = "SENT" if side == "RECEIVED" else "RECEIVED"
            assert seen(world, request, other, there if other == "RECEIVED" else None)


# --- what is delivered -----------------------------------------------------------------------------


def test_a_framework_arrives_with_its_custom_controls_and_lives_on_alone(
    world: World, there: Any
) -> None:
    own = world.control(TRAIL, MANUAL, name="ours", description="d", tags={"a": "b"})
    shipped = world.ask("list_controls", controlType="Standard", maxResults=1)
    standard = shipped["controlMetadataList"][0]["id"]
    framework = world.framework(
        {"One": [own["id"], standard], "Two": [own["id"]]}, name="offered", complianceType="X",
        tags={"c": "d"},
    )  # fmt: skip
    request = start(world, framework["id"], comment="for you")
    assert (request["standardControlsCount"], request["customControlsCount"]) == (1, 1)
    assert (request["frameworkName"], request["complianceType"]) == ("offered", "X")
    received = seen(world, request["id"], "RECEIVED", there)
    assert received == {**request, **{k: received[k] for k in ("status",)}}
    # neither an edit nor a deletion at the sender's changes what was offered
    world.ask("update_control", controlId=own["id"], name="changed", controlMappingSources=[MANUAL])
    assert act(world, request["id"], "ACCEPT", there)["status"] == "SHARED"
    world.ask("delete_assessment_framework", frameworkId=framework["id"])
    world.ask("delete_control", controlId=own["id"])
    (copy,) = [
        f for f in world.ask("list_assessment_frameworks", client=there, frameworkType="Custom",
                             maxResults=1000)["frameworkMetadataList"]
        if f["name"] == "offered"
    ]  # fmt: skip
    assert copy["arn"].startswith(f"arn:aws:auditmanager:{THERE}:{OTHER}:assessmentFramework/")
    full = world.ask("get_assessment_framework", client=there, frameworkId=copy["id"])["framework"]
    assert "tags" not in full
    one, two = full["controlSets"]
    assert one["controls"][0]["name"] == "ours"
    assert one["controls"][1]["id"] == standard
    mine = two["controls"][0]
    assert mine == one["controls"][0]
    assert mine["id"] != own["id"]
    assert (mine["description"], mine.get("tags")) == ("d", None)
    assert mine["createdBy"] == "root"
    sources = [
        {k: v for k, v in s.items() if k != "sourceId"} for s in mine["controlMappingSources"]
    ]
    assert sources == [
        {k: v for k, v in s.items() if k != "sourceId"} for s in own["controlMappingSources"]
    ]
    made = world.ask(
        "create_assessment", client=there, name="theirs", frameworkId=copy["id"],
        assessmentReportsDestination={"destinationType": "S3", "destination": "s3://their-reports"},
        scope={"awsAccounts": [{"id": OTHER}]},
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{OTHER}:role/Owner"}],
    )["assessment"]  # fmt: skip
    assert [s["id"] for s in made["framework"]["controlSets"]] == ["One", "Two"]
    again = world.ask(
        "start_assessment_framework_share", client=there, frameworkId=copy["id"],
        destinationAccount=OTHER, destinationRegion="us-west-2",
    )  # fmt: skip
    assert again["assessmentFrameworkShareRequest"]["frameworkName"] == "offered"


def test_renewing_offers_what_the_framework_is_now(world: World, there: Any) -> None:
    framework = world.framework(name="old name")
    first = start(world, framework["id"])
    sets = [{"name": "New", "controls": [{"id": world.mine}]}]
    world.ask(
        "update_assessment_framework", frameworkId=framework["id"], name="new name",
        controlSets=sets,
    )  # fmt: skip
    assert seen(world, first["id"], "RECEIVED", there)["frameworkName"] == "old name"
    start(world, framework["id"])
    assert seen(world, first["id"], "RECEIVED", there)["frameworkName"] == "new name"


def test_an_account_shares_with_itself_in_another_region(world: World) -> None:
    world.account(HOME, "ap-south-1")
    assert start(world, world.framework()["id"], HOME, "ap-south-1")["status"] == "ACTIVE"
    # where it has not registered the request fails, and says so by its status
    assert start(world, world.framework()["id"], HOME, "ap-south-2")["status"] == "FAILED"


def test_deleting_a_framework_revokes_what_was_offered_of_it(world: World, there: Any) -> None:
    framework = world.framework()["id"]
    request = start(world, framework)["id"]
    world.ask("delete_assessment_framework", frameworkId=framework)
    assert seen(world, request, "RECEIVED", there)["status"] == "REVOKED"


def test_leniency_lets_a_shared_request_be_revoked_and_changes_nothing(
    world_with: Callable[..., World],
) -> None:
    world = world_with(lenient_share_revoke=True)
    there = world.account(OTHER, THERE)
    request = start(world, world.framework()["id"])["id"]
    act(world, request, "ACCEPT", there)
    before = world.fingerprint()
    assert act(world, request, "REVOKE")["status"] == "SHARED"
    assert world.fingerprint() == before
    delete(world, request, "SENT")


def test_a_recipient_without_room_is_told_of_its_quota(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipient = world.account("888877776666", THERE)
    request = start(world, world.framework()["id"], "888877776666")["id"]
    for _ in range(100):
        world.clock.advance(1)
    fill = [
        world.ask(
            "create_assessment_framework", client=recipient, name=f"f{n}",
            controlSets=[{"name": "s", "controls": [{"id": _standard(world)}]}],
        )
        for n in range(100)
    ]  # fmt: skip
    assert len(fill) == 100
    error = world.refusal(lambda w: act(w, request, "ACCEPT", recipient))
    assert (error["Code"], error["status"]) == QUOTA
    assert seen(world, request, "RECEIVED", recipient)["status"] == "ACTIVE"


def _standard(world: World) -> str:
    found = world.ask("list_controls", controlType="Standard", maxResults=1)
    return str(found["controlMetadataList"][0]["id"])


def test_frameworks_are_offered_to_100_accounts_at_a_time(
    world_with: Callable[..., World],
) -> None:
    world = world_with()
    framework = world.framework()["id"]
    for n in range(100):
        account = f"{700000000000 + n:012d}"
        with world.db.system_write() as tx:
            from auditkeep.accounts import store
            from auditkeep.ids import Tenant

            store.register(tx.of(Tenant(account, THERE)), None, world.clock.now())
        assert start(world, framework, account)["status"] == "ACTIVE"
    error = world.refusal(lambda w: start(w, framework, OTHER))
    assert (error["Code"], error["status"]) == VALIDATION
    assert "quota is 100" in error["Message"]
    start(world, framework, "700000000007")  # who has one already may get it again
