"""What holds for all policies: deny wins, order never matters, more never means the other way."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from auditkeep.access.policy import Facts, Policy, decide, explain, read

ARN = "arn:aws:auditmanager:us-east-1:111122223333:control/"
CONDITIONS = st.dictionaries(
    st.sampled_from(
        [
            "StringEquals",
            "StringNotLike",
            "StringLikeIfExists",
            "ForAllValues:StringLike",
            "ForAnyValue:StringNotEquals",
        ]
    ),
    st.dictionaries(
        st.sampled_from(["aws:username", "aws:TagKeys", "AWS:ResourceTag/a"]),
        st.lists(st.sampled_from(["a", "b", "*", "${aws:username}"]), min_size=1, max_size=2),
        max_size=2,
    ),
    max_size=2,
)
ACTIONS = st.sampled_from(["x:A", "x:B", "x:*", "*", "y:?"])
RESOURCES = st.sampled_from(["*", ARN + "*", ARN + "a", ARN + "${aws:username}"])


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None) -> dict[str, Any]:
    action = draw(st.sampled_from(["Action", "NotAction"]))
    resource = draw(st.sampled_from(["Resource", "NotResource"]))
    return {
        "Effect": effect or draw(st.sampled_from(["Allow", "Deny"])),
        action: draw(ACTIONS),
        resource: draw(RESOURCES),
        "Condition": draw(CONDITIONS),
    }


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, Facts]:
    words = st.sampled_from(["a", "b", "*", ""])
    facts = {
        key: tuple(draw(st.lists(words, max_size=2)))
        for key in ("aws:username", "aws:TagKeys", "aws:ResourceTag/a")
    }
    action = draw(st.sampled_from(["x:A", "X:b", "y:C"]))
    return action, draw(st.sampled_from(["*", ARN + "a", ARN + "b"])), Facts(facts)


def policy(*given: dict[str, Any]) -> Policy:
    return read("P", json.dumps({"Version": "2012-10-17", "Statement": given}))


MANY = st.lists(statements(), min_size=1, max_size=5)


@given(MANY, requests())
def test_a_deny_that_applies_wins(given: list[dict[str, Any]], ask: Any) -> None:
    denies = [s for s in given if s["Effect"] == "Deny"]
    flipped = [policy({**s, "Effect": "Allow"}) for s in denies]
    if any(decide([p], *ask).allowed for p in flipped):
        assert not decide([policy(*given)], *ask).allowed
        assert decide([policy(*given)], *ask).policy is not None


@given(MANY, requests(), st.randoms(use_true_random=False))
def test_order_never_matters(given: list[dict[str, Any]], ask: Any, random: Any) -> None:
    apart = [policy(s) for s in given]
    random.shuffle(apart)
    shuffled = random.sample(given, len(given))
    answer = decide([policy(*given)], *ask)
    for other in ([policy(*shuffled)], apart):
        assert decide(other, *ask).allowed is answer.allowed
        assert (decide(other, *ask).policy is None) is (answer.policy is None)


@given(MANY, statements("Deny"), requests())
def test_adding_a_deny_never_allows(given: Any, more: dict[str, Any], ask: Any) -> None:
    if not decide([policy(*given)], *ask).allowed:
        assert not decide([policy(*given), policy(more)], *ask).allowed


@given(MANY, statements("Allow"), requests())
def test_adding_an_allow_never_denies(given: Any, more: dict[str, Any], ask: Any) -> None:
    if decide([policy(*given)], *ask).allowed:
        assert decide([policy(*given), policy(more)], *ask).allowed


@given(MANY, requests())
def test_an_explanation_comes_to_the_same_decision(given: Any, ask: Any) -> None:
    policies = [policy(*given)]
    explained = explain(policies, *ask)
    assert explained.decision == decide(policies, *ask)
    applying = {c.effect for c in explained.considered if c.outcome == "applies"}
    assert explained.decision.allowed is (applying == {"Allow"})


@given(MANY, requests())
def test_a_condition_and_its_negation_never_both_hold(given: Any, ask: Any) -> None:
    for operator, negated in (("StringLike", "StringNotLike"), ("ArnEquals", "ArnNotEquals")):
        wanted = {"aws:TagKeys": "arn:aws:a:b:c:*"}
        whole = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        answers = [
            decide([policy({**whole, "Condition": {name: wanted}})], *ask).allowed
            for name in (operator, negated)
        ]
        assert sorted(answers) == [False, True]
