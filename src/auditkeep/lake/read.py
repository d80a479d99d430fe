"""Reading observations back: through views, or by id, from tail and segments as one.

All readers work in the caller's transaction, so that tail and segment list are one snapshot. In a
writing transaction on PostgreSQL, where each statement sees the newest state, the tenant's lock
keeps the sealer out instead. What a snapshot names may be replaced or destroyed while it is read:
then the reader is told (ObjectMissing, KeyDestroyed) and begins again with a new snapshot.

Views look for evidence: classes kept aside (`buckets.ASIDE`) are seen only by who names one.

Invariant: an observation that is committed is found in exactly one of tail and segments.
"""

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from auditkeep.clock import Day, Instant
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import batches, observation_ids, segments, tail
from auditkeep.db.schema import buckets as schema_buckets
from auditkeep.db.schema import rollups as rollup_table
from auditkeep.db.tx import Tx
from auditkeep.errors import ObjectMissing, StorageError
from auditkeep.lake import buckets, parquet
from auditkeep.lake.batch import DESTROYED
from auditkeep.lake.columns import Columns, tail_object, unpack
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Header, Rollup, Stored, View
from auditkeep.lake.rollups import still_count
from auditkeep.lake.segments import opening_of

__all__ = [
    "Header",
    "Rollup",
    "Stored",
    "View",
    "find",
    "headers",
    "observations",
    "rollups",
]

_BLOBS = 32
"""Tail blobs fetched at a time: 128 MiB at most, a few in practice."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch in the tail."""

    batch_no: int
    bucket_id: str
    root: bytes
    size: int


def observations(
    tx: Tx,
    lake: Lake,
    views: Sequence[View],
    *,
    after: tuple[Instant, bytes] | None = None,
    limit: int,
    klass: str | None = None,
) -> list[Stored]:
    """What any of the views sees, each observation once, newest event first, then larger id first.

    `after` is (event time, id) of the last one of the page before.
    """
    views = _useful(views)
    if not views or limit <= 0:
        return []
    in_tail, openings = _candidates(tx, lake, views, klass)
    found: list[tuple[Instant, bytes, int, Columns | parquet.Opening]] = []
    for columns in _loaded(tx, lake, in_tail):
        times = columns.light.event_times
        keyed = ((Instant(times[i]), columns.id(i), i, columns) for i in columns.seen(views))
        below = (row for row in keyed if after is None or row[:2] < after)
        found += heapq.nlargest(limit, below, key=_newest)
    if openings:
        found += parquet.newest(openings, views, after, limit)
    page = heapq.nlargest(limit, found, key=_newest)
    by_id = _whole(page)
    return [by_id[row[1]] for row in page]


def headers(tx: Tx, lake: Lake, views: Sequence[View]) -> Iterator[Header]:
    """The light side of everything that any of the views sees, each once, in no order."""
    views = _useful(views)
    if not views:
        return
    in_tail, openings = _candidates(tx, lake, views, None)
    for columns in _loaded(tx, lake, in_tail):
        for index in columns.seen(views):
            yield columns.header(index)
    for opening in openings:
        yield from parquet.headers(opening, views)


def find(tx: Tx, lake: Lake, ids: Collection[bytes]) -> dict[bytes, Stored]:
    """Observations by id; one that is not there, or not any more, is left out."""
    _keep_sealer_out(tx)
    place: dict[int, list[bytes]] = {}
    for some in in_pieces(sorted(set(ids))):
        query = tx.select(observation_ids.c.id, observation_ids.c.batch_no).where(
            observation_ids.c.id.in_(some)
        )
        for row in tx.all(query):
            place.setdefault(row.batch_no, []).append(bytes(row.id))
    in_tail: list[_Batch] = []
    in_segments: dict[tuple[str, str], list[bytes]] = {}
    for numbers in in_pieces(sorted(place)):
        query = tx.select(
            batches.c.batch_no,
            batches.c.bucket_id,
            batches.c.root,
            batches.c.size,
            batches.c.segment_id,
        ).where(batches.c.batch_no.in_(numbers))
        for row in tx.all(query):
            if row.segment_id == DESTROYED:
                continue  # its ids are about to be forgotten
            if row.segment_id is None:
                in_tail.append(_Batch(row.batch_no, row.bucket_id, bytes(row.root), row.size))
            else:
                key = (row.segment_id, row.bucket_id)
                in_segments.setdefault(key, []).extend(place[row.batch_no])
    found: dict[bytes, Stored] = {}
    for columns in _loaded(tx, lake, in_tail):
        wanted = set(place[columns.batch_no])
        for index in range(len(columns)):
            if columns.id(index) in wanted:
                stored = columns.stored(index)
                found[stored.id] = stored
    wanted_of = {
        opening_of(lake, tx.tenant, bucket_id, segment_id): wanted
        for (segment_id, bucket_id), wanted in in_segments.items()
    }
    _bring_near(lake, list(wanted_of))
    for opening, wanted_ids in wanted_of.items():
        for stored in parquet.fetch(opening, wanted_ids):
            found[stored.id] = stored
    return found


def rollups(
    tx: Tx,
    *,
    match_keys: Collection[str],
    first_day: Day,
    last_day: Day | None,
    accounts: Collection[str] | None = None,
    regions: Collection[str] | None = None,
) -> list[Rollup]:
    """Counts of the days from `first_day` to `last_day`, both included; None: to the newest."""
    t = rollup_table.c
    columns = [t[name] for name in Rollup.__struct_fields__]
    found: list[Rollup] = []
    for keys in in_pieces(sorted(set(match_keys))):
        query = tx.select(*columns).where(
            t.match_key.in_(keys), t.day >= first_day, still_count(tx)
        )
        if last_day is not None:
            query = query.where(t.day <= last_day)
        if accounts is not None:
            query = query.where(t.origin_account.in_(sorted(accounts)))
        if regions is not None:
            query = query.where(t.origin_region.in_(sorted(regions)))
        found.extend(Rollup(*cast("tuple[Any, ...]", row)) for row in tx.all(query))
    return found


def batch_columns(tx: Tx, lake: Lake, numbers: Sequence[int]) -> Iterator[Columns]:
    """The rows of batches that are in the tail, in the order of their numbers."""
    b = batches.c
    query = tx.select(b.batch_no, b.bucket_id, b.root, b.size).where(b.batch_no.in_(numbers))
    found = [_Batch(r.batch_no, r.bucket_id, bytes(r.root), r.size) for r in tx.all(query)]
    yield from _loaded(tx, lake, sorted(found, key=lambda batch: batch.batch_no), keep=False)


def _candidates(
    tx: Tx, lake: Lake, views: Sequence[View], klass: str | None
) -> tuple[list[_Batch], list[parquet.Opening]]:
    """The tail's batches and the segments that may hold what the views see."""
    _keep_sealer_out(tx)
    b = batches.c
    first, last, up_to = _reach(views)
    query = (
        tx.select(b.batch_no, b.bucket_id, b.root, b.size)
        .where(b.segment_id.is_(None), b.min_time < last, b.max_time >= first)
        .order_by(b.batch_no)
    )
    query = query.where(_of_class(tx, b.bucket_id, klass))
    if up_to is not None:
        query = query.where(b.batch_no <= up_to)
    in_tail = [_Batch(r.batch_no, r.bucket_id, bytes(r.root), r.size) for r in tx.all(query)]
    openings = _openings(tx, lake, views, klass)
    _bring_near(lake, openings)
    return in_tail, openings


def _openings(
    tx: Tx, lake: Lake, views: Sequence[View], klass: str | None
) -> list[parquet.Opening]:
    """The segments that may hold what the views see."""
    return [
        opening_of(lake, tx.tenant, bucket_id, segment_id)
        for segment_id, bucket_id in _segments(tx, views, klass)
    ]


def _bring_near(lake: Lake, openings: Sequence[parquet.Opening]) -> None:
    """All of them at once: a distant store gives many in little more time than one.

    ObjectMissing where one is gone. This snapshot names no other: whoever opened it begins again
    with a new one (`buckets.fetching`), which names what took its place.
    """
    try:
        lake.objects.near([opening.name for opening in openings])
    except ObjectMissing as error:
        lost = [o.segment_id for o in openings if not lake.objects.exists(o.name)]
        raise ObjectMissing(
            f"The segment {lost[0] if lost else 'that was asked for'} is gone from the object "
            "store, with the observations in it. Restore it from a backup."
        ) from error


def _of_class(tx: Tx, bucket_id: Any, klass: str | None) -> Any:
    """The condition that a bucket is of a class; None: of any that is not kept aside."""
    t = schema_buckets.c
    if klass is not None:
        return bucket_id.in_(tx.select(t.id).where(t["class"] == klass))
    return bucket_id.not_in(tx.select(t.id).where(t["class"].in_(sorted(buckets.ASIDE))))


def _segments(tx: Tx, views: Sequence[View], klass: str | None) -> list[tuple[str, str]]:
    """(segment, bucket) of the segments that may hold what the views see."""
    s = segments.c
    first, last, up_to = _reach(views)
    query = tx.select(s.id, s.bucket_id, s.match_keys, s.min_time, s.max_time).where(
        s.min_time < last, s.max_time >= first, _of_class(tx, s.bucket_id, klass)
    )
    if up_to is not None:
        query = query.where(s.min_batch <= up_to)
    found = []
    for row in tx.all(query):
        held = msgspec.json.decode(row.match_keys, type=frozenset[str])
        if any(
            v.start <= row.max_time and row.min_time < v.end and not v.match_keys.isdisjoint(held)
            for v in views
        ):
            found.append((row.id, row.bucket_id))
    return found


def _reach(views: Sequence[View]) -> tuple[Instant, Instant, int | None]:
    """The earliest start, the latest end and the last batch that any of the views sees."""
    ends = [v.up_to_batch for v in views]
    up_to = None if None in ends else max(e for e in ends if e is not None)
    return min(v.start for v in views), max(v.end for v in views), up_to


def _loaded(
    tx: Tx, lake: Lake, wanted: Sequence[_Batch], *, keep: bool = True
) -> Iterator[Columns]:
    """Batches of the tail, unsealed; kept in memory for the next reader unless told otherwise."""
    for some in in_pieces(wanted, _BLOBS):
        cached = {b.batch_no: lake.tail.get(tx.tenant, b.batch_no, b.root) for b in some}
        missing = [number for number, columns in cached.items() if columns is None]
        blobs = {}
        if missing:
            query = tx.select(tail.c.batch_no, tail.c.blob).where(tail.c.batch_no.in_(missing))
            blobs = {row.batch_no: bytes(row.blob) for row in tx.all(query)}
        for bucket_id in {batch.bucket_id for batch in some}:
            lake.keys.require(tx.tenant, bucket_id)  # memory shows nothing whose key is away
        for batch in some:
            columns = cached[batch.batch_no]
            if columns is None:
                if batch.batch_no not in blobs:
                    raise StorageError(
                        f"Batch {batch.batch_no} is neither in the tail nor in a segment."
                    )
                key = lake.keys.object_key(tx.tenant, batch.bucket_id, tail_object(batch.batch_no))
                columns = unpack(key, tx.tenant, batch.batch_no, blobs[batch.batch_no])
                if keep:
                    lake.tail.put(tx.tenant, columns, batch.root, batch.size)
            yield columns


def _whole(
    page: Sequence[tuple[Instant, bytes, int, Columns | parquet.Opening]],
) -> dict[bytes, Stored]:
    """The whole rows of a page, fetching from each segment once."""
    found: dict[bytes, Stored] = {}
    wanted: dict[parquet.Opening, list[bytes]] = {}
    for _, id_, index, place in page:
        if isinstance(place, Columns):
            found[id_] = place.stored(index)
        else:
            wanted.setdefault(place, []).append(id_)
    for opening, ids in wanted.items():
        found |= {stored.id: stored for stored in parquet.fetch(opening, ids)}
    return found


def _newest(row: tuple[Instant, bytes, int, object]) -> tuple[Instant, bytes]:
    return row[:2]


def _useful(views: Sequence[View]) -> list[View]:
    """The views that could see anything at all."""
    return [
        v
        for v in views
        if v.match_keys
        and v.start < v.end
        and v.accounts != frozenset()
        and v.regions != frozenset()
    ]


def _keep_sealer_out(tx: Tx) -> None:
    if tx.writable:
        tx.lock_tenant()
