"""Slots: the days on which something scheduled is asked for (spec 3.1 and 3.5, design section 1).

A slot is a UTC day; it is due from its first instant on. Slots are counted from an *anchor*, the
opening of a lens's first interval: the first is the first midnight at or after it, and from there

    DAILY      every day
    WEEKLY     every seventh day: the same weekday
    MONTHLY    the same day of each month, or its last day where a month is shorter

An interval that is opened anew (another scope, a control that is ACTIVE again) keeps the anchor, so
that a weekday stays what it was at the first run. Pure. What is asked for one slot is dated to that
day, whenever it was asked.
"""

import calendar
from datetime import date, timedelta
from typing import Literal

from auditkeep.clock import Day, Instant, day_of, day_start

Every = Literal["DAILY", "WEEKLY", "MONTHLY"]

_EPOCH = date(1970, 1, 1)


def first(anchor: Instant) -> Day:
    """The first slot that is counted from an anchor."""
    day = day_of(anchor)
    return day if day_start(day) == anchor else Day(day + 1)


def is_slot(every: Every, anchor: Instant, day: Day) -> bool:
    """Whether a day is a slot.

    The day of the anchor itself is one of a DAILY rhythm too, for an interval's own bounds say what
    of that day it sees.
    """
    if every == "DAILY":
        return day >= day_of(anchor)
    begin = first(anchor)
    if day < begin:
        return False
    if every == "WEEKLY":
        return (day - begin) % 7 == 0
    return _monthly(begin, _month_number(day)) == day


def latest(every: Every, anchor: Instant, day: Day) -> Day | None:
    """The last slot up to a day, that day included; None before the first one."""
    begin = first(anchor)
    if day < begin:
        return None
    if every == "DAILY":
        return day
    if every == "WEEKLY":
        return Day(day - (day - begin) % 7)
    month = _month_number(day)
    found = _monthly(begin, month)
    return found if found <= day else _monthly(begin, month - 1)


def following(every: Every, anchor: Instant, day: Day) -> Day:
    """The first slot after a day."""
    begin = first(anchor)
    if day < begin:
        return begin
    if every == "DAILY":
        return Day(day + 1)
    if every == "WEEKLY":
        return Day(day - (day - begin) % 7 + 7)
    month = _month_number(day)
    found = _monthly(begin, month)
    return found if found > day else _monthly(begin, month + 1)


def alike(every: Every, anchor: Instant) -> Instant:
    """The same for anchors that, from the first slot of each on, lead to the same slots."""
    begin = first(anchor)
    if every == "DAILY":
        return day_start(Day(0))
    if every == "WEEKLY":
        return day_start(Day(begin % 7))
    return day_start(Day((_EPOCH + timedelta(days=begin)).day - 1))


def start(day: Day) -> Instant:
    """From when on a slot is due, and the event time of what is asked for it."""
    return day_start(day)


def calls_a_month(every: Every) -> float:
    """How often a month a slot comes, on average: what a plan estimates by."""
    return {"DAILY": 365.25 / 12, "WEEKLY": 365.25 / 84, "MONTHLY": 1.0}[every]


def _month_number(day: Day) -> int:
    at = _EPOCH + timedelta(days=day)
    return at.year * 12 + at.month - 1


def _monthly(begin: Day, month: int) -> Day:
    """The slot that a first slot leads to in a month, counted from the year 0."""
    wanted = (_EPOCH + timedelta(days=begin)).day
    year, index = divmod(month, 12)
    longest = calendar.monthrange(year, index + 1)[1]
    return Day((date(year, index + 1, min(wanted, longest)) - _EPOCH).days)
