"""Several processes on PostgreSQL and one object store: nobody ever sees a hole or a double.

What is there is reckoned from what the appending processes said, before and after each reading: all
that was acknowledged before, nothing that was not begun after, and each thing once.
"""

import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.lake import worker
from tests.lake.checking import check_proofs, check_rows
from tests.lake.making import EVERYTHING, NOW, TENANT
from tests.postgres import fresh_database
from tests.processes import started
from tests.s3 import S3Server

from auditkeep.clock import DAY, MINUTE, Instant, SystemClock
from auditkeep.lake import append as append_module
from auditkeep.lake import batch as batch_module
from auditkeep.lake import sweep as sweep_module
from auditkeep.lake.crashpoints import EXIT_CODE
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import headers, observations
from auditkeep.lake.s3.store import S3Objects
from auditkeep.lake.sequencer import Sequencer
from auditkeep.lake.sweep import sweep

pytestmark = [pytest.mark.server, pytest.mark.postgres, pytest.mark.slow]

EACH = 8
"""Units of one appending process."""


@dataclass
class Told:
    """What the appending processes said, and who tended how much."""

    begun: set[int] = field(default_factory=set)
    kept: set[int] = field(default_factory=set)
    wrote: Counter[str] = field(default_factory=Counter)

    def hear(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        if word == "begin":
            self.begun.add(int(rest))
        elif word == "unit":
            self.kept.add(int(rest))
        else:
            self.wrote[word] += 1


class Crowd:
    """Processes, each heard by a thread."""

    def __init__(self, data: Path, url: str) -> None:
        self.told = Told()
        self._data = data
        self._url = url
        self._threads: list[threading.Thread] = []
        self._processes: list[subprocess.Popen[str]] = []

    def kill(self) -> None:
        """Whatever still runs, so that a test that fails leaves nothing behind."""
        for process in self._processes:
            process.kill()
            process.wait()

    def start(self, *words: str, crash: str = "") -> "subprocess.Popen[str]":
        process = started("tests.lake.crowd", self._data, self._url, *words, crash=crash)
        self._processes.append(process)
        thread = threading.Thread(target=self._listen, args=(process,))
        thread.start()
        self._threads.append(thread)
        return process

    def end(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.told.hear(line)


def test_readers_sealers_and_compactors_of_several_processes_see_each_thing_once(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgres_url: str,
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(worker.S3_URL, s3.url)
    monkeypatch.setattr(append_module, "UNPACKED", append_module.UNPACKED)
    monkeypatch.setattr(batch_module, "MAX_LEAVES", batch_module.MAX_LEAVES)
    worker.make_small()
    data, url = tmp_path / "data", fresh_database(postgres_url)
    data.mkdir()
    lake = worker.open_lake(data, url)
    assert isinstance(lake.objects, S3Objects)
    crowd = Crowd(data, url)
    request.addfinalizer(crowd.kill)
    tending = [
        crowd.start("tend"),
        crowd.start("tend"),
        crowd.start("tend", crash="seal.segment-kept:2"),
    ]
    appending = [crowd.start("append", str(n * EACH), str(n * EACH + EACH)) for n in range(2)]
    appending.append(crowd.start("append", "16", "24", crash="append.segment-kept:1"))
    readings = 0
    while any(process.poll() is None for process in appending) or readings < 3:
        _read(lake, crowd.told)
        readings += 1
        time.sleep(0.1)
    assert appending.pop().wait() == EXIT_CODE, "it was to be killed between put and commit"
    assert tending.pop().wait(60) == EXIT_CODE, "it was to be killed between put and commit"
    again = crowd.start("append", "16", "24")
    while again.poll() is None:
        _read(lake, crowd.told)
        time.sleep(0.1)
    (data / "stop").touch()
    assert [p.wait(60) for p in (*appending, again, *tending)] == [0] * 5
    crowd.end()
    assert crowd.told.kept == set(range(24))
    assert crowd.told.wrote["sealed"] >= 3
    assert crowd.told.wrote["merged"] >= 1
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)
    stored = check_rows(lake, {o.raw: o for n in range(24) for o in worker.load(n)}.values())
    check_proofs(lake, stored[::20])
    _sweep(lake)
    check_rows(lake, {o.raw: o for n in range(24) for o in worker.load(n)}.values())
    lake.db.close()


def _read(lake: Lake, told: Told) -> None:
    """One reading between two looks at what was said."""
    before = {o.raw for n in tuple(told.kept) for o in worker.load(n)}
    with lake.db.read(TENANT) as tx:
        stored = [s.raw for s in observations(tx, lake, [EVERYTHING], limit=100_000)]
        light = Counter(h.id for h in headers(tx, lake, [EVERYTHING]))
    after = {o.raw for n in tuple(told.begun) for o in worker.load(n)}
    assert len(stored) == len(set(stored)), "a double"
    assert set(light.values()) <= {1}, "a double"
    assert len(light) == len(stored)
    assert before <= set(stored), "a hole"
    assert set(stored) <= after


def _sweep(lake: Lake) -> None:
    """What was killed and replaced left objects; they go, and none that a row names."""
    later = Instant(SystemClock().now() + sweep_module.GRACE + DAY + 61 * MINUTE)
    orphans = sweep(lake, TENANT, later)
    assert len(orphans) >= 2, "two processes were killed between put and commit"
    owner = f"{TENANT.account}/{TENANT.region}/"
    left = {
        name for kind in ("segments", "leaves") for name in lake.objects.list(f"{kind}/{owner}")
    }
    with lake.db.read(TENANT) as tx:
        assert left == sweep_module._used(tx)
