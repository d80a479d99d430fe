"""Thirty active assessments of the same accounts beside one: an organisation's days, collected.

Both play the same days of the same simulated organisation (`tests.e2e.organisation`) through the
collector as a server makes it: what is due is planned, asked through boto3, ingested, kept. Counted
are seconds of the thread that does this, so that the cloud's own work is left out; then what lies
in the lake, what the dashboard takes to be computed after a batch, and a page of folders to be
read. Lenses are loaded once a day, for each assessment its own: what that takes is told by itself.
Turns alternate, and the quickest of each counts.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.result import Result
from tests.e2e import organisation
from tests.e2e.auditing import CALLS, WATCH, Audit, Sets
from tests.e2e.collecting import TENANT, Rounded, collector, deployment, environment
from tests.simulator.cloud import Simulator

from auditkeep.app.parts import Parts
from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.db.schema import rollups, tail
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND

MANY = 30
DAYS = 4
TURNS = 3
AT_MOST = 1.1
SETS: Sets = {**CALLS, **WATCH}
ACCOUNTS = (organisation.MANAGER, organisation.ACCOUNTS[1], organisation.ACCOUNTS[2])


@dataclass(frozen=True)
class Taken:
    """Seconds; bytes and counts that are kept."""

    collecting: float
    kept: float
    counts: float
    insights: float
    first: float
    folders: float


def run(scale: float) -> Iterator[Result]:
    days = max(2, round(DAYS * scale))
    _play(1, 1)  # loads what both load
    turns = [(_play(1, days), _play(MANY, days)) for _ in range(TURNS)]
    for name, unit, member in (
        ("collecting and ingesting", "ms", "collecting"),
        ("bytes kept", "bytes", "kept"),
        ("counts kept", "rows", "counts"),
        ("GetInsights after a batch", "ms", "insights"),
        ("GetInsights for the first time of a day", "ms", "first"),
        ("folders of one assessment", "ms", "folders"),
    ):
        one, many = (min(getattr(turn[n], member) for turn in turns) for n in (0, 1))
        factor = 1000 if unit == "ms" else 1
        yield Result(
            name=f"{MANY} assessments beside one: {name}",
            value=many * factor,
            baseline=one * factor,
            ratio=many / one,
            target="none" if member == "first" else f"<= {AT_MOST}",
            unit=unit,
            met=None if member == "first" else many / one <= AT_MOST,
            note=f"({days} days, {len(ACCOUNTS)} accounts × {len(organisation.REGIONS)} regions)",
        )


def _play(assessments: int, days: int) -> Taken:
    with (
        tempfile.TemporaryDirectory(prefix="auditkeep-bench-") as folder,
        Simulator(organisation.make(), at=organisation.BEGINS, trust=True) as cloud,
        _environment(cloud),
    ):
        parts = deployment(cloud, Path(folder) / "audit")
        try:
            return _days(cloud, parts, assessments, days)
        finally:
            parts.db.close()


def _days(cloud: Simulator, parts: Parts, assessments: int, days: int) -> Taken:
    pump = Pump(parts.jobs, {KIND: Asking(collector(parts)).handler()}, cloud.clock, threads=1)
    audit, rounded = Audit(parts), Rounded(parts, cloud)
    framework = audit.framework("One for all", SETS)
    made = [audit.assess(f"Audit {n}", SETS, ACCOUNTS, framework) for n in range(assessments)]
    rounded.refresh()
    collecting = 0.0
    insights: list[float] = []
    first: list[float] = []
    for day in range(days + 1):
        at = Instant(organisation.midnight(day - 1) + 5 * MINUTE)
        cloud.clock.at = max(at, Instant(organisation.BEGINS + SECOND))
        started = time.thread_time()
        rounded.queue()
        pump.step()
        taken = time.thread_time() - started
        first.append(_asked(audit))
        started = time.thread_time()
        pump.drain()
        taken += time.thread_time() - started
        if day:  # the first looks make clients and connections
            collecting += taken
            insights.append(_asked(audit))
    folders = []
    for _ in range(5):
        started = time.process_time()
        list(made[0].folders())
        folders.append(time.process_time() - started)
    with parts.db.read(TENANT) as tx:
        kept = sum(len(row.blob) for row in tx.all(tx.select(tail.c.blob)))
        counts = len(tx.all(tx.select(rollups.c.day)))
    return Taken(collecting, kept, counts, median(insights), median(first), min(folders))


def _asked(audit: Audit) -> float:
    """Seconds that the dashboard takes after a batch."""
    started = time.process_time()
    audit.ask("get_insights")
    return time.process_time() - started


@contextmanager
def _environment(cloud: Simulator) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment(cloud))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
