"""Collectors that are killed twenty times, at random, keep what one would keep that never was."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import organisation
from tests.e2e.auditing import CALLS, MONTHLY, WATCH, Audit
from tests.e2e.collecting import Rounded, environment
from tests.e2e.reckoning import Reckoning
from tests.e2e.test_collection import deployment, hourly, ledger, same
from tests.simulator.cloud import Simulator

from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.work.jobs import LEASE

pytestmark = [pytest.mark.server, pytest.mark.slow]

KILLS = 20
EVERY_CALLS = (4, 18)
"""A collector is killed after so many calls to AWS, drawn anew each time."""
MOMENTS = organisation.MOMENTS[:2]
PATIENCE_SECONDS = 150.0
QUIET_SECONDS = 1.0
SAME_MORNING = 300 * MINUTE
"""Nothing drifts before six."""


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(organisation.make(), at=organisation.BEGINS) as running:
        for name, value in environment(running).items():
            monkeypatch.setenv(name, value)
        yield running


class Collectors:
    """Two processes; whoever is killed is started again."""

    def __init__(self, cloud: Simulator, data: Path, clock: Path) -> None:
        self._cloud, self._clock = cloud, clock
        self._words = [sys.executable, "-m", "tests.e2e.collecting_process", str(data), str(clock)]
        self._chance = random.Random(7)
        self.kills = 0
        self.set(cloud.clock.now())
        self._running = [self._start(), self._start()]
        self._next = self._chance.randint(*EVERY_CALLS)

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(sys.path)
        return subprocess.Popen(
            self._words,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def set(self, at: Instant) -> None:
        """Everyone's present."""
        self._cloud.clock.at = at
        written = self._clock.with_suffix(".new")
        written.write_text(str(at))
        written.replace(self._clock)

    def strike(self) -> bool:
        """Kill one of them if it is time to."""
        if self.kills == KILLS or len(self._cloud.history) < self._next:
            return False
        number = self._chance.randrange(2)
        self._running[number].kill()
        self._running[number].wait()
        self._running[number] = self._start()
        self.kills += 1
        self._next = len(self._cloud.history) + self._chance.randint(*EVERY_CALLS)
        return True

    def stop(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


def test_twenty_kills_change_nothing(cloud: Simulator, tmp_path: Path) -> None:
    parts = deployment(cloud, tmp_path / "audit")
    rounded, audit = Rounded(parts, cloud), Audit(parts)
    cloud.faults.add("denied", "ec2:DescribeVpcs", account=organisation.NEVER)
    made = [
        audit.assess("Calls", CALLS, organisation.ACCOUNTS),
        audit.assess("Monthly", MONTHLY, organisation.ACCOUNTS),
        audit.assess("Watch", WATCH, organisation.WATCHED),
    ]
    collectors = Collectors(cloud, tmp_path / "audit", tmp_path / "clock")
    try:
        for at in MOMENTS:
            collectors.set(Instant(at - SECOND))
            rounded.queue()
            collectors.set(at)
            finish(cloud, rounded, collectors, at)
    finally:
        collectors.stop()
    assert collectors.kills == KILLS
    reckoned = Reckoning(cloud.estate, MOMENTS, second=False)
    facts = reckoned.controls()
    for assessment in made:
        same(assessment, facts)
    assert hourly(ledger(parts)) == hourly(reckoned.gaps())
    assert audit.metered() == reckoned.metered()


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
        time.sleep(0.02)
