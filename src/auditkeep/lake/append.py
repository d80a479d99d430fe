"""Append: one ingest unit becomes one batch, in the caller's transaction, exactly once.

What commits together is unit + batch + rows + rollups + usage + pending log entry: then it is
acknowledged. Objects that the batch needs (a large batch's segment, its leaf hashes, a new bucket's
key) are durable before. A transaction that fails leaves at most objects that nothing refers to,
which `sweep` removes.

Invariants, under the tenant's lock: an id is given to one batch only; `batch_no` has no gaps; a
unit that was committed before writes nothing.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Self, TypeVar

import msgspec

from auditkeep.clock import Instant
from auditkeep.db.bulk import claim_ids
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import (
    batches,
    conflicts,
    log_entries,
    observation_ids,
    tail,
    tenants,
    units,
)
from auditkeep.db.tx import Tx
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import buckets, keeping, metering, published, rollups, segments
from auditkeep.lake.admission import Row, admit, same, without_copies
from auditkeep.lake.batch import keep_leaves, new_opening, seal_opening, sealed_under
from auditkeep.lake.columns import Columns, Heavy, Light, pack, tail_object
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.encoding import NONCE_SIZE, EnvelopeWriter, leaf
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import find
from auditkeep.lake.segments import Segment
from auditkeep.observations import Observation, Provenance
from auditkeep.tlog.merkle import root as merkle_root

T = TypeVar("T")

MAX_TAIL_BLOB = 4 << 20
"""Bytes of a sealed tail blob; a batch that needs more becomes a segment at once."""

UNPACKED = 24 << 20
"""A batch of more bytes than this before compression is not tried as a tail blob at all."""

BESIDE_ROWS = 1_000
"""Rows from which on starting a thread pays."""

MAX_ROWS = 65_536
"""Rows of one append; callers split what is larger into units of their own."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is ingested exactly once: a file, a page, a push request, an upload."""

    id: str
    kind: str
    name: str = ""
    """Of the file, for what is one: people's own words."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a unit. `refused` names position and reason of what cannot be kept; `unkept`
    is how many the tenant's policy does not keep (`lake.keeping`).
    """

    batch_no: int | None
    new: int
    duplicates: int
    conflicts: int
    repeated: bool
    refused: tuple[tuple[str, str], ...] = ()
    unkept: int = 0


def append(
    tx: Tx,
    lake: Lake,
    *,
    unit: Unit,
    klass: str,
    observations: Sequence[Observation],
    provenance: Provenance,
    now: Instant,
) -> Appended:
    """Keep what is new of a unit's observations; safe to repeat.

    LogError if the database is behind the log that was published; StorageFull if the disk is.
    """
    if len(observations) > MAX_ROWS:
        raise StorageError(f"One append takes at most {MAX_ROWS} observations.")
    tx.lock_tenant()
    published.require_not_behind(tx, lake)
    repeated = tx.first(tx.select(units.c.batch_no).where(units.c.id == unit.id))
    if repeated is not None:
        return Appended(repeated.batch_no, 0, 0, 0, repeated=True)
    batch_no, lens_version, only_seen = _next_batch(tx, klass)
    unkept = 0
    if only_seen and klass == keeping.FACTS:
        observations, passed = _seen(tx, lake, lens_version, observations)
        keeping.pass_over(tx, passed, now)
        unkept = len(passed)
    writer = EnvelopeWriter(tx.tenant, unit.id, provenance, now)
    rows, refused = admit(observations, writer, now)
    rows, copies, clashes = without_copies(rows)
    new, known, contradicted = _without_known(tx, lake, rows, batch_no)
    clashes += contradicted
    if clashes:
        _note_conflicts(tx, clashes, unit, now)
    if new:
        groups = _commit_batch(tx, lake, batch_no, new, unit, klass, now)
        if klass not in buckets.ASIDE:  # what is no evidence is seen by nobody
            seen = lake.meter.seen(tx, lens_version, [row.observation for row in new], groups)
            metering.add(tx, seen, now)
    result = Appended(
        batch_no=batch_no if new else None,
        new=len(new),
        duplicates=copies + known,
        conflicts=len(clashes),
        repeated=False,
        refused=tuple(refused),
        unkept=unkept,
    )
    tx.insert(units, _unit_row(unit, result, provenance, now))
    reach("append.before-commit")
    tx.after_commit(lambda: reach("append.committed"))
    if new:
        tx.after_commit(lake.appended.set)
    return result


def _seen(
    tx: Tx, lake: Lake, lens_version: int, observations: Sequence[Observation]
) -> tuple[list[Observation], list[Observation]]:
    """What an open lens sees, and the rest."""
    kept: list[Observation] = []
    passed: list[Observation] = []
    wanted = lake.keeper.wanted(tx, lens_version, observations)
    for observation, seen in zip(observations, wanted, strict=True):
        (kept if seen else passed).append(observation)
    return kept, passed


def _without_known(
    tx: Tx, lake: Lake, rows: list[Row], batch_no: int
) -> tuple[list[Row], int, list[Row]]:
    """Claim ids for this batch: the rows that are new, how many are known, and contradictions."""
    claimed = claim_ids(tx, sorted([row.id + row.content for row in rows]), batch_no)
    if claimed == len(rows):
        return rows, 0, []
    earlier = _earlier(tx, [row.id for row in rows], batch_no)
    differing = [row for row in rows if earlier.get(row.id, row.content) != row.content]
    kept = find(tx, lake, [row.id for row in differing])
    contradictions = [
        row
        for row in differing
        if row.id not in kept or not same(kept[row.id].raw, row.observation.raw)
    ]
    new = [row for row in rows if row.id not in earlier]
    return new, len(rows) - len(new) - len(contradictions), contradictions


def _earlier(tx: Tx, ids: Sequence[bytes], batch_no: int) -> dict[bytes, bytes]:
    """The contents of those ids that other batches hold."""
    found: dict[bytes, bytes] = {}
    t = observation_ids.c
    for some in in_pieces(ids):
        query = tx.select(t.id, t.content).where(t.id.in_(some), t.batch_no != batch_no)
        found |= {bytes(row.id): bytes(row.content) for row in tx.all(query)}
    return found


def _next_batch(tx: Tx, klass: str) -> tuple[int, int, bool]:
    """The number this batch will have, the version of the lenses that will see it first, and
    whether only what they see is kept.
    """
    t = tenants.c
    found = tx.first(tx.select(t.last_batch_no, t.lens_version, t.status, t.keeps))
    if found is None:
        raise StorageError(
            f"Account {tx.tenant.account} has no registration in {tx.tenant.region}: nothing can "
            "be kept for it. Register the account first."
        )
    buckets.require_open(tx, found.status, klass)
    return int(found.last_batch_no) + 1, int(found.lens_version), found.keeps == "matched"


def _commit_batch(
    tx: Tx,
    lake: Lake,
    batch_no: int,
    rows: Sequence[Row],
    unit: Unit,
    klass: str,
    now: Instant,
) -> rollups.Groups:
    """Write everything that a batch consists of; its observations, counted."""
    bucket_id = buckets.current(tx, lake.keys, klass, now)
    sealed_by = sealed_under(tx, klass, bucket_id)
    columns = _columns(batch_no, rows, now)
    with _Beside(len(rows)) as beside:
        # Packing runs outside the interpreter's lock, and so beside the hashing.
        packed = beside.start(lambda: _pack(lake, tx.tenant, bucket_id, columns, now))
        leaves = _leaves(rows, columns.heavy.nonces)
        root = merkle_root(leaves)
        leaves_kept = keep_leaves(lake, tx.tenant, batch_no, root, leaves)
        groups = rollups.counted(row.observation for row in rows)
        rollups.add(tx, bucket_id, batch_no, groups)
        segment_id = _place(tx, batch_no, packed())
    opening = new_opening(
        tx.tenant,
        batch_no=batch_no,
        bucket=bucket_id,
        klass=klass,
        committed_at=now,
        root=root,
        rows=len(rows),
        unit_id=unit.id,
    )
    tx.insert(
        batches,
        {
            "batch_no": batch_no,
            "bucket_id": bucket_id,
            "unit_id": unit.id,
            "rows": len(rows),
            "size": columns.heavy.size,
            "root": root,
            "opening": seal_opening(lake, tx.tenant, sealed_by, batch_no, opening),
            "leaves": leaves_kept,
            "log_position": _queue_entry(tx, opening.entry),
            "segment_id": segment_id,
            "min_time": min(columns.light.event_times),
            "max_time": max(columns.light.event_times),
            "committed_at": now,
        },
    )
    reached = {"last_batch_no": batch_no}
    if klass not in buckets.ASIDE:
        reached["last_evidence_batch"] = batch_no
    tx.run(tx.update(tenants).values(reached))
    return groups


def _columns(batch_no: int, rows: Sequence[Row], now: Instant) -> Columns:
    """Rows as columns, each with a nonce of its own."""
    observations = [row.observation for row in rows]
    light = Light(
        ids=b"".join([row.id for row in rows]),
        event_times=[o.event_time for o in observations],
        collected_at=now,
        sources=[o.source for o in observations],
        match_keys=[o.match_key for o in observations],
        accounts=[o.account for o in observations],
        regions=[o.region for o in observations],
        verdicts=[o.verdict or "" for o in observations],
        resources=[[r.value for r in o.resources] for o in observations],
        resource_verdicts=[[r.verdict or "" for r in o.resources] for o in observations],
    )
    heavy = Heavy(
        envelopes=[row.envelope for row in rows],
        raws=[o.raw for o in observations],
        nonces=os.urandom(NONCE_SIZE * len(rows)),
    )
    return Columns(batch_no, light, heavy)


def _leaves(rows: Sequence[Row], nonces: bytes) -> list[bytes]:
    """The leaf hashes, in batch order."""
    return [
        leaf(nonces[at : at + NONCE_SIZE], sha256(row.envelope).digest(), row.raw_hash)
        for at, row in zip(range(0, len(nonces), NONCE_SIZE), rows, strict=True)
    ]


def _pack(
    lake: Lake, tenant: Tenant, bucket_id: str, columns: Columns, now: Instant
) -> bytes | Segment:
    """Rows as a tail blob or, where they are too many bytes for one, as a segment that is kept."""
    if columns.heavy.size <= UNPACKED:
        key = lake.keys.object_key(tenant, bucket_id, tail_object(columns.batch_no))
        blob = pack(key, tenant, columns)
        if len(blob) <= MAX_TAIL_BLOB:
            return blob
    reach("append.before-segment")
    segment = segments.keep(lake, tenant, bucket_id, [columns], now)
    reach("append.segment-kept")
    return segment


def _place(tx: Tx, batch_no: int, packed: bytes | Segment) -> str | None:
    """Write the row that readers find a batch's rows by; the segment's id if it is one."""
    if isinstance(packed, Segment):
        packed.insert(tx)
        return packed.id
    tx.insert(tail, {"batch_no": batch_no, "blob": packed})
    return None


class _Beside:
    """One thread for the length of a large append; a small one does without."""

    def __init__(self, rows: int) -> None:
        self._pool = ThreadPoolExecutor(1) if rows >= BESIDE_ROWS else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()  # waits: nothing may outlive the transaction it was for

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """Begin; what is returned gives the result, or raises what the work raised."""
        return work if self._pool is None else self._pool.submit(work).result


def _queue_entry(tx: Tx, entry: bytes) -> int:
    """A log entry without an index yet: the sequencer gives it one. Its position."""
    system = tx.system()
    statement = system.inserting(log_entries).values(entry=entry)
    return int(system.scalar(statement.returning(log_entries.c.position)))


def _note_conflicts(tx: Tx, rows: Sequence[Row], unit: Unit, now: Instant) -> None:
    tx.upsert(
        conflicts,
        [
            {
                "observation_id": row.id,
                "content": row.content,
                "unit_id": unit.id,
                "position": row.observation.position,
                "seen_at": now,
            }
            for row in _distinct(rows)
        ],
    )


def _distinct(rows: Sequence[Row]) -> Iterator[Row]:
    seen: set[tuple[bytes, bytes]] = set()
    for row in rows:
        key = (row.id, row.content)
        if key not in seen:
            seen.add(key)
            yield row


def _unit_row(
    unit: Unit, result: Appended, provenance: Provenance, now: Instant
) -> Mapping[str, object]:
    counts = {
        "new": result.new,
        "duplicates": result.duplicates,
        "conflicts": result.conflicts,
        "refused": len(result.refused),
        **({"unkept": result.unkept} if result.unkept else {}),
    }
    return {
        "id": unit.id,
        "kind": unit.kind,
        "name": unit.name or None,
        "run": provenance.run,
        "counts": msgspec.json.encode(counts).decode(),
        "batch_no": result.batch_no,
        "committed_at": now,
    }
