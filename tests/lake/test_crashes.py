"""`kill -9` and power cuts at every commit boundary.

Whatever happens, after a restart everything acknowledged is there exactly once, the log extends
every checkpoint that was seen, and all proofs hold.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import func
from tests.lake import worker
from tests.lake.checking import check_log, check_proofs, check_rows, committed_units
from tests.lake.making import TENANT
from tests.lake.powercut import survivors
from tests.processes import started

from auditkeep.clock import MINUTE, Instant, SystemClock
from auditkeep.db.schema import usage
from auditkeep.lake import append as append_module
from auditkeep.lake import batch as batch_module
from auditkeep.lake.blobs import get_blob
from auditkeep.lake.crashpoints import EXIT_CODE, NAMES
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored
from auditkeep.lake.sweep import sweep
from auditkeep.tlog.checkpoint import Checkpoint

ROOT = Path(__file__).parent.parent.parent
UNITS = 16
"""Units of a whole run: they pass by every crash point several times."""


@dataclass
class Promises:
    """What a process has acknowledged."""

    units: set[int] = field(default_factory=set)
    blobs: set[int] = field(default_factory=set)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    def hear(self, line: str) -> None:
        match line.split():
            case ["unit", number]:
                self.units.add(int(number))
            case ["blob", number]:
                self.blobs.add(int(number))
            case ["log", size, root]:
                found = Checkpoint("auditkeep.test/log", int(size), bytes.fromhex(root))
                self.checkpoints.append(found)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same low limits here as in the worker, undone afterwards."""
    monkeypatch.setattr(append_module, "UNPACKED", append_module.UNPACKED)
    monkeypatch.setattr(batch_module, "MAX_LEAVES", batch_module.MAX_LEAVES)
    worker.make_small()


def start(
    data: Path, url: str, first: int, last: int, *, mirror: Path | None = None, crash: str = ""
) -> subprocess.Popen[str]:
    data.mkdir(exist_ok=True)
    mirrored = [mirror] if mirror else []
    return started("tests.lake.worker", data, url, first, last, *mirrored, crash=crash)


def sqlite(data: Path) -> str:
    return f"sqlite:///{data / 'audit.db'}"


def check(lake: Lake, promises: Promises, units: Sequence[int]) -> None:
    """Everything promised is kept, and nothing is there that no unit brought."""
    committed = committed_units(lake)
    assert {f"unit-{n}" for n in promises.units} <= committed
    facts = {o.raw: o for n in units if f"unit-{n}" in committed for o in worker.load(n)}
    stored = check_rows(lake, facts.values())
    check_usage(lake, stored)
    check_log(lake, promises.checkpoints)
    check_proofs(lake, stored)
    with lake.db.read(TENANT) as tx:
        for number in promises.blobs:
            assert b"".join(get_blob(tx, lake, f"blob-{number}")) == worker.blob(number)


def check_usage(lake: Lake, stored: Sequence[Stored]) -> None:
    """What the lens sees was metered, each observation once."""
    with lake.db.read(TENANT) as tx:
        metered = tx.scalar(tx.select(func.coalesce(func.sum(usage.c["items"]), 0)))
    seen = [s for s in stored if (s.match_key, s.account) == (worker.SEEN_KEY, TENANT.account)]
    assert metered == len(seen)


def finish(lake: Lake, promises: Promises) -> None:
    """Work goes on where it ended, and orphans can be swept without harm."""
    worker.work(lake, 0, UNITS)
    sweep(lake, TENANT, Instant(SystemClock().now() + 61 * MINUTE))
    promises.units |= set(range(UNITS))
    check(lake, promises, range(UNITS))


# Most points are passed before anything else has happened and again when much has.
POINTS = [
    (name, time)
    for name in NAMES
    for time in (1, 3)
    if (name, time) != ("bucket.key-kept", 3)
    and (time == 1 or not name.startswith("compact."))
    and name.startswith(("append.", "bucket.", "seal.", "compact.", "log.", "blob."))
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "time"), POINTS)
def test_nothing_is_lost_or_doubled_by_a_crash(name: str, time: int, tmp_path: Path) -> None:
    data, mirror, promises = tmp_path / "data", tmp_path / "mirror", Promises()
    process = start(data, sqlite(data), 0, UNITS, mirror=mirror, crash=f"{name}:{time}")
    output, _ = process.communicate(timeout=120)
    for line in output.splitlines():
        promises.hear(line)
    assert process.returncode == EXIT_CODE, f"{name} was not reached {time} times"

    after_power_cut = tmp_path / "after-power-cut"
    survivors(data, mirror, after_power_cut)
    for folder in (after_power_cut, data):
        lake = worker.open_lake(folder, sqlite(folder))
        check(lake, promises, range(UNITS))
        finish(lake, Promises(set(promises.units), promises.blobs, promises.checkpoints))
        lake.db.close()


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize(
    "name",
    [
        "append.before-commit",
        "seal.before-commit",
        "compact.before-commit",
        "log.indexed",
        "log.checkpoint-decided",
    ],
)
def test_nothing_is_lost_or_doubled_on_postgresql(
    name: str, tmp_path: Path, postgres_url: str
) -> None:
    from tests.postgres import fresh_database

    data, url, promises = tmp_path / "data", fresh_database(postgres_url), Promises()
    process = start(data, url, 0, UNITS, crash=f"{name}:2")
    output, _ = process.communicate(timeout=120)
    for line in output.splitlines():
        promises.hear(line)
    assert process.returncode == EXIT_CODE
    lake = worker.open_lake(data, url)
    check(lake, promises, range(UNITS))
    finish(lake, promises)
    lake.db.close()
