"""One event data store of CloudTrail Lake tells of everybody's events, also of those of the past."""

from collections import Counter
from pathlib import Path

import pytest
from tests.e2e import organisation
from tests.e2e.auditing import Audit, Sets
from tests.e2e.collecting import TENANT, Rounded, asking, ledger, settings
from tests.simulator.cloud import Simulator
from tests.simulator.estate import Estate

from auditkeep.app.collecting import collector_of, handlers_of, notices_of
from auditkeep.app.collection import needs_of
from auditkeep.app.parts import open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.collection import backfills
from auditkeep.errors import SetupError
from auditkeep.work.pump import Pump

pytestmark = pytest.mark.server

MANAGER, ONE, SHUT = organisation.MANAGER, "200000000001", "200000000002"
HERE, STORE_REGION, STORE = organisation.HOME, "eu-west-1", "EXAMPLE-f852-4e8f-8bd1"
ARN = f"arn:aws:cloudtrail:{STORE_REGION}:{MANAGER}:eventdatastore/{STORE}"
BEGINS = organisation.BEGINS


def test_a_store_is_asked_instead_of_each_account(tmp_path: Path) -> None:
    estate = Estate((HERE, STORE_REGION))
    happened = {}
    for account in (MANAGER, ONE, SHUT):
        estate.account(account, external_id=organisation.EXTERNAL_ID)
        for at in (BEGINS - 3 * DAY, BEGINS - DAY, BEGINS + MINUTE):
            event = estate.event(account, HERE, "ec2", "RunInstances", Instant(at))
            happened[event.id] = (account, at >= BEGINS)
    estate.accounts[SHUT].shut = (Instant(0), Instant(BEGINS + DAY))
    with Simulator(estate, at=BEGINS, page_size=1) as cloud, asking(cloud):
        cloud.world.event_stores.add((MANAGER, STORE_REGION, STORE))
        chosen = settings(tmp_path).model_copy(
            update={"collect_event_store": ARN, "collect_regions": HERE}
        )
        initialise(chosen, TENANT, cloud.clock)
        parts = open_parts(chosen, cloud.clock)
        audit, rounded = Audit(parts), Rounded(parts, cloud)
        rounded.refresh()
        sets: Sets = {"Events": {"Instances started": ("Instances started",)}}
        made = audit.assess("Watch", sets, (MANAGER, ONE, SHUT))
        handlers = handlers_of(collector_of(parts), notices_of(parts))
        pump = Pump(parts.jobs, handlers, cloud.clock, threads=1)

        def shown() -> Counter[str]:
            found = made.shown().get("Instances started", Counter())
            return Counter({one[4]: count for one, count in found.items()})

        cloud.clock.at = Instant(BEGINS + 5 * MINUTE)
        rounded.queue()
        pump.drain()
        # also of an account that lets nobody in
        assert shown() == Counter(i for i, (_, since) in happened.items() if since)
        assert ledger(parts) == set()

        parts.backfill(TENANT, made.id, Instant(BEGINS - 2 * DAY))
        pump.drain()
        reached = Counter(e.id for a in (MANAGER, ONE, SHUT) for e in estate.events(a, HERE)[1:])
        assert shown() == reached
        with parts.db.read(TENANT) as tx:
            fetches = backfills.listed(tx, made.id)
        assert [(f.state, f.observations) for f in fetches] == [("COMPLETE", 1)] * 3

        called = {(c.account, c.name) for c in cloud.history.calls("cloudtrail:*")}
        assert called == {
            (MANAGER, "cloudtrail:StartQuery"), (MANAGER, "cloudtrail:GetQueryResults"),
        }  # fmt: skip
        assert set(needs_of(parts, TENANT, MANAGER)) == {n for _, n in called}
        with pytest.raises(SetupError, match="nothing to allow"):
            needs_of(parts, TENANT, ONE)
