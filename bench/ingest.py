"""CloudTrail files -> matched, hashed observations, beside gzip + orjson over the same files.

The load is resampled from the corpus of real files beside the checkout with a fixed seed: gzip
files of 5,000 events, three of a hundred of which some shipped control can use. One process.
"""

import gzip
import os
import random
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import orjson
from bench.result import Result

from auditkeep.clock import SystemClock
from auditkeep.ids import Tenant
from auditkeep.lake import encoding
from auditkeep.library.library import Library
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation, Provenance
from auditkeep.sources import cloudtrail, files
from auditkeep.sources.records import Context, Tally
from auditkeep.sources.secrets import Cutter

CORPUS = Path(__file__).parent.parent.parent / "shared" / "corpus" / "cloudtrail"
TENANT = Tenant("111122223333", "us-east-1")
EVENTS_PER_FILE = 5_000
DISTINCT_FILES = 20
MATCHING = 0.03
ROUNDS = 3
_INTEREST = Interest.of(Library.load().match_keys)
_NOW = SystemClock().now()


class _Records(msgspec.Struct):
    records: list[msgspec.Raw] = msgspec.field(name="Records", default_factory=list)


def run(scale: float) -> list[Result]:
    if not CORPUS.is_dir():
        print("  left out: the corpus of real files is not beside this checkout")
        return []
    passes = max(1, round(1_000_000 * scale / (EVENTS_PER_FILE * DISTINCT_FILES)))
    with tempfile.TemporaryDirectory() as folder:
        made = list(_load(Path(folder)))
        events = passes * len(made) * EVENTS_PER_FILE
        ours = theirs = float("inf")
        kept = 0
        for _ in range(ROUNDS):
            started = time.process_time()
            kept = sum(_observed(path) for _ in range(passes) for path in made)
            ours = min(ours, time.process_time() - started)
            started = time.process_time()
            for path in made:
                orjson.loads(gzip.decompress(path.read_bytes()))
            theirs = min(theirs, (time.process_time() - started) * passes)
    ratio = theirs / ours
    return [
        Result(
            name=f"CloudTrail ingest, matched and hashed, {events:,} events",
            value=events / ours,
            baseline=events / theirs,
            ratio=ratio,
            target=">= 200,000 events/s and >= 4 x gzip + orjson",
            unit="events/s/core",
            met=events / ours >= 200_000 and ratio >= 4,
            note=f"{kept / events:.1%} kept",
        )
    ]


def _observed(path: Path) -> int:
    """One file's observations with their leaf hashes; how many."""
    context = Context(TENANT, _INTEREST, Cutter(b"k" * 32))
    writer = encoding.EnvelopeWriter(
        TENANT, "bench", Provenance(how="file", collector="b", run="r", software="s"), _NOW
    )
    leaves: list[bytes] = []
    for item in cloudtrail.parse(files.get(path), context, Tally()):
        if isinstance(item, Observation):
            identity = encoding.observation_id(
                TENANT, item.source, item.natural_key, item.event_time
            )
            envelope = sha256(writer.write(item, identity)).digest()
            leaves.append(encoding.leaf(os.urandom(32), envelope, sha256(item.raw).digest()))
    return len(leaves)


def _load(folder: Path) -> Iterator[Path]:
    """Files of events drawn from the corpus, each with an id of its own."""
    wanted, others = _pools()
    chance = random.Random(20260501)
    for number in range(DISTINCT_FILES):
        events = []
        for _ in range(EVENTS_PER_FILE):
            pool = wanted if chance.random() < MATCHING else others
            event = chance.choice(pool)
            fresh = f"{chance.getrandbits(128):032x}"
            events.append(event[0] + fresh.encode()[: len(event[1])] + event[2])
        path = folder / f"{number}.json.gz"
        text = b'{"Records":[' + b",".join(events) + b"]}"
        path.write_bytes(gzip.compress(text, 6))
        yield path


Split = tuple[bytes, bytes, bytes]


def _pools() -> tuple[list[Split], list[Split]]:
    """Events of the corpus that a control can use, and the others; split around their id."""
    wanted: list[Split] = []
    others: list[Split] = []
    for path in sorted(CORPUS.rglob("*.json.gz")):
        try:
            document = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=_Records)
        except msgspec.ValidationError:
            continue  # an array or a single event: the files that AWS delivers hold `Records`
        for raw in document.records:
            event = bytes(raw)
            identity = orjson.loads(event).get("eventID")
            if not isinstance(identity, str) or event.count(identity.encode()) != 1:
                continue
            before, after = event.split(identity.encode())
            pool = wanted if _is_wanted(event) else others
            pool.append((before, identity.encode(), after))
    return wanted, others


def _is_wanted(event: bytes) -> bool:
    context = Context(TENANT, _INTEREST, Cutter(b"k" * 32))
    found = cloudtrail.parse(iter([b'{"Records":[' + event + b"]}"]), context, Tally())
    return any(isinstance(item, Observation) for item in found)
