"""How far back a control can be made to see: what it looks at now and did not look at before.

Pure. A control's keyword may have been corrected, or an account may have come into scope, long
after its lens opened: of those nothing was seen until then, so that a past which is opened reaches
up to their own first interval, and not up to the control's.

    time       start ────── first interval ────── keyword corrected ────── now
    keyword    unseen       unseen                seen
    the rest   unseen       seen                  seen

A time in which the control looked at nothing at all (it was INACTIVE, its assessment slept) stays a
gap: somebody wanted that. What looks less often than every day counts for what does so as often.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from auditkeep.clock import Instant
from auditkeep.evidence.lens import FOREVER, Interval, Lens
from auditkeep.evidence.slots import Every


@dataclass(frozen=True, slots=True)
class Stretch:
    """What some control looks at now, and did not in [opens_at, closes_at)."""

    accounts: frozenset[str]
    regions: frozenset[str] | None
    every: Every
    opens_at: Instant
    closes_at: Instant


Unseen = Mapping[Stretch, Mapping[int, frozenset[str]]]
"""For each stretch, the match keys of controls by ordinal."""

_Alike = tuple[frozenset[str], frozenset[str] | None, Every, frozenset[str]]
"""Accounts, regions, rhythm and match keys."""


def unseen(lenses: Iterable[Lens], start: Instant, *, besides_backfills: bool = True) -> Unseen:
    """What some controls would see from `start` on, if their past were opened.

    Without `besides_backfills`, also what only a backfill has opened: that is what sources are
    asked for again.
    """
    found: dict[Stretch, dict[int, frozenset[str]]] = {}
    for lens in lenses:
        looking = [i for i in lens.intervals if not i.pinned]
        if not besides_backfills:
            looking = [i for i in looking if not i.backfilled]
        for stretch, keys in _of_control(looking, start):
            of_all = found.setdefault(stretch, {})
            of_all[lens.ordinal] = of_all.get(lens.ordinal, frozenset()) | keys
    return found


def _of_control(
    looking: list[Interval], start: Instant
) -> Iterator[tuple[Stretch, frozenset[str]]]:
    present = [i for i in looking if i.closes_at == FOREVER]
    if not present:
        return
    own = [i for i in looking if not i.backfilled]
    first = min(i.opens_at for i in own)
    end = max(i.opens_at for i in present)
    bounds = {start, *(i.opens_at for i in looking), *(i.closes_at for i in looking)}
    edges = sorted(at for at in bounds if start <= at <= end)
    under_way: dict[_Alike, Instant] = {}
    for begin in edges[:-1]:
        lacking: set[_Alike] = set()
        if begin < first or _at(own, begin):
            lacking = _lacking(present, _at(looking, begin), begin)
        for alike in under_way.keys() - lacking:
            yield _stretch(alike, under_way.pop(alike), begin)
        for alike in lacking:
            under_way.setdefault(alike, begin)
    for alike, opens_at in under_way.items():
        yield _stretch(alike, opens_at, end)


def _at(intervals: Iterable[Interval], at: Instant) -> list[Interval]:
    return [i for i in intervals if i.opens_at <= at < i.closes_at]


def _lacking(present: Iterable[Interval], seen: Iterable[Interval], at: Instant) -> set[_Alike]:
    """What is looked at now and was not at some moment, keys of the same accounts together."""
    found: dict[tuple[frozenset[str], frozenset[str] | None, Every], set[str]] = {}
    for one in present:
        if one.opens_at <= at:
            continue
        for key in one.match_keys:
            accounts = (one.accounts or frozenset()).difference(
                *(
                    i.accounts or ()
                    for i in seen
                    if key in i.match_keys and i.every in ("DAILY", one.every)
                )
            )
            if accounts:
                found.setdefault((accounts, one.regions, one.every), set()).add(key)
    return {(*place, frozenset(keys)) for place, keys in found.items()}


def _stretch(
    alike: _Alike, opens_at: Instant, closes_at: Instant
) -> tuple[Stretch, frozenset[str]]:
    accounts, regions, every, keys = alike
    return Stretch(accounts, regions, every, opens_at, closes_at), keys
