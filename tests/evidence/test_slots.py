"""Slots: which days something scheduled is asked for."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import Day, Instant, day_from_name, day_name, from_datetime, parse
from auditkeep.evidence import slots
from auditkeep.evidence.slots import Every

RHYTHMS: tuple[Every, ...] = ("DAILY", "WEEKLY", "MONTHLY")

openings = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)).map(  # noqa: DTZ001
    lambda at: from_datetime(at.replace(tzinfo=UTC))
)


def names(every: Every, opened: str, count: int) -> list[str]:
    at = parse(opened)
    found = [slots.first(at)]
    while len(found) < count:
        found.append(slots.following(every, at, found[-1]))
    return [day_name(d) for d in found]


def test_the_first_slot_is_the_first_midnight_at_or_after_the_opening() -> None:
    assert names("DAILY", "2026-05-01T00:00:00Z", 2) == ["2026-05-01", "2026-05-02"]
    assert names("DAILY", "2026-05-01T00:00:01Z", 2) == ["2026-05-02", "2026-05-03"]


def test_a_weekly_slot_keeps_its_weekday() -> None:
    assert names("WEEKLY", "2026-05-01T10:00:00Z", 3) == ["2026-05-02", "2026-05-09", "2026-05-16"]


def test_a_monthly_slot_keeps_its_day_and_is_clipped_where_a_month_is_shorter() -> None:
    assert names("MONTHLY", "2027-12-30T10:00:00Z", 4) == [
        "2027-12-31",
        "2028-01-31",
        "2028-02-29",
        "2028-03-31",
    ]


@pytest.mark.parametrize("every", RHYTHMS)
@given(opened=openings, ahead=st.integers(-40, 400))
def test_what_is_latest_following_and_a_slot_agree(
    every: Every, opened: Instant, ahead: int
) -> None:
    anchor = slots.first(opened)
    day = Day(anchor + ahead)
    last = slots.latest(every, opened, day)
    after = slots.following(every, opened, day)
    assert slots.is_slot(every, opened, after)
    assert after > day
    if last is None:
        assert day < anchor == after
        return
    assert slots.is_slot(every, opened, last)
    assert last <= day
    between = range(last + 1, after)
    assert not any(slots.is_slot(every, opened, Day(d)) for d in between)
    assert slots.following(every, opened, last) == after
    assert after - last <= {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 31}[every]


def test_nothing_before_its_opening_is_a_slot() -> None:
    opened = parse("2026-05-10T10:00:00Z")
    assert not any(slots.is_slot(e, opened, day_from_name("2026-05-09")) for e in RHYTHMS)


@pytest.mark.parametrize("every", RHYTHMS)
@given(opened=openings, other=openings, ahead=st.integers(0, 400))
def test_anchors_that_are_alike_lead_to_the_same_slots(
    every: Every, opened: Instant, other: Instant, ahead: int
) -> None:
    same = slots.alike(every, opened)
    day = Day(slots.first(opened) + ahead)
    assert slots.is_slot(every, same, day) == slots.is_slot(every, opened, day)
    assert slots.alike(every, same) == same
    day = Day(max(slots.first(opened), slots.first(other)) + ahead)
    if slots.alike(every, other) == same:
        assert slots.is_slot(every, opened, day) == slots.is_slot(every, other, day)
