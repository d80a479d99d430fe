"""Which Config rules are missing: only what Config said, where it was asked for all of them."""

from __future__ import annotations

import msgspec
from tests.collection.test_plan import ONE, REACH, TWO, look

from auditkeep.clock import Instant
from auditkeep.collection import missing_rules
from auditkeep.collection.missing_rules import Missing
from auditkeep.collection.plan import make
from auditkeep.collection.targets import Place, Target

HERE = "eu-west-1"
A, B = "config:A_RULE", "config:B_RULE"
OPENED = Instant(10)
ANSWERED = Target(looked_at=OPENED, done_at=Instant(20))
DENIED = Target(tries=1, message="It may not be asked.", reason="denied")


def known(**targets: Target) -> dict[tuple[Place, str], Target]:
    return {
        (Place({"one": ONE, "two": TWO}[n], HERE, "AWS_Config"), ""): t for n, t in targets.items()
    }


def lacking(state: Target, *match_keys: str) -> Target:
    return msgspec.structs.replace(
        state, faults=dict.fromkeys(match_keys, ("switched-off", "", ""))
    )


def test_what_config_named_as_not_there_is_missing_and_nothing_else() -> None:
    plan = make([look(A, B, "api:iam_ListUsers", opens_at=OPENED)], REACH)
    said = missing_rules.of(frozenset({A, B}), plan, known(one=lacking(ANSWERED, A, "config:C")))
    assert said == Missing(frozenset({A}), 1, (), frozenset())


def test_nothing_is_known_where_config_was_not_asked_or_did_not_answer() -> None:
    plan = make([look(A, accounts=(ONE, TWO), opens_at=OPENED)], REACH)
    said = missing_rules.of(frozenset({A}), plan, known(two=DENIED))
    assert (said.keys, said.answered) == (frozenset(), 0)
    assert [(place.account, why) for place, why in said.silent] == [
        (ONE, "It has not been asked yet."),
        (TWO, "It may not be asked."),
    ]


def test_an_answer_from_before_somebody_looked_says_nothing_of_it() -> None:
    plan = make([look(A, B, opens_at=Instant(30))], REACH)
    said = missing_rules.of(frozenset({A, B}), plan, known(one=lacking(ANSWERED, A)))
    assert (said.keys, said.answered, len(said.silent)) == (frozenset(), 0, 1)


def test_an_answer_holds_while_config_cannot_be_asked_again() -> None:
    plan = make([look(A, B, opens_at=OPENED)], REACH)
    failing = msgspec.structs.replace(lacking(ANSWERED, B), tries=3, message="Throttled.")
    said = missing_rules.of(frozenset({A, B}), plan, known(one=failing))
    assert said == Missing(frozenset({B}), 1, (), frozenset())


def test_what_nobody_looks_at_was_never_asked_for() -> None:
    plan = make([look(A, opens_at=OPENED)], REACH)
    said = missing_rules.of(frozenset({A, B}), plan, known(one=ANSWERED))
    assert said == Missing(frozenset(), 1, (), frozenset({B}))
