"""Collecting: planning, asking what is planned (`bench.asking`), for one or many (`bench.many`).

Planning is of 1,000 accounts × 20 regions × 100 sources, every question of it visited once, in
seconds of the processor, so that neighbours on the machine do not count.

Sources are API calls, so that each is a question of its own in each account and region; every
fifth account is looked at by a second assessment too, so that accounts are not all alike.
"""

import resource
import time
from collections.abc import Iterator

from bench import asking, many
from bench.result import Result

from auditkeep.clock import DAY, Day, Instant, day_of
from auditkeep.collection.plan import Look, Reach, Reason, make

NOW = Instant(1_780_000_000_000_000)


def run(scale: float) -> Iterator[Result]:
    accounts = [f"{n:012d}" for n in range(1, round(1000 * scale) + 1)]
    regions = frozenset(f"xx-region-{n}" for n in range(20))
    before = _peak()
    started = time.process_time()
    looks = list(_looks(accounts))
    plan = make(looks, Reach(regions, everywhere=lambda _: False))
    due, today = 0, Day(day_of(NOW) + 1)
    for _, _, duty in plan.questions():
        due += len(duty.slots_due(None, today))
    seconds = time.process_time() - started
    name = f"plan of {len(accounts):,} accounts × 20 regions × 100 sources"
    note = f"{plan.size:,} questions, {due:,} due"
    yield Result(name, seconds, None, None, "≤ 5 s", "s of CPU", seconds <= 5, note)
    grown = (_peak() - before) / 2**20
    yield Result("memory that the plan took", grown, None, None, "≤ 300 MB", "MB", grown <= 300)
    yield from asking.run(scale)
    yield from many.run(scale)


def _looks(accounts: list[str]) -> Iterator[Look]:
    """Two frameworks over the same hundred calls, a control for each five of them."""
    everyone, some = frozenset(accounts), frozenset(accounts[::5])
    for number in range(40):
        keys = frozenset(f"api:svc{n % 10}_Describe{n}" for n in _five(number % 20))
        who = everyone if number < 20 else some
        reason = Reason("assessment", f"assessment-{number // 20}", str(number))
        yield Look(reason, keys, who, None, Instant(NOW - DAY))


def _five(group: int) -> range:
    return range(group * 5, group * 5 + 5)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
