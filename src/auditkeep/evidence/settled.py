"""How assessments look from day to day, while none of their intervals opens or closes.

Assessments of one framework and scope look alike, whenever they were made: from the day after their
last change on, nothing tells their intervals apart but when they opened, which no longer matters.
What they look like then is a digest of their open intervals; those that look less often than every
day are told apart by whether the day is one of their slots. So that it is known which assessments
see the same of a day, without reading how each of them looks.

Invariant: digests are made of what is stored, where lists are sorted (`evidence.lens`), so that
equal ones say the same.
"""

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, func

from auditkeep.clock import Day, Instant, day_start
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import lens_intervals
from auditkeep.db.tx import Tx
from auditkeep.evidence import slots
from auditkeep.evidence.lens import BEGINNING
from auditkeep.evidence.slots import Every

_Rhythm = tuple[Every, Instant]
_Part = tuple[_Rhythm, bytes]


@dataclass(frozen=True, slots=True)
class Settled:
    """How one assessment looks at every day from `since` on."""

    since: Instant
    """The last moment at which one of its intervals opened or closed, or will."""
    daily: bytes
    """What is looked at every day."""
    parts: tuple[_Part, ...]
    """What is looked at less often: its rhythm, and the same digest."""

    def on(self, day: Day) -> Hashable | None:
        """Equal for assessments that see the same of a day, ordinal by ordinal.

        None for a day that is not wholly behind the last change: there, times count.
        """
        if day_start(day) < self.since:
            return None
        looking = (digest for rhythm, digest in self.parts if slots.is_slot(*rhythm, day))
        return self.daily, tuple(sorted(looking))


def of(tx: Tx, assessment_ids: Collection[str]) -> dict[str, Settled]:
    """How each of some assessments looks once its intervals have come to rest."""
    found: dict[str, Settled] = {}
    for some in in_pieces(sorted(set(assessment_ids))):
        closed = _last_closings(tx, some)
        open_ = _open_intervals(tx, some)
        for id_ in some:
            found[id_] = _settled(open_.get(id_, ()), closed.get(id_, BEGINNING))
    return found


def _last_closings(tx: Tx, assessment_ids: Sequence[str]) -> dict[str, Instant]:
    t = lens_intervals.c
    query = (
        tx.select(t.assessment_id, func.max(t.closes_at))
        .where(t.assessment_id.in_(assessment_ids), t.closes_at.is_not(None))
        .group_by(t.assessment_id)
    )
    return {id_: Instant(at) for id_, at in map(tuple, tx.all(query))}


def _open_intervals(tx: Tx, assessment_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    t = lens_intervals.c
    query = tx.select(
        t.assessment_id,
        t.ordinal,
        t.match_keys,
        t.accounts,
        t.regions,
        t.every,
        t.opens_at,
        t.anchor,
    ).where(t.assessment_id.in_(assessment_ids), t.closes_at.is_(None))
    found: dict[str, list[Row[Any]]] = {}
    for row in tx.all(query):
        found.setdefault(row.assessment_id, []).append(row)
    return found


def _settled(rows: Sequence[Row[Any]], closed: Instant) -> Settled:
    since = closed
    texts: dict[_Rhythm, list[tuple[int, str, str, str]]] = {}
    for row in rows:
        anchor = Instant(row.anchor)
        since = max(since, row.opens_at, anchor)
        rhythm = row.every, slots.alike(row.every, anchor)
        texts.setdefault(rhythm, []).append(
            (row.ordinal, row.match_keys, row.accounts, row.regions)
        )
    daily = _digest(text for (every, _), some in texts.items() if every == "DAILY" for text in some)
    parts = tuple(
        (rhythm, _digest(some)) for rhythm, some in sorted(texts.items()) if rhythm[0] != "DAILY"
    )
    return Settled(Instant(since), daily, parts)


def _digest(intervals: Iterable[tuple[int, str, str, str]]) -> bytes:
    digest = sha256()
    for interval in sorted(intervals):
        # As one writes a tuple: no two of them run together.
        digest.update(repr(interval).encode())
    return digest.digest()
