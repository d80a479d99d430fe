"""An assessment that is opened to the past has Config's history of it, also where it broke off."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.e2e import organisation
from tests.e2e.auditing import WATCH, Audit, Sets
from tests.e2e.collecting import TENANT, Rounded, asking, settings
from tests.simulator.cloud import Simulator
from tests.simulator.estate import Estate

from auditkeep.app.collecting import collector_of, handlers_of, notices_of
from auditkeep.app.collection import needs_of
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import DAY, MINUTE, Instant, day_name, day_of, to_datetime
from auditkeep.work.pump import Pump

pytestmark = pytest.mark.server

ONE, SHUT = "200000000001", "200000000002"
HERE, RULE = organisation.HOME, organisation.RULE
BEGINS, SINCE = organisation.BEGINS, Instant(organisation.BEGINS - 10 * DAY)
JUDGED: Sets = {"Judgements": {"Buckets judged": WATCH["Judgements"]["Buckets judged"]}}
BUCKETS, DAYS = ("bucket-a", "bucket-b"), (12, 9, 6, 3)
HISTORY = "config:GetResourceConfigHistory"


def judged_before(estate: Estate) -> Counter[tuple[str, str, str]]:
    """Days on which buckets were judged, some longer ago than is asked for; what must be shown."""
    wanted: Counter[tuple[str, str, str]] = Counter()
    for account in (ONE, SHUT):
        estate.account(account, external_id=organisation.EXTERNAL_ID)
        estate.rule(
            account, HERE, RULE, Instant(BEGINS - 20 * DAY), identifier=organisation.IDENTIFIER
        )
        for bucket in BUCKETS:
            for ago in DAYS:
                at = Instant(BEGINS - ago * DAY + 60 * MINUTE)
                said = "NON_COMPLIANT" if ago == 6 else "COMPLIANT"
                estate.evaluate(account, HERE, RULE, "AWS::S3::Bucket", bucket, said, at)
                if at >= SINCE and account == ONE:
                    wanted[day_name(day_of(at)), bucket, said] += 1
    return wanted


def test_the_history_of_config_is_fetched_with_progress_and_resumed(quick_path: Path) -> None:
    estate = Estate((HERE,))
    estate.account(organisation.MANAGER)
    wanted = judged_before(estate)
    with Simulator(estate, at=BEGINS, page_size=2) as cloud, asking(cloud):
        chosen = settings(quick_path / "audit").model_copy(update={"collect_regions": HERE})
        initialise(chosen, TENANT, cloud.clock)
        parts = open_parts(chosen, cloud.clock)
        audit, rounded = Audit(parts), Rounded(parts, cloud)
        rounded.refresh()
        made = audit.assess("Judgements", JUDGED, (ONE, SHUT))
        pump = collecting(parts)
        cloud.faults.add("denied", HISTORY, account=SHUT)
        cloud.faults.add("throttled", HISTORY, account=ONE, turns=range(3, 6))

        begun = audit.own("start_backfill", assessmentId=made.id, start=to_datetime(SINCE))
        assert (begun["controls"], begun["fetches"]) == (1, 2)
        told = fetches(audit, made.id)
        assert {a: f["state"] for a, f in told.items()} == {ONE: "RUNNING", SHUT: "RUNNING"}
        assert {f["observations"] for f in told.values()} == {0}

        pump.drain()
        half = fetches(audit, made.id)
        assert half[SHUT]["state"] == "FAILED"
        assert HISTORY in half[SHUT]["message"]
        assert half[ONE]["state"] == "RUNNING"
        assert 0 < half[ONE]["observations"] < wanted.total()

        # another process goes on behind the last page, and asks nothing twice
        before = cloud.history.count(HISTORY, outcome="ok", account=ONE)
        cloud.clock.at = Instant(BEGINS + 5 * MINUTE)
        collecting(parts).drain()
        done = fetches(audit, made.id)
        assert (done[ONE]["state"], done[ONE]["observations"]) == ("COMPLETE", wanted.total())
        assert cloud.history.count(HISTORY, outcome="ok", account=ONE) == 2 * len(BUCKETS) > before
        shown = made.shown()["Buckets judged"].items()
        assert Counter({(day, what, said): n for (day, *_, what, said), n in shown}) == wanted

        # what failed is fetched when it is asked for again, and nothing else
        for rule in list(cloud.faults.rules):
            cloud.faults.drop(rule)
        again = audit.own("start_backfill", assessmentId=made.id, start=to_datetime(SINCE))
        assert (again["controls"], again["fetches"]) == (0, 1)
        pump.drain()
        assert {f["state"] for f in fetches(audit, made.id).values()} == {"COMPLETE"}
        assert HISTORY in needs_of(parts, TENANT, ONE)
        parts.db.close()


def collecting(parts: Parts) -> Pump:
    """A process that collects, as it is just after its start."""
    nobody_waits = collector_of(parts, lambda _: True)
    handlers = handlers_of(nobody_waits, notices_of(parts))
    return Pump(parts.jobs, handlers, parts.clock, threads=1)


def fetches(audit: Audit, assessment: str) -> dict[str, dict[str, Any]]:
    """How far a backfill is, by account."""
    told = audit.own("get_backfill", assessmentId=assessment)["fetches"]
    return {f["account"]: f for f in told if f["source"] == "AWS_Config"}
