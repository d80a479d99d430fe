"""What appending to a lake of ten million observations costs, beside one of a million.

Both lakes are filled by appending, with sealing and the log, over as much time as an organisation
that collects 250,000 observations a day takes. Then the same units go to both, in turns: 25 units
of 2,000, what is sealed of them, and a step of the log. What disturbs one disturbs the other; the
middle of all turns counts. Beside the clock's seconds it tells those of this process's processor.
What the lakes are filled with has short records, for what grows are ids, counts and batches; what
is measured has real ones. `--scale 0.1` holds a million beside 100,000.

Ids begin with the second of the event, and units come about in the order of time, as logs do. Each
event is up to a quarter of an hour old, and of one of 30 accounts.
"""

import gc
import json
import os
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # one core; before any import

import orjson
from bench.lake import CORPUS, PROVENANCE, TENANT, Seconds, Stopwatch, databases, new_lake
from bench.lake import _events as events
from bench.lake import _made_up as made_up
from bench.result import Result

from auditkeep.clock import DAY, MINUTE, Instant, parse
from auditkeep.lake.append import Unit, append
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.observations import Observation, Resource

LARGE = 10_000_000
SMALL = 1_000_000
A_DAY = 250_000
UNIT = 2_000
UNITS = 25
TURNS = 15
FEW_TURNS = 5
"""For a run of less than a tenth: a look whether it works, and no figure."""
GROWN = 1.10
SINCE = parse("2026-03-01T00:00:00Z")
LATE = 15 * MINUTE
RESOURCES = tuple((Resource(f"arn:aws:s3:::bucket-{n}"),) for n in range(500))
ACTORS = tuple(f"arn:aws:iam::111122223333:user/user-{n}" for n in range(200))


def run(scale: float) -> list[Result]:
    templates = _templates()
    with databases() as urls:
        return [_grown(kind, url, scale, templates) for kind, url in urls]


def _grown(kind: str, url: str, scale: float, templates: Sequence["Template"]) -> Result:
    large, small = int(LARGE * scale), int(SMALL * scale)
    with tempfile.TemporaryDirectory() as folder:
        places = [Place(Path(folder) / name, url) for name in ("small", "large")]
        for place, size in zip(places, (small, large), strict=True):
            place.fill(size, [replace(one, before=b'{"n":"', after=b'"}') for one in templates])
        gc.collect()
        took: list[list[Seconds]] = [[], []]
        for turn in range(TURNS if scale >= 0.1 else FEW_TURNS):
            first = large // UNIT + turn * UNITS
            units = [_unit(templates, first + n) for n in range(UNITS)]
            for which in (0, 1) if turn % 2 else (1, 0):
                took[which].append(places[which].take(units))
        for place in places:
            place.close()
    beside, ours = ([seconds.clock for seconds in each] for each in took)
    clock = statistics.median(ours) / statistics.median(beside)
    processor = statistics.median([s.processor for s in took[1]]) / statistics.median(
        [s.processor for s in took[0]]
    )
    each = UNIT * UNITS
    return Result(
        name=f"appending to {large:,} beside {small:,}, {kind}",
        value=statistics.median(ours) / each * 1e6,
        baseline=statistics.median(beside) / each * 1e6,
        ratio=clock,
        target=f"<= {GROWN}",
        unit="µs/obs",
        met=clock <= GROWN,
        note=f"({processor:.2f} × by processor time, {min(ours) / min(beside):.2f} × at best)",
    )


class Place:
    """A lake, and how far it is filled."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        self._lake: Lake = new_lake(folder, url)
        self._sequencer = Sequencer(self._lake)
        self._sequencer.__enter__()

    def fill(self, size: int, templates: Sequence["Template"]) -> None:
        for first in range(0, size // UNIT, UNITS):
            last = min(first + UNITS, size // UNIT)
            self.take([_unit(templates, n) for n in range(first, last)])

    def take(self, units: Sequence["Made"]) -> Seconds:
        """Append, seal and log some units."""
        watch = Stopwatch()
        for unit in units:
            with self._lake.db.write(TENANT) as tx:
                append(
                    tx,
                    self._lake,
                    unit=Unit(f"unit-{unit.number}", "file", f"file-{unit.number}"),
                    klass="facts",
                    observations=unit.observations,
                    provenance=PROVENANCE,
                    now=unit.now,
                )
        while seal(self._lake, TENANT, now=units[-1].now):
            pass
        self._sequencer.step(units[-1].now)
        return watch.read()

    def close(self) -> None:
        self._sequencer.__exit__(None, None, None)
        self._lake.db.close()


@dataclass(frozen=True)
class Template:
    """A record without its id, which goes between."""

    before: bytes
    after: bytes
    source: str
    name: str
    match_key: str
    region: str


@dataclass(frozen=True)
class Made:
    number: int
    now: Instant
    observations: list[Observation]


def _templates() -> list[Template]:
    found = [e for e in events() if 300 < len(json.dumps(e)) < 4_000] if CORPUS.is_dir() else []
    return list(map(_template, found or [made_up()]))


def _template(event: dict[str, object]) -> Template:
    mark = "0" * 32
    before, _, after = orjson.dumps({**event, "eventID": mark}).partition(mark.encode())
    source = str(event.get("eventSource", "s3.amazonaws.com"))
    name = str(event.get("eventName", "PutObject"))
    region = str(event.get("awsRegion", "us-east-1"))
    return Template(before, after, source, name, f"{source.split('.', 1)[0]}:{name}", region)


def _unit(templates: Sequence[Template], number: int) -> Made:
    """A unit, the same whoever asks for it."""
    dice = random.Random(number)
    now = Instant(SINCE + (number + 1) * UNIT * DAY // A_DAY)
    account = f"{111122223333 + number % 30}"
    return Made(number, now, list(_observations(templates, dice, account, now)))


def _observations(
    templates: Sequence[Template], dice: random.Random, account: str, now: Instant
) -> Iterator[Observation]:
    for n in range(UNIT):
        like = dice.choice(templates)
        event_id = f"{dice.getrandbits(128):032x}"
        yield Observation(
            source="AWS_Cloudtrail",
            natural_key=(event_id,),
            event_time=Instant(now - LATE + n * (LATE // UNIT)),
            match_key=like.match_key,
            account=account,
            region=like.region,
            raw=like.before + event_id.encode() + like.after,
            reader="cloudtrail/1",
            position=f"Records[{n}]",
            resources=RESOURCES[n % 500],
            actor=ACTORS[n % 200],
            event_name=like.name,
            event_source=like.source,
        )
