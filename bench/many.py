"""Thirty active assessments of the same accounts beside one: an organisation's days, collected.

Both play the same days of the same simulated organisation (`tests.e2e.organisation`) through the
collector as a server makes it: what is due is planned, asked through boto3, ingested, kept. Behind
every batch, up to READ of a day, people look: at the dashboard over all assessments and of one, at
the domains, at the folders of one assessment, its change log and their notices, through boto3 and
the dispatcher. All of it together is what a day costs.

Counted are seconds of the processor of the thread that does all this, so that neither neighbours on
the machine nor the cloud's own work count. The two audits go on side by side, batch by batch, and
take turns at being first, for what disturbs one should disturb the other; a ratio is the median of
those of days, or of looks, that lie side by side. What assessments cost once, when they are made or
when a server starts, is told by itself: each one's definition is read then.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.result import Result
from tests.e2e import organisation
from tests.e2e.auditing import CALLS, WATCH, Assessment, Audit, Sets
from tests.e2e.collecting import TENANT, Rounded, asking, collector, deployment
from tests.simulator.cloud import Simulator

from auditkeep.app.parts import Parts
from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.db.schema import rollups, tail
from auditkeep.evidence.progress import last_batch_no
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND

MANY = 30
DAYS = 16
READ = 12
AT_MOST = 1.1
SETS: Sets = {**CALLS, **WATCH}
ACCOUNTS = (organisation.MANAGER, organisation.ACCOUNTS[1], organisation.ACCOUNTS[2])

Look = Callable[[Audit, Assessment], Any]

LOOKS: dict[str, Look] = {
    "GetInsights": lambda audit, _: audit.ask("get_insights"),
    "GetInsightsByAssessment": lambda audit, one: audit.ask(
        "get_insights_by_assessment", assessmentId=one.id
    ),
    "ListControlDomainInsights": lambda audit, _: audit.ask("list_control_domain_insights"),
    "folders of one assessment": lambda _, one: one.folders(),
    "GetChangeLogs": lambda audit, one: audit.ask("get_change_logs", assessmentId=one.id),
    "ListNotifications": lambda audit, _: audit.ask("list_notifications"),
}


@dataclass
class Taken:
    """Seconds of the processor, one for each day or for each look."""

    once: float = 0.0
    """The first plan, and the first look at everything."""
    whole: list[float] = field(default_factory=list)
    collecting: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    """All looks behind the first batch of a day, one after the other."""
    later: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in LOOKS})


@dataclass
class Place:
    """An audit of some assessments, as far as it has come."""

    cloud: Simulator
    parts: Parts
    audit: Audit
    rounded: Rounded
    pump: Pump
    one: Assessment
    taken: Taken = field(default_factory=Taken)
    _planned: float = 0.0
    _collecting: float = 0.0
    _looks: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def of(cls, stack: ExitStack, assessments: int) -> "Place":
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="auditkeep-bench-"))
        cloud = stack.enter_context(
            Simulator(organisation.make(), at=organisation.BEGINS, trust=True)
        )
        with asking(cloud):
            parts = deployment(cloud, Path(folder) / "audit")
            stack.callback(parts.db.close)
            handlers = {KIND: Asking(collector(parts)).handler()}
            pump = Pump(parts.jobs, handlers, cloud.clock, threads=1)
            audit, rounded = Audit(parts), Rounded(parts, cloud)
            framework = audit.framework("One for all", SETS)
            made = [
                audit.assess(f"Audit {n}", SETS, ACCOUNTS, framework) for n in range(assessments)
            ]
            rounded.refresh()
        return cls(cloud, parts, audit, rounded, pump, made[0])

    def begin(self, day: int) -> None:
        """Go on to a day, and plan it."""
        at = Instant(organisation.midnight(day - 1) + 5 * MINUTE)
        self.cloud.clock.at = max(at, Instant(organisation.BEGINS + SECOND))
        with asking(self.cloud):
            self._planned = _seconds(self.rounded.queue)
        self._looks, self._collecting = [], self._planned

    def go_on(self) -> bool:
        """Up to the next batch, and a look behind it; False when nothing more is due."""
        reached, due = self._reached(), True
        with asking(self.cloud):
            while due and self._reached() == reached:
                started = time.thread_time()
                due = self.pump.step()
                self._collecting += time.thread_time() - started
            if due and len(self._looks) < READ:
                self._looks.append({name: _seconds(_Asked(self, name)) for name in LOOKS})
        return due

    def end(self, day: int) -> None:
        taken, looks = self.taken, self._looks
        if not day:  # makes clients and connections, which is left out
            taken.once = self._planned + sum(looks[0].values())
            return
        taken.collecting.append(self._collecting)
        taken.whole.append(self._collecting + sum(sum(one.values()) for one in looks))
        taken.first.append(sum(looks[0].values()))
        for one in looks[1:]:
            for name, seconds in one.items():
                taken.later[name].append(seconds)

    def kept(self) -> tuple[int, int]:
        """Bytes and counts in the lake."""
        with self.parts.db.read(TENANT) as tx:
            kept = sum(len(row.blob) for row in tx.all(tx.select(tail.c.blob)))
            return kept, len(tx.all(tx.select(rollups.c.day)))

    def _reached(self) -> int:
        with self.parts.db.read(TENANT) as tx:
            return last_batch_no(tx)


@dataclass(frozen=True)
class _Asked:
    """One look, to be taken."""

    place: Place
    name: str

    def __call__(self) -> None:
        LOOKS[self.name](self.place.audit, self.place.one)


def run(scale: float) -> Iterator[Result]:
    days = max(3, round(DAYS * scale))
    with ExitStack() as stack:
        with ExitStack() as before:
            _play([Place.of(before, 1)], 1)  # loads what both load
        places = [Place.of(stack, 1), Place.of(stack, MANY)]
        _play(places, days)
        yield from _results(places, days)


def _play(places: Sequence[Place], days: int) -> None:
    for day in range(days + 1):
        for place in places:
            place.begin(day)
        turn, going = day, list(places)
        while going:
            going = [place for place in (going if turn % 2 else going[::-1]) if place.go_on()]
            going.sort(key=places.index)
            turn += 1
        for place in places:
            place.end(day)


def _results(places: Sequence[Place], days: int) -> Iterator[Result]:
    one, many = (place.taken for place in places)
    where = f"{days} days, {len(ACCOUNTS)} accounts × {len(organisation.REGIONS)} regions"
    yield _compared("the whole of a day", one.whole, many.whole, f"({where}; median of days)")
    yield _compared("collecting and ingesting", one.collecting, many.collecting)
    (bytes_one, counts_one), (bytes_many, counts_many) = (place.kept() for place in places)
    yield _result("bytes kept", bytes_one, bytes_many, "bytes")
    yield _result("counts kept", counts_one, counts_many, "rows")
    for name in LOOKS:
        note = f"(median of {len(many.later[name])} looks)"
        yield _compared(f"{name} after a batch", one.later[name], many.later[name], note)
    yield _compared("all looks, first of a day", one.first, many.first)
    yield _result("the first plan and look", one.once * 1000, many.once * 1000, "ms", goal=False)


def _compared(name: str, one: Sequence[float], many: Sequence[float], note: str = "") -> Result:
    ratio = median(b / a for a, b in zip(one, many, strict=True))
    return _result(name, median(one) * 1000, median(many) * 1000, "ms", note, ratio=ratio)


def _result(
    name: str,
    one: float,
    many: float,
    unit: str,
    note: str = "",
    *,
    ratio: float | None = None,
    goal: bool = True,
) -> Result:
    ratio = many / one if ratio is None else ratio
    return Result(
        name=f"{MANY} assessments beside one: {name}",
        value=many,
        baseline=one,
        ratio=ratio,
        target=f"<= {AT_MOST}" if goal else "none",
        unit=unit,
        met=ratio <= AT_MOST if goal else None,
        note=note,
    )


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of this thread's processor."""
    started = time.thread_time()
    work()
    return time.thread_time() - started
