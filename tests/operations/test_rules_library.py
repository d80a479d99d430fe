"""Controls and frameworks, rule by rule (spec sections 1.3-1.5, 10.3, 11 and 12)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.operations.world import (
    HOME,
    MANUAL,
    NOT_FOUND,
    NOTHING,
    TRAIL,
    VALIDATION,
    Refusal,
    World,
    forged,
    table,
)

from auditkeep.clock import DAY, Day, day_of, day_start
from auditkeep.evidence import lens
from auditkeep.ids import Tenant


def _source(kind: str, **members: Any) -> dict[str, Any]:
    return {"sourceName": "s", "sourceType": kind, **members}


def _word(value: str) -> dict[str, Any]:
    return {"sourceKeyword": {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": value}}


def _control_of(source: dict[str, Any], world: World) -> Any:
    return world.control(source)


def _standard(world: World, kind: str = "Standard") -> str:
    found = world.ask("list_controls", controlType=kind, maxResults=1)
    return str(found["controlMetadataList"][0]["id"])


def _shipped(world: World) -> str:
    found = world.ask("list_assessment_frameworks", frameworkType="Standard", maxResults=1)
    return str(found["frameworkMetadataList"][0]["id"])


def _update(world: World, control_id: str, *sources: Any) -> Any:
    return world.ask(
        "update_control", controlId=control_id, name="n", controlMappingSources=list(sources)
    )


def _sets(world: World, *sets: tuple[str, list[str]]) -> Any:
    chosen = [{"name": n, "controls": [{"id": i} for i in ids]} for n, ids in sets]
    return world.ask("create_assessment_framework", name="n", controlSets=chosen)


def _rename(world: World, framework_id: str, *sets: dict[str, Any]) -> Any:
    return world.ask(
        "update_assessment_framework", frameworkId=framework_id, name="n", controlSets=list(sets)
    )


REFUSED = [
    Refusal(
        "a control has a source",
        lambda w: w.ask("create_control", name="n", controlMappingSources=[]),
        VALIDATION, "controlMappingSources",
    ),
    *(
        Refusal(
            f"a source of type {kind} names what it collects",
            partial(_control_of, _source(kind)),
            VALIDATION, f"type {kind} without sourceKeyword",
        )
        for kind in (
            "AWS_Cloudtrail", "AWS_Config", "AWS_Security_Hub", "AWS_API_Call", "Core_Control",
            "Common_Control",
        )
    ),
    Refusal(
        "a manual source is not set up by the system",
        lambda w: w.control(_source("MANUAL", sourceSetUpOption="System_Controls_Mapping")),
        VALIDATION, "must be Procedural_Controls_Mapping",
    ),
    Refusal(
        "an automated source is not set up by procedure",
        lambda w: w.control({**TRAIL, "sourceSetUpOption": "Procedural_Controls_Mapping"}),
        VALIDATION, "must be System_Controls_Mapping",
    ),
    Refusal(
        "a source says of what type it is",
        lambda w: w.control({"sourceName": "s", **_word("iam_CreateUser")}),
        VALIDATION, "without a sourceType",
    ),
    Refusal(
        "a core control that is named exists",
        lambda w: w.control(_source("Core_Control", **_word(NOTHING))), NOT_FOUND,
    ),
    Refusal(
        "a core control is one of the shipped, not a custom control",
        lambda w: w.control(_source("Core_Control", **_word(w.mine))),
        NOT_FOUND,
    ),
    Refusal(
        "a common control that is named exists",
        lambda w: w.control(_source("Common_Control", **_word("nowhere"))),
        NOT_FOUND,
    ),
    Refusal(
        "a control has 100 data sources of its own at most",
        lambda w: w.control(*[MANUAL] * 101), VALIDATION, "a control may have 100",
    ),
    Refusal(
        "a control names 50 core controls at most",
        lambda w: w.control(*[_source("Core_Control", **_word(NOTHING))] * 51),
        VALIDATION, "a control may have 50",
    ),
    Refusal(
        "a control names 5 common controls at most",
        lambda w: w.control(*[_source("Common_Control", **_word("x"))] * 6),
        VALIDATION, "a control may have 5",
    ),
    Refusal(
        "a control's name has no backslash",
        lambda w: w.control(MANUAL, name="a\\b"), VALIDATION, "name",
    ),
    Refusal(
        "a control that is not there cannot be read",
        lambda w: w.ask("get_control", controlId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "a control that is not there cannot be deleted",
        lambda w: w.ask("delete_control", controlId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "a control that is not there cannot be edited",
        lambda w: _update(w, NOTHING, MANUAL), NOT_FOUND,
    ),
    Refusal(
        "a shipped control cannot be edited",
        lambda w: _update(w, _standard(w), MANUAL), VALIDATION, "shipped with Auditkeep",
    ),
    Refusal(
        "a shipped control cannot be deleted",
        lambda w: w.ask("delete_control", controlId=_standard(w)), VALIDATION, "shipped",
    ),
    Refusal(
        "controls are listed by type",
        lambda w: w.ask("list_controls"), VALIDATION, "controlType",
    ),
    Refusal(
        "controls are listed by a domain, objective or common control, or by none",
        lambda w: w.ask("list_controls", controlType="Custom", controlCatalogId="everything-else"),
        VALIDATION, "controlCatalogId",
    ),
    Refusal(
        "a framework has a control set",
        _sets, VALIDATION, "controlSets",
    ),
    Refusal(
        "a control set's name has no underscore",
        lambda w: _sets(w, ("a_b", [_standard(w)])), VALIDATION, "controlSets",
    ),
    Refusal(
        "a control set's name has no backslash",
        lambda w: _sets(w, ("a\\b", [_standard(w)])), VALIDATION, "controlSets",
    ),
    Refusal(
        "two control sets have different names",
        lambda w: _sets(w, ("a", [_standard(w)]), ("a", [_standard(w)])),
        VALIDATION, "two control sets named 'a'",
    ),
    Refusal(
        "a control is in a set once",
        lambda w: _sets(w, ("a", [_standard(w)] * 2)), VALIDATION, "twice in the control set 'a'",
    ),
    Refusal(
        "a control that a set names exists",
        lambda w: _sets(w, ("a", [NOTHING])), NOT_FOUND, NOTHING,
    ),
    Refusal(
        "a framework that is not there cannot be read",
        lambda w: w.ask("get_assessment_framework", frameworkId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "a framework that is not there cannot be deleted",
        lambda w: w.ask("delete_assessment_framework", frameworkId=NOTHING), NOT_FOUND,
    ),
    Refusal(
        "a shipped framework cannot be edited",
        lambda w: _rename(w, _shipped(w), {"name": "a", "controls": [{"id": _standard(w)}]}),
        VALIDATION, "shipped",
    ),
    Refusal(
        "a shipped framework cannot be deleted",
        lambda w: w.ask("delete_assessment_framework", frameworkId=_shipped(w)),
        VALIDATION, "shipped",
    ),
    Refusal(
        "frameworks are listed by type",
        lambda w: w.ask("list_assessment_frameworks"), VALIDATION, "frameworkType",
    ),
    Refusal(
        "keywords are listed by a source of data",
        lambda w: w.ask("list_keywords_for_data_source", source="Core_Control"),
        VALIDATION, "source",
    ),
]  # fmt: skip


@table(REFUSED)
def test_it_is_refused_and_changes_nothing(world: World, row: Refusal) -> None:
    row.holds(world)


# --- what is echoed ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "invented"),
    [
        (MANUAL, ("sourceKeyword", "sourceFrequency", "sourceDescription", "troubleshootingText")),
        (TRAIL, ("sourceFrequency", "sourceDescription", "troubleshootingText")),
        (
            _source("AWS_API_Call", **_word("iam_ListUsers")),
            ("sourceFrequency", "sourceDescription"),
        ),
        (
            _source("MANUAL", sourceKeyword={"keywordInputType": "UPLOAD_FILE"}),
            ("sourceFrequency",),
        ),
    ],
    ids=["manual", "trail", "api call without frequency", "manual with an input type only"],
)
def test_a_source_is_echoed_as_sent_and_nothing_is_invented(
    world: World, sent: dict[str, Any], invented: tuple[str, ...]
) -> None:
    (source,) = world.control(sent)["controlMappingSources"]
    option = "System" if sent["sourceType"] != "MANUAL" else "Procedural"
    inferred = {"sourceSetUpOption": f"{option}_Controls_Mapping", "sourceId": source["sourceId"]}
    assert source == {**sent, **inferred}
    assert not source.keys() & set(invented)


def test_a_control_answers_with_no_member_that_was_not_set(world: World) -> None:
    made = world.control(MANUAL, name="bare")
    assert made.keys() == {
        "arn", "id", "type", "name", "controlSources", "controlMappingSources", "createdAt",
        "lastUpdatedAt", "createdBy", "lastUpdatedBy", "state",
    }  # fmt: skip
    assert (made["type"], made["state"], made["createdBy"]) == ("Custom", "ACTIVE", "root")


def test_an_edit_replaces_everything_and_keeps_the_sources_ids_that_are_sent(world: World) -> None:
    made = world.control(TRAIL, MANUAL, description="d", actionPlanTitle="t")
    kept = made["controlMappingSources"][0]
    stranger = {**MANUAL, "sourceId": NOTHING}
    edited = _update(world, made["id"], kept, stranger)["control"]
    assert edited["controlMappingSources"][0] == kept
    assert edited["controlMappingSources"][1]["sourceId"] != NOTHING
    assert not edited.keys() & {"description", "actionPlanTitle"}


def test_deleting_a_control_leaves_its_sets_empty_and_assessments_with_what_they_had(
    world: World,
) -> None:
    control = world.control()["id"]
    framework = world.framework({"Access": [control]})["id"]
    made = world.assessment(frameworkId=framework)
    world.observe(world.clock.now())
    world.later()
    world.ask("delete_control", controlId=control)
    read = world.ask("get_assessment_framework", frameworkId=framework)["framework"]
    (one,) = read["controlSets"]
    assert (one["id"], one.get("controls")) == ("Access", None)
    shown = world.ask("get_assessment", assessmentId=made.id)["assessment"]
    (left,) = shown["framework"]["controlSets"][0]["controls"]
    assert left["evidenceCount"] == 1


def test_an_edited_control_reaches_assessments_and_an_edited_framework_does_not(
    world: World,
) -> None:
    control = world.control(TRAIL, name="before")
    framework = world.framework({"Access": [control["id"]]}, name="first")
    made = world.assessment(frameworkId=framework["id"])
    world.ask(
        "update_control", controlId=control["id"], name="after", controlMappingSources=[MANUAL]
    )
    _rename(world, framework["id"], {"name": "Other", "controls": [{"id": control["id"]}]})
    world.ask("delete_assessment_framework", frameworkId=framework["id"])
    shown = world.ask("get_assessment", assessmentId=made.id)["assessment"]["framework"]
    assert shown["metadata"]["name"] == "first"
    (one,) = shown["controlSets"]
    assert one["id"] == "Access"
    assert (one["controls"][0]["name"], one["controls"][0]["evidenceSources"]) == (
        "after", ["Manual"],
    )  # fmt: skip


def called(often: str) -> dict[str, Any]:
    """A mapping source that asks for users every so often."""
    keyword = {"keywordInputType": "SELECT_FROM_LIST", "keywordValue": "iam_ListUsers"}
    return {
        "sourceName": "users",
        "sourceSetUpOption": "System_Controls_Mapping",
        "sourceType": "AWS_API_Call",
        "sourceKeyword": keyword,
        "sourceFrequency": often,
    }


def test_a_weekday_is_kept_when_the_scope_changes(world: World) -> None:
    control = world.control(called("WEEKLY"), name="weekly users")
    framework = world.framework({"Access": [control["id"]]}, name="weekly users")
    made = world.assessment(frameworkId=framework["id"])
    began = world.clock.now()
    world.later(3 * DAY)
    scope = {"awsAccounts": [{"id": HOME}, {"id": "222233334444"}]}
    world.ask("update_assessment", assessmentId=made.id, scope=scope)
    with world.db.read(Tenant(HOME, "us-east-1")) as tx:
        (looking,) = lens.load(tx, made.id, [1], None)
    first, second, _ = looking.intervals
    assert (first.anchor, second.anchor) == (began, began)
    weekly = Day(day_of(began) + 1 + 7)
    assert second.opens_at < day_start(weekly)
    assert [second.looks_on(Day(weekly + n)) for n in (0, 3, 4, 7)] == [True, False, False, True]


def test_an_edited_rhythm_is_a_lens_of_its_own_from_the_next_midnight(world: World) -> None:
    control = world.control(called("DAILY"), name="users")
    framework = world.framework({"Access": [control["id"]]}, name="users")
    made = world.assessment(frameworkId=framework["id"])
    _update(world, control["id"], called("WEEKLY"))
    with world.db.read(Tenant(HOME, "us-east-1")) as tx:
        (looking,) = lens.load(tx, made.id, [1], None)
    before, after, _ = looking.intervals
    now = world.clock.now()
    assert (before.every, after.every) == ("DAILY", "WEEKLY")
    assert before.closes_at == now
    assert after.opens_at == day_start(Day(day_of(now) + 1))


def test_a_set_keeps_its_id_through_a_new_name(world: World) -> None:
    made = world.framework({"Access": [_standard(world)]})
    renamed = _rename(
        world,
        made["id"],
        {"id": "Access", "name": "Identity", "controls": [{"id": _standard(world)}]},
    )["framework"]
    (one,) = renamed["controlSets"]
    assert (one["id"], one["name"]) == ("Access", "Identity")


def test_an_inherited_tag_there_is_not(world: World) -> None:
    framework = world.framework(tags={"team": "grc"})
    made = world.assessment(frameworkId=framework["id"])
    assert made.shown["tags"] == {}


def test_names_need_not_be_unique(world: World) -> None:
    for make in (world.control, world.framework, lambda name: world.assessment(name=name).shown):
        first, second = (make(name="the same") for _ in range(2))
        assert first["arn"] != second["arn"]


# --- keywords --------------------------------------------------------------------------------

MISTYPED = {**TRAIL, **_word("iam_CreateUsr")}


def test_an_unknown_keyword_is_kept_and_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "auditkeep.controls"):
        made = world.control(MISTYPED)
    assert "'iam_CreateUsr', which the list of AWS_Cloudtrail does not know" in caplog.text
    (source,) = made["controlMappingSources"]
    assert source["sourceKeyword"]["keywordValue"] == "iam_CreateUsr"


def test_an_unknown_keyword_is_told_in_a_header_and_nowhere_in_the_answer(world: World) -> None:
    answer = world.ask("create_control", name="n", controlMappingSources=[MISTYPED])
    told = answer["ResponseMetadata"]["HTTPHeaders"]["x-auditkeep-warning"]
    assert "'iam_CreateUsr'" in told
    assert "iam_CreateUser" in told
    assert answer.keys() == {"control", "ResponseMetadata"}
    broken = MISTYPED | _word("iam_CreateUsr\nx: y")
    split = world.ask("create_control", name="n", controlMappingSources=[broken])
    assert "x" not in split["ResponseMetadata"]["HTTPHeaders"]
    right = world.ask("create_control", name="n", controlMappingSources=[TRAIL])
    assert "x-auditkeep-warning" not in right["ResponseMetadata"]["HTTPHeaders"]


def test_where_strict_an_unknown_keyword_is_refused_with_what_was_meant(
    world_with: Callable[..., World],
) -> None:
    world = world_with(strict_keywords=True)
    for act in (
        lambda w: w.control(MISTYPED),
        lambda w: _update(w, w.mine, MISTYPED),
    ):
        seen = world.refusal(act)
        assert (seen["Code"], seen["status"]) == VALIDATION
        assert "Did you mean iam_CreateUser" in seen["Message"]
    custom = _source("AWS_Config", **_word("Custom_our-own-rule"))
    assert world.control(custom)["controlMappingSources"]


# --- lists -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "member", "ask"),
    [
        ("list_controls", "controlMetadataList", {"controlType": "Custom"}),
        ("list_controls", "controlMetadataList", {"controlType": "Standard"}),
        ("list_assessment_frameworks", "frameworkMetadataList", {"frameworkType": "Custom"}),
    ],
)
def test_a_list_runs_newest_first_through_pages_that_lose_nothing(
    world: World, operation: str, member: str, ask: dict[str, Any]
) -> None:
    for _ in range(3):
        world.later()
        world.framework()
    whole = world.ask(operation, maxResults=1000, **ask)[member]
    times = [thing["createdAt"] for thing in whole]
    assert times == sorted(times, reverse=True)
    parts = [p for page in world.pages(operation, member, size=2 if len(whole) < 99 else 97, **ask)
             for p in page]  # fmt: skip
    assert parts == whole


def test_a_token_belongs_to_its_list_its_filter_and_its_tenant(world: World) -> None:
    for _ in range(2):
        world.control()
    token = world.ask("list_controls", controlType="Standard", maxResults=1)["nextToken"]
    strangers = [
        lambda w: w.ask("list_controls", controlType="Custom", nextToken=token),
        lambda w: w.ask("list_controls", controlType="Standard", nextToken=forged(token)),
        lambda w: w.ask("list_controls", controlType="Standard", nextToken="AAAA"),
        lambda w: w.ask("list_assessment_frameworks", frameworkType="Standard", nextToken=token),
        lambda w: w.ask(
            "list_controls",
            client=w.account("999988887777"),
            controlType="Standard",
            nextToken=token,
        ),
    ]
    world.account("999988887777")
    for act in strangers:
        seen = world.refusal(act)
        assert (seen["Code"], seen["status"]) == VALIDATION
        assert "nextToken" in seen["Message"]


def test_keywords_are_sorted_and_manual_has_none(world: World) -> None:
    words = [
        w
        for page in world.pages(
            "list_keywords_for_data_source", "keywords", size=50, source="AWS_API_Call"
        )
        for w in page
    ]
    assert words == sorted(words)
    assert len(words) == len(set(words)) >= 108
    assert world.ask("list_keywords_for_data_source", source="MANUAL")["keywords"] == []


def test_services_in_scope_come_in_one_answer(world: World) -> None:
    answer = world.ask("get_services_in_scope")
    assert len(answer["serviceMetadata"]) == 154
    assert all(
        s.keys() == {"name", "displayName", "description", "category"}
        for s in answer["serviceMetadata"]
    )


def test_another_tenant_finds_neither_controls_nor_frameworks(world: World) -> None:
    control, framework = world.control()["id"], world.framework()["id"]
    stranger = world.account("999988887777")
    for operation, members in (
        ("get_control", {"controlId": control}),
        ("delete_control", {"controlId": control}),
        ("get_assessment_framework", {"frameworkId": framework}),
        ("delete_assessment_framework", {"frameworkId": framework}),
    ):
        seen = world.refused(operation, client=stranger, **members)
        assert (seen["Code"], seen["status"]) == NOT_FOUND
