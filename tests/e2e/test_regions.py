"""Regions that an account has not switched on are found out, told, and not asked."""

from pathlib import Path

import pytest
from tests.e2e import organisation
from tests.e2e.auditing import WATCH, Audit, Sets
from tests.e2e.collecting import TENANT, Rounded, asking, settings
from tests.simulator.cloud import Simulator
from tests.simulator.estate import Estate

from auditkeep.app.collecting import collector_of, handlers_of, notices_of
from auditkeep.app.collection import needs_of, plan_of, status_of
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import MINUTE, Instant
from auditkeep.collection import gaps
from auditkeep.work.pump import Pump

pytestmark = pytest.mark.server

MANAGER, LACKS, MUTE = organisation.MANAGER, "200000000001", "200000000002"
HERE, FAR, RULE = organisation.HOME, "af-south-1", organisation.RULE
BEGINS = organisation.BEGINS
JUDGED: Sets = {"Judgements": {"Buckets judged": WATCH["Judgements"]["Buckets judged"]}}
ASKED = "ec2:DescribeRegions"


def organise(estate: Estate) -> None:
    estate.account(MANAGER)
    for account in (LACKS, MUTE):
        estate.account(account, external_id=organisation.EXTERNAL_ID)
        for region in (HERE, FAR):
            estate.rule(account, region, RULE, BEGINS, identifier=organisation.IDENTIFIER)
            estate.evaluate(
                account, region, RULE, "AWS::S3::Bucket", f"{account}-{region}", "COMPLIANT",
                Instant(BEGINS + MINUTE),
            )  # fmt: skip


def test_a_region_that_is_off_is_told_and_not_asked(quick_path: Path) -> None:
    estate = Estate((HERE, FAR))
    organise(estate)
    for account in (LACKS, MUTE):
        estate.accounts[account].regions = frozenset({HERE})
    with Simulator(estate, at=BEGINS) as cloud, asking(cloud):
        cloud.faults.add("denied", ASKED, account=MUTE)
        chosen = settings(quick_path / "audit").model_copy(
            update={"collect_regions": f"{HERE},{FAR}", "collect_minutes": 60}
        )
        initialise(chosen, TENANT, cloud.clock)
        parts = open_parts(chosen, cloud.clock)
        audit, rounded = Audit(parts), Rounded(parts, cloud)
        rounded.refresh()
        made = audit.assess("Judgements", JUDGED, (LACKS, MUTE))
        pump = Pump(
            parts.jobs, handlers_of(collector_of(parts), notices_of(parts)), cloud.clock, threads=1
        )

        def collect(minutes: int) -> None:
            cloud.clock.at = Instant(BEGINS + minutes * MINUTE)
            rounded.queue()
            pump.drain()

        def seen() -> set[str]:
            return {one[4] for one in made.shown().get("Buckets judged", {})}

        collect(5)
        # also one that may not be asked for its regions is asked, and refuses by itself
        here = {f"{a}-{HERE}" for a in (LACKS, MUTE)}
        assert seen() == here
        assert lacks(parts) == {("region-off", f"{a} {FAR}") for a in (LACKS, MUTE)}
        assert cloud.history.calls(account=LACKS, region=FAR) == []
        assert cloud.history.calls(account=MUTE, region=FAR) != []
        assert cloud.history.count(ASKED, account=LACKS) == 1
        assert ASKED in needs_of(parts, TENANT, LACKS)
        assert planned(parts) == ({HERE, FAR}, [(FAR, [LACKS], "region-off", 1)])

        # switched on, it is asked with the next round, and the gap is over
        estate.accounts[LACKS].regions = frozenset({HERE, FAR})
        collect(65)
        assert seen() == here | {f"{LACKS}-{FAR}"}
        assert lacks(parts) == {("region-off", f"{MUTE} {FAR}")}
        assert planned(parts) == ({HERE, FAR}, [])
        # what the account was never due to answer is no gap
        with parts.db.read(TENANT) as tx:
            assert {g.place.account for g in gaps.listed(tx)} == {MUTE}
        parts.db.close()


def planned(parts: Parts) -> tuple[set[str], list[tuple[str, list[str], str, int]]]:
    """The regions that are asked; those that are left out, for whom and why, and how much."""
    plan = plan_of(parts, TENANT)
    left_out = [(r["region"], r["for"], r["reason"], r["questions"]) for r in plan["leftOut"]]
    return {r for row in plan["plan"] for r in row["regions"]}, left_out


def lacks(parts: Parts) -> set[tuple[str, str]]:
    """Why something does not arrive, and from where."""
    return {
        (lack["reason"], place)
        for control in status_of(parts, TENANT, None)
        for lack in control["lacks"]
        for place in lack["for"]
    }
