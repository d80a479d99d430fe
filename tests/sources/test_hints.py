"""Hints: where patterns match, as Python's own regular expressions find them, from any thread."""

import re
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from auditkeep.sources.hints import Hints

GROUPS = ((rb"to[_.-]{0,3}ken", rb"pass"), (rb"xox[ab]-",))
HINTS = Hints(GROUPS)


def ends(pattern: bytes, text: bytes) -> set[int]:
    """Every place where some match of the pattern ends."""
    return {
        match.end()
        for start in range(len(text))
        if (match := re.compile(pattern, re.IGNORECASE).match(text, start))
    }


@given(st.binary(max_size=40) | st.text("tokenpasx-_b", max_size=60).map(str.encode))
def test_every_end_of_every_match_is_told(text: bytes) -> None:
    expected = {
        (number, end)
        for number, group in enumerate(GROUPS)
        for pattern in group
        for end in ends(pattern, text)
    }
    assert set(HINTS(text)) == expected


def test_threads_can_ask_at_the_same_time() -> None:
    texts = [b"-" * size + b"Pass" for size in range(1, 400)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(HINTS, texts * 5))
    assert [found for (found,) in answers] == [(0, len(text)) for text in texts] * 5
