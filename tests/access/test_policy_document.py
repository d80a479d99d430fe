"""Documents are read strictly: what is not understood is refused with a sentence."""

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.access.policy import LARGEST, Facts, decide, read
from auditkeep.errors import InputError

ARN = "arn:aws:auditmanager:us-east-1:111122223333:assessment/"


def document(*statements: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(**more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": "*", "Resource": "*", **more}


def condition(operator: str, key: str, wanted: Any) -> str:
    return document(allow(Condition={operator: {key: wanted}}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 5000, "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"Version": "2020-01-01", "Statement": []}', "whose Version is"),
        (document(), "at least one Statement"),
        (json.dumps({"Version": "2012-10-17"}), "at least one Statement"),
        (json.dumps({"Version": "2012-10-17", "Statement": [5]}), "not an object"),
        (document(allow(), Extra=1), "holds Extra"),
        (document(allow(Condition=[])), "a Condition that is not an object"),
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
        (document(allow(resource="arn:${aws:username}")), "after the fifth colon"),
        (document(allow(resource=ARN + "${aws:username")), "without its closing brace"),
        (document(allow(resource=ARN + "${}")), "write ${prefix:key}"),
        (document(allow(resource=ARN + "${username}")), "write ${prefix:key}"),
        (document(allow(resource=ARN + "${aws:username, none}")), "write ${prefix:key}"),
        (document(allow(resource="myself")), "write an ARN, or * for all"),
        (document(allow(Sid="A"), deny(Sid="A")), "several statements with the Sid A"),
        ('{"Version": "2012-10-17", "Version": "2012-10-17"}', "two members 'Version'"),
        ('{"Version": NaN}', "is not JSON"),
        (condition("StringSame", "aws:username", "x"), "operator 'StringSame', which is not known"),
        (condition("IfExists", "aws:username", "x"), "which is not known"),
        (condition("ForSomeValues:StringEquals", "aws:username", "x"), "which is not known"),
        (condition("StringEquals", "username", "x"), "write PREFIX:Key"),
        (condition("StringEquals", "aws:username", []), "at least one value"),
        (condition("StringEquals", "aws:username", None), "texts, numbers, true or false"),
        (condition("StringEquals", "aws:username", [["x"]]), "texts, numbers, true or false"),
        (document(allow(Condition={"StringEquals": "x"})), "an object of keys and values"),
        (condition("NullIfExists", "aws:username", "true"), "Null takes no"),
        (condition("ForAnyValue:Null", "aws:TagKeys", "true"), "Null takes no"),
        (condition("Null", "aws:username", "maybe"), "neither true nor false"),
        (condition("Bool", "aws:SecureTransport", "yes"), "neither true nor false"),
        (condition("NumericLessThan", "aws:MultiFactorAuthAge", "1h"), "is no number"),
        (condition("DateLessThan", "aws:CurrentTime", "2026-13-01"), "is no date"),
        (condition("DateLessThan", "aws:CurrentTime", "2026-05-01T10:00:00"), "is no date"),
        (condition("IpAddress", "aws:SourceIp", "10.0.0.0/33"), "no CIDR range"),
        (condition("IpAddress", "aws:SourceIp", "${aws:SourceIp}"), "which takes none"),
        (condition("BinaryEquals", "x:y", "%"), "is not base64"),
        (condition("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*"), "is no ARN"),
        (condition("StringEquals", "aws:username", "${aws:userid"), "without its closing brace"),
        ("x" * (LARGEST + 1), "is larger"),
    ],
)
def test_what_is_not_understood_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read("Mine", text)
    assert str(caught.value).startswith("The policy Mine ")


def test_a_document_without_a_version_is_of_2008_and_knows_no_variables() -> None:
    policy = read("P", json.dumps({"Statement": allow(resource=ARN + "${aws:username}")}))
    assert decide([policy], "x:Y", ARN + "${aws:username}").allowed
    assert not decide([policy], "x:Y", ARN + "jo", Facts({"aws:username": "jo"})).allowed


def test_white_space_does_not_count_towards_the_size() -> None:
    text = document(*[allow(Sid=f"S{n}") for n in range(80)])
    assert len(text) < LARGEST
    assert len(read("P", text.replace(" ", " \n" * 20)).statements) == 80
    with pytest.raises(InputError, match="is larger"):
        read("P", " " * (17 * LARGEST) + text)


def test_an_empty_condition_is_none() -> None:
    blocks: list[dict[str, Any]] = [{}, {"StringEquals": {}}]
    for block in blocks:
        assert decide([read("P", document(allow(Condition=block)))], "x:Y", "*").allowed


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WORDS = ["*", "Allow", "StringEquals", "Null", "Bool", "DateLessThan", "aws:x", "${aws:x}", "x:Y"]
NEARLY = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Action": st.just("*"),
        "Resource": st.just("*"),
    },
    optional={
        "Sid": JSON,
        "NotAction": JSON,
        "Condition": JSON
        | st.dictionaries(
            st.sampled_from(WORDS) | st.text(),
            JSON | st.dictionaries(st.sampled_from(WORDS), JSON | st.sampled_from(WORDS)),
            max_size=3,
        ),
    },
)


@given(JSON | NEARLY.map(lambda s: {"Version": "2012-10-17", "Statement": s}))
def test_reading_any_json_gives_a_policy_or_a_sentence(value: Any) -> None:
    try:
        policy = read("P", json.dumps(value))
    except InputError as error:
        assert str(error).startswith("The policy P ")  # noqa: PT017  # either is well
    else:
        assert decide([policy], "x:Y", "*").allowed in (True, False)


@given(st.text() | st.binary())
def test_reading_anything_never_crashes(junk: str | bytes) -> None:
    with contextlib.suppress(InputError):
        read("P", junk)


def test_a_single_statement_needs_no_list() -> None:
    policy = read("P", json.dumps({"Version": "2008-10-17", "Id": "x", "Statement": allow()}))
    assert decide([policy], "x:Y", "*").allowed
