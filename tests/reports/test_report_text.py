"""Foreign text on pages: drawable, bounded, honest about what it could not draw."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.reports.pdf.text import BREAK, LONGEST, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, "-"),
        ("", "-"),
        ("  \n ", "-"),
        ("plain text", "plain text"),
        ("two\r\nlines", "two\nlines"),
        ("tab\tand  spaces", "tab and spaces"),
        ("Grüße, Ελλάδα, Москва", "Grüße, Ελλάδα, Москва"),
        ("a\u202eb", "a[U+202E]b"),
        ("\x00\x1b", "[U+0000][U+001B]"),
        ("日", "[U+65E5]"),
        ("🙂", "[U+1F642]"),
        ("\u0301", "\u25cc\u0301"),
        ("*bold* #panic()", "*bold* #panic()"),
    ],
)
def test_text_as_it_is_shown(text: str | None, shown: str) -> None:
    assert printable(text) == shown


def test_in_ascii_everything_else_is_spelled_out() -> None:
    assert printable("Größe", ascii_only=True).replace(BREAK, "") == "Gr[U+00F6][U+00DF]e"


def test_long_words_can_break_and_lose_nothing() -> None:
    arn = "arn:aws:iam::111122223333:role/" + "x" * 50
    shown = printable(arn)
    assert shown.replace(BREAK, "") == arn
    assert max(len(part) for part in shown.split(BREAK)) <= 18


def test_marks_are_not_piled_up() -> None:
    shown = printable("x" + "\u0301" * 40)
    assert sum(1 for c in shown if unicodedata.combining(c)) <= 3


def test_long_text_is_cut_and_says_so() -> None:
    shown = printable("word " * 2000).replace(BREAK, "")
    assert len(shown) <= LONGEST
    assert shown.endswith("…")


@given(st.text(max_size=300))
def test_any_text_has_no_control_or_direction_characters(text: str) -> None:
    shown = printable(text).replace(BREAK, "").replace("\n", "")
    assert shown
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co")]
