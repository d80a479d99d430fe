"""CreateAssessmentFramework, Get…, List…, Update… and Delete….

What copies of a framework live on in assessments is not touched by any of them.
"""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from auditkeep.accounts import quotas
from auditkeep.clock import SECOND, Instant
from auditkeep.errors import InvalidRequest, NotFound, QuotaExceeded
from auditkeep.ids import new_id
from auditkeep.library.content import framework_id
from auditkeep.operations.auditmanager.controls import create_control
from auditkeep.operations.auditmanager.frameworks import (
    create_assessment_framework,
    delete_assessment_framework,
    get_assessment_framework,
    list_assessment_frameworks,
    update_assessment_framework,
)
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am


def own_control(call: Call, **members: Any) -> str:
    source = am.CreateControlMappingSource(source_type="MANUAL")
    asked: dict[str, Any] = {"name": "own", "control_mapping_sources": (source,)}
    control = create_control(call, am.CreateControlRequest(**asked | members)).control
    assert control is not None
    assert control.id is not None
    return control.id


def group(name: str, *controls: str) -> am.CreateAssessmentFrameworkControlSet:
    members = tuple(am.CreateAssessmentFrameworkControl(id=c) for c in controls)
    return am.CreateAssessmentFrameworkControlSet(name=name, controls=members or None)


def changed(
    name: str, *controls: str, set_id: str | None = None
) -> am.UpdateAssessmentFrameworkControlSet:
    members = tuple(am.CreateAssessmentFrameworkControl(id=c) for c in controls)
    return am.UpdateAssessmentFrameworkControlSet(name=name, controls=members, id=set_id)


def made(call: Call, *sets: am.CreateAssessmentFrameworkControlSet, **members: Any) -> am.Framework:
    asked = am.CreateAssessmentFrameworkRequest(name="f", control_sets=sets, **members)
    framework = create_assessment_framework(call, asked).framework
    assert framework is not None
    return framework


def read(call: Call, wanted: str | None) -> am.Framework:
    ask = am.GetAssessmentFrameworkRequest(framework_id=wanted or "")
    framework = get_assessment_framework(call, ask).framework
    assert framework is not None
    return framework


def update(
    call: Call, framework: am.Framework, *sets: am.UpdateAssessmentFrameworkControlSet, **more: Any
) -> am.Framework:
    asked: dict[str, Any] = {
        "framework_id": framework.id,
        "name": framework.name,
        "control_sets": sets,
    }
    after = update_assessment_framework(
        call, am.UpdateAssessmentFrameworkRequest(**asked | more)
    ).framework
    assert after is not None
    return after


def test_a_framework_is_answered_as_it_was_sent(call: Call) -> None:
    own = own_control(call, tags={"c": "1"})
    shipped = next(i for i, c in call.deps.library.controls.items() if c.name.startswith("AC-2:"))
    framework = made(
        call,
        group("Identity & access / people", own, shipped),
        group("Later"),
        description="d",
        compliance_type="X",
        tags={"f": "1"},
    )
    shown = msgspec.json.decode(msgspec.json.encode(framework))
    assert shown["arn"].startswith("arn:aws:auditmanager:us-east-1:111122223333:assessmentFr")
    assert (shown["type"], shown["complianceType"], shown["tags"]) == ("Custom", "X", {"f": "1"})
    assert shown["createdBy"] == "alice"
    assert "logo" not in shown
    first, second = shown["controlSets"]
    assert first["id"] == first["name"] == "Identity & access / people"
    assert [c["id"] for c in first["controls"]] == [own, shipped]
    assert first["controls"][0]["tags"] == {"c": "1"}
    assert first["controls"][1]["controlMappingSources"]
    assert second == {"id": "Later", "name": "Later"}
    assert shown["controlSources"] == "AWS CloudTrail, AWS Config, AWS Security Hub, Manual"
    assert read(call, framework.id) == framework


def test_sets_must_be_distinct_and_controls_known(call: Call) -> None:
    own = own_control(call)
    with pytest.raises(InvalidRequest, match="two control sets named 'A'"):
        made(call, group("A", own), group("A", own))
    with pytest.raises(InvalidRequest, match="twice in the control set 'A'"):
        made(call, group("A", own, own))
    with pytest.raises(NotFound):
        made(call, group("A", new_id()))
    made(call, group("A", own), group("B", own))


def test_another_tenants_control_cannot_be_used(call: Call, elsewhere: Call) -> None:
    with pytest.raises(NotFound):
        made(elsewhere, group("A", own_control(call)))


def test_the_quota_of_frameworks_holds(call: Call) -> None:
    quotas.save(call.tx, "custom-frameworks", 1)
    own = own_control(call)
    made(call, group("A", own))
    with pytest.raises(QuotaExceeded, match="custom frameworks"):
        made(call, group("A", own))


def test_an_update_keeps_set_ids_through_new_names(call: Call) -> None:
    one, two = own_control(call), own_control(call)
    before = made(call, group("A", one), group("B", one), description="d", tags={"t": "1"})
    later = replace(call, now=Instant(call.now + SECOND))
    after = update(
        later, before, changed("A2", two, set_id="A"), changed("B", one), changed("C", two)
    )
    assert [(s.id, s.name) for s in after.control_sets or ()] == [
        ("A", "A2"),
        ("B", "B"),
        ("C", "C"),
    ]
    assert after.description is None
    assert after.tags == {"t": "1"}
    assert after.created_at == before.created_at
    assert after.last_updated_at == later.now / SECOND
    assert read(call, before.id) == after


def test_an_update_may_not_give_two_sets_one_id(call: Call) -> None:
    own = own_control(call)
    before = made(call, group("A", own))
    with pytest.raises(InvalidRequest, match="two control sets with the id 'A'"):
        update(call, before, changed("B", own, set_id="A"), changed("A", own))
    with pytest.raises(NotFound):
        update(call, before, changed("A", new_id()))
    assert read(call, before.id) == before


def test_a_deleted_framework_is_gone(call: Call) -> None:
    framework = made(call, group("A", own_control(call)), tags={"a": "b"})
    ask = am.DeleteAssessmentFrameworkRequest(framework_id=framework.id or "")
    delete_assessment_framework(call, ask)
    for attempt in (
        lambda: read(call, framework.id),
        lambda: delete_assessment_framework(call, ask),
    ):
        with pytest.raises(NotFound):
            attempt()


def test_another_tenants_framework_is_not_found(call: Call, elsewhere: Call) -> None:
    framework = made(call, group("A", own_control(call)))
    with pytest.raises(NotFound):
        read(elsewhere, framework.id)
    with pytest.raises(NotFound):
        delete_assessment_framework(
            elsewhere, am.DeleteAssessmentFrameworkRequest(framework_id=framework.id or "")
        )


def test_the_shipped_ones_are_shown_whole_and_never_changed(call: Call) -> None:
    nist = read(call, framework_id("nist-800-53-r5-moderate"))
    assert nist.arn == f"arn:aws:auditmanager:us-east-1::assessmentFramework/{nist.id}"
    assert (nist.type, nist.created_by, nist.tags) == ("Standard", None, None)
    assert sum(len(s.controls or ()) for s in nist.control_sets or ()) == 287
    own = own_control(call)
    with pytest.raises(InvalidRequest, match="shipped"):
        update(call, nist, changed("A", own))
    with pytest.raises(InvalidRequest, match="shipped"):
        delete_assessment_framework(
            call, am.DeleteAssessmentFrameworkRequest(framework_id=nist.id or "")
        )


def test_standard_frameworks_are_listed_with_counts(call: Call) -> None:
    ask = am.ListAssessmentFrameworksRequest(framework_type="Standard")
    listed = list_assessment_frameworks(call, ask).framework_metadata_list or ()
    counts = {f.name: (f.control_sets_count, f.controls_count) for f in listed}
    assert counts == {
        "Auditkeep Sample Framework": (3, 5),
        "NIST SP 800-53 Rev. 5, moderate baseline": (18, 287),
    }


def test_custom_frameworks_are_listed_newest_first_in_pages(call: Call) -> None:
    own = own_control(call)
    ids = [
        made(replace(call, now=Instant(call.now + n * SECOND)), group("A", own)).id
        for n in range(3)
    ]
    first = list_assessment_frameworks(
        call, am.ListAssessmentFrameworksRequest(framework_type="Custom", max_results=2)
    )
    second = list_assessment_frameworks(
        call,
        am.ListAssessmentFrameworksRequest(
            framework_type="Custom", max_results=2, next_token=first.next_token
        ),
    )
    assert second.next_token is None
    pages = [*(first.framework_metadata_list or ()), *(second.framework_metadata_list or ())]
    assert [f.id for f in pages] == ids[::-1]
