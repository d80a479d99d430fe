"""Anchors as rows: who vouched for which checkpoint when, and how the newest attempts went.

Which checkpoint is to be anchored next needs no queue: it is the newest, unless this authority has
vouched for it. So nothing is lost by a crash, and an authority that was down for a week is asked
once and not for each second of it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import ColumnElement, func

from auditkeep.clock import Instant
from auditkeep.db.schema import anchor_tries, anchors
from auditkeep.db.tx import SystemTx

Kind = Literal["witness", "timestamp"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an authority said of the checkpoint of `size` entries, which `note` is.

    `proof` is a witness's signature line, or a TimeStampResp in base64; `said_at` its own time.
    """

    origin: str
    size: int
    authority: str
    kind: Kind
    note: str
    proof: str
    said_at: Instant


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one authority."""

    authority: str
    kind: Kind
    tried_at: Instant
    failing_since: Instant | None
    error: str | None


def keep(tx: SystemTx, anchor: Anchor, now: Instant) -> None:
    """Note what was said, and that the authority answers."""
    tx.upsert(anchors, [asdict(anchor)])
    _note(tx, anchor.authority, anchor.kind, now, None, None)


def failed(tx: SystemTx, authority: str, kind: Kind, error: str, now: Instant) -> bool:
    """Note an attempt in vain; whether it is the first one since the authority last answered."""
    before = tx.first(tx.select(anchor_tries).where(anchor_tries.c.authority == authority))
    since = None if before is None else before.failing_since
    _note(tx, authority, kind, now, now if since is None else Instant(since), error)
    return since is None


def failing_since(tx: SystemTx, authority: str) -> Instant | None:
    """Since when every attempt with an authority was in vain; None if the last was not."""
    t = anchor_tries.c
    found = tx.scalar(tx.select(t.failing_since).where(t.authority == authority))
    return None if found is None else Instant(found)


def newest(tx: SystemTx, origin: str, authority: str) -> Anchor | None:
    """The largest checkpoint of a log that an authority has vouched for."""
    a = anchors.c
    query = tx.select(anchors).where(a.origin == origin, a.authority == authority)
    row = tx.first(query.order_by(a.size.desc()).limit(1))
    return None if row is None else Anchor(**row._mapping)


def largest(tx: SystemTx, origin: str) -> int | None:
    """The size of the newest checkpoint of a log that anybody vouched for."""
    found: int | None = tx.scalar(tx.select(func.max(anchors.c.size)).where(_of(origin)))
    return found


def of_size(tx: SystemTx, origin: str, size: int) -> list[Anchor]:
    """What was said of one checkpoint."""
    a = anchors.c
    query = tx.select(anchors).where(_of(origin), a.size == size).order_by(a.kind, a.authority)
    return [Anchor(**row._mapping) for row in tx.all(query)]


def sizes(tx: SystemTx, origin: str, upto: int) -> dict[str, list[int]]:
    """The sizes that each authority vouched for, up to one, ascending."""
    a = anchors.c
    query = tx.select(a.authority, a.size).where(_of(origin), a.size <= upto).order_by(a.size)
    found: dict[str, list[int]] = {}
    for row in tx.all(query):
        found.setdefault(row.authority, []).append(row.size)
    return found


def earliest(tx: SystemTx, origin: str, upto: int) -> list[tuple[int, Instant]]:
    """The sizes that anybody vouched for, up to one, ascending, each with by when what lies in it
    was vouched for: a larger checkpoint may have been seen earlier.
    """
    a = anchors.c
    query = tx.select(a.size, func.min(a.said_at).label("at")).where(_of(origin), a.size <= upto)
    found: list[tuple[int, Instant]] = []
    for row in tx.all(query.group_by(a.size).order_by(a.size.desc())):
        at = Instant(row.at) if not found else min(found[-1][1], Instant(row.at))
        found.append((row.size, at))
    return found[::-1]


def standings(tx: SystemTx) -> list[Standing]:
    """Every authority that was ever asked."""
    query = tx.select(anchor_tries).order_by(anchor_tries.c.kind, anchor_tries.c.authority)
    return [Standing(**row._mapping) for row in tx.all(query)]


def cosigned(note: str, found: Sequence[Anchor]) -> str:
    """A checkpoint with the cosignatures of its witnesses below the log's own signature."""
    return note + "".join(anchor.proof for anchor in found if anchor.kind == "witness")


def _of(origin: str) -> ColumnElement[bool]:
    return anchors.c.origin == origin


def _note(
    tx: SystemTx, authority: str, kind: Kind, now: Instant, since: Instant | None, error: str | None
) -> None:
    row = {
        "authority": authority,
        "kind": kind,
        "tried_at": now,
        "failing_since": since,
        "error": error,
    }
    tx.upsert(anchor_tries, [row], replace=["kind", "tried_at", "failing_since", "error"])
