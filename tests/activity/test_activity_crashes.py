"""`kill -9`: a change and its record are there together, or neither, and a record only once."""

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.processes import started

from auditkeep import app, settings
from auditkeep.activity.batcher import Batcher
from auditkeep.activity.reading import Wanted, records
from auditkeep.clock import SystemClock
from auditkeep.db.schema import activity_pending, batches, controls
from auditkeep.ids import Tenant
from auditkeep.lake.crashpoints import EXIT_CODE, NAMES

HOME = Tenant("111122223333", "us-east-1")
POINTS = [
    *((name, count) for name in NAMES if name.startswith("activity.") for count in (1, 3)),
    ("append.before-commit", 2),
    ("append.committed", 2),
]


def work(data: Path, *, crash: str = "", number: int = 30) -> subprocess.Popen[str]:
    return started("tests.activity.worker", data, number, crash=crash)


def check(data: Path, answered: set[str]) -> None:
    """Every control has its one record, every record its control, whether answered or not."""
    with app.opened(settings.load(data), SystemClock()) as parts:
        Batcher(parts.lake, parts.deps.heard, parts.clock).flush()
        found = list(records(parts.lake, Wanted()))
        with parts.db.read(HOME) as tx:
            there = {row.id for row in tx.all(tx.select(controls.c.id))}
            assert tx.all(tx.select(activity_pending)) == []
            numbers = [r.batch_no for r in tx.all(tx.select(batches).order_by(batches.c.batch_no))]
    made = [r for r in found if r["eventName"] == "CreateControl"]
    assert Counter(r["responseElements"]["control"]["id"] for r in made) == Counter(there)
    assert there >= answered
    assert len({r["eventID"] for r in found}) == len(found)
    assert [r["eventName"] for r in found].count("InitialiseDeployment") == 1
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "audit"
    app.initialise(settings.load(folder), HOME, SystemClock())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), POINTS)
def test_a_crash_parts_no_change_from_its_record(data: Path, name: str, count: int) -> None:
    process = work(data, crash=f"{name}:{count}")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == EXIT_CODE, f"{name} was not reached {count} times"
    check(data, set(output.split()))


@pytest.mark.slow
def test_a_first_start_that_dies_is_recorded_by_the_one_that_ends(tmp_path: Path) -> None:
    words = ("init", "--data", str(tmp_path / "new"), "--account", HOME.account)
    process = started("auditkeep.cli.main", *words, crash="bucket.key-kept:1")
    process.communicate(timeout=60)
    assert process.returncode == EXIT_CODE
    app.initialise(settings.load(tmp_path / "new"), HOME, SystemClock())
    check(tmp_path / "new", set())


@pytest.mark.slow
def test_random_kills_part_no_change_from_its_record(data: Path) -> None:
    answered: set[str] = set()
    for seed in range(4):
        process = work(data, number=10_000)
        assert process.stdout is not None
        answered.add(process.stdout.readline().strip())
        time.sleep(random.Random(seed).random())
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
        answered |= {line for line in output.split() if len(line) == 36}
    check(data, answered)
