"""The collector of the organisation, as a server makes it, but at simulated time."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import func
from tests.e2e import organisation
from tests.simulator.cloud import Simulator

from auditkeep import settings as settings_room
from auditkeep.app import members
from auditkeep.app.collecting import collector_of
from auditkeep.app.parts import Parts
from auditkeep.clock import Instant
from auditkeep.db.schema import jobs
from auditkeep.settings import Settings
from auditkeep.sources import organizations
from auditkeep.sources.lookup import LookupEvents
from auditkeep.sources.sessions import Sessions
from auditkeep.workflows.collect import KIND, Collector
from auditkeep.workflows.rounds import Rounds

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


def _no_wait(_: float) -> None:
    """Nobody waits for a pace: simulated time stands still."""


def collector(parts: Parts) -> Collector:
    """As a server makes one, but that nobody waits."""
    made = collector_of(parts)
    events = LookupEvents(pause=_no_wait)
    return replace(
        made,
        pullers={**made.pullers, events.source: events},
        clients=Sessions(parts.settings.collect_rate, parts.clock, _no_wait).of,
    )


def environment(cloud: Simulator) -> dict[str, str]:
    """What tells botocore where AWS is, and who asks."""
    key = cloud.key(organisation.MANAGER, "collector")
    return {
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


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
