import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.lake.admission import same

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_however_json_is_written_it_says_the_same(value: Any) -> None:
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    assert same(compact.encode(), json.dumps(value, indent=3).encode())


def typed(value: Any) -> Any:
    """A value that Python compares as JSON does: true is not 1."""
    if isinstance(value, dict):
        return {k: typed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [typed(v) for v in value]
    return (isinstance(value, bool), value)


@given(values, values)
def test_different_values_are_told_apart(one: Any, other: Any) -> None:
    expected = typed(one) == typed(other)
    assert same(json.dumps(one).encode(), json.dumps(other).encode()) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (b'{"a":1}', b'{"a":1.0}', True),
        (b'{"a":1}', b'{"a":true}', False),
        (b"[0]", b"[false]", False),
        (b"not json", b"not json", True),
        (b"not json", b"not json ", False),
        (b'"\xff"', b'"\xfe"', False),
        (b"[" * 5000 + b"]" * 5000, b" " + b"[" * 5000 + b"]" * 5000, False),
    ],
)
def test_edges(one: bytes, other: bytes, expected: bool) -> None:
    assert same(one, other) is expected
