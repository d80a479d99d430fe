"""The generator itself: what it calls valid is valid, and what it calls forbidden is not."""

import random

import pytest
from tests.fuzz.answers import differs
from tests.fuzz.requests import BODIES, HEADERS, PATHS, QUERIES, Wire, bent, laid_out
from tests.fuzz.running import OPERATIONS
from tests.fuzz.values import MISSING, Values, spoil
from tests.wire.model_cases import MODEL

WITH_INPUT = [n for n in sorted(OPERATIONS) if MODEL.operation_model(n).input_shape.members]
UNSEEN = ("U+0000", "half a surrogate pair")
"""What is forbidden beyond the model: strings that are no text everywhere."""
WIRE = Wire("POST", b"/assessments", b"a=b%20c", b'{"name":"x"}')


@pytest.mark.parametrize("name", WITH_INPUT)
def test_what_is_called_valid_keeps_every_constraint_of_the_model(name: str) -> None:
    shape, values = MODEL.operation_model(name).input_shape, Values(random.Random(name))
    for _ in range(40):
        ask = values.valid(shape)
        assert list(differs(shape, ask)) == []


@pytest.mark.parametrize("name", WITH_INPUT)
def test_what_is_called_forbidden_breaks_one(name: str) -> None:
    shape, values = MODEL.operation_model(name).input_shape, Values(random.Random(name))
    forbidden = 0
    for _ in range(80):
        broken = spoil(values, shape, values.valid(shape), frozenset(), frozenset())
        if broken.forbidden:
            forbidden += 1
            told = list(differs(shape, broken.ask)) or broken.what.endswith(UNSEEN)
            assert told, broken
    assert forbidden


def test_members_of_path_and_query_stay_texts() -> None:
    operation = OPERATIONS["GetChangeLogs"]
    shape, values = MODEL.operation_model(operation.name).input_shape, Values(random.Random(1))
    labels = frozenset({"assessmentId"})
    texts = frozenset(shape.members) - labels
    for _ in range(300):
        broken = spoil(values, shape, values.valid(shape), labels, texts)
        assert isinstance(broken.ask["assessmentId"], str)
        sent = laid_out(operation, broken.ask, values.random)
        assert sent.path.startswith(b"/assessments/")


def test_the_mark_of_what_is_missing_never_travels() -> None:
    shape, values = MODEL.operation_model("CreateControl").input_shape, Values(random.Random(2))
    for _ in range(500):
        broken = spoil(values, shape, values.valid(shape), frozenset(), frozenset())
        assert MISSING not in broken.ask.values()


def test_every_way_to_bend_a_request_is_taken() -> None:
    source = random.Random(3)
    seen = {bent(WIRE, source)[1].partition(": ")[2] for _ in range(6_000)}
    assert set(PATHS) | set(QUERIES) | set(BODIES) | set(HEADERS) <= seen


def test_a_huge_body_has_ten_megabytes() -> None:
    source = random.Random(4)
    for _ in range(12):
        wire, _ = bent(WIRE, source, big=True)
        assert 9_500_000 < len(wire.body) < 10 * 1024 * 1024
