"""CreateControl, GetControl, ListControls, UpdateControl, DeleteControl."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from auditkeep.accounts import quotas
from auditkeep.clock import SECOND, Instant
from auditkeep.errors import InvalidRequest, NotFound, QuotaExceeded
from auditkeep.ids import new_id
from auditkeep.operations.auditmanager import controls as operations
from auditkeep.operations.auditmanager.controls import (
    create_control,
    delete_control,
    get_control,
    list_controls,
    update_control,
)
from auditkeep.operations.auditmanager.frameworks import (
    create_assessment_framework,
    get_assessment_framework,
)
from auditkeep.operations.auditmanager.tags import list_tags_for_resource
from auditkeep.operations.call import Call
from auditkeep.wire.model import Shape
from auditkeep.wire.models import auditmanager as am

TRAIL = am.CreateControlMappingSource(
    source_name="trail",
    source_set_up_option="System_Controls_Mapping",
    source_type="AWS_Cloudtrail",
    source_keyword=am.SourceKeyword(
        keyword_input_type="SELECT_FROM_LIST", keyword_value="iam_CreateUser"
    ),
)
PEOPLE = am.CreateControlMappingSource(
    source_name="people",
    source_set_up_option="Procedural_Controls_Mapping",
    source_type="MANUAL",
)


def made(call: Call, *sources: am.CreateControlMappingSource, **members: Any) -> am.Control:
    asked: dict[str, Any] = {"name": "c", "control_mapping_sources": sources or (TRAIL, PEOPLE)}
    control = create_control(call, am.CreateControlRequest(**asked | members)).control
    assert control is not None
    return control


def read(call: Call, control_id: str | None) -> am.Control:
    control = get_control(call, am.GetControlRequest(control_id=control_id or "")).control
    assert control is not None
    return control


def sources_of(control: am.Control) -> tuple[am.ControlMappingSource, ...]:
    assert control.control_mapping_sources is not None
    return control.control_mapping_sources


def listed(call: Call, kind: am.ControlType, entry: str) -> list[str | None]:
    ask = am.ListControlsRequest(control_type=kind, control_catalog_id=entry)
    return [c.id for c in list_controls(call, ask).control_metadata_list or ()]


def update(call: Call, control: am.Control, **changes: Any) -> am.Control:
    asked: dict[str, Any] = {
        "control_id": control.id,
        "name": control.name,
        "control_mapping_sources": control.control_mapping_sources,
    }
    edited = update_control(call, am.UpdateControlRequest(**asked | changes)).control
    assert edited is not None
    return edited


def as_json(shape: Shape) -> Any:
    return msgspec.json.decode(msgspec.json.encode(shape))


def test_a_control_is_answered_as_it_was_sent(call: Call) -> None:
    control = made(
        call,
        name="Users — on purpose",
        description="",
        testing_information="t",
        tags={"team": "grc"},
    )
    shown = as_json(control)
    assert shown["arn"] == f"arn:aws:auditmanager:us-east-1:111122223333:control/{control.id}"
    assert shown["type"] == "Custom"
    assert shown["state"] == "ACTIVE"
    assert shown["name"] == "Users — on purpose"
    assert shown["description"] == ""
    assert shown["testingInformation"] == "t"
    assert shown["tags"] == {"team": "grc"}
    assert shown["controlSources"] == "AWS CloudTrail, Manual"
    assert shown["createdBy"] == shown["lastUpdatedBy"] == "alice"
    assert shown["createdAt"] == shown["lastUpdatedAt"] == call.now / SECOND
    assert "actionPlanTitle" not in shown
    assert read(call, control.id) == control


def test_nothing_is_invented_for_a_source(call: Call) -> None:
    trail, people = (as_json(s) for s in sources_of(made(call)))
    assert set(people) == {"sourceId", "sourceName", "sourceSetUpOption", "sourceType"}
    assert set(trail) == {*people, "sourceKeyword"}
    assert trail["sourceKeyword"] == {
        "keywordInputType": "SELECT_FROM_LIST",
        "keywordValue": "iam_CreateUser",
    }


@pytest.mark.parametrize(
    "keyword",
    [
        am.SourceKeyword(keyword_input_type="UPLOAD_FILE"),
        am.SourceKeyword(keyword_input_type="INPUT_TEXT", keyword_value="a word"),
        am.SourceKeyword(),
    ],
)
def test_a_manual_source_keeps_the_keyword_it_came_with(
    call: Call, keyword: am.SourceKeyword
) -> None:
    source = msgspec.structs.replace(PEOPLE, source_keyword=keyword)
    assert sources_of(made(call, source))[0].source_keyword == keyword


def test_frequency_and_texts_are_echoed_where_sent(call: Call) -> None:
    source = am.CreateControlMappingSource(
        source_name="api",
        source_type="AWS_API_Call",
        source_keyword=am.SourceKeyword(keyword_value="iam_ListUsers"),
        source_frequency="WEEKLY",
        source_description="d",
        troubleshooting_text="x",
    )
    kept = sources_of(made(call, source))[0]
    assert (kept.source_frequency, kept.source_description, kept.troubleshooting_text) == (
        "WEEKLY",
        "d",
        "x",
    )
    assert kept.source_set_up_option == "System_Controls_Mapping"
    assert kept.source_keyword == am.SourceKeyword(keyword_value="iam_ListUsers")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source_set_up_option": "Procedural_Controls_Mapping"}, "set-up option"),
        ({"source_keyword": None}, "keywordValue"),
        ({"source_type": None}, "sourceType"),
    ],
)
def test_a_source_that_cannot_work_is_refused(
    call: Call, changes: dict[str, Any], words: str
) -> None:
    source = msgspec.structs.replace(TRAIL, **changes)
    with pytest.raises(InvalidRequest, match=words) as caught:
        made(call, source)
    assert [f.name for f in caught.value.fields] == ["controlMappingSources"]


@pytest.mark.parametrize("kind", ["Core_Control", "Common_Control"])
def test_a_control_cannot_group_what_does_not_exist(call: Call, kind: am.SourceType) -> None:
    source = am.CreateControlMappingSource(
        source_type=kind, source_keyword=am.SourceKeyword(keyword_value=new_id())
    )
    with pytest.raises(NotFound):
        made(call, source)


def test_a_keyword_nobody_knows_is_accepted(call: Call) -> None:
    source = msgspec.structs.replace(
        TRAIL, source_keyword=am.SourceKeyword(keyword_value="Custom_my-rule")
    )
    assert sources_of(made(call, msgspec.structs.replace(source, source_type="AWS_Config")))


def test_the_quota_of_controls_holds(call: Call) -> None:
    quotas.save(call.tx, "custom-controls", 2)
    made(call)
    made(call)
    with pytest.raises(QuotaExceeded, match="quota of 2"):
        made(call)


def test_two_controls_may_have_one_name(call: Call) -> None:
    assert made(call).id != made(call).id


def test_an_update_replaces_everything_but_ids(call: Call) -> None:
    before = made(call, description="d", testing_information="t", tags={"a": "b"})
    later = replace(call, now=Instant(call.now + SECOND))
    after = update(later, before, name="new", action_plan_title="p")
    assert after.name == "new"
    assert after.description is None
    assert after.testing_information is None
    assert after.action_plan_title == "p"
    assert after.control_mapping_sources == before.control_mapping_sources
    assert after.created_at == before.created_at
    assert after.last_updated_at == later.now / SECOND
    assert after.tags == {"a": "b"}
    assert read(call, before.id) == after


def test_source_ids_stay_when_sent_and_only_then(call: Call) -> None:
    before = made(call)
    trail, people = sources_of(before)
    renamed = msgspec.structs.replace(trail, source_name="renamed")
    nameless = msgspec.structs.replace(people, source_id=None)
    stranger = msgspec.structs.replace(trail, source_id=new_id())
    after = sources_of(update(call, before, control_mapping_sources=(renamed, nameless, stranger)))
    assert after[0].source_id == trail.source_id
    assert after[1].source_id not in {None, people.source_id}
    assert after[2].source_id not in {None, stranger.source_id, trail.source_id}
    assert len({s.source_id for s in after}) == 3


def test_one_source_id_cannot_be_sent_twice(call: Call) -> None:
    before = made(call)
    trail, _ = sources_of(before)
    with pytest.raises(InvalidRequest, match="twice"):
        update(call, before, control_mapping_sources=(trail, trail))


def test_an_edit_and_a_deletion_reach_the_assessments(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, object]] = []
    monkeypatch.setattr(
        operations, "control_edited", lambda _, control: told.append(("edited", control.name))
    )
    monkeypatch.setattr(
        operations, "control_deleted", lambda _, control_id: told.append(("deleted", control_id))
    )
    control = made(call)
    update(call, control, name="new")
    delete_control(call, am.DeleteControlRequest(control_id=control.id or ""))
    assert told == [("edited", "new"), ("deleted", control.id)]


def test_a_deleted_control_is_gone_from_frameworks_and_tags(call: Call) -> None:
    control = made(call, tags={"a": "b"})
    group = create_assessment_framework(
        call,
        am.CreateAssessmentFrameworkRequest(
            name="f",
            control_sets=(
                am.CreateAssessmentFrameworkControlSet(
                    name="s", controls=(am.CreateAssessmentFrameworkControl(id=control.id or ""),)
                ),
            ),
        ),
    ).framework
    assert group is not None
    delete_control(call, am.DeleteControlRequest(control_id=control.id or ""))
    with pytest.raises(NotFound):
        read(call, control.id)
    with pytest.raises(NotFound):
        delete_control(call, am.DeleteControlRequest(control_id=control.id or ""))
    with pytest.raises(NotFound):
        list_tags_for_resource(call, am.ListTagsForResourceRequest(resource_arn=control.arn or ""))
    left = get_assessment_framework(
        call, am.GetAssessmentFrameworkRequest(framework_id=group.id or "")
    ).framework
    assert left is not None
    assert left.control_sets == (am.ControlSet(id="s", name="s"),)


def test_shipped_controls_are_shown_and_never_changed(call: Call) -> None:
    shipped = next(iter(call.deps.library.controls.values()))
    shown = read(call, shipped.id)
    assert shown.arn == f"arn:aws:auditmanager:us-east-1::control/{shipped.id}"
    assert shown.type == "Standard"
    assert shown.created_by is None
    assert shown.tags is None
    with pytest.raises(InvalidRequest, match="shipped") as caught:
        update(call, shown)
    assert caught.value.reason == "other"
    with pytest.raises(InvalidRequest, match="shipped"):
        delete_control(call, am.DeleteControlRequest(control_id=shipped.id))


def test_another_tenants_control_is_not_found(call: Call, elsewhere: Call) -> None:
    control = made(call)
    for attempt in (
        lambda: read(elsewhere, control.id),
        lambda: update(elsewhere, control),
        lambda: delete_control(elsewhere, am.DeleteControlRequest(control_id=control.id or "")),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert read(call, control.id) == control


def test_custom_controls_are_listed_newest_first_in_pages(call: Call) -> None:
    made_ids = [made(replace(call, now=Instant(call.now + n * SECOND))).id for n in range(5)]
    seen: list[str | None] = []
    token = None
    for _ in range(3):
        answer = list_controls(
            call, am.ListControlsRequest(control_type="Custom", max_results=2, next_token=token)
        )
        assert answer.control_metadata_list is not None
        seen += [c.id for c in answer.control_metadata_list]
        token = answer.next_token
    assert token is None
    assert seen == made_ids[::-1]


def test_a_listed_control_is_metadata_only(call: Call) -> None:
    control = made(call)
    answer = as_json(list_controls(call, am.ListControlsRequest(control_type="Custom")))
    assert answer == {
        "controlMetadataList": [
            {
                "arn": control.arn,
                "id": control.id,
                "name": "c",
                "controlSources": "AWS CloudTrail, Manual",
                "createdAt": control.created_at,
                "lastUpdatedAt": control.last_updated_at,
            }
        ]
    }


def test_standard_controls_come_a_hundred_at_a_time(call: Call) -> None:
    answer = list_controls(call, am.ListControlsRequest(control_type="Standard"))
    assert answer.control_metadata_list is not None
    assert len(answer.control_metadata_list) == 100
    assert answer.next_token is not None
    custom = am.ListControlsRequest(control_type="Custom", next_token=answer.next_token)
    with pytest.raises(InvalidRequest, match="nextToken"):
        list_controls(call, custom)


def test_no_core_controls_are_shipped(call: Call) -> None:
    made(call)
    core = list_controls(call, am.ListControlsRequest(control_type="Core"))
    assert core.control_metadata_list == ()
    domain = am.ListControlsRequest(
        control_type="Custom", control_catalog_id="arn:aws:controlcatalog:::domain/abc"
    )
    assert list_controls(call, domain).control_metadata_list == ()


def test_a_control_is_listed_by_its_entry_of_the_catalogue(call: Call) -> None:
    catalogue = call.deps.library.catalogue
    common = catalogue.common_control("1ukpmkewk4i92tjmhsvewi4y7")
    assert common is not None
    grouped = made(
        call,
        am.CreateControlMappingSource(
            source_type="Common_Control", source_keyword=am.SourceKeyword(keyword_value=common.arn)
        ),
    )
    assert grouped.control_sources == "AWS API calls, AWS Config, AWS Security Hub"
    plain = made(call)
    for entry in (common.arn, common.objective.arn, common.objective.domain.arn):
        assert listed(call, "Custom", entry) == [grouped.id]
    assert listed(call, "Custom", catalogue.domains[1].arn) == []
    assert listed(call, "Custom", "UNCATEGORIZED") == [plain.id]
    assert listed(call, "Standard", "UNCATEGORIZED") == []
    for domain in catalogue.domains:
        assert listed(call, "Standard", domain.arn)
