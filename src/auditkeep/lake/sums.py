"""Rollups by other ways than their match key: added up over days by the database, for what spans
years and is asked for often, and those of one day that are manual.
"""

from collections.abc import Collection, Iterator

import msgspec
from sqlalchemy import bindparam, func

from auditkeep.clock import Day, Instant
from auditkeep.db.pieces import in_pieces
from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import rollups
from auditkeep.db.tx import Tx
from auditkeep.lake.model import Rollup
from auditkeep.lake.rollups import STILL_COUNT, still_count


class Sum(msgspec.Struct, frozen=True, gc=False):
    """How many observations of one match key, origin and source lie in some days."""

    match_key: str
    origin_account: str
    origin_region: str
    source: str
    items: int
    first_time: Instant
    last_time: Instant
    last_batch: int


def sums(
    tx: Tx, *, match_keys: Collection[str], first_day: Day, last_day: Day | None
) -> Iterator[Sum]:
    """Of the days from `first_day` to `last_day`, both included; None: to the newest."""
    t = rollups.c
    group = (t.match_key, t.origin_account, t.origin_region, t.source)
    for keys in in_pieces(sorted(set(match_keys))):
        query = (
            tx.select(
                *group,
                func.sum(t["items"]),
                func.min(t.first_time),
                func.max(t.last_time),
                func.max(t.last_batch),
            )
            .where(t.match_key.in_(keys), t.day >= first_day, still_count(tx))
            .group_by(*group)
        )
        if last_day is not None:
            query = query.where(t.day <= last_day)
        for key, account, region, source, items, first, last, batch in (
            tuple(row) for row in tx.all(query)
        ):
            # PostgreSQL adds integers up to a decimal.
            yield Sum(key, account, region, source, int(items), first, last, batch)


_MANUAL = Prepared(
    *(rollups.c[name] for name in Rollup.__struct_fields__),
    where=[
        rollups.c.day == bindparam("day"),
        rollups.c.source == "MANUAL",
        rollups.c.match_key.startswith(bindparam("prefix")),
        STILL_COUNT,
    ],
)


def manual_of(tx: Tx, day: Day, prefix: str) -> list[Rollup]:
    """What was handed in by people on one day, of match keys that begin like this."""
    return [Rollup(*row) for row in tx.fetch(_MANUAL, day=day, prefix=prefix)]
