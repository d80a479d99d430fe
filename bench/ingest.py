"""CloudTrail ingest, matched and hashed, beside the same done with gzip + orjson in the same run.

The load: whole delivery files of two real accounts (see `PROFILE.md` of the corpus), drawn with a
fixed seed and mixed so that 3 % of the events match the shipped library, as they do where people
and automation work beside log delivery; event and request ids are made new, so that repetition
does not help compression; packed into gzip objects of 5,000 events.

Ours takes an object's bytes, hashes them, unpacks them, finds what the library wants, applies the
rules of evidence, cuts secrets, and makes id, envelope and leaf hash of what is kept. The baseline
does the same in the way one writes it at first, with gzip and orjson (`bench.plain`); beside it
stands what gzip and orjson take that only unpack and parse. A second pair takes the objects from a
bucket, which boto3's own clients read without a network: there each pays for its request too, ours
through clients as collectors have them.

All take turns object by object, and of each object the best turn counts, since neighbours on the
machine disturb all; the figure is events per second of processor time of one core.
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
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

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
from auditkeep.sources import aws, cloudtrail, files
from auditkeep.sources.records import Context, Tally
from auditkeep.sources.s3 import Bucket
from auditkeep.sources.secrets import Cutter

CORPUS = Path(__file__).parent.parent.parent / "shared" / "corpus" / "cloudtrail"
LOG_DELIVERY = "Yamato-Security__suzaku-sample-data"
PEOPLE = "invictus-ir__aws_dataset"

BUCKET = "trail"
REGION = "us-east-1"
EVENTS = 1_000_000
PER_FILE = 5_000
TURNS = 3
MATCHING = 0.03
SEED = 20_261_121

TENANT = Tenant("111122223333", REGION)
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
        keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "bench"}
        session, config = aws.session(), aws.config(attempts=5)
        self._plain = boto3.client("s3", region_name=REGION, **keys)
        self._ours = session.create_client("s3", region_name=REGION, config=config, **keys)
        for client in (self._plain, self._ours):
            client.meta.events.register("before-send.s3.GetObject", self._answer)
        self.bucket = Bucket(self._ours, BUCKET)
        """As a trail's bucket is read here."""

    def content(self, key: str) -> bytes:
        """As one reads an object with boto3."""
        return bytes(self._plain.get_object(Bucket=BUCKET, Key=key)["Body"].read())

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

    def plainly(content: bytes) -> tuple[int, int]:
        return plain.ingest(content, TENANT, wanted, iso(NOW))

    works: list[tuple[Spent, Callable[[str], tuple[int, int]]]] = [
        (ours := Spent(), lambda key: _ingest(_held(store.objects[key]), context)),
        (baseline := Spent(), lambda key: plainly(store.objects[key])),
        (parsing := Spent(), lambda key: (len(plain.records(store.objects[key])), 0)),
        (ours_asked := Spent(), lambda key: _ingest(store.bucket.opened(key), context)),
        (baseline_asked := Spent(), lambda key: plainly(store.content(key))),
    ]
    for number, content in enumerate(_load(context, max(1, round(EVENTS * scale / PER_FILE)))):
        store.objects = {f"{number}.json.gz": content}
        for spent, work in works:
            spent.add(*_timed(work, f"{number}.json.gz"))
    name = "CloudTrail ingest, matched and hashed"
    note = f"{ours.events:,} events, {ours.kept / ours.events:.1%} kept"
    return [
        _result(
            f"{name}, beside the same with gzip + orjson",
            ours,
            baseline,
            times=TIMES,
            note=f"{note}; the baseline kept {baseline.kept / baseline.events:.1%}",
        ),
        _result(f"{name}, beside gzip + orjson that only parse", ours, parsing),
        _result(f"{name}, from a bucket, beside the same so", ours_asked, baseline_asked, times=0),
    ]


def _result(
    name: str, ours: Spent, beside: Spent, *, times: float | None = None, note: str = ""
) -> Result:
    """`times` is what is asked for beside the rate; None: nothing is."""
    ratio = ours.rate / beside.rate
    asked = [f">= {times:g} x"] if times else []
    return Result(
        name,
        value=ours.rate,
        baseline=beside.rate,
        ratio=ratio,
        target="none" if times is None else " and ".join([*asked, f">= {PER_SECOND:,}"]),
        unit="events/s/core",
        met=None if times is None else ratio >= times and ours.rate >= PER_SECOND,
        note=note,
    )


@contextmanager
def _held(content: bytes) -> Iterator[tuple[BinaryIO, bytes]]:
    """As a bucket or a folder opens an object that is small."""
    yield io.BytesIO(content), sha256(content).digest()


def _timed(work: Callable[[str], tuple[int, int]], key: str) -> tuple[tuple[int, int], float]:
    """What was done, and the processor seconds of the best of some turns."""
    gc.collect()
    done, best = (0, 0), float("inf")
    for _ in range(TURNS):
        started = time.process_time()
        done = work(key)
        best = min(best, time.process_time() - started)
    return done, best


def _ingest(
    opened: AbstractContextManager[tuple[BinaryIO, bytes]], context: Context
) -> tuple[int, int]:
    tally = Tally()
    with opened as (file, _):
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
