"""Time inside Auditkeep: whole microseconds since 1970-01-01T00:00:00Z.

Everything inside passes an `Instant`; text and floats exist only at the borders (wire, files,
people). One integer type means that no value carries a time zone and no comparison rounds.
"""

import time
from datetime import UTC, date, datetime, timedelta
from typing import NewType, Protocol

Instant = NewType("Instant", int)
"""Microseconds since the Unix epoch, UTC."""

Day = NewType("Day", int)
"""Days since the Unix epoch, UTC: the unit of an evidence folder."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class Clock(Protocol):
    """Where the present comes from; read once per request or step, then handed on."""

    def now(self) -> Instant: ...


class SystemClock:
    def now(self) -> Instant:
        return Instant(time.time_ns() // 1000)


class FixedClock:
    """A clock for tests and the demo: stands still until told to move."""

    def __init__(self, at: Instant) -> None:
        self.at = at

    def now(self) -> Instant:
        return self.at

    def advance(self, microseconds: int) -> None:
        self.at = Instant(self.at + microseconds)


def from_datetime(value: datetime) -> Instant:
    """An aware datetime as an Instant, exact to the microsecond."""
    delta = value - _EPOCH
    return Instant((delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds)


def to_datetime(value: Instant) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


def parse(text: str) -> Instant:
    """An ISO 8601 instant (`2026-05-01T10:11:12.345Z`) or plain UTC time; ValueError otherwise."""
    value = datetime.fromisoformat(text)
    return from_datetime(value if value.tzinfo else value.replace(tzinfo=UTC))


def iso(value: Instant) -> str:
    """`2026-05-01T10:11:12.345678Z`: always six digits, so that text sorts as time does."""
    return f"{to_datetime(value).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def wire(value: Instant) -> float:
    """Epoch seconds with fraction, as the REST-JSON protocol sends timestamps."""
    return value / SECOND


def day_of(value: Instant) -> Day:
    return Day(value // DAY)


def day_start(day: Day) -> Instant:
    return Instant(day * DAY)


def day_name(day: Day) -> str:
    """`2026-05-01`."""
    return date.fromordinal(_EPOCH_ORDINAL + day).isoformat()


def day_from_name(name: str) -> Day:
    return Day(date.fromisoformat(name).toordinal() - _EPOCH_ORDINAL)


def month_of(value: Instant) -> str:
    """`2026-05`: the unit of a key bucket."""
    return to_datetime(value).isoformat()[:7]
