"""`kill -9` at random moments of a deployment's whole life, and what holds after each of them.

Ingest, seal, compact, log, rotate, expire, hold, cut down, sweep, deregister: whatever was under
way, after the next start everything acknowledged is there once and unchanged, unless its time is
over; what a legal hold keeps is there; what was said to be destroyed is gone; the log goes on from
every checkpoint that was seen; and `log audit` finds nothing.

`AUDITKEEP_KILLS` says how often; every run tries other moments.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from calendar import monthrange
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.databases import BOTH
from tests.lake.checking import ALL
from tests.life import living
from tests.life.living import APART, HOME, KEPT_DAYS, VISITORS, Life

from auditkeep.clock import DAY, Instant, SystemClock, to_datetime
from auditkeep.db.schema import batches, buckets, segments, tail, tenants, units
from auditkeep.errors import NotFound, ObjectMissing
from auditkeep.ids import Tenant
from auditkeep.lake import append as append_module
from auditkeep.lake import batch as batch_module
from auditkeep.lake import holds, rotation
from auditkeep.lake.audit.run import audit
from auditkeep.lake.blobs import get_blob, has_blob
from auditkeep.lake.model import View, count_gone
from auditkeep.lake.read import observations
from auditkeep.lake.sequencer import log_tiles
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.tlog.merkle import verify_consistency

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("AUDITKEEP_KILLS", "6"))
AGED = 30
"""Units of two months: two days lie between them."""
KEYS = frozenset({"iam:CreateUser", "iam:DeleteUser"})
EVERYTHING = View(KEYS, None, None, Instant(0), Instant(SystemClock().now() + 40_000 * DAY))


@dataclass
class Promises:
    """What the processes have said so far."""

    units: set[int] = field(default_factory=set)
    files: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    held: dict[str, tuple[set[int], set[int]]] = field(default_factory=dict)
    """Units, and those whose files, a hold keeps."""
    expired: int = -1
    checkpoints: list[Checkpoint] = field(default_factory=list)
    begun: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    """Works, and how often one was the last that a process began."""
    ready: threading.Event = field(default_factory=threading.Event)

    def hear(self, line: str) -> None:
        match line.split():
            case ["unit", number]:
                self.units.add(int(number))
            case ["file", number]:
                self.files.add(int(number))
            case ["gone", number]:
                self.gone.add(int(number))
            case ["held", hold, kept, files]:
                self.held[hold] = numbers(kept), numbers(files)
            case ["expired", number]:
                self.expired = max(self.expired, int(number))
            case ["begun", name]:
                self.begun[name] += 1
            case ["log", size, root]:
                self.checkpoints.append(Checkpoint("", int(size), bytes.fromhex(root)))
            case ["ready"]:
                self.ready.set()


def numbers(listed: str) -> set[int]:
    return {int(one) for one in listed.split(",") if one != "-"}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same low limits here as in the process, undone afterwards."""
    monkeypatch.setattr(append_module, "UNPACKED", append_module.UNPACKED)
    monkeypatch.setattr(batch_module, "MAX_LEAVES", batch_module.MAX_LEAVES)
    monkeypatch.setattr(rotation, "GRACE_SECONDS", rotation.GRACE_SECONDS)
    monkeypatch.setattr(rotation, "PIECE", rotation.PIECE)
    living.make_small()


def begin(data: Path, url: str, promises: Promises) -> None:
    """Two months that nobody disturbs, so that everything has something to do from the start."""
    life = Life(data, url)
    for unit in range(AGED):
        life.ingest()
        promises.units.add(unit)
        if unit % 5 == 0:
            life.keep()
            promises.files.add(unit + 1)
        if unit % 5 == 3:
            life.seal()
    promises.checkpoints.append(life.log())
    life.parts.db.close()


def live_and_die(data: Path, url: str, promises: Promises, dice: random.Random) -> None:
    """One process's share of the life: its beginning at least, and seldom more than a second."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.life.living", str(data), url, str(dice.randrange(1 << 30)), "100000"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src"},
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    promises.ready.clear()
    last = ""

    def listen(stream: Iterator[str] = process.stdout) -> None:
        nonlocal last
        for line in stream:
            if not line.endswith("\n"):
                return  # killed while it spoke
            promises.hear(line)
            if line.startswith("begun"):
                last = line.split()[1]

    listener = threading.Thread(target=listen)
    listener.start()
    assert promises.ready.wait(60), "the process did not start"
    listener.join(dice.uniform(0.0, 1.2))
    process.send_signal(signal.SIGKILL)
    process.wait()
    listener.join()
    assert process.returncode == -signal.SIGKILL, "it was killed, and did not fail before"
    promises.cut[last] += 1


def due(life: Life, unit: int) -> Instant:
    """When what was kept with a unit may be destroyed: its month's end, and the days of the rule."""
    at = to_datetime(life.time_of(unit))
    first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    started = life.time_of(unit) - int((at - first).total_seconds()) * 1_000_000 - at.microsecond
    return Instant(started + (monthrange(at.year, at.month)[1] + KEPT_DAYS) * DAY)


def over(life: Life, unit: int) -> bool:
    """Whether what was kept with a unit may be gone: its own days have passed."""
    return life.time_of(unit) + KEPT_DAYS * DAY <= life.clock.now()


def kept_by_holds(life: Life, promises: Promises) -> tuple[set[int], set[int]]:
    """The units and files that holds keep which were heard of and are in force."""
    with life.parts.db.read(HOME) as tx:
        standing = [held.id for held in holds.in_force(tx) if held.id in promises.held]
    found = [promises.held[hold] for hold in standing]
    return set().union(*(units for units, _ in found)), set().union(*(files for _, files in found))


def held_lately(life: Life, unit: int, since: Instant) -> bool:
    """Whether a hold kept a unit from going at some time since, or does."""
    with life.parts.db.read(HOME) as tx:
        placed = holds.listed(tx)
    at = life.time_of(unit)
    return any(
        held.reaches(at, Instant(at + APART))
        for held in placed
        if held.released_at is None or held.released_at >= since
    )


def check(life: Life, promises: Promises) -> None:
    """Everything that was promised holds."""
    committed = life.units()
    assert max(promises.units, default=-1) < committed
    check_facts(life, promises, committed)
    check_files(life, promises)
    check_catalog(life, HOME)
    for number in promises.gone:
        check_gone(life, VISITORS[number % len(VISITORS)], number)
    newest = life.log()
    tiles = log_tiles(life.lake, newest.size)
    for seen in promises.checkpoints[-20:]:
        path = tiles.consistency(seen.size)
        verify_consistency(seen.size, seen.root, newest.size, newest.root, path)
    found = audit(life.lake, now=life.clock.now(), fresh=True)
    assert found.problems == ()
    assert len(life.lake.keys.ring.key_ids) <= 2


def check_facts(life: Life, promises: Promises, committed: int) -> None:
    """Each unit's facts once and in the bytes that were brought, or gone because they were over."""
    _, held = kept_by_holds(life, promises)
    with life.parts.db.read(HOME) as tx:
        stored = Counter(o.raw for o in observations(tx, life.lake, [EVERYTHING], limit=ALL))
    seen: set[bytes] = set()
    expected: set[bytes] = set()
    for unit in range(committed):
        own = {o.raw for o in living.load_of(unit)} - seen
        seen |= own
        there = {raw for raw in own if stored[raw]}
        assert there == own or over(life, unit), f"unit {unit} is whole until its time is over"
        assert there == own or unit not in held, f"unit {unit} is held, and whole"
        said = life.time_of(promises.expired - 1)
        if due(life, unit) <= said and not held_lately(life, unit, said):
            assert not there, f"unit {unit} was due and said to be gone"
        expected |= there
    assert stored == Counter(expected), "nothing twice, and nothing that nobody brought"


def check_files(life: Life, promises: Promises) -> None:
    held, _ = kept_by_holds(life, promises)
    with life.parts.db.read(HOME) as tx:
        for unit in promises.files:
            if unit in held or not over(life, unit):
                kept = b"".join(get_blob(tx, life.lake, living.file_name(unit)))
                assert kept == living.file_of(unit)
            elif has_blob(tx, living.file_name(unit)):
                continue
            else:
                with pytest.raises((ObjectMissing, NotFound)):
                    get_blob(tx, life.lake, living.file_name(unit))


def check_catalog(life: Life, tenant: Tenant) -> None:
    """Batches lie in the tail or in a segment, and segments hold what their batches say."""
    with life.parts.db.read(tenant) as tx:
        b = batches.c
        rows = tx.all(tx.select(b.batch_no, b.segment_id, b.rows, b.gone))
        in_tail = {row.batch_no for row in tx.all(tx.select(tail.c.batch_no))}
        sizes = {r.id: r.rows for r in tx.all(tx.select(segments.c.id, segments.c.rows))}
    lying: Counter[str] = Counter()
    for row in rows:
        if row.segment_id is None:
            assert row.batch_no in in_tail
        else:
            lying[row.segment_id] += row.rows - count_gone(row.gone)
    assert {name: count for name, count in lying.items() if name in sizes} == sizes


def check_gone(life: Life, tenant: Tenant, number: int) -> None:
    """Nothing of that visit; and nothing but what was logged, unless the visitor has come again."""
    with life.parts.db.read(tenant) as tx:
        status = tx.scalar(tx.select(tenants.c.status))
        kept = [row.id for row in tx.all(tx.select(units.c.id))]
        facts = tx.select(buckets.c.id).where(
            buckets.c["class"] == "facts", buckets.c.destroyed_at.is_(None)
        )
        assert status != "ERASED" or tx.all(facts) == []
        assert status != "ERASED" or observations(tx, life.lake, [EVERYTHING], limit=1) == []
    assert not [name for name in kept if name.startswith(f"visit-{number}-")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOTH)
def test_kills_at_random_moments_cost_nothing(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, kills = "sqlite", KILLS
    if kind == "postgres":
        from tests.postgres import fresh_database

        url, kills = fresh_database(request.getfixturevalue("postgres_url")), max(3, KILLS // 4)
    dice, promises = random.Random(), Promises()
    data = tmp_path / "data"
    data.mkdir()
    begin(data, url, promises)
    for _ in range(kills):
        live_and_die(data, url, promises, dice)
        life = Life(data, url)
        check(life, promises)
        life.parts.db.close()
    print(f"begun: {dict(promises.begun)}; killed in: {dict(promises.cut)}")
    life = Life(data, url)
    for _, work in life.works().values():
        work()  # whatever was cut off is finished
    life.leave()
    check(life, promises)
    life.parts.db.close()
    assert promises.units, "the processes got something done"
