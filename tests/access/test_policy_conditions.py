"""Conditions hold as IAM documents it: a table of its rules, each with a policy and a request.

The rules are those of the AWS IAM User Guide, "Condition operators", "Conditions with multiple
context keys or values", "Single-valued vs. multivalued context keys" and "Variables and tags", in
our words. A row is: rule, condition, what the request holds, whether a statement under the
condition applies.
"""

import json
from typing import Any

import pytest

from auditkeep.access.policy import Facts, decide, read

Values = str | tuple[str, ...]
TAGS = "aws:TagKeys"
NOW = "aws:CurrentTime"
AGE = "aws:MultiFactorAuthAge"
ME = "aws:username"
FROM = "aws:SourceIp"
ROLE = "aws:PrincipalArn"
ROLE_ARN = "arn:aws:iam::111122223333:role/Auditor"

RULES: list[tuple[str, dict[str, Any], dict[str, Values], bool]] = [
    # several operators, keys, values
    ("no operator is no condition", {}, {}, True),
    ("values of one key are alternatives", {"StringEquals": {ME: ["a", "b"]}}, {ME: "b"}, True),
    ("values of one key are alternatives", {"StringEquals": {ME: ["a", "b"]}}, {ME: "c"}, False),
    ("all keys of an operator must hold", {"StringEquals": {ME: "a", "x:y": "b"}}, {ME: "a"}, False),
    (
        "all keys of an operator must hold",
        {"StringEquals": {ME: "a", "x:y": "b"}},
        {ME: "a", "x:y": "b"},
        True,
    ),
    (
        "all operators must hold",
        {"StringEquals": {ME: "a"}, "Bool": {"aws:SecureTransport": "true"}},
        {ME: "a", "aws:SecureTransport": "false"},
        False,
    ),
    ("a negated operator wants none of its values", {"StringNotEquals": {ME: ["a", "b"]}}, {ME: "b"}, False),
    ("a negated operator wants none of its values", {"StringNotEquals": {ME: ["a", "b"]}}, {ME: "c"}, True),
    ("key names have no case", {"StringEquals": {"AWS:UserName": "a"}}, {ME: "a"}, True),
    ("a key nobody knows is absent", {"StringEquals": {"aws:Nonsense": "a"}}, {ME: "a"}, False),
    # strings
    ("StringEquals is exact", {"StringEquals": {ME: "Anna"}}, {ME: "Anna"}, True),
    ("StringEquals minds case", {"StringEquals": {ME: "Anna"}}, {ME: "anna"}, False),
    ("StringEquals knows no wildcards", {"StringEquals": {ME: "A*"}}, {ME: "Anna"}, False),
    ("StringEquals takes a star as such", {"StringEquals": {ME: "A*"}}, {ME: "A*"}, True),
    ("StringEquals may want an empty text", {"StringEquals": {"x:y": ""}}, {"x:y": ""}, True),
    ("IgnoreCase minds no case", {"StringEqualsIgnoreCase": {ME: "ANNA"}}, {ME: "anna"}, True),
    ("NotEqualsIgnoreCase is its negation", {"StringNotEqualsIgnoreCase": {ME: "ANNA"}}, {ME: "anna"}, False),
    ("StringLike has wildcards", {"StringLike": {ME: "A??a*"}}, {ME: "Anna-B"}, True),
    ("StringLike minds case", {"StringLike": {ME: "a*"}}, {ME: "Anna"}, False),
    ("a wildcard is needed for a part", {"StringLike": {ME: "Ann"}}, {ME: "Anna"}, False),
    ("StringNotLike is its negation", {"StringNotLike": {ME: "A*"}}, {ME: "Anna"}, False),
    ("StringNotLike is its negation", {"StringNotLike": {ME: "B*"}}, {ME: "Anna"}, True),
    # a key that is absent
    ("absent: no match", {"StringEquals": {ME: "a"}}, {}, False),
    ("absent: no match, whatever is wanted", {"StringLike": {ME: "*"}}, {}, False),
    ("absent: a negated operator holds", {"StringNotEquals": {ME: "a"}}, {}, True),
    ("absent: a negated operator holds", {"StringNotLike": {ME: "*"}}, {}, True),
    ("absent: a negated operator holds", {"ArnNotLike": {ROLE: ROLE_ARN}}, {}, True),
    ("absent: a negated operator holds", {"NotIpAddress": {FROM: "10.0.0.0/8"}}, {}, True),
    ("absent: a negated operator holds", {"NumericNotEquals": {AGE: "1"}}, {}, True),
    ("absent: a negated operator holds", {"DateNotEquals": {NOW: "2026-05-01"}}, {}, True),
    ("absent: no match", {"Bool": {"aws:MultiFactorAuthPresent": "false"}}, {}, False),
    ("absent: no match", {"NumericLessThan": {AGE: "3600"}}, {}, False),
    # IfExists
    ("IfExists: absent holds", {"StringEqualsIfExists": {ME: "a"}}, {}, True),
    ("IfExists: present is compared", {"StringEqualsIfExists": {ME: "a"}}, {ME: "b"}, False),
    ("IfExists: present is compared", {"StringEqualsIfExists": {ME: "a"}}, {ME: "a"}, True),
    ("IfExists: absent holds, negated too", {"StringNotEqualsIfExists": {ME: "a"}}, {}, True),
    ("IfExists: present is compared", {"StringNotEqualsIfExists": {ME: "a"}}, {ME: "a"}, False),
    ("IfExists on Bool", {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, {}, True),
    (
        "IfExists on Bool",
        {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}},
        {"aws:MultiFactorAuthPresent": "false"},
        False,
    ),
    ("IfExists on an address", {"IpAddressIfExists": {FROM: "10.0.0.0/8"}}, {}, True),
    ("IfExists on a set", {"ForAnyValue:StringEqualsIfExists": {TAGS: "a"}}, {}, True),
    ("IfExists on a set", {"ForAnyValue:StringEqualsIfExists": {TAGS: "a"}}, {TAGS: ("b",)}, False),
    # Null
    ("Null true: the key must be absent", {"Null": {ME: "true"}}, {}, True),
    ("Null true: the key must be absent", {"Null": {ME: "true"}}, {ME: "a"}, False),
    ("Null false: the key must be there", {"Null": {ME: "false"}}, {ME: "a"}, True),
    ("Null false: the key must be there", {"Null": {ME: "false"}}, {}, False),
    ("Null takes JSON's own true and false", {"Null": {ME: False}}, {ME: "a"}, True),
    ("Null of an empty set is absence", {"Null": {TAGS: "false"}}, {TAGS: ()}, False),
    # numbers
    ("NumericEquals", {"NumericEquals": {AGE: "10"}}, {AGE: "10"}, True),
    ("numbers, not texts", {"NumericEquals": {AGE: "10"}}, {AGE: "10.0"}, True),
    ("JSON numbers are as good", {"NumericEquals": {AGE: 10}}, {AGE: "10"}, True),
    ("NumericNotEquals", {"NumericNotEquals": {AGE: "10"}}, {AGE: "10"}, False),
    ("NumericLessThan excludes", {"NumericLessThan": {AGE: "10"}}, {AGE: "10"}, False),
    ("NumericLessThan", {"NumericLessThan": {AGE: "10"}}, {AGE: "9"}, True),
    ("9 is less than 10", {"NumericGreaterThan": {AGE: "9"}}, {AGE: "10"}, True),
    ("NumericLessThanEquals includes", {"NumericLessThanEquals": {AGE: "10"}}, {AGE: "10"}, True),
    ("NumericGreaterThan excludes", {"NumericGreaterThan": {AGE: "10"}}, {AGE: "10"}, False),
    ("NumericGreaterThanEquals includes", {"NumericGreaterThanEquals": {AGE: "-1.5"}}, {AGE: "-1.5"}, True),
    ("no number matches no number", {"NumericGreaterThan": {AGE: "0"}}, {AGE: "many"}, False),
    # dates
    ("DateEquals", {"DateEquals": {NOW: "2026-05-01T00:00:00Z"}}, {NOW: "2026-05-01T00:00:00Z"}, True),
    ("a date is its first instant", {"DateEquals": {NOW: "2026-05-01"}}, {NOW: "2026-05-01T00:00:00Z"}, True),
    ("a month is its first instant", {"DateEquals": {NOW: "2026-05"}}, {NOW: "2026-05-01T00:00Z"}, True),
    ("a year is its first instant", {"DateEquals": {NOW: "2026"}}, {NOW: "2026-01-01"}, True),
    ("offsets count", {"DateEquals": {NOW: "2026-05-01T02:00:00+02:00"}}, {NOW: "2026-05-01T00:00:00Z"}, True),
    ("fractions count", {"DateLessThan": {NOW: "2026-05-01T00:00:00.5Z"}}, {NOW: "2026-05-01T00:00:00.499999Z"}, True),
    ("seconds since 1970 are a date", {"DateEquals": {NOW: "1777593600"}}, {NOW: "2026-05-01T00:00:00Z"}, True),
    ("seconds since 1970 are a date", {"DateGreaterThan": {"aws:EpochTime": "2026-04-30"}}, {"aws:EpochTime": "1777593600"}, True),
    ("DateNotEquals", {"DateNotEquals": {NOW: "2026-05-01"}}, {NOW: "2026-05-01T00:00:00Z"}, False),
    ("DateLessThan excludes", {"DateLessThan": {NOW: "2026-05-01"}}, {NOW: "2026-05-01T00:00:00Z"}, False),
    ("DateLessThanEquals includes", {"DateLessThanEquals": {NOW: "2026-05-01"}}, {NOW: "2026-05-01T00:00:00Z"}, True),
    ("DateGreaterThan excludes", {"DateGreaterThan": {NOW: "2026-05-01"}}, {NOW: "2026-05-01T00:00:00Z"}, False),
    ("DateGreaterThanEquals includes", {"DateGreaterThanEquals": {NOW: "2026-05-01"}}, {NOW: "2026-05-01T00:00:00Z"}, True),
    ("no date matches no date", {"DateGreaterThan": {NOW: "2026-05-01"}}, {NOW: "tomorrow"}, False),
    # Bool, binary
    ("Bool", {"Bool": {"aws:SecureTransport": "true"}}, {"aws:SecureTransport": "true"}, True),
    ("Bool", {"Bool": {"aws:SecureTransport": True}}, {"aws:SecureTransport": "false"}, False),
    ("Bool minds no case", {"Bool": {"aws:SecureTransport": "TRUE"}}, {"aws:SecureTransport": "true"}, True),
    ("BinaryEquals compares bytes", {"BinaryEquals": {"x:y": "QQ=="}}, {"x:y": "QQ=="}, True),
    ("BinaryEquals compares bytes", {"BinaryEquals": {"x:y": "QQ=="}}, {"x:y": "Qg=="}, False),
    ("no base64 matches no bytes", {"BinaryEquals": {"x:y": "QQ=="}}, {"x:y": "A"}, False),
    # addresses
    ("a range holds its addresses", {"IpAddress": {FROM: "203.0.113.0/24"}}, {FROM: "203.0.113.77"}, True),
    ("a range holds no other", {"IpAddress": {FROM: "203.0.113.0/24"}}, {FROM: "203.0.114.1"}, False),
    ("an address alone is /32", {"IpAddress": {FROM: "203.0.113.7"}}, {FROM: "203.0.113.7"}, True),
    ("an address alone is /32", {"IpAddress": {FROM: "203.0.113.7"}}, {FROM: "203.0.113.8"}, False),
    ("IPv6 ranges", {"IpAddress": {FROM: "2001:DB8:1234:5678::/64"}}, {FROM: "2001:db8:1234:5678::9"}, True),
    ("IPv6 ranges", {"IpAddress": {FROM: "2001:DB8:1234:5678::/64"}}, {FROM: "2001:db8:1234:5679::9"}, False),
    ("both kinds side by side", {"IpAddress": {FROM: ["10.0.0.0/8", "::1"]}}, {FROM: "::1"}, True),
    ("IPv4 inside IPv6 is IPv4", {"IpAddress": {FROM: "10.0.0.0/8"}}, {FROM: "::ffff:10.1.2.3"}, True),
    ("NotIpAddress", {"NotIpAddress": {FROM: ["10.0.0.0/8", "192.0.2.0/24"]}}, {FROM: "192.0.2.1"}, False),
    ("NotIpAddress", {"NotIpAddress": {FROM: ["10.0.0.0/8", "192.0.2.0/24"]}}, {FROM: "192.0.3.1"}, True),
    ("no address is in no range", {"IpAddress": {FROM: "0.0.0.0/0"}}, {FROM: "somewhere"}, False),
    # ARNs
    ("ArnEquals has wildcards", {"ArnEquals": {ROLE: "arn:aws:iam::*:role/A*"}}, {ROLE: ROLE_ARN}, True),
    ("ArnLike is the same", {"ArnLike": {ROLE: "arn:aws:iam::*:role/A*"}}, {ROLE: ROLE_ARN}, True),
    ("ARNs mind case", {"ArnLike": {ROLE: "arn:aws:iam::*:role/a*"}}, {ROLE: ROLE_ARN}, False),
    ("a star stays in its field", {"ArnLike": {ROLE: "arn:aws:*:*:*:Auditor"}}, {ROLE: ROLE_ARN}, False),
    ("ArnNotEquals", {"ArnNotEquals": {ROLE: ROLE_ARN}}, {ROLE: ROLE_ARN}, False),
    ("ArnNotLike", {"ArnNotLike": {ROLE: "arn:aws:iam::*:role/B*"}}, {ROLE: ROLE_ARN}, True),
    # sets
    ("ForAnyValue: one is enough", {"ForAnyValue:StringEquals": {TAGS: ["a", "b"]}}, {TAGS: ("b", "x")}, True),
    ("ForAnyValue: none is not", {"ForAnyValue:StringEquals": {TAGS: ["a", "b"]}}, {TAGS: ("x", "y")}, False),
    ("ForAnyValue: absent does not hold", {"ForAnyValue:StringEquals": {TAGS: "a"}}, {}, False),
    ("ForAnyValue: absent does not hold, negated either", {"ForAnyValue:StringNotEquals": {TAGS: "a"}}, {}, False),
    ("ForAnyValue: an empty text is an empty set", {"ForAnyValue:StringLike": {TAGS: "*"}}, {TAGS: ("",)}, False),
    ("ForAnyValue negated: one outside is enough", {"ForAnyValue:StringNotEquals": {TAGS: ["a", "b"]}}, {TAGS: ("a", "x")}, True),
    ("ForAnyValue negated: all inside is not", {"ForAnyValue:StringNotEquals": {TAGS: ["a", "b"]}}, {TAGS: ("a", "b")}, False),
    ("ForAllValues: every one must match", {"ForAllValues:StringLike": {TAGS: ["a*", "b"]}}, {TAGS: ("ab", "b")}, True),
    ("ForAllValues: every one must match", {"ForAllValues:StringLike": {TAGS: ["a*", "b"]}}, {TAGS: ("ab", "c")}, False),
    ("ForAllValues: absent holds", {"ForAllValues:StringEquals": {TAGS: "a"}}, {}, True),
    ("ForAllValues: an empty set holds", {"ForAllValues:StringEquals": {TAGS: "a"}}, {TAGS: ()}, True),
    ("ForAllValues: an empty text is an empty set", {"ForAllValues:StringEquals": {TAGS: "a"}}, {TAGS: ("",)}, True),
    ("ForAllValues: Null closes that door", {"ForAllValues:StringEquals": {TAGS: "a"}, "Null": {TAGS: "false"}}, {}, False),
    ("ForAllValues negated: none may match", {"ForAllValues:StringNotEquals": {TAGS: ["a", "b"]}}, {TAGS: ("x", "a")}, False),
    ("ForAllValues negated: none may match", {"ForAllValues:StringNotEquals": {TAGS: ["a", "b"]}}, {TAGS: ("x", "y")}, True),
    ("quantifiers go with other kinds", {"ForAllValues:NumericLessThan": {"x:y": "3"}}, {"x:y": ("1", "2")}, True),
    ("a set under a plain operator: any matches", {"StringEquals": {TAGS: "a"}}, {TAGS: ("a", "b")}, True),
    ("a set under a negated one: its complement", {"StringNotEquals": {TAGS: "a"}}, {TAGS: ("a", "b")}, False),
    # variables
    ("a variable is the request's value", {"StringEquals": {"aws:ResourceTag/owner": "${aws:username}"}}, {ME: "jo", "aws:ResourceTag/owner": "jo"}, True),
    ("a variable is the request's value", {"StringEquals": {"aws:ResourceTag/owner": "${aws:username}"}}, {ME: "jo", "aws:ResourceTag/owner": "al"}, False),
    ("a variable beside text and wildcards", {"StringLike": {"x:y": "home/${aws:username}/*"}}, {ME: "jo", "x:y": "home/jo/a"}, True),
    ("a value never acts as a wildcard", {"StringLike": {"x:y": "${aws:username}"}}, {ME: "*", "x:y": "anything"}, False),
    ("a value never acts as a wildcard", {"StringLike": {"x:y": "${aws:username}"}}, {ME: "*", "x:y": "*"}, True),
    ("variable names have no case", {"StringEquals": {"x:y": "${AWS:USERNAME}"}}, {ME: "jo", "x:y": "jo"}, True),
    ("no value, no match", {"StringEquals": {"x:y": "${aws:username}"}}, {"x:y": ""}, False),
    ("no value, no match, so a negated operator holds", {"StringNotEquals": {"x:y": "${aws:username}"}}, {"x:y": "a"}, True),
    ("several values are no value", {"StringLike": {"x:y": "${aws:TagKeys}"}}, {TAGS: ("a", "b"), "x:y": "a"}, False),
    ("other values still count", {"StringEquals": {"x:y": ["${aws:username}", "a"]}}, {"x:y": "a"}, True),
    ("a default stands in", {"StringEquals": {"x:y": "${aws:PrincipalTag/team, 'none'}"}}, {"x:y": "none"}, True),
    ("a default only stands in", {"StringEquals": {"x:y": "${aws:PrincipalTag/team, 'none'}"}}, {"x:y": "none", "aws:PrincipalTag/team": "red"}, False),
    ("a default may be empty", {"StringEquals": {"x:y": "a${aws:PrincipalTag/team,''}"}}, {"x:y": "a"}, True),
    ("${*} is a star", {"StringLike": {"x:y": "a${*}"}}, {"x:y": "ab"}, False),
    ("${*} is a star", {"StringLike": {"x:y": "a${*}"}}, {"x:y": "a*"}, True),
    ("${?} is a question mark", {"StringLike": {"x:y": "a${?}"}}, {"x:y": "a?"}, True),
    ("${$} is a dollar sign", {"StringEquals": {"x:y": "${$}{aws:username}"}}, {"x:y": "${aws:username}", ME: "jo"}, True),
    ("variables in ARNs", {"ArnLike": {ROLE: "arn:aws:iam::*:role/${aws:PrincipalTag/team}*"}}, {ROLE: ROLE_ARN, "aws:PrincipalTag/team": "Aud"}, True),
    ("a whole ARN may be a variable", {"ArnEquals": {"x:y": "${aws:PrincipalArn}"}}, {ROLE: ROLE_ARN, "x:y": ROLE_ARN}, True),
    ("variables without case", {"StringEqualsIgnoreCase": {"x:y": "${aws:username}"}}, {ME: "JO", "x:y": "jo"}, True),
    ("operator names have no case", {"bool": {"aws:SecureTransport": "true"}}, {"aws:SecureTransport": "true"}, True),
    ("operator names have no case", {"foranyvalue:stringlikeifexists": {TAGS: "a*"}}, {}, True),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "condition", "facts", "holds"), RULES)
def test_conditions_hold_as_iam_documents(
    rule: str, condition: dict[str, Any], facts: dict[str, Values], holds: bool
) -> None:
    for effect in ("Allow", "Deny"):
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        statement = {"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition}
        document = {
            "Version": "2012-10-17",
            "Statement": [statement] if effect == "Allow" else [everything, statement],
        }
        decision = decide([read("P", json.dumps(document))], "x:Y", "*", Facts(facts))
        assert decision.allowed is (holds if effect == "Allow" else not holds), rule


def test_every_operator_stands_in_the_table() -> None:
    from auditkeep.access.policy.operators import OPERATORS

    used = {operator.lower() for _, condition, _, _ in RULES for operator in condition}
    assert {*OPERATORS, "null"} <= used


RESOURCE = "arn:aws:auditmanager:us-east-1:111122223333:control/"


@pytest.mark.parametrize(
    ("written", "facts", "resource", "covers"),
    [
        ("${aws:username}", {ME: "jo"}, "jo", True),
        ("${aws:username}", {ME: "jo"}, "al", False),
        ("${aws:username}-*", {ME: "jo"}, "jo-1", True),
        ("${aws:username}", {}, "", False),
        ("${aws:username}", {ME: "*"}, "jo", False),
        ("${aws:username, 'jo'}", {}, "jo", True),
        ("${*}", {}, "jo", False),
        ("${*}", {}, "*", True),
    ],
)
def test_variables_stand_in_resources(
    written: str, facts: dict[str, Values], resource: str, covers: bool
) -> None:
    for member in ("Resource", "NotResource"):
        statement = {"Effect": "Allow", "Action": "*", member: RESOURCE + written}
        policy = read("P", json.dumps({"Version": "2012-10-17", "Statement": statement}))
        decision = decide([policy], "x:Y", RESOURCE + resource, Facts(facts))
        assert decision.allowed is (covers is (member == "Resource"))


def test_in_a_document_of_2008_a_variable_is_text() -> None:
    condition = {"StringEquals": {"x:y": "${aws:username}"}}
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
    policy = read("P", json.dumps({"Version": "2008-10-17", "Statement": statement}))
    assert decide([policy], "x:Y", "*", Facts({"x:y": "${aws:username}"})).allowed
    assert not decide([policy], "x:Y", "*", Facts({"x:y": "jo", ME: "jo"})).allowed


class Watched(Facts):
    """A context that remembers what was asked."""

    def __init__(self, facts: dict[str, Values]) -> None:
        super().__init__(facts)
        self.asked: list[str] = []

    def values(self, key: str) -> tuple[str, ...]:
        self.asked.append(key)
        return super().values(key)


def test_keys_are_looked_up_only_for_statements_that_speak_of_the_request() -> None:
    condition = {"StringEquals": {ME: "jo"}}
    statements = [
        {"Effect": "Allow", "Action": "x:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "x:Other", "Resource": "*", "Condition": condition},
        {"Effect": "Deny", "Action": "*", "Resource": RESOURCE + "*", "Condition": condition},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition},
    ]
    policy = read("P", json.dumps({"Version": "2012-10-17", "Statement": statements}))
    watched = Watched({ME: "jo"})
    assert decide([policy], "x:Y", "*", watched).allowed
    assert watched.asked == []
    assert not decide([policy], "x:Y", RESOURCE + "1", watched).allowed
    assert watched.asked == [ME]


@pytest.mark.parametrize(
    ("condition", "resource", "asks"),
    [
        ({"StringEquals": {"AWS:ResourceTag/team": "a"}}, "*", True),
        ({"StringEquals": {"x:y": "${aws:ResourceTag/team}"}}, "*", True),
        ({}, RESOURCE + "${aws:resourcetag/team}", True),
        ({"StringEquals": {"aws:RequestTag/team": "a"}}, RESOURCE + "${aws:username}", False),
    ],
)
def test_a_policy_knows_whether_it_asks_for_tags_of_the_resource(
    condition: dict[str, Any], resource: str, asks: bool
) -> None:
    statement = {"Effect": "Deny", "Action": "*", "Resource": resource, "Condition": condition}
    policy = read("P", json.dumps({"Version": "2012-10-17", "Statement": statement}))
    assert policy.asks_resource is asks
