"""When something that is asked on a slot was due, and what that makes its time."""

from auditkeep.clock import Instant, day_name, day_start, iso
from auditkeep.sources.pull import Ask


def occasion(ask: Ask) -> str:
    """The slot's date, or the moment of a first look: part of a natural key."""
    if ask.at is not None:
        return iso(ask.at)
    return "" if ask.slot is None else day_name(ask.slot)


def time_of(ask: Ask) -> Instant:
    """The beginning of the slot's day, whenever it was asked; of a first look, its moment."""
    if ask.at is not None:
        return ask.at
    return Instant(0) if ask.slot is None else day_start(ask.slot)
