"""Counting at append: one row for each (day, match key, origin, source, raw verdict, bucket).

The counts of a bucket that is destroyed are deleted behind it (`remains`), for there may be many:
whoever reads counts asks for those that still count.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, select

from auditkeep.clock import DAY
from auditkeep.db.bulk import merge_rollups
from auditkeep.db.schema import buckets, rollups
from auditkeep.db.tx import Tx
from auditkeep.observations import Observation, verdict_of

_Key = tuple[int, str, str, str, str, str]
Groups = Mapping[_Key, Sequence[int]]
"""What `counted` gives."""
Counts = dict[_Key, list[int]]


_REMAINS = and_(buckets.c.destroyed_at.is_not(None), buckets.c.ids_gone.is_(False))

STILL_COUNT = rollups.c.bucket_id.not_in(
    select(buckets.c.id).where(
        buckets.c.account == bindparam("_account"),
        buckets.c.region == bindparam("_region"),
        _REMAINS,
    )
)
"""`still_count` for a prepared statement."""


def still_count(tx: Tx) -> ColumnElement[bool]:
    """That the bucket which a count is of is not destroyed."""
    return rollups.c.bucket_id.not_in(tx.select(buckets.c.id).where(_REMAINS))


def add(tx: Tx, bucket_id: str, batch_no: int, groups: Groups) -> None:
    """Add a batch's observations, counted, to the counts of their UTC days."""
    rows = [(*key, bucket_id, *sums, batch_no) for key, sums in sorted(groups.items())]
    merge_rollups(tx, rows)


def counted(observations: Iterable[Observation]) -> dict[_Key, list[int]]:
    """[items, resources, issues, first time, last time] of each key of a rollup.

    An issue is a resource whose verdict is of the non-compliant class, or, where the source names
    no resources, such an observation.
    """
    counts: dict[_Key, list[int]] = {}
    for o in observations:
        at, resources = o.event_time, o.resources
        key = (at // DAY, o.match_key, o.account, o.region, o.source, o.verdict or "")
        sums = counts.get(key)
        if sums is None:
            sums = counts[key] = [0, 0, 0, at, at]
        sums[0] += 1
        sums[1] += len(resources)
        sums[2] += _issues(o)
        if at < sums[3]:
            sums[3] = at
        elif at > sums[4]:
            sums[4] = at
    return counts


def count_rows(rows: Iterable[tuple[Any, ...]], counts: Counts) -> None:
    """Add rows of segments (`parquet.Rewritten.lights`), with the last batch of each key too."""
    for at, match_key, account, region, source, verdict, resources, verdicts, batch_no in rows:
        key = (at // DAY, match_key, account, region, source, verdict or "")
        sums = counts.setdefault(key, [0, 0, 0, at, at, batch_no])
        named = resources or ()
        sums[0] += 1
        sums[1] += len(named)
        judged = (verdicts or ()) if named else (verdict or "",)
        sums[2] += sum(1 for v in judged if v and verdict_of(v) == "non-compliant")
        sums[3], sums[4] = min(sums[3], at), max(sums[4], at)
        sums[5] = max(sums[5], batch_no)


def _issues(o: Observation) -> int:
    if not o.resources:
        return o.verdict is not None and verdict_of(o.verdict) == "non-compliant"
    issues = 0
    for r in o.resources:
        if r.verdict is not None and verdict_of(r.verdict) == "non-compliant":
            issues += 1
    return issues
