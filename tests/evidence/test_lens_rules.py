"""What a lens sees, as a pure value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import DAY, Day, Instant, day_of, day_start
from auditkeep.evidence.lens import Interval, Lens, Reach
from auditkeep.ids import Tenant

KEY = "iam:CreateUser"
ACCOUNTS = frozenset({"111122223333"})

instants = st.integers(0, 5 * DAY).map(Instant)


@st.composite
def interval(draw: st.DrawFn) -> Interval:
    opens, closes = sorted((draw(instants), draw(instants)))
    return Interval(frozenset({KEY}), ACCOUNTS, None, opens, closes)


lenses = st.lists(interval(), max_size=4).map(lambda i: Lens("a", 1, tuple(i)))


@given(lenses, instants)
def test_an_observation_is_seen_while_some_interval_is_open(lens: Lens, time: Instant) -> None:
    expected = any(i.opens_at <= time < i.closes_at for i in lens.intervals)
    assert lens.sees(KEY, "111122223333", "us-east-1", time, 1) == expected
    admitted = any(v.admits(KEY, "111122223333", "us-east-1", time, 1) for v in lens.views())
    assert admitted == expected


@given(lenses, instants, st.integers(0, 6).map(Day))
def test_the_lens_of_a_day_sees_that_day_and_no_other(lens: Lens, time: Instant, day: Day) -> None:
    daily = lens.on(day)
    expected = day_of(time) == day and lens.sees(KEY, "111122223333", "us-east-1", time, 1)
    assert daily.sees(KEY, "111122223333", "us-east-1", time, 1) == expected
    assert all(
        day_start(day) <= i.opens_at < i.closes_at <= day_start(Day(day + 1))
        for i in daily.intervals
    )


@given(lenses, instants, st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(0, 9))
def test_a_frozen_lens_sees_no_later_batch(
    lens: Lens, time: Instant, batch: int, limit: int, frozen: int | None
) -> None:
    both = Lens("a", 1, lens.intervals, frozen).up_to(limit)
    reached = batch <= min(limit, limit if frozen is None else frozen)
    where = (KEY, "111122223333", "us-east-1", time, batch)
    assert both.sees(*where) == (reached and lens.sees(*where))


@pytest.mark.parametrize(
    ("match_key", "account"), [("iam:DeleteUser", "111122223333"), (KEY, "999988887777")]
)
def test_other_keys_and_accounts_are_not_seen(match_key: str, account: str) -> None:
    one = Interval(frozenset({KEY}), ACCOUNTS, None, Instant(0), Instant(10))
    assert not Lens("a", 1, (one,)).sees(match_key, account, "us-east-1", Instant(5), 1)


@pytest.mark.parametrize(
    ("setting", "regions"), [("own", frozenset({"us-east-1", "aws-global"})), ("all", None)]
)
def test_a_setting_decides_the_regions(setting: str, regions: frozenset[str] | None) -> None:
    tenant = Tenant("111122223333", "us-east-1")
    assert Reach.of(tenant, ACCOUNTS, setting) == Reach(ACCOUNTS, regions)
