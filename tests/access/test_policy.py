"""What policies allow and deny, as IAM decides it."""

import json
from typing import Any

import pytest

from auditkeep.access.policy import decide, read

ASSESSMENT = "arn:aws:auditmanager:us-east-1:111122223333:assessment/a"


def document(*statements: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def allowed(action: str, resource: str, *statements: dict[str, Any]) -> bool:
    return decide([read("P", document(*statements))], action, resource).allowed


def test_nothing_is_allowed_by_default() -> None:
    decision = decide([], "auditmanager:GetControl", "*")
    assert not decision.allowed
    assert decision.why == "no identity-based policy allows it"


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("auditmanager:GetAssessment", True),
        ("AuditManager:getassessment", True),
        ("auditmanager:Get*", True),
        ("auditmanager:*Assessment", True),
        ("auditmanager:Get?ssessment", True),
        ("*:GetAssessment", True),
        ("*", True),
        ("auditmanager:GetAssessmen", False),
        ("auditmanager:GetAssessment?", False),
        ("auditkeep:*", False),
    ],
)
def test_actions_match_with_wildcards_and_without_case(pattern: str, matches: bool) -> None:
    assert allowed("auditmanager:GetAssessment", "*", allow(pattern)) is matches


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (ASSESSMENT, True),
        ("arn:aws:auditmanager:*:111122223333:assessment/*", True),
        ("arn:aws:auditmanager:us-east-?:*", True),
        ("arn" + ASSESSMENT.upper()[3:], False),
        (ASSESSMENT + "/*", False),
        ("arn:aws:auditmanager:us-east-1:111122223333:control/*", False),
    ],
)
def test_resources_match_with_wildcards_and_with_case(pattern: str, matches: bool) -> None:
    assert allowed("auditmanager:GetAssessment", ASSESSMENT, allow(resource=pattern)) is matches


def test_both_spellings_of_a_control_set_mean_the_same() -> None:
    assert allowed("x:Y", ASSESSMENT + "/controlSet/S", allow(resource="*/ControlSet/S"))
    assert not allowed("x:Y", ASSESSMENT + "/controlSet/s", allow(resource="*/ControlSet/S"))


def test_an_explicit_deny_wins_wherever_it_stands() -> None:
    for statements in ((allow(), deny()), (deny(), allow())):
        assert not allowed("x:Y", "*", *statements)
    one, other = read("One", document(allow())), read("Other", document(deny("x:Y", Sid="NotY")))
    for order in ([one, other], [other, one]):
        decision = decide(order, "x:Y", "*")
        assert not decision.allowed
        assert decision.why == "NotY of the policy Other explicitly denies it"
        assert decide(order, "x:Z", "*").why == "statement 1 of the policy One allows it"


def test_not_action_and_not_resource_speak_of_everything_else() -> None:
    one, other = ASSESSMENT + "/a", ASSESSMENT + "/b"
    statement = {"Effect": "Allow", "NotAction": "x:Delete*", "NotResource": [one, other]}
    assert allowed("x:Get", ASSESSMENT, statement)
    assert not allowed("x:DeleteAll", ASSESSMENT, statement)
    assert not allowed("x:Get", other, statement)


def test_a_resource_pattern_does_not_cover_operations_without_a_resource() -> None:
    assert not allowed("x:Create", "*", allow(resource="arn:aws:auditmanager:*"))
