"""Registration, organisation, settings and tags, rule by rule (spec 1.11, 2.1, 8.4, 8.5, 10.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.operations.world import (
    DENIED,
    DESTINATION,
    HOME,
    MANUAL,
    NOT_FOUND,
    NOTHING,
    OTHER,
    OWNER,
    VALIDATION,
    Refusal,
    World,
    table,
)

REGION = "us-east-1"
PLACES = ("defaultAssessmentReportsDestination", "defaultExportDestination")


def _settings(world: World, **members: Any) -> Any:
    return world.ask("update_settings", **members)["settings"]


def _place(member: str, url: str, world: World) -> Any:
    return _settings(world, **{member: {"destinationType": "S3", "destination": url}})


def _tag(world: World, arn: str, **tags: str) -> Any:
    return world.ask("tag_resource", resourceArn=arn, tags=tags)


def _arn(kind: str, resource_id: str, account: str = HOME, region: str = REGION) -> str:
    return f"arn:aws:auditmanager:{region}:{account}:{kind}/{resource_id}"


def _shipped(world: World) -> str:
    found = world.ask("list_assessment_frameworks", frameworkType="Standard", maxResults=1)
    return str(found["frameworkMetadataList"][0]["arn"])


REFUSED = [
    Refusal(
        "a key is one of KMS, or DEFAULT",
        lambda w: w.ask("register_account", kmsKey="my-own-key"), VALIDATION, "kmsKey",
    ),
    Refusal(
        "the managing account cannot delegate to itself",
        lambda w: w.ask("register_organization_admin_account", adminAccountId=HOME),
        VALIDATION, "cannot be its delegated administrator",
    ),
    Refusal(
        "nor when it registers",
        lambda w: w.ask("register_account", delegatedAdminAccount=HOME),
        VALIDATION, "cannot be its delegated administrator",
    ),
    Refusal(
        "an administrator that is not registered cannot be deregistered",
        lambda w: w.ask("deregister_organization_admin_account"),
        VALIDATION, "Tenant is not in expected state",
    ),
    Refusal(
        "an administrator that is not registered cannot be read",
        lambda w: w.ask("get_organization_admin_account"), NOT_FOUND,
    ),
    Refusal(
        "a setting that is none cannot be read",
        lambda w: w.ask("get_settings", attribute="KMS_KEY"), VALIDATION, "attribute",
    ),
    *(
        Refusal(
            f"{member} names a bucket that can be", partial(_place, member, "s3://No_Bucket"),
            VALIDATION, member,
        )
        for member in PLACES
    ),
    Refusal(
        "a destination has its type",
        lambda w: _settings(w, defaultExportDestination={"destination": "s3://a-bucket"}),
        VALIDATION, "needs both",
    ),
    Refusal(
        "default owners are audit owners",
        lambda w: _settings(
            w, defaultProcessOwners=[{"roleType": "RESOURCE_OWNER", "roleArn": OWNER}]
        ),
        VALIDATION, "PROCESS_OWNER only",
    ),
    Refusal(
        "a tag's key does not begin with aws:",
        lambda w: w.ask("tag_resource", resourceArn=_arn("control", w.mine), tags={"aws:a": "b"}),
        VALIDATION, "tags",
    ),
    Refusal(
        "a control is made with 50 tags at most",
        lambda w: w.control(MANUAL, tags={f"k{n}": "v" for n in range(51)}), VALIDATION, "tags",
    ),
    Refusal(
        "at least one key is taken off",
        lambda w: w.ask("untag_resource", resourceArn=_arn("control", w.mine), tagKeys=[]),
        VALIDATION, "tagKeys",
    ),
    Refusal(
        "what is shipped takes no tags",
        lambda w: _tag(w, _shipped(w), a="b"), VALIDATION, "takes no tags",
    ),
    Refusal(
        "a tag's key has 128 characters at most",
        lambda w: w.ask("tag_resource", resourceArn=_arn("control", w.mine), tags={"k" * 129: "v"}),
        VALIDATION, "tags",
    ),
    *(
        Refusal(f"there is no {what}", partial(_tag, arn=arn, a="b"), NOT_FOUND)
        for what, arn in (
            ("control of that id", _arn("control", NOTHING)),
            ("framework of that id", _arn("assessmentFramework", NOTHING)),
            ("assessment of that id", _arn("assessment", NOTHING)),
            ("such kind of thing", _arn("report", NOTHING)),
        )
    ),
    Refusal(
        "an ARN of another service is none of this one",
        lambda w: _tag(w, "arn:aws:s3:::bucket-of-somebody", a="b"), VALIDATION, "resourceArn",
    ),
]  # fmt: skip


@table(REFUSED)
def test_it_is_refused_and_changes_nothing(world: World, row: Refusal) -> None:
    row.holds(world)


# --- the account's own life ----------------------------------------------------------------------

EVENTS: dict[str, Callable[[World, Any], Any]] = {
    "register": lambda w, c: w.ask("register_account", client=c)["status"],
    "deregister": lambda w, c: w.ask("deregister_account", client=c)["status"],
}


@pytest.mark.parametrize(
    ("before", "event", "after"),
    [
        ([], "register", "ACTIVE"),
        ([], "deregister", "INACTIVE"),
        (["register"], "register", "ACTIVE"),
        (["register"], "deregister", "INACTIVE"),
        (["register", "deregister"], "register", "ACTIVE"),
        (["register", "deregister"], "deregister", "INACTIVE"),
    ],
)
def test_an_account_is_registered_and_deregistered(
    world_with: Callable[..., World], before: list[str], event: str, after: str
) -> None:
    world = world_with()
    client = world.account(OTHER, registered=False)
    for one in before:
        EVENTS[one](world, client)
    assert EVENTS[event](world, client) == after
    assert world.ask("get_account_status", client=client)["status"] == after


def test_what_is_open_to_accounts_that_have_not_registered(world: World) -> None:
    client = world.account("555566667777", registered=False)
    assert world.ask("get_account_status", client=client)["status"] == "INACTIVE"
    for operation, members in (
        ("list_assessments", {}), ("get_settings", {"attribute": "ALL"}),
        ("get_services_in_scope", {}), ("list_notifications", {}),
        ("get_organization_admin_account", {}), ("deregister_organization_admin_account", {}),
    ):  # fmt: skip
        seen = world.refused(operation, client=client, **members)
        assert (seen["Code"], seen["status"]) == DENIED, operation
        assert "RegisterAccount" in seen["Message"]
    seen = world.refused(
        "list_tags_for_resource", client=client, resourceArn=_arn("control", NOTHING)
    )
    assert (seen["Code"], seen["status"]) == NOT_FOUND


def test_what_was_made_is_there_again_after_registering_again(
    world_with: Callable[..., World],
) -> None:
    world = world_with()
    control, framework = world.control(tags={"a": "b"}), world.framework()
    _settings(world, snsTopic="arn:aws:sns:us-east-1:111122223333:audit")
    made = world.assessment()
    world.ask("deregister_account")
    world.ask("register_account")
    assert world.ask("get_control", controlId=control["id"])["control"] == control
    read = world.ask("get_assessment_framework", frameworkId=framework["id"])["framework"]
    assert read == framework
    assert world.ask("get_assessment", assessmentId=made.id)["assessment"]["arn"] == made.arn
    shown = world.ask("get_settings", attribute="SNS_TOPIC")["settings"]
    assert shown == {"snsTopic": "arn:aws:sns:us-east-1:111122223333:audit"}


# --- settings ------------------------------------------------------------------------------------


def test_settings_of_a_new_account(world_with: Callable[..., World]) -> None:
    shown = world_with().ask("get_settings", attribute="ALL")["settings"]
    shown.pop("evidenceFinderEnablement", None)
    assert shown == {
        "isAwsOrgEnabled": False,
        "defaultProcessOwners": [],
        "kmsKey": "DEFAULT",
        "deregistrationPolicy": {"deleteResources": "DEFAULT"},
    }


CHANGES: list[tuple[dict[str, Any], str, dict[str, Any] | None]] = [
    ({"snsTopic": "arn:aws:sns:us-east-1:111122223333:t"}, "SNS_TOPIC", None),
    ({"snsTopic": "NONE"}, "SNS_TOPIC", {}),
    (
        {"defaultAssessmentReportsDestination": DESTINATION},
        "DEFAULT_ASSESSMENT_REPORTS_DESTINATION", None,
    ),
    ({"defaultExportDestination": DESTINATION}, "DEFAULT_EXPORT_DESTINATION", None),
    (
        {"defaultProcessOwners": [{"roleType": "PROCESS_OWNER", "roleArn": OWNER}]},
        "DEFAULT_PROCESS_OWNERS", None,
    ),
    ({"defaultProcessOwners": []}, "DEFAULT_PROCESS_OWNERS", None),
    ({"deregistrationPolicy": {"deleteResources": "ALL"}}, "DEREGISTRATION_POLICY", None),
]  # fmt: skip


@pytest.mark.parametrize(("change", "attribute", "read"), CHANGES)
def test_a_setting_is_changed_alone_and_read_alone(
    world: World, change: dict[str, Any], attribute: str, read: Any
) -> None:
    before = world.ask("get_settings", attribute="ALL")["settings"]
    after = _settings(world, **change)
    (member,) = change
    assert {k: v for k, v in after.items() if k != member} == {
        k: v for k, v in before.items() if k != member
    }
    shown = world.ask("get_settings", attribute=attribute)["settings"]
    assert shown == (change if read is None else read)


# --- tags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", ["control", "framework", "assessment"])
def test_tags_are_set_replaced_and_taken_off(world: World, noun: str) -> None:
    made = getattr(world, noun)(tags={"team": "grc", "a:b/c=d.e_f-g+h": "1"})
    arn = made.arn if noun == "assessment" else made["arn"]
    _tag(world, arn, team="audit", stage="")
    expected = {"team": "audit", "stage": "", "a:b/c=d.e_f-g+h": "1"}
    assert world.ask("list_tags_for_resource", resourceArn=arn)["tags"] == expected
    for _ in range(2):  # keys that are not there are ignored
        world.ask(
            "untag_resource", resourceArn=arn, tagKeys=["stage", "nothing", "a:b/c=d.e_f-g+h"]
        )
    assert world.ask("list_tags_for_resource", resourceArn=arn)["tags"] == {"team": "audit"}


def test_a_resource_has_50_tags_over_all_requests(world: World) -> None:
    arn = world.control(tags={f"k{n}": "v" for n in range(50)})["arn"]
    _tag(world, arn, k1="again")
    seen = world.refusal(lambda w: _tag(w, arn, one="more"))
    assert (seen["Code"], seen["status"]) == VALIDATION
    assert "51" in seen["Message"]


def test_tags_go_with_what_they_were_on(world: World) -> None:
    control = world.control(tags={"a": "b"})
    world.ask("delete_control", controlId=control["id"])
    seen = world.refused("list_tags_for_resource", resourceArn=control["arn"])
    assert (seen["Code"], seen["status"]) == NOT_FOUND


def test_another_tenants_resources_have_no_tags_to_be_seen(world: World) -> None:
    control = world.control(tags={"a": "b"})
    stranger = world.account(OTHER)
    for arn in (control["arn"], control["arn"].replace(HOME, OTHER)):
        seen = world.refused("list_tags_for_resource", client=stranger, resourceArn=arn)
        assert (seen["Code"], seen["status"]) == NOT_FOUND
