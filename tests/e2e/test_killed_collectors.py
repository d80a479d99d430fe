"""Collectors that are killed at random keep what one would keep that never was.

With AUDITKEEP_FULL=1 twenty kills over thirty days of the whole organisation, and otherwise some
kills on three days of a part of it.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import organisation
from tests.e2e.collecting import Rounded, Story, asking, deployment
from tests.simulator.cloud import Simulator

from auditkeep.app.parts import Parts
from auditkeep.clock import MINUTE, Instant
from auditkeep.work.jobs import LEASE

pytestmark = [pytest.mark.server, pytest.mark.slow]

FULL = os.environ.get("AUDITKEEP_FULL") == "1"
KILLS = 20 if FULL else 5
MOMENTS = organisation.MOMENTS if FULL else organisation.MOMENTS[:3]
ACCOUNTS = organisation.ACCOUNTS if FULL else organisation.SOME
WATCHED = organisation.WATCHED if FULL else (organisation.NEVER, organisation.LEAVING)

AFTER_CALLS = (1, 12)
"""A collector is killed after so many calls to AWS of a moment, drawn anew each time."""
PATIENCE_SECONDS = 150.0
QUIET_SECONDS = 1.0
SAME_MORNING = 300 * MINUTE
"""Nothing drifts before six."""


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    with Simulator(organisation.make(), at=organisation.BEGINS) as running, asking(running):
        yield running


class Collectors:
    """Two processes; whoever is killed is started again."""

    def __init__(self, cloud: Simulator, data: Path, clock: Path) -> None:
        self._cloud, self._clock = cloud, clock
        self._makes = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.collecting_process", str(data), str(clock)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._chance = random.Random(7)
        self._planned = Counter(self._chance.choices(MOMENTS, k=KILLS))
        self.kills = self._left = 0
        self.set(cloud.clock.now())
        self._running = [self._start(), self._start()]
        self._next = 0

    def _start(self) -> int:
        assert self._makes.stdin is not None
        assert self._makes.stdout is not None
        self._makes.stdin.write("one more\n")
        self._makes.stdin.flush()
        return int(self._makes.stdout.readline())

    def set(self, at: Instant) -> None:
        """Everyone's present."""
        self._cloud.clock.at = at
        written = self._clock.with_suffix(".new")
        written.write_text(str(at))
        written.replace(self._clock)

    def begin(self, moment: Instant) -> None:
        """So many are killed at this moment, and those that were not at the one before."""
        self._left += self._planned[moment]
        self._next = len(self._cloud.history) + self._chance.randint(*AFTER_CALLS)

    def strike(self) -> bool:
        """Kill one of them if it is time to."""
        if not self._left or len(self._cloud.history) < self._next:
            return False
        number = self._chance.randrange(2)
        _kill(self._running[number])
        self._running[number] = self._start()
        self.kills += 1
        self._left -= 1
        self._next = len(self._cloud.history) + self._chance.randint(*AFTER_CALLS)
        return True

    def stop(self) -> None:
        for process in self._running:
            _kill(process)
        self._makes.communicate()


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(process, 0)
            time.sleep(0.001)


def kill(cloud: Simulator, parts: Parts, folder: Path) -> None:
    story = Story(cloud, parts, MOMENTS, ACCOUNTS, WATCHED)
    collectors = Collectors(cloud, folder / "audit", folder / "clock")

    def collect(at: Instant) -> None:
        collectors.begin(at)
        finish(cloud, story.rounded, collectors, at)

    try:
        story.tell(collect, collectors.set)
    finally:
        collectors.stop()
    assert collectors.kills == KILLS
    story.judge()


def test_kills_change_nothing(cloud: Simulator, quick_path: Path) -> None:
    kill(cloud, deployment(cloud, quick_path / "audit"), quick_path)


@pytest.mark.postgres
def test_kills_of_workers_change_nothing_on_postgresql(
    cloud: Simulator, quick_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.postgres import fresh_database

    monkeypatch.setenv("AUDITKEEP_DATABASE_URL", fresh_database(postgres_url))
    parts = deployment(cloud, quick_path / "audit")
    try:
        kill(cloud, parts, quick_path)
    finally:
        parts.db.close()


def finish(cloud: Simulator, rounded: Rounded, collectors: Collectors, at: Instant) -> None:
    """Wait until a moment's jobs are done; time passes only where everyone waits for it."""
    ends, calls, quiet = time.monotonic() + PATIENCE_SECONDS, len(cloud.history), time.monotonic()
    while (due := rounded.next_due()) is not None and due <= at + SAME_MORNING:
        assert time.monotonic() < ends, "the collectors did not come to an end"
        if collectors.strike() or len(cloud.history) != calls:
            calls, quiet = len(cloud.history), time.monotonic()
        if time.monotonic() - quiet > QUIET_SECONDS:
            # what a killed one held is held until its lease is over, and its lane waits with it
            collectors.set(max(due, Instant(cloud.clock.now() + LEASE)))
            quiet = time.monotonic()
        time.sleep(0.03)
