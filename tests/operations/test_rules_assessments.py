"""Assessments, control sets, delegations and roles, rule by rule.

Spec sections 1.7, 1.10, 2.2-2.5, 8.6, 10.4 and the decisions 3, 4, 12-17 of section 12.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
from tests.operations.world import (
    DENIED,
    DESTINATION,
    EXPERT,
    HOME,
    MEMBER,
    NOT_FOUND,
    NOTHING,
    OTHER,
    OWNER,
    QUOTA,
    VALIDATION,
    Made,
    Refusal,
    World,
    table,
)

from auditkeep.access import roles
from auditkeep.access.grants import DELEGATE_ACTIONS, OWNER_ACTIONS
from auditkeep.access.trust import Trust
from auditkeep.clock import MINUTE, Instant


def _create(world: World, **members: Any) -> Any:
    return world.assessment(frameworkId=world.theirs, **members)


def _scoped(world: World, *accounts: str) -> Any:
    return _create(world, scope={"awsAccounts": [{"id": a} for a in accounts]})


def _numbered(first: int, count: int) -> list[str]:
    return [f"{first + n:012d}" for n in range(count)]


def _roled(kind: str, world: World) -> Any:
    return _create(world, roles=[{"roleType": kind, "roleArn": OWNER}])


def _to(destination: str, world: World) -> Any:
    return _create(
        world, assessmentReportsDestination={"destinationType": "S3", "destination": destination}
    )


def _delegate(world: World, **members: Any) -> Any:
    return world.ask(
        "batch_create_delegation_by_assessment",
        assessmentId=members.pop("assessmentId", world.open.id),
        createDelegationRequests=members.pop("requests", [{
            "controlSetId": world.open.set_id, "roleArn": EXPERT, "roleType": "RESOURCE_OWNER",
            **members,
        }]),
    )  # fmt: skip


def _update(world: World, made: Made | None = None, **members: Any) -> Any:
    scope = {"awsAccounts": [{"id": HOME}]}
    return world.ask(
        "update_assessment", **{"assessmentId": (made or world.open).id, "scope": scope, **members}
    )


def _status(world: World, made: Made, status: str) -> Any:
    return world.ask("update_assessment_status", assessmentId=made.id, status=status)


def _control(world: World, made: Made, client: Any = None, **members: Any) -> Any:
    return world.ask("update_assessment_control", client=client, **made.at(**members))["control"]


def _set(world: World, made: Made, status: str, client: Any = None, **members: Any) -> Any:
    ask = {"assessmentId": made.id, "controlSetId": made.set_id, "status": status, "comment": ""}
    answer = world.ask("update_assessment_control_set_status", client=client, **{**ask, **members})
    return answer["controlSet"]


REFUSED = [
    Refusal(
        "the framework exists",
        lambda w: w.assessment(frameworkId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "an assessment itself has audit owners only",
        partial(_roled, "RESOURCE_OWNER"), VALIDATION, "only PROCESS_OWNER",
    ),
    Refusal(
        "a scope names an account",
        _scoped, VALIDATION, "scope",
    ),
    Refusal(
        "an account in a scope has an id",
        lambda w: _create(w, scope={"awsAccounts": [{"name": "x"}]}), VALIDATION, "without an id",
    ),
    Refusal(
        "one assessment has 200 accounts at most",
        lambda w: _scoped(w, *_numbered(300000000000, 201)), VALIDATION, "awsAccounts",
    ),
    *(
        Refusal(f"reports do not go to {url}", partial(_to, url), VALIDATION,
                "assessmentReportsDestination")
        for url in ("s3://My_Bucket", "s3://ab", "s3://a..b/c", "s3://bucket/../x", "http://bucket",
                    "s3://bucket//x")
    ),
    Refusal(
        "an assessment that is not there cannot be read",
        lambda w: w.ask("get_assessment", assessmentId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "an assessment that is not there cannot be deleted",
        lambda w: w.ask("delete_assessment", assessmentId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "an assessment that is not there cannot be changed",
        lambda w: _update(w, assessmentId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "an assessment keeps an owner",
        lambda w: _update(w, roles=[]), VALIDATION, "at least one audit owner",
    ),
    Refusal(
        "a changed assessment keeps to audit owners",
        lambda w: _update(w, roles=[{"roleType": "RESOURCE_OWNER", "roleArn": OWNER}]),
        VALIDATION, "only PROCESS_OWNER",
    ),
    Refusal(
        "a changed destination is one, too",
        lambda w: _update(
            w, assessmentReportsDestination={"destinationType": "S3", "destination": "s3://A"}
        ),
        VALIDATION, "assessmentReportsDestination",
    ),
    Refusal(
        "a control is given a status or a comment",
        lambda w: _control(w, w.open), VALIDATION, "nothing to do",
    ),
    Refusal(
        "a control is in the control set that is named",
        lambda w: w.ask("update_assessment_control", **{
            **w.open.at(controlStatus="REVIEWED"), "controlSetId": "Elsewhere",
        }),
        NOT_FOUND,
    ),
    Refusal(
        "a control set's status comes with a comment, be it empty",
        lambda w: w.ask(
            "update_assessment_control_set_status",
            assessmentId=w.open.id, controlSetId=w.open.set_id, status="REVIEWED",
        ),
        VALIDATION, "comment",
    ),
    Refusal(
        "a control set that is not there has no status",
        lambda w: _set(w, w.open, "REVIEWED", controlSetId="Elsewhere"), NOT_FOUND,
    ),
    Refusal(
        "delegations are made for an assessment that is there",
        lambda w: _delegate(w, assessmentId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "at least one delegation is asked for",
        lambda w: _delegate(w, requests=[]), VALIDATION, "createDelegationRequests",
    ),
    Refusal(
        "at most 50 delegations are asked for at once",
        lambda w: _delegate(w, requests=[{"roleArn": EXPERT}] * 51),
        VALIDATION, "createDelegationRequests",
    ),
    Refusal(
        "at most 50 delegations are deleted at once",
        lambda w: w.ask("batch_delete_delegation_by_assessment", assessmentId=w.open.id,
                        delegationIds=[NOTHING] * 51),
        VALIDATION, "delegationIds",
    ),
    Refusal(
        "the change log of a control set that is not there",
        lambda w: w.ask("get_change_logs", assessmentId=w.open.id, controlSetId="Elsewhere"),
        NOT_FOUND,
    ),
    Refusal(
        "the change log of a control that is not there",
        lambda w: w.ask("get_change_logs", assessmentId=w.open.id, controlId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "the change log of a control that is in another set",
        lambda w: w.ask("get_change_logs", assessmentId=w.open.id, controlSetId="Access",
                        controlId=NOTHING),
        NOT_FOUND,
    ),
    Refusal(
        "an unknown status is none to list by",
        lambda w: w.ask("list_assessments", status="SLEEPING"), VALIDATION, "status",
    ),
]  # fmt: skip


@table(REFUSED)
def test_it_is_refused_and_changes_nothing(world: World, row: Refusal) -> None:
    row.holds(world)


# --- an assessment that is over --------------------------------------------------------------

OVER: dict[str, Callable[[World, Made], Any]] = {
    "is not edited": _update,
    "is not taken up again": lambda w, m: _status(w, m, "ACTIVE"),
    "has no comment added": lambda w, m: _control(w, m, commentBody="late"),
    "has no control reviewed": lambda w, m: _control(w, m, controlStatus="INACTIVE"),
    "has no control set moved": lambda w, m: _set(w, m, "ACTIVE"),
    "is delegated no more": lambda w, m: _delegate(w, assessmentId=m.id),
    "keeps its delegations": lambda w, m: w.ask(
        "batch_delete_delegation_by_assessment", assessmentId=m.id, delegationIds=[NOTHING]
    ),
    "takes no evidence": lambda w, m: w.write_evidence(m),
}


@pytest.mark.parametrize("act", OVER.values(), ids=OVER.keys())
def test_an_inactive_assessment(world: World, act: Callable[[World, Made], Any]) -> None:
    seen = world.refusal(lambda w: act(w, w.over))
    assert (seen["Code"], seen["status"]) == VALIDATION
    assert "INACTIVE" in seen["Message"]


def test_an_inactive_assessment_can_still_be_read_selected_from_and_reported_on(
    world: World,
) -> None:
    made = world.assessment()
    world.write_evidence(made, "one", "two")
    _status(world, made, "INACTIVE")
    folder = world.folder(made)
    assert folder["totalEvidence"] == 2
    world.ask(
        "associate_assessment_report_evidence_folder",
        assessmentId=made.id, evidenceFolderId=folder["id"],
    )  # fmt: skip
    report = world.ask("create_assessment_report", name="last", assessmentId=made.id)
    assert report["assessmentReport"]["status"] == "IN_PROGRESS"
    assert ("ASSESSMENT_REPORT", "last", "CREATE") in world.changes(made)


def test_ending_an_assessment_keeps_evidence_that_is_dated_ahead_and_takes_no_more(
    world_with: Callable[..., World],
) -> None:
    world = world_with()
    made = world.assessment()
    ahead = Instant(world.clock.now() + 20 * 60 * MINUTE)
    world.observe(ahead, ahead)
    folder = world.folder(made)
    world.ask(
        "associate_assessment_report_evidence_folder",
        assessmentId=made.id, evidenceFolderId=folder["id"],
    )  # fmt: skip
    before = world.folder(made)
    assert (before["totalEvidence"], before["assessmentReportSelectionCount"]) == (2, 2)
    _status(world, made, "INACTIVE")
    world.observe(world.later(), ahead)
    assert world.folder(made) == before
    found = world.ask("get_evidence_folders_by_assessment", assessmentId=made.id)
    assert len(found["evidenceFolders"]) == 1


def test_ending_an_assessment_ends_what_is_open_in_it(world: World) -> None:
    controls = [world.control()["id"] for _ in range(3)]
    framework = world.framework({"One": controls[:2], "Two": controls[2:]})
    made = world.assessment(frameworkId=framework["id"])
    world.ask(
        "update_assessment_control", assessmentId=made.id, controlSetId="One",
        controlId=controls[0], controlStatus="INACTIVE",
    )  # fmt: skip
    expert = world.user("expert")
    world.delegate(made)
    shown = _status(world, made, "INACTIVE")["assessment"]
    one, two = shown["framework"]["controlSets"]
    assert [s["status"] for s in (one, two)] == ["REVIEWED", "REVIEWED"]
    assert [c["status"] for c in (*one["controls"], *two["controls"])] == [
        "INACTIVE", "REVIEWED", "REVIEWED",
    ]  # fmt: skip
    assert shown["metadata"]["status"] == "INACTIVE"
    seen = world.refused("get_evidence_folders_by_assessment_control", client=expert, **made.at())
    assert (seen["Code"], seen["status"]) == DENIED
    before = world.fingerprint()
    assert _status(world, made, "INACTIVE")["assessment"]["metadata"]["status"] == "INACTIVE"
    assert world.fingerprint() == before


def test_what_is_active_may_be_made_active(world: World) -> None:
    before = world.fingerprint()
    assert _status(world, world.open, "ACTIVE")["assessment"]["metadata"]["status"] == "ACTIVE"
    assert world.fingerprint() == before


def test_deleting_works_in_any_state_once(world: World) -> None:
    for status in ("ACTIVE", "INACTIVE"):
        made = world.assessment()
        _status(world, made, status)
        world.ask("delete_assessment", assessmentId=made.id)
        seen = world.refused("delete_assessment", assessmentId=made.id)
        assert (seen["Code"], seen["status"]) == NOT_FOUND


# --- what a new assessment is ----------------------------------------------------------------


def test_a_new_assessment_is_a_copy_with_its_caller_among_the_owners(world: World) -> None:
    made = world.assessment(name="Mine", tags={"a": "b"}, scope={
        "awsAccounts": [{"id": HOME, "name": "home", "emailAddress": "a@example.org"}, {"id": HOME}],
        "awsServices": [{"serviceName": "s3"}],
    })  # fmt: skip
    data = made.shown["metadata"]
    assert data["roles"] == [
        {"roleType": "PROCESS_OWNER", "roleArn": OWNER},
        {"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{HOME}:user/root"},
    ]
    assert data["scope"] == {
        "awsAccounts": [{"id": HOME, "name": "home", "emailAddress": "a@example.org"}],
        "awsServices": [],
    }
    assert data["status"] == "ACTIVE"
    assert data["assessmentReportsDestination"] == DESTINATION
    assert made.shown["tags"] == {"a": "b"}
    assert "description" not in data
    (one,) = made.shown["framework"]["controlSets"]
    assert (one["id"], one["description"], one["status"]) == ("Access", "Access", "ACTIVE")
    assert one["roles"] == data["roles"]
    (control,) = one["controls"]
    assert control["comments"] == []
    assert not control.keys() & {"description", "response"}
    assert world.changes(made) == [("ASSESSMENT", "Mine", "CREATE")]


def test_services_are_echoed_only_where_asked_for(world_with: Callable[..., World]) -> None:
    world = world_with(echo_aws_services=True)
    services = [{"serviceName": "s3"}, {"serviceName": "iam"}]
    scope = {"awsAccounts": [{"id": HOME}], "awsServices": services}
    made = world.assessment(scope=scope)
    assert made.shown["metadata"]["scope"]["awsServices"] == services
    changed = _update(world, made, scope={**scope, "awsServices": services[:1]})["assessment"]
    assert changed["metadata"]["scope"]["awsServices"] == services[:1]


def test_an_update_keeps_what_it_does_not_name_and_wakes_nothing_twice(world: World) -> None:
    made = world.assessment(description="d")
    world.later()
    same = _update(world, made)["assessment"]["metadata"]
    assert {**same, "lastUpdated": None} == {**made.shown["metadata"], "lastUpdated": None}
    assert same["lastUpdated"] > made.shown["metadata"]["lastUpdated"]
    renamed = _update(
        world, made, assessmentName="n", assessmentDescription="e",
        roles=[{"roleType": "PROCESS_OWNER", "roleArn": EXPERT}],
    )["assessment"]["metadata"]  # fmt: skip
    assert (renamed["name"], renamed["description"]) == ("n", "e")
    # who changes the owners stays one
    assert [r["roleArn"].rsplit("/")[-1] for r in renamed["roles"]] == ["expert", "root"]
    assert [c[2] for c in world.changes(made)] == ["CREATE", "UPDATE_METADATA", "UPDATE_METADATA"]


def test_a_dormant_assessment_sleeps_until_it_is_saved(world_with: Callable[..., World]) -> None:
    world = world_with()
    made = world.assessment()
    world.ask("deregister_account")
    seen = world.refused("get_assessment", assessmentId=made.id)
    assert (seen["Code"], seen["status"]) == DENIED
    world.ask("register_account")
    world.later()
    world.observe(world.clock.now())

    def found() -> int:
        shown = world.ask("get_assessment", assessmentId=made.id)["assessment"]
        assert shown["metadata"]["status"] == "ACTIVE"
        (control,) = shown["framework"]["controlSets"][0]["controls"]
        return int(control["evidenceCount"])

    assert found() == 0
    # no move within it wakes it
    for status in ("INACTIVE", "UNDER_REVIEW"):
        _control(world, made, controlStatus=status)
        world.later()
        world.observe(world.clock.now())
    assert found() == 0
    _control(world, made, controlStatus="INACTIVE")
    _update(world, made)
    world.later()
    world.observe(world.clock.now())
    assert found() == 0  # a control that is INACTIVE stays out when its assessment wakes
    _control(world, made, controlStatus="UNDER_REVIEW")
    world.observe(world.later())
    assert found() == 1


# --- scope -----------------------------------------------------------------------------------


def test_all_active_assessments_together_have_250_accounts(
    world_with: Callable[..., World],
) -> None:
    world = world_with()
    framework = world.framework()["id"]

    def scoped(*accounts: str) -> Made:
        chosen = {"awsAccounts": [{"id": a} for a in accounts]}
        return world.assessment(frameworkId=framework, scope=chosen)

    first = scoped(*_numbered(300000000000, 200))
    second = scoped(*_numbered(300000000150, 100))
    seen = world.refusal(lambda _: scoped("300000000250"))
    assert (seen["Code"], seen["status"]) == QUOTA
    wider = {"awsAccounts": [{"id": a} for a in _numbered(300000000150, 101)]}
    seen = world.refusal(lambda w: _update(w, second, scope=wider))
    assert (seen["Code"], seen["status"]) == QUOTA
    _status(world, first, "INACTIVE")
    scoped("300000000250")


def test_an_account_that_audits_itself_is_not_in_anothers_scope(
    world_with: Callable[..., World],
) -> None:
    world = world_with()
    member = world.account(MEMBER)
    scope = {"awsAccounts": [{"id": MEMBER}]}
    owner = [{"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{MEMBER}:role/Owner"}]
    source = {"sourceName": "s", "sourceType": "MANUAL"}
    control = world.ask("create_control", client=member, name="c", controlMappingSources=[source])[
        "control"
    ]["id"]
    framework = world.ask(
        "create_assessment_framework", client=member, name="f",
        controlSets=[{"name": "s", "controls": [{"id": control}]}],
    )["framework"]["id"]  # fmt: skip
    early = world.assessment(scope=scope)  # nothing was in progress there yet
    theirs = world.assessment(client=member, frameworkId=framework, scope=scope, roles=owner)
    open_ = world.assessment()
    for act in (lambda w: w.assessment(scope=scope, frameworkId=w.theirs),
                lambda w: _update(w, open_, scope=scope)):  # fmt: skip
        seen = world.refusal(act)
        assert (seen["Code"], seen["status"]) == VALIDATION
        assert f"AWS Account {MEMBER} has assessments in progress" in seen["Message"]
    _update(world, early, scope=scope)
    world.ask("update_assessment_status", client=member, assessmentId=theirs.id, status="INACTIVE")
    _update(world, open_, scope=scope)


# --- controls --------------------------------------------------------------------------------

STATES = ("UNDER_REVIEW", "REVIEWED", "INACTIVE")
FINAL = {("REVIEWED", "UNDER_REVIEW"), ("REVIEWED", "INACTIVE")}


@pytest.mark.parametrize(("before", "to"), list(product(STATES, STATES)))
def test_a_controls_status(world: World, before: str, to: str) -> None:
    made = world.assessment(frameworkId=world.theirs)
    if before != "UNDER_REVIEW":
        _control(world, made, controlStatus=before)
    logged = len(world.changes(made))
    if (before, to) in FINAL:
        seen = world.refusal(lambda w: _control(w, made, controlStatus=to))
        assert (seen["Code"], seen["status"]) == VALIDATION
        assert "REVIEWED, which is final" in seen["Message"]
        return
    assert _control(world, made, controlStatus=to)["status"] == to
    new = world.changes(made)[logged:]
    assert [(t, a) for t, _, a in new] == ([] if before == to else [("CONTROL", to)])


@pytest.mark.parametrize(("before", "to"), list(product(STATES, STATES)))
def test_a_controls_status_where_reviews_may_be_reopened(
    reopening: World, before: str, to: str
) -> None:
    made = reopening.assessment(frameworkId=reopening.theirs)
    _control(reopening, made, controlStatus=before)
    assert _control(reopening, made, controlStatus=to)["status"] == to


@pytest.fixture(scope="module")
def reopening(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = World(tmp_path_factory.mktemp("reopening"), allow_reopen_reviewed_controls=True)
    yield made
    made.close()


def test_an_inactive_control_collects_nothing_and_takes_nothing(world: World) -> None:
    made = world.assessment()
    _control(world, made, controlStatus="INACTIVE")
    seen = world.refusal(lambda w: w.write_evidence(made))
    assert (seen["Code"], seen["status"]) == VALIDATION
    world.observe(world.later())
    assert _control(world, made, commentBody="c")["evidenceCount"] == 0
    _control(world, made, controlStatus="REVIEWED")
    world.observe(world.later())
    world.write_evidence(made)
    assert _control(world, made, commentBody="c")["evidenceCount"] == 2


def test_comments_are_added_to_and_carry_a_name_and_a_time(world: World) -> None:
    made = world.assessment(frameworkId=world.theirs)
    _control(world, made, commentBody="first")
    shown = _control(world, made, commentBody="second", controlStatus="REVIEWED")
    assert [(c["authorName"], c["commentBody"]) for c in shown["comments"]] == [
        ("root", "first"), ("root", "second"),
    ]  # fmt: skip
    assert [(t, a) for t, _, a in world.changes(made)][1:] == [
        ("CONTROL", "UPDATE_METADATA"), ("CONTROL", "REVIEWED"),
    ]  # fmt: skip


# --- control sets and delegations ------------------------------------------------------------

SETS = ("ACTIVE", "UNDER_REVIEW", "REVIEWED")
FINAL_SETS = {("REVIEWED", "ACTIVE"), ("REVIEWED", "UNDER_REVIEW")}
AFTER = {
    # what the set became -> what a delegation becomes that was: IN_PROGRESS, UNDER_REVIEW, COMPLETE
    "ACTIVE": {"IN_PROGRESS": "IN_PROGRESS", "UNDER_REVIEW": "UNDER_REVIEW"},
    "UNDER_REVIEW": {"IN_PROGRESS": "UNDER_REVIEW", "UNDER_REVIEW": "UNDER_REVIEW"},
    "REVIEWED": {"IN_PROGRESS": "COMPLETE", "UNDER_REVIEW": "COMPLETE", "COMPLETE": "COMPLETE"},
}


@pytest.mark.parametrize(("before", "to"), list(product(SETS, SETS)))
def test_a_control_sets_status(world: World, before: str, to: str) -> None:
    made = world.assessment(frameworkId=world.theirs)
    world.delegate(made)
    shown = _set(world, made, before)
    (delegation,) = shown["delegations"]
    logged = len(world.changes(made))
    if (before, to) in FINAL_SETS:
        seen = world.refusal(lambda w: _set(w, made, to))
        assert (seen["Code"], seen["status"]) == VALIDATION
        assert "REVIEWED, which is final" in seen["Message"]
        return
    shown = _set(world, made, to)
    assert shown["status"] == to
    assert [d["status"] for d in shown["delegations"]] == [AFTER[to][delegation["status"]]]
    assert [c["status"] for c in shown["controls"]] == ["UNDER_REVIEW"]
    new = world.changes(made)[logged:]
    assert new == ([] if before == to else [("CONTROL_SET", made.set_id, to)])


def test_a_delegation_moves_no_status_and_is_told_and_logged(world: World) -> None:
    made = world.assessment(frameworkId=world.theirs)
    one = world.delegate(made, comment="please")
    assert (one["status"], one["assessmentId"], one["controlSetId"]) == (
        "IN_PROGRESS", made.id, made.set_id,
    )  # fmt: skip
    assert (one["roleType"], one["comment"], one["createdBy"]) == (
        "RESOURCE_OWNER", "please", "root",
    )  # fmt: skip
    shown = world.ask("get_assessment", assessmentId=made.id)["assessment"]
    assert shown["framework"]["controlSets"][0]["status"] == "ACTIVE"
    assert ("DELEGATION", made.set_id, "CREATE") in world.changes(made)
    notices = world.ask("list_notifications", client=world.user("expert"))["notifications"]
    assert notices[0]["description"] == "please"
    assert notices[0]["controlSetName"] == made.set_id


ITEMS = [
    ({"roleType": "PROCESS_OWNER"}, "400", "RESOURCE_OWNER"),
    ({"controlSetId": "Elsewhere"}, "404", "Elsewhere"),
    ({"controlSetId": None}, "400", "controlSetId"),
    ({"roleArn": None}, "400", "roleArn"),
    ({}, "400", "already delegated"),
]


@pytest.mark.parametrize(("change", "code", "text"), ITEMS)
def test_a_delegation_is_refused_on_its_own(
    world: World, change: dict[str, Any], code: str, text: str
) -> None:
    made = world.assessment(frameworkId=world.theirs)
    first = world.delegate(made)
    good = {"controlSetId": made.set_id, "roleArn": EXPERT, "roleType": "RESOURCE_OWNER"}
    bad = {k: v for k, v in {**good, **change}.items() if v is not None}
    answer = _delegate(
        world, assessmentId=made.id, requests=[bad, {**good, "roleArn": EXPERT + "2"}]
    )
    (error,) = answer["errors"]
    assert (error["errorCode"], error["createDelegationRequest"]) == (code, bad)
    assert text in error["errorMessage"]
    assert [d["roleArn"] for d in answer["delegations"]] == [EXPERT + "2", EXPERT]
    assert answer["delegations"][1]["id"] == first["id"]


def test_a_completed_delegation_makes_room_for_a_new_one(world: World) -> None:
    made = world.assessment(frameworkId=world.theirs)
    first = world.delegate(made)
    _set(world, made, "REVIEWED")
    again = world.delegate(made)
    assert again["id"] != first["id"]


def test_delegations_are_deleted_in_any_state_and_unknown_ones_are_item_errors(
    world: World,
) -> None:
    made = world.assessment(frameworkId=world.theirs)
    ids = [world.delegate(made, role=f"{EXPERT}{n}")["id"] for n in range(2)]
    _set(world, made, "UNDER_REVIEW")
    answer = world.ask(
        "batch_delete_delegation_by_assessment", assessmentId=made.id,
        delegationIds=[*ids, NOTHING],
    )  # fmt: skip
    (error,) = answer["errors"]
    assert (error["delegationId"], error["errorCode"]) == (NOTHING, "404")
    assert [a for t, _, a in world.changes(made) if t == "DELEGATION"] == [
        "CREATE", "CREATE", "DELETE", "DELETE",
    ]  # fmt: skip
    found = world.ask("get_delegations", maxResults=1000)["delegations"]
    assert not {d["id"] for d in found} & set(ids)


def test_a_control_set_whose_name_has_line_breaks_can_be_completed(world: World) -> None:
    name = "People\nand / their (access): 100 %"
    framework = world.framework({name: [world.control()["id"]]})
    made = world.assessment(frameworkId=framework["id"])
    assert _set(world, made, "REVIEWED")["id"] == name


# --- roles -----------------------------------------------------------------------------------


@pytest.mark.parametrize("action", sorted(OWNER_ACTIONS))
def test_an_action_on_an_assessment_needs_a_role_in_it(world: World, action: str) -> None:
    """Whoever holds an identity policy for everything, and no role, is still refused."""
    stranger, owner, expert = (world.user(n) for n in ("stranger", "owner", "expert"))
    for client, allowed in (
        (stranger, False), (owner, True), (expert, action in DELEGATE_ACTIONS),
    ):  # fmt: skip
        made = world.reviewed_by_owner_and_expert()
        if action in ABOUT_REPORTS:
            made.shown["report"] = _report(world, made)
        act = ACTIONS[action]
        if allowed:
            act(world, made, client)
        else:
            seen = world.refusal(partial(_on, act, made, client))
            assert (seen["Code"], seen["status"]) == DENIED
        if action != "DeleteAssessment":
            world.ask("delete_assessment", assessmentId=made.id)  # they count towards the quota


def _on(act: Callable[[World, Made, Any], Any], made: Made, client: Any, world: World) -> Any:
    return act(world, made, client)


def _in_folder(operation: str, *members: str) -> Callable[[World, Made, Any], Any]:
    def act(world: World, made: Made, client: Any) -> Any:
        folder = world.folder(made)
        known = {
            "controlSetId": made.set_id, "evidenceFolderId": folder["id"],
            "evidenceIds": [], "evidenceId": world.item(made, folder)["id"],
        }  # fmt: skip
        chosen = {m: known[m] for m in members}
        return world.ask(operation, client=client, assessmentId=made.id, **chosen)

    return act


def _with_id(operation: str, **members: Any) -> Callable[[World, Made, Any], Any]:
    return lambda w, m, c: w.ask(operation, client=c, assessmentId=m.id, **members)


def _report(world: World, made: Made) -> str:
    folder = world.folder(made)
    world.ask(
        "associate_assessment_report_evidence_folder",
        assessmentId=made.id, evidenceFolderId=folder["id"],
    )  # fmt: skip
    report = world.ask("create_assessment_report", name="r", assessmentId=made.id)
    world.finish_report(report["assessmentReport"]["id"])
    return str(report["assessmentReport"]["id"])


def _of_report(operation: str) -> Callable[[World, Made, Any], Any]:
    def act(world: World, made: Made, client: Any) -> Any:
        report = made.shown["report"]
        return world.ask(operation, client=client, assessmentId=made.id, assessmentReportId=report)

    return act


ABOUT_REPORTS = {"CreateAssessmentReport", "DeleteAssessmentReport", "GetAssessmentReportUrl"}
ACTIONS: dict[str, Callable[[World, Made, Any], Any]] = {
    "AssociateAssessmentReportEvidenceFolder": _in_folder(
        "associate_assessment_report_evidence_folder", "evidenceFolderId"
    ),
    "BatchAssociateAssessmentReportEvidence": _in_folder(
        "batch_associate_assessment_report_evidence", "evidenceFolderId", "evidenceIds"
    ),
    "BatchCreateDelegationByAssessment": lambda w, m, c: w.ask(
        "batch_create_delegation_by_assessment", client=c, assessmentId=m.id,
        createDelegationRequests=[
            {"controlSetId": m.set_id, "roleArn": OWNER, "roleType": "RESOURCE_OWNER"}
        ],
    ),
    "BatchDeleteDelegationByAssessment": _with_id(
        "batch_delete_delegation_by_assessment", delegationIds=[NOTHING]
    ),
    "BatchDisassociateAssessmentReportEvidence": _in_folder(
        "batch_disassociate_assessment_report_evidence", "evidenceFolderId", "evidenceIds"
    ),
    "BatchImportEvidenceToAssessmentControl": lambda w, m, c: w.write_evidence(m, client=c),
    "CreateAssessmentReport": _with_id("create_assessment_report", name="s"),
    "DeleteAssessment": _with_id("delete_assessment"),
    "DeleteAssessmentReport": _of_report("delete_assessment_report"),
    "DisassociateAssessmentReportEvidenceFolder": _in_folder(
        "disassociate_assessment_report_evidence_folder", "evidenceFolderId"
    ),
    "GetAssessment": _with_id("get_assessment"),
    "GetAssessmentReportUrl": _of_report("get_assessment_report_url"),
    "GetChangeLogs": _with_id("get_change_logs"),
    "GetEvidence": _in_folder("get_evidence", "controlSetId", "evidenceFolderId", "evidenceId"),
    "GetEvidenceByEvidenceFolder": _in_folder(
        "get_evidence_by_evidence_folder", "controlSetId", "evidenceFolderId"
    ),
    "GetEvidenceFolder": _in_folder("get_evidence_folder", "controlSetId", "evidenceFolderId"),
    "GetEvidenceFoldersByAssessment": _with_id("get_evidence_folders_by_assessment"),
    "GetEvidenceFoldersByAssessmentControl": lambda w, m, c: w.ask(
        "get_evidence_folders_by_assessment_control", client=c, **m.at()
    ),
    "UpdateAssessment": _with_id(
        "update_assessment", scope={"awsAccounts": [{"id": HOME}]}
    ),
    "UpdateAssessmentControl": lambda w, m, c: _control(w, m, c, commentBody="c"),
    "UpdateAssessmentControlSetStatus": lambda w, m, c: _set(w, m, "UNDER_REVIEW", c),
    "UpdateAssessmentStatus": _with_id("update_assessment_status", status="INACTIVE"),
}  # fmt: skip


def test_a_delegate_may_only_hand_the_set_back(world: World) -> None:
    made = world.reviewed_by_owner_and_expert()
    expert = world.user("expert")
    for status in ("REVIEWED", "ACTIVE"):
        seen = world.refused(
            "update_assessment_control_set_status", client=expert,
            assessmentId=made.id, controlSetId=made.set_id, status=status, comment="",
        )  # fmt: skip
        assert (seen["Code"], seen["status"]) == DENIED
    assert _set(world, made, "UNDER_REVIEW", expert)["status"] == "UNDER_REVIEW"


def test_a_delegate_works_on_their_own_set_only(world: World) -> None:
    controls = [world.control()["id"] for _ in range(2)]
    framework = world.framework({"Mine": controls[:1], "Theirs": controls[1:]})
    made = world.assessment(frameworkId=framework["id"])
    world.delegate(made, controlSetId="Mine")
    seen = world.refused(
        "update_assessment_control", client=world.user("expert"), assessmentId=made.id,
        controlSetId="Theirs", controlId=controls[1], commentBody="c",
    )  # fmt: skip
    assert (seen["Code"], seen["status"]) == DENIED


def test_an_identity_policy_is_needed_beside_the_role(world: World) -> None:
    made = world.reviewed_by_owner_and_expert()
    reader = world.user("owner", "AuditkeepReadOnly")
    assert world.ask("get_assessment", client=reader, assessmentId=made.id)
    seen = world.refused("delete_assessment", client=reader, assessmentId=made.id)
    assert (seen["Code"], seen["status"]) == DENIED


def test_a_list_shows_what_one_works_on_and_a_delegate_their_own_delegations(
    world_with: Callable[..., World],
) -> None:
    world = world_with()
    made, _ = world.reviewed_by_owner_and_expert(), world.assessment()
    world.delegate(made, role=f"{EXPERT}2")
    seen = {
        name: world.ask("list_assessments", client=client)["assessmentMetadata"]
        for name, client in (
            ("root", world.client), ("owner", world.user("owner")),
            ("expert", world.user("expert")), ("stranger", world.user("stranger")),
        )
    }  # fmt: skip
    assert {n: len(found) for n, found in seen.items()} == {
        "root": 2, "owner": 1, "expert": 1, "stranger": 0,
    }  # fmt: skip
    assert len(seen["owner"][0]["delegations"]) == 2
    assert [d["roleArn"] for d in seen["expert"][0]["delegations"]] == [EXPERT]


def test_the_answer_says_what_the_caller_is(world: World) -> None:
    made = world.reviewed_by_owner_and_expert()
    policy = "AWSAuditManagerAdministratorAccess"
    owner = f"arn:aws:iam::{HOME}:user/owner"
    for name, role in (
        ("root", ("PROCESS_OWNER", f"arn:aws:iam::{HOME}:user/root")),
        ("owner", ("PROCESS_OWNER", owner)),
        ("expert", ("RESOURCE_OWNER", EXPERT)),
        ("somebody", None),
    ):
        client = world.user(name, policy)
        for _ in range(2):
            answer = world.ask("get_assessment", client=client, assessmentId=made.id)
            found = answer.get("userRole")
            assert role == (found and (found["roleType"], found["roleArn"]))


def test_another_tenant_finds_nothing(world: World) -> None:
    made = world.reviewed_by_owner_and_expert()
    stranger = world.account(OTHER)
    for operation in ("get_assessment", "delete_assessment", "get_change_logs"):
        seen = world.refused(operation, client=stranger, assessmentId=made.id)
        assert (seen["Code"], seen["status"]) == NOT_FOUND


def test_where_roles_are_checked_a_stranger_is_not_found(world_with: Callable[..., World]) -> None:
    world = world_with(check_roles=True)
    world.user("owner")
    owner = [{"roleType": "PROCESS_OWNER", "roleArn": f"arn:aws:iam::{HOME}:user/owner"}]
    made = world.assessment(frameworkId=world.theirs, roles=owner)
    for arn in (OWNER, EXPERT, f"arn:aws:iam::{HOME}:root"):
        stranger = [{"roleType": "PROCESS_OWNER", "roleArn": arn}]
        for act in (
            partial(_create, roles=stranger), partial(_update, made=made, roles=stranger),
        ):  # fmt: skip
            seen = world.refusal(act)
            assert (seen["Code"], seen["status"]) == NOT_FOUND
            assert arn in seen["Message"]
    asked = {"controlSetId": made.set_id, "roleArn": EXPERT, "roleType": "RESOURCE_OWNER"}
    answer = world.ask(
        "batch_create_delegation_by_assessment",
        assessmentId=made.id,
        createDelegationRequests=[asked],
    )
    assert [e["errorCode"] for e in answer["errors"]] == ["404"]
    world.user("expert")
    assert world.delegate(made)["roleArn"] == EXPERT
    trusted = Trust(principals=(EXPERT,))
    with world.db.system_write() as tx:
        roles.put(tx, HOME, "Owner", ("AuditkeepAuditOwner",), trusted, 3600, world.clock.now())
    _update(world, made, roles=[{"roleType": "PROCESS_OWNER", "roleArn": OWNER}])
