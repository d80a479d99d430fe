"""Times as sources write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import from_datetime, parse
from auditkeep.sources.times import read_time

moments = st.integers(86_400 * 10**6, 4 * 10**15).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-11T22:54:56Z", "2026-01-11T22:54:56Z"),
        ("2026-01-11 22:54:56.000000000", "2026-01-11T22:54:56Z"),
        ("2022-02-08 09:23:37+11:00", "2022-02-07T22:23:37Z"),
        ("2022-02-07T23:51:26.939420-05:00", "2022-02-08T04:51:26.939420Z"),
        (" 2026-01-11T22:54:56.123456789Z ", "2026-01-11T22:54:56.123456Z"),
        (1450314635, "2015-12-17T01:10:35Z"),
        (1450314635.065, "2015-12-17T01:10:35.065Z"),
        (1600361930988, "2020-09-17T16:58:50.988Z"),
        (
            {"__class__": "datetime", "year": 2022, "month": 9, "day": 22, "hour": 15},
            "2022-09-22T15:00:00Z",
        ),
    ],
)
def test_a_time_is_read(value: object, expected: str) -> None:
    assert read_time(value) == parse(expected)


@pytest.mark.parametrize(
    "value",
    ["eventTime", "", "yesterday", None, True, [], {}, float("nan"), float("inf"), {"year": 2022},
     {"__class__": "datetime", "year": "x"}, {"__class__": "datetime", "year": 2022, "month": 13}],
)  # fmt: skip
def test_what_is_no_time_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError):
        read_time(value)


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_zones_and_fractions_do_not_matter(moment: datetime, offset: int) -> None:
    expected = from_datetime(moment)
    elsewhere = moment.astimezone(timezone(timedelta(minutes=offset)))
    assert read_time(elsewhere.isoformat()) == expected
    assert read_time(moment.strftime("%Y-%m-%d %H:%M:%S.%f000")) == expected
    assert abs(read_time(moment.timestamp()) - expected) <= 1
