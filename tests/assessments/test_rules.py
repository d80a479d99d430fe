"""Lifecycles: every move of every table, legal and refused."""

from itertools import product
from typing import Any

import pytest

from auditkeep.assessments import rules
from auditkeep.errors import InvalidRequest

LEGAL = [
    (rules.ASSESSMENT, "ACTIVE", "INACTIVE"),
    (rules.CONTROL, "UNDER_REVIEW", "REVIEWED"),
    (rules.CONTROL, "UNDER_REVIEW", "INACTIVE"),
    (rules.CONTROL, "INACTIVE", "UNDER_REVIEW"),
    (rules.CONTROL, "INACTIVE", "REVIEWED"),
    (rules.CONTROL_SET, "ACTIVE", "UNDER_REVIEW"),
    (rules.CONTROL_SET, "ACTIVE", "REVIEWED"),
    (rules.CONTROL_SET, "UNDER_REVIEW", "ACTIVE"),
    (rules.CONTROL_SET, "UNDER_REVIEW", "REVIEWED"),
    (rules.DELEGATION, "IN_PROGRESS", "UNDER_REVIEW"),
    (rules.DELEGATION, "IN_PROGRESS", "COMPLETE"),
    (rules.DELEGATION, "UNDER_REVIEW", "COMPLETE"),
]
CYCLES: list[rules.Lifecycle[Any]] = [
    rules.ASSESSMENT,
    rules.CONTROL,
    rules.CONTROL_SET,
    rules.DELEGATION,
]
EVERY = [(c, a, b) for c in CYCLES for a, b in product(c.moves, repeat=2)]


@pytest.mark.parametrize(("cycle", "state", "to"), LEGAL)
def test_a_move_of_the_table_is_made(cycle: rules.Lifecycle[Any], state: str, to: str) -> None:
    assert cycle.move(state, to) == to


@pytest.mark.parametrize(("cycle", "state", "to"), [e for e in EVERY if e[1] == e[2]])
def test_asking_for_what_already_is_changes_nothing(
    cycle: rules.Lifecycle[Any], state: str, to: str
) -> None:
    assert cycle.move(state, to) == state


@pytest.mark.parametrize(
    ("cycle", "state", "to"), [e for e in EVERY if e[1] != e[2] and e not in LEGAL]
)
def test_any_other_move_is_refused_in_a_sentence_that_names_the_state(
    cycle: rules.Lifecycle[Any], state: str, to: str
) -> None:
    with pytest.raises(InvalidRequest, match=rf"{cycle.noun} is {state}"):
        cycle.move(state, to)


def test_every_lifecycle_begins_in_a_state_of_its_table() -> None:
    assert all(c.initial in c.moves for c in CYCLES)


def test_closing_an_assessment_ends_open_reviews_and_leaves_inactive_controls() -> None:
    assert [rules.closed_control(s) for s in ("UNDER_REVIEW", "REVIEWED", "INACTIVE")] == [
        "REVIEWED",
        "REVIEWED",
        "INACTIVE",
    ]


@pytest.mark.parametrize(
    ("set_status", "before", "after"),
    [
        ("UNDER_REVIEW", "IN_PROGRESS", "UNDER_REVIEW"),
        ("UNDER_REVIEW", "UNDER_REVIEW", "UNDER_REVIEW"),
        ("UNDER_REVIEW", "COMPLETE", "COMPLETE"),
        ("REVIEWED", "IN_PROGRESS", "COMPLETE"),
        ("REVIEWED", "UNDER_REVIEW", "COMPLETE"),
        ("ACTIVE", "UNDER_REVIEW", "UNDER_REVIEW"),
    ],
)
def test_a_delegation_follows_its_control_set(set_status: Any, before: Any, after: Any) -> None:
    assert rules.delegation_after(set_status, before) == after


def test_an_inactive_assessment_refuses_changes() -> None:
    rules.require_active("ACTIVE")
    with pytest.raises(InvalidRequest, match="INACTIVE"):
        rules.require_active("INACTIVE")


@pytest.mark.parametrize(("state", "to"), list(product(rules.CONTROL.moves, repeat=2)))
def test_where_reviews_may_be_reopened_no_move_of_a_control_is_refused(state: Any, to: Any) -> None:
    assert rules.REOPENABLE_CONTROL.move(state, to) == to
