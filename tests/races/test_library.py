"""Controls, frameworks, their tags and their sharing, changed by several at once.

What no lost update means here: a full replacement is one client's or another's, never a mixture;
tags of different keys are all kept; what was deleted stays deleted; a quota is never overshot.
"""

from typing import Any

import pytest
from tests.fuzz.running import ADMINISTRATOR, OTHER
from tests.races.crowd import SET, SOURCE, Ask, Crowd, asked

pytestmark = pytest.mark.slow


def replacement(number: int) -> dict[str, Any]:
    """One client's version of a control: every member tells whose it is."""
    return {
        "name": f"control {number}",
        "description": f"description {number}",
        "testingInformation": f"testing {number}",
        "controlMappingSources": [SOURCE | {"sourceName": f"source {number}"}],
    }


def test_a_control_is_replaced_whole(crowd: Crowd, clients: int) -> None:
    control = crowd.control()
    answers = crowd.meet(
        [("UpdateControl", {"controlId": control, **replacement(n)}) for n in range(clients)]
    )
    assert all(answer.ok for answer in answers)
    kept = crowd.must("GetControl", controlId=control)["control"]
    number = int(kept["name"].rpartition(" ")[2])
    assert (kept["description"], kept["testingInformation"]) == (
        f"description {number}",
        f"testing {number}",
    )
    assert [s["sourceName"] for s in kept["controlMappingSources"]] == [f"source {number}"]


def test_a_framework_is_replaced_whole(crowd: Crowd, clients: int) -> None:
    controls = [crowd.control(f"control {n}") for n in range(clients)]
    framework = crowd.framework(controls[0])
    asks: list[Ask] = [
        (
            "UpdateAssessmentFramework",
            {
                "frameworkId": framework,
                "name": f"framework {n}",
                "complianceType": f"type {n}",
                "controlSets": [{"name": f"set {n}", "controls": [{"id": controls[n]}]}],
            },
        )
        for n in range(clients)
    ]
    assert all(answer.ok for answer in crowd.meet(asks))
    kept = crowd.must("GetAssessmentFramework", frameworkId=framework)["framework"]
    number = int(kept["name"].rpartition(" ")[2])
    assert kept["complianceType"] == f"type {number}"
    assert [s["name"] for s in kept["controlSets"]] == [f"set {number}"]
    assert [c["id"] for c in kept["controlSets"][0]["controls"]] == [controls[number]]


def test_tags_of_different_keys_are_all_kept(crowd: Crowd, clients: int) -> None:
    made = crowd.must(
        "CreateControl", name="c", controlMappingSources=[SOURCE], tags={"old": "1", "stays": "1"}
    )
    arn = made["control"]["arn"]
    asks: list[Ask] = [
        ("TagResource", {"resourceArn": arn, "tags": {f"key-{n}": str(n)}}) for n in range(clients)
    ]
    asks.append(("UntagResource", {"resourceArn": arn, "tagKeys": ["old"]}))
    assert all(answer.ok for answer in crowd.meet(asks))
    kept = crowd.must("ListTagsForResource", resourceArn=arn)["tags"]
    assert kept == {"stays": "1"} | {f"key-{n}": str(n) for n in range(clients)}


def test_fifty_tags_are_never_exceeded(crowd: Crowd) -> None:
    tags = {f"k{'x' * n}": "v" for n in range(47)}
    made = crowd.must("CreateControl", name="c", controlMappingSources=[SOURCE], tags=tags)
    arn = made["control"]["arn"]
    answers = crowd.meet(
        [("TagResource", {"resourceArn": arn, "tags": {f"key-{n}": "v"}}) for n in range(8)]
    )
    assert sum(answer.ok for answer in answers) == 3
    assert {a.code for a in answers if not a.ok} == {"ValidationException"}
    assert len(crowd.must("ListTagsForResource", resourceArn=arn)["tags"]) == 50


def test_what_is_deleted_once_is_deleted_for_all(crowd: Crowd, clients: int) -> None:
    control = crowd.control()
    framework = crowd.framework(control)
    for operation, members in (
        ("DeleteAssessmentFramework", {"frameworkId": framework}),
        ("DeleteControl", {"controlId": control}),
    ):
        answers = crowd.meet([(operation, members)] * clients)
        assert sorted(answer.status for answer in answers) == [200] + [404] * (clients - 1)


def test_an_update_revives_nothing(crowd: Crowd) -> None:
    for _ in range(5):
        control = crowd.control()
        framework = crowd.framework(control)
        groups = [{"name": SET, "controls": [{"id": control}]}]
        updated = {"frameworkId": framework, "name": "again", "controlSets": groups}
        answers = crowd.meet(
            [
                ("DeleteAssessmentFramework", {"frameworkId": framework}),
                *[("UpdateAssessmentFramework", updated)] * 3,
                ("DeleteControl", {"controlId": control}),
                *[("UpdateControl", {"controlId": control, **replacement(n)}) for n in range(3)],
            ]
        )
        assert (answers[0].ok, answers[4].ok) == (True, True)
        assert crowd.ask("GetAssessmentFramework", frameworkId=framework).status == 404
        assert crowd.ask("GetControl", controlId=control).status == 404


def test_a_framework_never_holds_a_control_that_is_gone(crowd: Crowd) -> None:
    for _ in range(5):
        stays, goes = crowd.control("stays"), crowd.control("goes")
        groups = [{"name": SET, "controls": [{"id": stays}, {"id": goes}]}]
        made = {"name": "framework", "controlSets": groups}
        answers = crowd.meet(
            [("DeleteControl", {"controlId": goes}), *[("CreateAssessmentFramework", made)] * 4]
        )
        assert answers[0].ok
        for answer in answers[1:]:
            assert answer.status in (200, 404)
            if answer.ok:
                found = crowd.must(
                    "GetAssessmentFramework", frameworkId=answer.body["framework"]["id"]
                )["framework"]
                assert [c["id"] for s in found["controlSets"] for c in s["controls"]] == [stays]


def test_the_last_place_under_a_quota_is_given_once(crowd: Crowd) -> None:
    control = crowd.control()
    for number in range(99):
        crowd.framework(control, name=f"framework {number}")
    groups = [{"name": SET, "controls": [{"id": control}]}]
    answers = crowd.meet(
        [("CreateAssessmentFramework", {"name": "last", "controlSets": groups})] * 8
    )
    assert sorted(answer.status for answer in answers) == [200] + [402] * 7


def test_a_framework_is_offered_once_and_accepted_once(crowd: Crowd, clients: int) -> None:
    them = crowd.target.key(OTHER, "them", ADMINISTRATOR)
    assert crowd.ask("RegisterAccount", key=them).ok
    framework = crowd.framework(crowd.control())
    offer = {
        "frameworkId": framework,
        "destinationAccount": OTHER,
        "destinationRegion": "us-east-1",
    }
    answers = crowd.meet([("StartAssessmentFrameworkShare", offer)] * clients)
    assert all(answer.ok for answer in answers)
    offers = {a.body["assessmentFrameworkShareRequest"]["id"] for a in answers}
    assert len(offers) == 1, "sent again, it is the same request"
    accept = {"requestId": offers.pop(), "requestType": "RECEIVED", "action": "ACCEPT", "key": them}
    answers = crowd.meet([("UpdateAssessmentFrameworkShare", accept)] * clients)
    assert sum(answer.ok for answer in answers) == 1
    copies = crowd.ask("ListAssessmentFrameworks", key=them, frameworkType="Custom")
    assert len(copies.body["frameworkMetadataList"]) == 1
    theirs = crowd.ask("ListControls", key=them, controlType="Custom")
    assert len(theirs.body["controlMetadataList"]) == 1


def test_what_is_taken_back_is_not_accepted_as_well(crowd: Crowd) -> None:
    them = crowd.target.key(OTHER, "them", ADMINISTRATOR)
    assert crowd.ask("RegisterAccount", key=them).ok
    copies = 0
    for number in range(6):
        framework = crowd.framework(crowd.control(), name=f"offered {number}")
        sent = crowd.must(
            "StartAssessmentFrameworkShare",
            frameworkId=framework,
            destinationAccount=OTHER,
            destinationRegion="us-east-1",
        )["assessmentFrameworkShareRequest"]["id"]
        received = {"requestId": sent, "requestType": "RECEIVED", "key": them}
        asks: list[Ask] = [
            ("UpdateAssessmentFrameworkShare", {**received, "action": "ACCEPT"}),
            ("UpdateAssessmentFrameworkShare", {**received, "action": "DECLINE"}),
            (
                "UpdateAssessmentFrameworkShare",
                {"requestId": sent, "requestType": "SENT", "action": "REVOKE"},
            ),
        ]
        answers = crowd.meet(asks)
        assert sum(answer.ok for answer in answers) == 1
        copies += answers[0].ok
    listed = crowd.ask("ListAssessmentFrameworks", key=them, frameworkType="Custom")
    assert len(listed.body["frameworkMetadataList"]) == copies


def test_a_framework_that_goes_while_it_is_used_leaves_a_whole_assessment_or_none(
    crowd: Crowd,
) -> None:
    for _ in range(4):
        framework = crowd.framework(crowd.control())
        answers = crowd.meet(
            [
                ("DeleteAssessmentFramework", {"frameworkId": framework}),
                *[("CreateAssessment", asked(framework))] * 3,
            ]
        )
        assert answers[0].ok
        for answer in answers[1:]:
            assert answer.status in (200, 404)
            if answer.ok:
                found = crowd.read(answer.body["assessment"]["metadata"]["id"])
                assert len(found["framework"]["controlSets"][0]["controls"]) == 1
