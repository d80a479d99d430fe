"""The audit beside the least work for it: unpack what is stored, and hash it.

The limit, in the same run, on the same observations and one core: AES-256-GCM and zstd of each
segment's bytes undone, then three SHA-256 for each observation, of the envelope, the raw bytes and
the leaf. Ours reads Parquet, opens and hashes the same, and compares each row with its envelope,
each batch with its record and entry, the whole log with every checkpoint. Seconds are the process's
own, so that neighbours on the machine do not count.
"""

import gc
import hashlib
import os
import tempfile
from pathlib import Path

import zstandard
from bench import lake as load_of  # which holds Polars to one core
from bench.result import Result
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditkeep.clock import DAY, Instant
from auditkeep.lake.audit.run import audit
from auditkeep.lake.encoding import EnvelopeWriter, observation_id
from auditkeep.lake.sequencer import Sequencer
from auditkeep.observations import Observation

OBSERVATIONS = 150_000
UNIT = 5_000
TARGET = 150_000
"""Observations a second and core."""
TURNS = 3
_LEAF = b"\x00auditkeep/leaf/1"


def run(scale: float) -> list[Result]:
    total = max(4_000, int(OBSERVATIONS * scale))
    load = load_of.observations(total)
    with tempfile.TemporaryDirectory() as folder:
        lake = load_of.new_lake(Path(folder), "sqlite")
        for number, start in enumerate(range(0, total, UNIT)):
            load_of.keep(lake, number, load[start : start + UNIT])
        load_of.seal_all(lake, Instant(load_of.NOW + 2 * DAY))
        with Sequencer(lake) as sequencer:
            sequencer.step(load_of.NOW)
        packed = _packed(load)
        del load
        gc.collect()
        turns = []
        for _ in range(TURNS):
            watch = load_of.Stopwatch()
            _limit(packed)
            least = watch.read()
            watch = load_of.Stopwatch()
            found = audit(lake, now=load_of.NOW)
            ours = watch.read()
            assert found.sound, found.problems
            assert found.counts.observations == total
            turns.append((least, ours))
        lake.db.close()
    fastest, ours_best = (min(turn[i].processor for turn in turns) for i in (0, 1))
    rate = total / ours_best
    return [
        Result(
            name="observations audited, in segments",
            value=rate,
            baseline=total / fastest,
            ratio=fastest / ours_best,
            target=f">= {TARGET:,}",
            unit="obs/s",
            met=rate >= TARGET,
        )
    ]


def _packed(load: list[Observation]) -> list[tuple[AESGCM, bytes, list[tuple[int, int]]]]:
    """Units as sealed, compressed bytes, with the sizes of each envelope and raw bytes."""
    made = []
    for start in range(0, len(load), UNIT):
        unit = load[start : start + UNIT]
        writer = EnvelopeWriter(load_of.TENANT, f"unit-{start}", load_of.PROVENANCE, load_of.NOW)
        parts, sizes = [], []
        for o in unit:
            id_ = observation_id(load_of.TENANT, o.source, o.natural_key, o.event_time)
            envelope = writer.write(o, id_)
            parts += [envelope, o.raw]
            sizes.append((len(envelope), len(o.raw)))
        key = AESGCM(os.urandom(32))
        data = zstandard.ZstdCompressor(level=3).compress(b"".join(parts))
        made.append((key, key.encrypt(b"n" * 12, data, None), sizes))
    return made


def _limit(packed: list[tuple[AESGCM, bytes, list[tuple[int, int]]]]) -> None:
    sha256, nonce = hashlib.sha256, b"n" * 32
    for key, sealed, sizes in packed:
        data = zstandard.ZstdDecompressor().decompress(key.decrypt(b"n" * 12, sealed, None))
        at = 0
        for envelope, raw in sizes:
            one = sha256(data[at : at + envelope]).digest()
            at += envelope
            other = sha256(data[at : at + raw]).digest()
            at += raw
            sha256(_LEAF + nonce + one + other).digest()
