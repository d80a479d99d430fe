"""Times as sources write them -> Instant: ISO 8601 in all its shapes, epoch seconds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from auditkeep import clock
from auditkeep.clock import SECOND, Instant

_MILLISECONDS_FROM = 100_000_000_000
"""Larger numbers count milliseconds: as seconds they would lie after the year 5138."""

_MEMBERS = ("year", "month", "day", "hour", "minute", "second", "microsecond")


def read_time(value: object) -> Instant:
    """ISO 8601 text (with `Z`, an offset or neither, any fraction) or a number since the epoch.

    A fraction is cut after microseconds. A mapping is a time as recordings of API answers hold
    it, member by member. ValueError for anything else.
    """
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, Mapping):
        return _recorded(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no time")  # noqa: TRY004 - one kind of error for callers
    try:
        micros = round(value * (1000 if abs(value) >= _MILLISECONDS_FROM else SECOND))
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{value!r} is no time") from error
    return Instant(micros)


@lru_cache(maxsize=1024)
def _read_text(text: str) -> Instant:
    """Sources tell whole seconds, and what is busy tells each many times."""
    return clock.parse(text.strip())


def _recorded(members: Mapping[str, object]) -> Instant:
    """`{"__class__": "datetime", "year": 2026, …}`, in UTC."""
    parts = [members.get(name, 0) for name in _MEMBERS]
    numbers = [part for part in parts if isinstance(part, int)]
    if members.get("__class__") != "datetime" or len(numbers) != len(_MEMBERS):
        raise ValueError(f"{members!r} is no time")
    year, month, day, hour, minute, second, microsecond = numbers
    return clock.from_datetime(
        datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)
    )
