"""CloudTrail ingest, matched and hashed, beside the same done with gzip + orjson in the same run.

The load: whole delivery files of two real accounts (see `PROFILE.md` of the corpus), drawn with a
fixed seed and mixed so that 3 % of the events match the shipped library, as they do where people
and automation work beside log delivery; event and request ids are made new, so that repetition
does not help compression; packed into gzip objects of 5,000 events, in a bucket that boto3's own
client reads for both, without a network. Ours reads an object as a
trail's bucket is read, with the SHA-256 of what is stored, unpacks it, finds what the library
wants, applies the rules of evidence, cuts secrets, and makes id, envelope and leaf hash of what is
kept. The baseline does the same in the way one writes it at first, with gzip and orjson
(`bench.plain`); beside it stands what gzip and orjson take that only unpack and parse. All take
turns object by object, and of each object the best turn counts, since neighbours on the machine
disturb all; the figure is events per second of processor time of one core.
"""

import gc
import gzip
import io
import os
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import boto3
import msgspec
from bench import plain
from bench.result import Result
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from urllib3 import HTTPResponse

from auditkeep.clock import iso, parse
from auditkeep.ids import Tenant
from auditkeep.lake.admission import admit
from auditkeep.lake.encoding import NONCE_SIZE, EnvelopeWriter, leaf
from auditkeep.library.library import Library
from auditkeep.mapping.interest import Interest
from auditkeep.observations import Observation, Provenance
from auditkeep.sources import cloudtrail, files
from auditkeep.sources.records import Context, Tally
from auditkeep.sources.s3 import Bucket
from auditkeep.sources.secrets import Cutter

CORPUS = Path(__file__).parent.parent.parent / "shared" / "corpus" / "cloudtrail"
LOG_DELIVERY = "Yamato-Security__suzaku-sample-data"
PEOPLE = "invictus-ir__aws_dataset"

BUCKET = "trail"
EVENTS = 1_000_000
PER_FILE = 5_000
TURNS = 3
MATCHING = 0.03
SEED = 20_261_121

TENANT = Tenant("111122223333", "us-east-1")
NOW = parse("2026-11-21T12:00:00Z")
PROVENANCE = Provenance(how="file", collector="bench", run="bench", software="auditkeep")

TIMES = 5.0
PER_SECOND = 250_000

_IDS = re.compile(rb'("(?:eventID|requestID)":\s*")[0-9a-f-]{36}')


class _Records(msgspec.Struct):
    Records: list[msgspec.Raw]


@dataclass
class Spent:
    """Events and the processor seconds that they took."""

    events: int = 0
    kept: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.events / self.seconds

    def add(self, done: tuple[int, int], seconds: float) -> None:
        self.events += done[0]
        self.kept += done[1]
        self.seconds += seconds


class Store:
    """A bucket held in memory, behind boto3's own client: only the network is left out."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.client = boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="bench",
        )
        self.client.meta.events.register("before-send.s3.GetObject", self._answer)

    def content(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        content = self.objects[request.url.rpartition("/")[2]]
        headers = {
            "Content-Length": str(len(content)),
            "ETag": '"bench"',
            "Last-Modified": "Sat, 21 Nov 2026 12:00:00 GMT",
        }
        body = HTTPResponse(io.BytesIO(content), headers=headers, preload_content=False)
        return AWSResponse(request.url, 200, HeadersDict(headers), body)


def run(scale: float) -> list[Result]:
    if not CORPUS.is_dir():
        print("  the corpus of real files is not beside this checkout: nothing to measure")
        return []
    interest = Interest.of(Library.load().match_keys)
    context = Context(TENANT, interest, Cutter(os.urandom(32)))
    wanted = interest.keys or frozenset()
    store = Store()
    bucket = Bucket(store.client, BUCKET)
    works: list[tuple[Spent, Callable[[str], tuple[int, int]]]] = [
        (ours := Spent(), lambda key: _ingest(bucket, key, context)),
        (
            baseline := Spent(),
            lambda key: plain.ingest(store.content(key), TENANT, wanted, iso(NOW)),
        ),
        (parsing := Spent(), lambda key: (len(plain.records(store.content(key))), 0)),
    ]
    for number, content in enumerate(_load(context, max(1, round(EVENTS * scale / PER_FILE)))):
        store.objects = {f"{number}.json.gz": content}
        for spent, work in works:
            spent.add(*_timed(work, f"{number}.json.gz"))
    ratio = ours.rate / baseline.rate
    note = f"{ours.events:,} events, {ours.kept / ours.events:.1%} kept"
    name = "CloudTrail ingest, matched and hashed, beside"
    return [
        Result(
            f"{name} the same with gzip + orjson",
            value=ours.rate,
            baseline=baseline.rate,
            ratio=ratio,
            target=f">= {TIMES:g} x and >= {PER_SECOND:,}",
            unit="events/s/core",
            met=ratio >= TIMES and ours.rate >= PER_SECOND,
            note=f"{note}; the baseline kept {baseline.kept / baseline.events:.1%}",
        ),
        Result(
            f"{name} gzip + orjson that only parse",
            value=ours.rate,
            baseline=parsing.rate,
            ratio=ours.rate / parsing.rate,
            target="none",
            unit="events/s/core",
        ),
    ]


def _timed(work: Callable[[str], tuple[int, int]], key: str) -> tuple[tuple[int, int], float]:
    """What was done, and the processor seconds of the best of some turns."""
    gc.collect()
    done, best = (0, 0), float("inf")
    for _ in range(TURNS):
        started = time.process_time()
        done = work(key)
        best = min(best, time.process_time() - started)
    return done, best


def _ingest(bucket: Bucket, key: str, context: Context) -> tuple[int, int]:
    tally = Tally()
    with bucket.opened(key) as (file, _):
        parsed = cloudtrail.parse(files.blocks(file), context, tally)
        found = [o for o in parsed if isinstance(o, Observation)]
    rows, _ = admit(found, EnvelopeWriter(TENANT, "unit", PROVENANCE, NOW), NOW)
    nonces = os.urandom(NONCE_SIZE * len(rows))
    for row, at in zip(rows, range(0, len(nonces), NONCE_SIZE), strict=True):
        leaf(nonces[at : at + NONCE_SIZE], sha256(row.envelope).digest(), row.raw_hash)
    return tally.records, len(rows)


def _load(context: Context, count: int) -> Iterator[bytes]:
    """Objects of the mixed load, made when they are asked for."""
    delivery, people = _pool(LOG_DELIVERY), _pool(PEOPLE)
    few, many = _share(delivery, context), _share(people, context)
    share = min(1.0, max(0.0, (MATCHING - few) / (many - few)))
    # a drawn file brings all of its events: the pools' mean sizes turn shares into chances
    weights = [(1 - share) / _mean(delivery), share / _mean(people)]
    chance = random.Random(SEED)
    waiting: list[bytes] = []
    for _ in range(count):
        while len(waiting) < PER_FILE:
            pool = chance.choices((delivery, people), weights)[0]
            waiting += [_renewed(raw, chance) for raw in chance.choice(pool)]
        records, waiting = waiting[:PER_FILE], waiting[PER_FILE:]
        yield gzip.compress(b'{"Records":[' + b",".join(records) + b"]}", 6)


def _pool(name: str) -> list[list[bytes]]:
    """The delivery files of one account, each as its events."""
    paths = sorted(p for p in (CORPUS / name).rglob("*") if p.is_file())
    texts = (b"".join(files.get(path)) for path in paths)
    return [[bytes(raw) for raw in msgspec.json.decode(t, type=_Records).Records] for t in texts]


def _share(pool: list[list[bytes]], context: Context) -> float:
    """How many of a pool's events match."""
    tally = Tally()
    text = b"[" + b",".join(raw for events in pool for raw in events) + b"]"
    kept = sum(1 for _ in cloudtrail.parse(iter([text]), context, tally))
    return kept / tally.records


def _mean(pool: list[list[bytes]]) -> float:
    return sum(map(len, pool)) / len(pool)


def _renewed(raw: bytes, chance: random.Random) -> bytes:
    """The event with new ids."""
    return _IDS.sub(
        lambda match: match[1] + str(uuid.UUID(int=chance.getrandbits(128))).encode(), raw
    )
