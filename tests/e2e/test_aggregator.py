"""An aggregator stands for the accounts it sees; whom it does not see is asked directly."""

from pathlib import Path

import pytest
from tests.e2e import organisation
from tests.e2e.auditing import Audit, Sets
from tests.e2e.collecting import Rounded, asking, collector, ledger, settings
from tests.simulator.cloud import Simulator
from tests.simulator.estate import Estate

from auditkeep.app.parts import open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import DAY, Instant
from auditkeep.ids import Tenant
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND

pytestmark = pytest.mark.server

MANAGER, SEEN, DENYING = organisation.MANAGER, "200000000001", "200000000002"
UNSEEN = "200000000003"
HERE = organisation.HOME
RULE = "s3-bucket-acl-prohibited"
AGGREGATOR = "config:DescribeConfigurationAggregators"


def test_an_aggregator_is_asked_for_whom_it_sees(tmp_path: Path) -> None:
    estate = Estate((HERE,))
    for account in (MANAGER, SEEN, DENYING, UNSEEN):
        estate.account(account, external_id=organisation.EXTERNAL_ID)
        estate.rule(account, HERE, RULE, Instant(organisation.BEGINS - DAY))
        estate.evaluate(
            account, HERE, RULE, "AWS::S3::Bucket", f"bucket-{account}", "COMPLIANT",
            Instant(organisation.BEGINS - DAY),
        )  # fmt: skip
    estate.put(MANAGER, HERE, AGGREGATOR, "all", Instant(organisation.BEGINS - DAY))
    estate.accounts[SEEN].shut = (Instant(0), Instant(organisation.BEGINS + DAY))
    estate.recorder(UNSEEN, HERE, Instant(organisation.BEGINS - DAY), on=False)
    with Simulator(estate, at=organisation.BEGINS) as cloud, asking(cloud):
        cloud.faults.add("denied", "config:*", account=DENYING)
        chosen = settings(tmp_path).model_copy(
            update={"collect_aggregator": f"{MANAGER}/{HERE}", "collect_regions": HERE}
        )
        initialise(chosen, Tenant(MANAGER, HERE), cloud.clock)
        parts = open_parts(chosen, cloud.clock)
        audit, rounded = Audit(parts), Rounded(parts, cloud)
        sets: Sets = {"Judgements": {"Buckets judged": ("Buckets judged",)}}
        rounded.refresh()
        made = audit.assess("Watch", sets, (MANAGER, SEEN, DENYING, UNSEEN))
        cloud.clock.at = Instant(cloud.clock.at + 60_000_000)
        rounded.queue()
        Pump(parts.jobs, {KIND: Asking(collector(parts)).handler()}, cloud.clock, threads=1).drain()
        shown = made.shown()["Buckets judged"]
        # also of an account that lets nobody in, through whoever aggregates
        assert {one[2] for one in shown} == {MANAGER, SEEN, DENYING}
        called = {(c.account, c.name) for c in cloud.history.calls(outcome="ok")}
        assert (MANAGER, "config:GetAggregateComplianceDetailsByConfigRule") in called
        assert not {name for _, name in called} & {
            "config:DescribeConfigRules", "config:GetComplianceDetailsByConfigRule",
        }  # fmt: skip
        # whom it does not see was asked directly, and says why there is nothing
        (gap,) = ledger(parts)
        assert (gap.account, gap.reason, gap.detail) == (UNSEEN, "switched-off", "config-recorder")
        assert (UNSEEN, "config:DescribeConfigurationRecorderStatus") in called
