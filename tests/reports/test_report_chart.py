"""Verdict charts: well-formed, to scale, and said in words."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.reports.model import Totals
from auditkeep.reports.pdf import chart

COUNTS = st.builds(Totals, *(st.integers(0, 10**7) for _ in range(3)))


@given(COUNTS, st.integers(0, 10**8))
def test_charts_are_well_formed_whatever_the_counts(totals: Totals, most: int) -> None:
    for svg in (chart.ring(totals), chart.bar(totals, max(most, totals.items))):
        assert ET.fromstring(svg).tag.endswith("svg")


@given(COUNTS)
def test_no_part_of_a_bar_leaves_it(totals: Totals) -> None:
    for part in ET.fromstring(chart.bar(totals, totals.items)):
        assert float(part.get("x", "0")) + float(part.get("width", "0")) <= 200.01


def test_one_verdict_alone_is_a_whole_ring() -> None:
    assert chart.ring(Totals(compliant=3)).count("<circle") == 1
    assert chart.ring(Totals()).count("<circle") == 1
    assert chart.ring(Totals(1, 1, 1)).count("<path") == 3


def test_the_chart_is_said_in_words() -> None:
    assert chart.describe(Totals(2, 1, 1)) == (
        "Verdict chart of 4 evidence items: 2 compliant (50 %), 1 non-compliant (25 %), "
        "1 inconclusive (25 %)."
    )
    assert chart.describe(Totals()) == "Verdict chart: no evidence items."


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "0 %"),
        (0, 5, "0 %"),
        (1, 1000, "< 1 %"),
        (999, 1000, "99 %"),
        (5, 5, "100 %"),
        (1, 3, "33 %"),
    ],
)
def test_shares_never_round_to_nothing_or_all(part: int, whole: int, shown: str) -> None:
    assert chart.percent(part, whole) == shown
