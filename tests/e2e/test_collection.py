"""An organisation of 20 accounts in 3 regions, for 30 days: what is shown is what must be."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import organisation
from tests.e2e.collecting import TENANT, Story, asking, collector, deployment
from tests.simulator.cloud import Simulator, action

from auditkeep.app.collection import needs_of
from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND

pytestmark = [pytest.mark.server, pytest.mark.slow]

SOON = 20 * MINUTE
"""Jobs that are put off for less than this belong to the same moment."""


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    with Simulator(organisation.make(), at=organisation.BEGINS) as running, asking(running):
        yield running


def good(cloud: Simulator, day: int) -> Counter[tuple[str, str, str]]:
    """The calls of a day that were answered."""
    begin = organisation.midnight(day)
    calls = cloud.history.calls(outcome="ok", since=begin, until=Instant(begin + DAY))
    return Counter((c.account, c.region, c.name) for c in calls if c.service != "organizations")


def test_thirty_days_of_an_organisation(cloud: Simulator, quick_path: Path) -> None:
    parts = deployment(cloud, quick_path / "audit")
    pump = Pump(parts.jobs, {KIND: Asking(collector(parts)).handler()}, cloud.clock, threads=1)
    story = Story(cloud, parts)

    def set_clock(at: Instant) -> None:
        cloud.clock.at = at

    def collect(at: Instant) -> None:
        """All that is due at a moment, and what was put off for a little while."""
        while True:
            pump.drain()
            due = story.rounded.next_due()
            if due is None or due > at + SOON:
                return
            set_clock(max(due, cloud.clock.at))

    story.tell(collect, set_clock)
    story.judge()
    # a second framework over the same sources: not one call more
    before, weekly = good(cloud, 5), good(cloud, 7)
    users = {"iam:ListUsers", "iam:GetAccountSummary"}
    assert weekly - before == Counter({k: 1 for k in weekly if k[2] in users})
    assert before - weekly == Counter()
    assert good(cloud, 8) == before
    # and nothing that the policy for the accounts does not allow
    called = {
        action(c.service, c.operation)
        for c in cloud.history.calls()
        if c.service not in {"organizations", "sts"}
    }
    assert called <= set(needs_of(parts, TENANT, None))
