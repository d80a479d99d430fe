"""An organisation of 20 accounts in 3 regions, for 30 days: what is shown is what must be.

The reckoning (`tests.e2e.reckoning`) knows the estate's history and the specification; it is
compared with all evidence, folders, insights, gaps and metering, as boto3 and the ledger show them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.e2e import auditing, organisation, reckoning
from tests.e2e.auditing import ANOTHER, CALLS, MONTHLY, WATCH, Assessment, Audit
from tests.e2e.collecting import Rounded, collector, environment, settings
from tests.e2e.reckoning import Fact, Gap, Reckoning
from tests.simulator.cloud import Simulator

from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import DAY, MINUTE, SECOND, Instant
from auditkeep.collection import gaps
from auditkeep.ids import Tenant
from auditkeep.work.pump import Pump
from auditkeep.workflows.collect import KIND

pytestmark = [pytest.mark.server, pytest.mark.slow]

TENANT = Tenant(organisation.MANAGER, organisation.HOME)
SOON = 20 * MINUTE
"""Jobs that are put off for less than this belong to the same moment."""


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(organisation.make(), at=organisation.BEGINS) as running:
        for name, value in environment(running).items():
            monkeypatch.setenv(name, value)
        yield running


def deployment(cloud: Simulator, data: Path) -> Parts:
    chosen = settings(data)
    initialise(chosen, TENANT, cloud.clock)
    return open_parts(chosen, cloud.clock)


def run(cloud: Simulator, rounded: Rounded, pump: Pump, at: Instant) -> None:
    """All that is due at a moment, and what was put off for a little while."""
    cloud.clock.at = Instant(at - SECOND)
    rounded.queue()
    cloud.clock.at = at
    while True:
        pump.drain()
        due = rounded.next_due()
        if due is None or due > at + SOON:
            return
        cloud.clock.at = max(due, cloud.clock.at)


def ledger(parts: Parts) -> set[Gap]:
    with parts.db.read(TENANT) as tx:
        return {
            Gap(
                g.place.account, g.place.region, g.place.source, g.what, g.opens_at, g.closes_at,
                g.reason, g.detail, g.filled,
            )
            for g in gaps.listed(tx)
        }  # fmt: skip


def hourly(ledger: set[Gap]) -> set[Gap]:
    """Gaps to the hour: what is tried again is had some seconds later."""
    hour = 60 * MINUTE
    return {
        replace(
            gap,
            opens_at=gap.opens_at // hour,
            closes_at=None if gap.closes_at is None else gap.closes_at // hour,
        )
        for gap in ledger
    }


def same(assessment: Assessment, facts: dict[str, list[Fact]]) -> None:
    """Evidence and folders are exactly what must be."""
    seen, found = assessment.sees(facts), assessment.shown()
    for control, some in seen.items():
        must = Counter(map(auditing.said, some))
        assert found.get(control, Counter()) == must, control
    assert assessment.counted() == auditing.folders(seen)


def good(cloud: Simulator, day: int) -> Counter[tuple[str, str, str]]:
    """The calls of a day that were answered."""
    begin = organisation.midnight(day)
    calls = cloud.history.calls(outcome="ok", since=begin, until=Instant(begin + DAY))
    return Counter((c.account, c.region, c.name) for c in calls if c.service != "organizations")


def test_thirty_days_of_an_organisation(cloud: Simulator, tmp_path: Path) -> None:
    parts = deployment(cloud, tmp_path / "audit")
    pump = Pump(parts.jobs, {KIND: collector(parts).handler()}, cloud.clock, threads=1)
    rounded, audit = Rounded(parts, cloud), Audit(parts)
    cloud.faults.add("denied", "ec2:DescribeVpcs", account=organisation.NEVER)
    cloud.faults.add(
        "throttled", "ec2:DescribeVpcs", account=organisation.THROTTLED, turns=lambda n: n % 10 == 0
    )
    cloud.faults.add(
        "throttled", "ec2:DescribeVpcs", account=organisation.THROTTLED,
        since=organisation.THROTTLED_FROM, until=organisation.THROTTLED_UNTIL,
    )  # fmt: skip
    made = [
        audit.assess("Calls", CALLS, organisation.ACCOUNTS),
        audit.assess("Monthly", MONTHLY, organisation.ACCOUNTS),
        audit.assess("Watch", WATCH, organisation.WATCHED),
    ]
    rounded.refresh()
    for at in organisation.MOMENTS:
        if cloud.clock.now() < organisation.SECOND_BEGINS < at:
            cloud.clock.at = organisation.SECOND_BEGINS
            made.append(audit.assess("Another", ANOTHER, organisation.WATCHED))
        if cloud.clock.now() < organisation.NOTICED < at:
            cloud.clock.at = organisation.NOTICED
            rounded.refresh()
        run(cloud, rounded, pump, at)
    reckoned = Reckoning(cloud.estate)
    facts = reckoned.controls()
    for assessment in made:
        same(assessment, facts)
    assert hourly(ledger(parts)) == hourly(reckoned.gaps())
    assert audit.metered() == reckoned.metered()
    today = reckoning.day_of(cloud.clock.now()).isoformat()
    for assessment in made:
        told = assessment.insights()
        must = auditing.insights(assessment.sees(facts), today)
        assert {name: told[name] for name in must} == must
    # a second framework over the same sources: not one call more
    before, weekly = good(cloud, 5), good(cloud, 7)
    assert weekly - before == Counter({k: 1 for k in weekly if k[2] == "iam:ListUsers"})
    assert before - weekly == Counter()
    assert good(cloud, 8) == before
