"""Cutting a bucket down: what stays goes on in its next generation, and its key is destroyed.

Purpose (design section 5: "Partial deletion or a hold copies survivors to the next generation,
commits, then destroys the old"): a key opens all that was ever written under it, in backups and
free pages too. So part of a bucket is destroyed only when its key is, and what stays is readable
under another by then.

1. The next generation is opened, in a transaction of its own, and named by the bucket as its
   `successor`. What is collected from then on goes there: the bucket grows no more.
2. What stays is copied: observations into segments under the new key, no more at a time than make
   a full one, files part by part. Nothing refers to the copies yet.
3. One transaction under the tenant's lock looks whether bucket and choice are still those that were
   copied. Then batches, files and counts change over, and what is left in the bucket is destroyed
   with it (`destruction`): one record names its key, the batches that went whole, and the
   observations that went by themselves.

Cut off before the third, nothing has happened but that copies lie there, which `sweep` takes; cut
off after it, the key's end is finished by `sweep` as that of any other destruction. Whoever runs it
again goes on with the same next generation.

What was logged stays as it was: a batch's record names the bucket it was collected into, from which
`successor` leads to the one it lies in.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from auditkeep.clock import Instant
from auditkeep.crypto.asking import with_keys
from auditkeep.crypto.ring import OWN
from auditkeep.db.bulk import merge_rollups
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import (
    activity_pending,
    batches,
    blobs,
    buckets,
    observation_ids,
    tail,
)
from auditkeep.db.tx import Tx
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import parquet, read, rollups
from auditkeep.lake import segments as kept
from auditkeep.lake.batch import moved_opening
from auditkeep.lake.blobs import copy_stored
from auditkeep.lake.blobs import object_name as blob_name
from auditkeep.lake.buckets import open_bucket
from auditkeep.lake.compact import BOUNDS, Bounds
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.destruction import destroy_rest
from auditkeep.lake.governance import Authority, Destruction, ranges
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import count_gone, gone_of

TRIES = 3
"""How often what was copied may turn out to be no longer what is there."""

_log = logging.getLogger("auditkeep.generations")


@dataclass(frozen=True, slots=True)
class Doomed:
    """What of a bucket is to go: whole batches, observations of others by their index, and files by
    the names of their rows.
    """

    batches: frozenset[int] = frozenset()
    rows: Mapping[int, frozenset[int]] = field(default_factory=dict)
    files: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.batches or self.rows or self.files)


Choose = Callable[[Tx, str], Doomed]
"""Says what of a bucket goes; asked before anything is copied and again before it is destroyed."""


@dataclass(frozen=True, slots=True)
class _File:
    id: str
    attempt: str | None


@dataclass(frozen=True, slots=True)
class _Batch:
    batch_no: int
    segment_id: str | None
    rows: int
    size: int
    gone: str | None
    opening: bytes = field(repr=False)

    @property
    def left(self) -> int:
        return self.rows - count_gone(self.gone)


@dataclass(frozen=True, slots=True)
class _Content:
    """What lies in a bucket, and what of it is to go."""

    doomed: Doomed
    batches: tuple[_Batch, ...]
    files: tuple[_File, ...]
    pending: bool

    def staying(self) -> list[_Batch]:
        return [b for b in self.batches if b.batch_no not in self.doomed.batches]

    def files_staying(self) -> list[_File]:
        return [f for f in self.files if f.id not in self.doomed.files]


@dataclass(slots=True)
class _Copies:
    """What was copied, and what the catalog will say of it."""

    bucket_id: str
    segments: list[tuple[kept.Segment, list[_Batch]]] = field(default_factory=list)
    counts: rollups.Counts = field(default_factory=dict)
    """Of all pieces together: one statement adds each key once."""
    openings: dict[int, bytes] = field(default_factory=dict)
    gone: list[bytes] = field(default_factory=list)
    """Ids of the observations that go by themselves."""
    files: list[tuple[_File, str]] = field(default_factory=list)

    def objects(self, tenant: Tenant) -> Iterator[str]:
        for segment, _ in self.segments:
            yield kept.object_name(tenant, segment.id)
        for file, attempt in self.files:
            yield blob_name(tenant, file.id, attempt)


def cut(
    lake: Lake,
    tenant: Tenant,
    bucket_id: str,
    choose: Choose,
    authority: Callable[[Tx], Authority],
    now: Instant,
    *,
    before: Callable[[Tx, Doomed], object] = lambda _, __: None,
    after: Callable[[Tx, Destruction], object] = lambda _, __: None,
    bounds: Bounds = BOUNDS,
) -> Destruction | None:
    """Destroy what is chosen of a bucket, and its key; what was destroyed, None if nothing is.

    `authority` is logged in the transaction that destroys, or was before; `before` and `after` are
    what else is to be done in it. None too where the bucket changed again and again: it is for
    another time.
    """
    for _ in range(TRIES):
        with lake.db.read(tenant) as tx:
            content = _content(tx, bucket_id, choose)
        if content is None or not content.doomed:
            return None
        following: str | None = ""
        if content.staying() or content.files_staying():
            following = with_keys(partial(_begin, lake, tenant, bucket_id, now))
        if following is None:
            return None
        reach("cut.begun")
        with lake.db.read(tenant) as tx:  # it grows no more
            content = _content(tx, bucket_id, choose)
        if content is None or not content.doomed:
            return None
        copies = _Copies(following)
        try:
            _copy(lake, tenant, bucket_id, content, copies, now, bounds)
        except BaseException:
            _let_go(lake, tenant, copies)
            raise
        reach("cut.copied")
        change = partial(
            _change_over, lake, tenant, bucket_id, content, copies, choose, authority, now
        )
        done = with_keys(partial(change, before, after))
        if done is not None:
            return done
        # Only here: where an error came, it may have come after the commit.
        _let_go(lake, tenant, copies)
    _log.info("The bucket %s of %s changes: it is cut down another time.", bucket_id, tenant)
    return None


def _content(tx: Tx, bucket_id: str, choose: Choose) -> _Content | None:
    """What lies in a bucket now; None if it is destroyed."""
    k, b, f, p = buckets.c, batches.c, blobs.c, activity_pending.c
    if tx.first(tx.select(k.id).where(k.id == bucket_id, k.destroyed_at.is_(None))) is None:
        return None
    columns = (b.batch_no, b.segment_id, b.rows, b.size, b.gone, b.opening)
    found = tx.all(tx.select(*columns).where(b.bucket_id == bucket_id).order_by(b.batch_no))
    files = tx.all(tx.select(f.id, f.attempt).where(f.bucket_id == bucket_id).order_by(f.id))
    pending = tx.first(tx.select(p.id).where(p.bucket_id == bucket_id).limit(1))
    content = tuple(
        _Batch(r.batch_no, r.segment_id, r.rows, r.size, r.gone, bytes(r.opening)) for r in found
    )
    return _Content(
        _normal(choose(tx, bucket_id), content),
        content,
        tuple(_File(r.id, r.attempt) for r in files),
        pending is not None,
    )


def _normal(doomed: Doomed, content: Sequence[_Batch]) -> Doomed:
    """What is chosen of what is there: a batch of which nothing would be left goes whole."""
    if not doomed.rows:
        return doomed
    whole, rows = set(doomed.batches), {}
    for batch in content:
        before = _indexes(batch.gone)
        going = (doomed.rows.get(batch.batch_no) or frozenset()) & frozenset(range(batch.rows))
        if batch.batch_no in whole or not going - before:
            continue
        if len(going | before) == batch.rows:
            whole.add(batch.batch_no)
        else:
            rows[batch.batch_no] = going - before
    return Doomed(frozenset(whole), rows, doomed.files)


def _begin(lake: Lake, tenant: Tenant, bucket_id: str, now: Instant) -> str | None:
    """The bucket's next generation, opened if there is none; None if the bucket is destroyed."""
    k = buckets.c
    with lake.db.write(tenant) as tx:
        tx.lock_tenant()
        row = tx.first(tx.select(buckets).where(k.id == bucket_id, k.destroyed_at.is_(None)))
        if row is None:
            return None
        alive = tx.select(k.id).where(k.id == row.successor, k.destroyed_at.is_(None))
        if row.successor is not None and tx.first(alive) is not None:
            return str(row.successor)
        own = row.provider_key in lake.keys.ring.key_ids
        following = open_bucket(
            tx,
            lake.keys,
            row._mapping["class"],
            now,
            OWN if own else row.provider_key,
            month=row.month,
            generation=row.generation + 1,
        )
        tx.run(tx.update(buckets).where(k.id == bucket_id).values(successor=following))
        return following


def _copy(
    lake: Lake,
    tenant: Tenant,
    bucket_id: str,
    content: _Content,
    copies: _Copies,
    now: Instant,
    bounds: Bounds,
) -> None:
    """Copy what stays, durably; `copies` tells of each as soon as it is there."""
    for batch in content.staying():
        copies.openings[batch.batch_no] = moved_opening(
            lake, tenant, batch.batch_no, batch.opening, bucket_id, copies.bucket_id
        )
    for some in _pieces(content.staying(), bounds):
        _copy_batches(lake, tenant, bucket_id, some, content.doomed, copies, now)
        reach("cut.segment-kept")
    for file in content.files_staying():
        attempt = copy_stored(lake, tenant, file.id, file.attempt, bucket_id, copies.bucket_id)
        copies.files.append((file, attempt))
        reach("cut.file-kept")


def _pieces(staying: Sequence[_Batch], bounds: Bounds) -> Iterator[list[_Batch]]:
    """Batches of about one full segment at a time, those of one segment together."""
    ordered = sorted(staying, key=lambda b: (b.segment_id or "", b.batch_no))
    piece: list[_Batch] = []
    fill = 0.0
    for batch in ordered:
        adds = bounds.fill(batch.left, batch.size)
        if piece and fill + adds > 1:
            yield piece
            piece, fill = [], 0.0
        piece.append(batch)
        fill += adds
    if piece:
        yield piece


def _copy_batches(
    lake: Lake,
    tenant: Tenant,
    bucket_id: str,
    piece: list[_Batch],
    doomed: Doomed,
    copies: _Copies,
    now: Instant,
) -> None:
    in_segments: dict[str, set[int]] = {}
    for batch in piece:
        if batch.segment_id is not None:
            in_segments.setdefault(batch.segment_id, set()).add(batch.batch_no)
    parts = [
        parquet.Part(kept.opening_of(lake, tenant, bucket_id, segment_id), frozenset(numbers))
        for segment_id, numbers in in_segments.items()
    ]
    without = {b.batch_no: doomed.rows[b.batch_no] for b in piece if b.batch_no in doomed.rows}
    in_tail = [b.batch_no for b in piece if b.segment_id is None]
    with lake.db.read(tenant) as tx:
        columns = list(read.batch_columns(tx, lake, in_tail))
    made = kept.keep_rewritten(
        lake, tenant, copies.bucket_id, parts, columns, now, without=without, lights=True
    )
    expected = {b.batch_no: b.left - len(doomed.rows.get(b.batch_no, ())) for b in piece}
    if made is not None:
        copies.segments.append((made[0], piece))
    if made is None or made[1].rows_of != expected:
        raise StorageError(
            f"The bucket {bucket_id} of {tenant.account} in {tenant.region} does not hold what the "
            "catalog says and is left as it is: run 'auditkeep log audit'."
        )
    copies.gone += made[1].dropped
    rollups.count_rows(made[1].lights, copies.counts)


def _change_over(
    lake: Lake,
    tenant: Tenant,
    bucket_id: str,
    content: _Content,
    copies: _Copies,
    choose: Choose,
    authority: Callable[[Tx], Authority],
    now: Instant,
    before: Callable[[Tx, Doomed], object],
    after: Callable[[Tx, Destruction], object],
) -> Destruction | None:
    """The one transaction; None, and nothing is changed, where something is not as was copied."""
    with lake.db.write(tenant) as tx:
        tx.lock_tenant()
        there = all(lake.objects.exists(name) for name in copies.objects(tenant))
        if content.pending or not there or _content(tx, bucket_id, choose) != content:
            return None
        before(tx, content.doomed)
        given = authority(tx)
        for segment, members in copies.segments:
            segment.insert(tx)
            for batch in members:
                _move(tx, batch, copies, segment.id, content.doomed)
        for file, attempt in copies.files:
            moved = tx.update(blobs).where(blobs.c.id == file.id)
            tx.run(moved.values(bucket_id=copies.bucket_id, attempt=attempt))
        counts = sorted(copies.counts.items())
        merge_rollups(tx, [(*key, copies.bucket_id, *sums) for key, sums in counts])
        for some in in_pieces(copies.gone):
            tx.run(tx.delete(observation_ids).where(observation_ids.c.id.in_(some)))
        done = destroy_rest(
            tx,
            lake,
            bucket_id,
            given,
            now,
            following=copies.bucket_id,
            parts={n: ranges(sorted(i)) for n, i in content.doomed.rows.items()},
            objects=[blob_name(tenant, file.id, file.attempt) for file in content.files_staying()],
        )
        if done is not None:
            after(tx, done)
        reach("cut.before-commit")
    return done


def _move(tx: Tx, batch: _Batch, copies: _Copies, segment_id: str, doomed: Doomed) -> None:
    """A batch that stays lies in the next generation from now on."""
    gone = _indexes(batch.gone) | doomed.rows.get(batch.batch_no, frozenset())
    values = {
        "bucket_id": copies.bucket_id,
        "segment_id": segment_id,
        "opening": copies.openings[batch.batch_no],
        "gone": msgspec.json.encode(ranges(sorted(gone))).decode() if gone else None,
    }
    tx.run(tx.update(batches).where(batches.c.batch_no == batch.batch_no).values(values))
    if batch.segment_id is None:
        tx.run(tx.delete(tail).where(tail.c.batch_no == batch.batch_no))


def _indexes(gone: str | None) -> frozenset[int]:
    return frozenset(i for low, high in gone_of(gone) for i in range(low, high + 1))


def _let_go(lake: Lake, tenant: Tenant, copies: _Copies) -> None:
    """Take away what was copied for nothing."""
    for name in copies.objects(tenant):
        lake.objects.delete(name)
