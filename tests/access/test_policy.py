"""Identity policies are read strictly and evaluated as IAM does."""

import fnmatch
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.access.policy import LARGEST, Glob, decide, read
from auditkeep.errors import InputError

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
        (ASSESSMENT.upper(), False),
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
    statement = {"Effect": "Allow", "NotAction": "x:Delete*", "NotResource": ["a", "b"]}
    assert allowed("x:Get", "c", statement)
    assert not allowed("x:DeleteAll", "c", statement)
    assert not allowed("x:Get", "b", statement)


def test_a_resource_pattern_does_not_cover_operations_without_a_resource() -> None:
    assert not allowed("x:Create", "*", allow(resource="arn:aws:auditmanager:*"))


PIECES = st.lists(st.sampled_from(["*", "?", "a", "b", "ab", "."]), max_size=8).map("".join)


@given(PIECES, st.text(alphabet="ab.", max_size=10))
def test_a_glob_matches_what_it_should(pattern: str, text: str) -> None:
    oracle = re.compile(fnmatch.translate(pattern))
    assert Glob(pattern).matches(text) is (oracle.match(text) is not None)


def test_a_hostile_glob_ends() -> None:
    assert not Glob("*a" * 40 + "b").matches("a" * 4000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 5000, "is not JSON"),
        ("[]", "must be an object"),
        ('{"Statement": []}', "whose Version is"),
        ('{"Version": "2020-01-01", "Statement": []}', "whose Version is"),
        (document(), "at least one Statement"),
        (json.dumps({"Version": "2012-10-17"}), "at least one Statement"),
        (json.dumps({"Version": "2012-10-17", "Statement": [5]}), "not an object"),
        (document(allow(), Extra=1), "holds Extra"),
        (document(allow(Condition={})), "conditions are not evaluated yet"),
        (document(allow(Principal="*")), "has a Principal"),
        (document(allow(Sid=5)), "Sid is not a string"),
        (document(allow(Extra=1)), "has Extra"),
        (document(allow() | {"Effect": "allow"}), "Effect Allow or Deny"),
        (document({"Effect": "Allow", "Resource": "*"}), "either Action or NotAction"),
        (document(allow(NotAction="*")), "either Action or NotAction"),
        (document({"Effect": "Allow", "Action": "*"}), "either Resource or NotResource"),
        (document(allow(action=[])), "strings for Action"),
        (document(allow(action=[5])), "strings for Action"),
        (document(allow(action="")), "strings for Action"),
        (document(allow(action="GetControl")), "write SERVICE:Name"),
        (document(allow(resource="arn:${aws:username}")), "policy variable"),
        ("x" * (LARGEST + 1), "is larger"),
    ],
)
def test_what_is_not_understood_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read("Mine", text)
    assert str(caught.value).startswith("The policy Mine ")


def test_a_single_statement_needs_no_list() -> None:
    policy = read("P", json.dumps({"Version": "2008-10-17", "Id": "x", "Statement": allow()}))
    assert decide([policy], "x:Y", "*").allowed
