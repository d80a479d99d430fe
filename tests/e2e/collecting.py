"""The collector of the organisation, as a server makes it, but at simulated time.

What is shown at the end is compared with the reckoning (`tests.e2e.reckoning`), which knows the
estate's history and the specification: all evidence, folders, insights and metering, as boto3 shows
them, and the ledger of gaps.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import func
from tests.e2e import auditing, organisation, reckoning
from tests.e2e.auditing import ANOTHER, CALLS, MONTHLY, WATCH, Assessment, Audit
from tests.e2e.reckoning import Fact, Gap, Reckoning
from tests.simulator.cloud import Simulator

from auditkeep import settings as settings_room
from auditkeep.app import members
from auditkeep.app.collecting import collector_of
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.collection import gaps
from auditkeep.db.schema import jobs
from auditkeep.ids import Tenant
from auditkeep.settings import Settings
from auditkeep.sources import organizations
from auditkeep.sources.lookup import LookupEvents
from auditkeep.sources.sessions import Sessions
from auditkeep.workflows.collect import KIND, Collector
from auditkeep.workflows.rounds import Rounds

TENANT = Tenant(organisation.MANAGER, organisation.HOME)

SETTINGS: dict[str, Any] = {
    "assessment_regions": "all",
    "collect": "aws",
    "collect_regions": ",".join(organisation.REGIONS),
    "collect_external_id": organisation.EXTERNAL_ID,
    "collect_minutes": 1440,
    "collect_rate": 1000.0,
}


def settings(data: Path) -> Settings:
    return settings_room.load(data).model_copy(update=SETTINGS)


def deployment(cloud: Simulator, data: Path) -> Parts:
    chosen = settings(data)
    initialise(chosen, TENANT, cloud.clock)
    return open_parts(chosen, cloud.clock)


def _no_wait(_: float) -> bool:
    """Nobody waits for a pace: simulated time stands still."""
    return True


def _no_pause(_: float) -> None:
    """The same."""


def collector(parts: Parts) -> Collector:
    """As a server makes one, but that nobody waits."""
    made = collector_of(parts)
    events = LookupEvents(pause=_no_pause)
    return replace(
        made,
        pullers={**made.pullers, events.source: events},
        clients=Sessions(parts.settings.collect_rate, parts.clock, _no_wait).of,
    )


@contextmanager
def asking(cloud: Simulator) -> Iterator[None]:
    """While it lasts, this process asks a simulated cloud for whatever it asks of AWS."""
    key = cloud.key(organisation.MANAGER, "collector")
    told = {
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with patch.dict(os.environ, told):
        yield


def misbehave(cloud: Simulator) -> None:
    """Who is denied, and who is throttled when."""
    o = organisation
    cloud.faults.add("denied", "ec2:DescribeVpcs", account=o.NEVER)
    throttled = {"kind": "throttled", "operation": "ec2:DescribeVpcs", "account": o.THROTTLED}
    cloud.faults.add(**throttled, turns=lambda n: n % 10 == 0)  # type: ignore[arg-type]
    cloud.faults.add(**throttled, since=o.THROTTLED_FROM, until=o.THROTTLED_UNTIL)  # type: ignore[arg-type]
    cloud.faults.add(**throttled, region=o.BUSY, since=o.BUSY_FROM, until=o.BUSY_UNTIL)  # type: ignore[arg-type]


@dataclass
class Story:
    """What happens in the organisation's audit while collectors run at `moments`."""

    cloud: Simulator
    parts: Parts
    moments: tuple[Instant, ...] = organisation.MOMENTS
    accounts: tuple[str, ...] = organisation.ACCOUNTS
    watched: tuple[str, ...] = organisation.WATCHED

    def __post_init__(self) -> None:
        self.rounded, self.audit = Rounded(self.parts, self.cloud), Audit(self.parts)
        self.made: list[Assessment] = []

    def tell(
        self, collect: Callable[[Instant], None], set_clock: Callable[[Instant], None]
    ) -> None:
        """Play it all: `collect` does what is due at a moment, which `set_clock` sets."""
        misbehave(self.cloud)
        self.made += [
            self.audit.assess("Calls", CALLS, self.accounts),
            self.audit.assess("Monthly", MONTHLY, self.accounts),
            self.audit.assess("Watch", WATCH, self.watched),
        ]
        self.rounded.refresh()
        for at in self.moments:
            if self.cloud.clock.now() < organisation.SECOND_BEGINS < at:
                set_clock(organisation.SECOND_BEGINS)
                self.made.append(self.audit.assess("Another", ANOTHER, self.watched))
            if self.cloud.clock.now() < organisation.NOTICED < at:
                set_clock(organisation.NOTICED)
                self.rounded.refresh()
            set_clock(Instant(at - SECOND))
            self.rounded.queue()
            set_clock(at)
            collect(at)

    def judge(self) -> None:
        """Evidence, folders, insights, gaps and metering are exactly what must be."""
        reckoned = Reckoning(self.cloud.estate, self.moments, self.accounts, self.watched)
        facts = reckoned.controls()
        for assessment in self.made:
            same(assessment, facts)
        assert hourly(ledger(self.parts)) == hourly(reckoned.gaps())
        assert self.audit.metered() == reckoned.metered()
        today = reckoning.day_of(self.cloud.clock.now()).isoformat()
        for assessment in self.made:
            told = assessment.insights()
            must = auditing.insights(assessment.sees(facts), today)
            assert {name: told[name] for name in must} == must


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


@dataclass
class Rounded:
    """What makes jobs: who belongs to the organisation, then what is due."""

    parts: Parts
    cloud: Simulator
    rounds: Rounds = field(init=False)

    def __post_init__(self) -> None:
        self.rounds = Rounds(collector(self.parts))

    def refresh(self) -> None:
        """Read who the members are."""
        client = self.cloud.client("organizations", organisation.HOME, organisation.MANAGER)
        members.refresh(
            self.parts.db,
            self.parts.deps,
            self.parts.clock,
            lambda: organizations.read(client),
        )

    def queue(self) -> None:
        self.rounds.queue()

    def next_due(self) -> Instant | None:
        """When the next job that waits may run, also one whose runner is gone."""
        t = jobs.c
        with self.parts.db.system_read() as tx:
            queued = tx.scalar(
                tx.select(func.min(t.due_at)).where(t.kind == KIND, t.state == "queued")
            )
            leased = tx.scalar(
                tx.select(func.min(t.lease_until)).where(t.kind == KIND, t.state == "running")
            )
        found = [Instant(int(at)) for at in (queued, leased) if at is not None]
        return min(found, default=None)
