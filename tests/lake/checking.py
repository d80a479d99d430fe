"""What must hold of a lake at any time, whatever happened to it before."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.lake.making import EVERYTHING, NOW, TENANT

from auditkeep.clock import Day
from auditkeep.db.schema import batches, segments, tail, tenants, units
from auditkeep.lake.lake import Lake
from auditkeep.lake.proofs import LogReader, prove
from auditkeep.lake.read import Stored, headers, observations, rollups
from auditkeep.lake.sequencer import Sequencer, log_tiles
from auditkeep.observations import Observation
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.merkle import verify_consistency, verify_inclusion

ALL = 1_000_000


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def check_rows(lake: Lake, expected: Iterable[Observation]) -> list[Stored]:
    """Exactly these observations are there, once each, and everything counted agrees."""
    wanted = Counter(o.raw for o in expected)
    with lake.db.read(TENANT) as tx:
        stored = observations(tx, lake, [EVERYTHING], limit=ALL)
        light = Counter(h.id for h in headers(tx, lake, [EVERYTHING]))
        counted = rollups(tx, match_keys=EVERYTHING.match_keys, first_day=Day(0), last_day=None)
        last = tx.scalar(tx.select(tenants.c.last_batch_no))
        rows = tx.all(tx.select(batches).order_by(batches.c.batch_no))
        in_tail = {row.batch_no for row in tx.all(tx.select(tail.c.batch_no))}
        in_segments = {
            row.id: row.rows for row in tx.all(tx.select(segments.c.id, segments.c.rows))
        }
    assert Counter(s.raw for s in stored) == wanted
    assert light == Counter(s.id for s in stored)
    assert set(light.values()) <= {1}
    assert sum(row.items for row in counted) == len(stored)
    assert [row.batch_no for row in rows] == list(range(1, last + 1)), "no gaps"
    assert {row.batch_no for row in rows if row.segment_id is None} == in_tail
    sealed: Counter[str] = Counter()
    for row in rows:
        if row.segment_id is not None:
            sealed[row.segment_id] += row.rows
    assert sealed == Counter(in_segments)
    return stored


def committed_units(lake: Lake) -> set[str]:
    with lake.db.read(TENANT) as tx:
        return {row.id for row in tx.all(tx.select(units.c.id))}


def check_log(lake: Lake, seen: Sequence[Checkpoint]) -> None:
    """The log goes on, and everything ever published is its beginning."""
    with Sequencer(lake) as sequencer:
        newest = sequencer.step(NOW)
    if newest is None:
        assert not seen
        return
    tiles = log_tiles(lake, newest.size)
    for old in seen:
        path = tiles.consistency(old.size)
        verify_consistency(old.size, old.root, newest.size, newest.root, path)


def check_proofs(lake: Lake, stored: Sequence[Stored]) -> None:
    """The proof of each observation holds, by the hashes that docs/formats.md gives."""
    if not stored:
        return
    with lake.db.read(TENANT) as tx:
        log = LogReader.newest(tx, lake)
        checkpoint = open_checkpoint(log.checkpoint.note, [lake.signer.verifier])
        for batch_no in {s.batch_no for s in stored}:
            members = [s for s in stored if s.batch_no == batch_no]
            proof = prove(tx, lake, batch_no, [s.index for s in members], log)
            record = json.loads(proof.record)
            assert record["batch_no"] == batch_no
            root = bytes.fromhex(record["root"])
            for s in members:
                leaf = sha(b"\0auditkeep/leaf/1" + s.nonce + sha(s.envelope) + sha(s.raw))
                verify_inclusion(leaf, s.index, record["rows"], proof.paths[s.index], root)
            entry = sha(b"auditkeep/batch/1" + proof.salt + proof.record.encode())
            leaf = sha(b"\0" + entry)
            path = proof.inclusion
            verify_inclusion(leaf, proof.log_index, checkpoint.size, path, checkpoint.root)
