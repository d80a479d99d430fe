"""What AWS Config judged, brought and asked for: one fact under one key, whichever comes first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e import organisation
from tests.e2e.collecting import asking, collector, settings
from tests.simulator.cloud import Simulator
from tests.simulator.estate import Estate

from auditkeep.app.collecting import handlers_of, notices_of
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import DAY, MINUTE, Instant, iso
from auditkeep.collection import accounts, definitions, pushed
from auditkeep.collection.accounts import Asked
from auditkeep.collection.push import Pushed, Pusher, push
from auditkeep.db.schema import config_pushed, jobs
from auditkeep.evidence import lens
from auditkeep.ids import Tenant
from auditkeep.lake.keeping import choose
from auditkeep.lake.model import Stored, View
from auditkeep.lake.read import observations
from auditkeep.mapping.interest import Interest
from auditkeep.work.pump import Pump
from auditkeep.workflows.rounds import Rounds

pytestmark = pytest.mark.server

ACCOUNT, HERE = organisation.MANAGER, organisation.HOME
OWN = Tenant(ACCOUNT, HERE)
MANAGED = "S3_BUCKET_VERSIONING_ENABLED"
KEY, SSH = f"config:{MANAGED}", "config:INCOMING_SSH_DISABLED"
OUR_SSH = "config:Custom_restricted-ssh"
BEFORE = Instant(organisation.BEGINS - DAY)


@dataclass
class House:
    """A deployment that asks one account, which a bus brings events of, too."""

    cloud: Simulator
    parts: Parts

    def __post_init__(self) -> None:
        made = collector(self.parts)
        self.rounds = Rounds(made)
        handlers = handlers_of(made, notices_of(self.parts))
        self.pump = Pump(self.parts.jobs, handlers, self.cloud.clock, threads=1)

    def look(self, *keys: str) -> None:
        reach = lens.Reach(frozenset({ACCOUNT}), frozenset({HERE}))
        with self.parts.db.write(OWN) as tx:
            lens.open_for_control(
                tx, "a0000000-0000-4000-8000-000000000000", 1, keys, reach, self.cloud.clock.now()
            )

    def pull(self) -> None:
        """A round, an hour and more after the one before."""
        self.cloud.clock.at = Instant(self.cloud.clock.at + DAY)
        self.rounds.queue()
        self.pump.drain()

    def judged(self, rule: str, resource: str, kind: str = "AWS::S3::Bucket") -> dict[str, Any]:
        """A rule judges a resource now; the event that says so."""
        at = self.cloud.clock.at = Instant(self.cloud.clock.at + MINUTE)
        self.cloud.estate.evaluate(ACCOUNT, HERE, rule, kind, resource, "NON_COMPLIANT", at)
        named = {"configRuleName": rule, "resourceType": kind, "resourceId": resource}
        return {
            "source": "aws.config",
            "detail-type": "Config Rules Compliance Change",
            "detail": {
                "awsAccountId": ACCOUNT,
                "awsRegion": HERE,
                "configRuleName": rule,
                "newEvaluationResult": {
                    "complianceType": "NON_COMPLIANT",
                    "resultRecordedTime": iso(at),
                    "evaluationResultIdentifier": {"evaluationResultQualifier": named},
                },
            },
        }

    def bring(self, event: dict[str, Any], *, settle: bool = True) -> Pushed:
        now = self.cloud.clock.now()
        with self.parts.db.write(OWN) as tx:
            found = push(
                tx,
                self.parts.lake,
                "config",
                [json.dumps(event).encode()],
                Interest.every_record(),
                Pusher("arn:aws:iam::111122223333:user/bus", "events"),
                now,
                asks=self.parts.deps.asks_config(tx, now),
            )
        if settle:
            self.pump.drain()
        return found

    def waiting(self) -> int:
        with self.parts.db.read(OWN) as tx:
            return len(tx.all(tx.select(config_pushed.c.id)))

    def kept(self, resource: str) -> list[Stored]:
        keys = frozenset({KEY, SSH, OUR_SSH, "config:Custom_ours"})
        view = View(keys, None, None, Instant(0), lens.FOREVER)
        with self.parts.db.read(OWN) as tx:
            found = observations(tx, self.parts.lake, [view], limit=1_000)
        return [o for o in found if f'"{resource}"'.encode() in o.raw]


@pytest.fixture(params=[""])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    estate = Estate((HERE,))
    estate.account(ACCOUNT, external_id=organisation.EXTERNAL_ID)
    estate.rule(ACCOUNT, HERE, "ours", BEFORE, identifier=MANAGED)
    estate.rule(ACCOUNT, HERE, "restricted-ssh", BEFORE)
    with Simulator(estate, at=organisation.BEGINS) as cloud, asking(cloud):
        changes = {"collect_regions": HERE, "collect_aggregator": request.param}
        chosen = settings(tmp_path).model_copy(update=changes)
        initialise(chosen, OWN, cloud.clock)
        parts = open_parts(chosen, cloud.clock)
        with parts.db.write(OWN) as tx:
            choose(tx, "all", cloud.clock.now())
        yield House(cloud, parts)


def told(one: Stored) -> tuple[str, str | None, bool]:
    """Its match key, its verdict, and whether it has its configuration item."""
    return one.match_key, one.verdict, "configurationItem" in json.loads(one.raw)


@pytest.mark.parametrize("first", ["pushed", "pulled"])
def test_a_renamed_managed_rule_s_judgement_is_one_fact_with_its_item(
    house: House, first: str
) -> None:
    house.look(KEY)
    if first == "pulled":
        house.pull()
    event = house.judged("ours", "b1")
    at = house.cloud.clock.now()
    by_push: list[bytes] = []
    if first == "pushed":
        assert house.bring(event).waiting == 1
        by_push = [o.id for o in house.kept("b1")]
        assert [told(o) for o in house.kept("b1")] == [(KEY, "NON_COMPLIANT", True)]
    house.pull()
    house.pull()
    # a first look tells how things are at its own moment, and is a fact of its own
    (by_pull,) = (o for o in house.kept("b1") if o.event_time == at)
    assert by_push in ([by_pull.id], [])
    if first == "pulled":
        assert house.bring(event).waiting == 1
    assert [o.id for o in house.kept("b1") if o.event_time == at] == [by_pull.id]
    assert {told(o) for o in house.kept("b1")} == {(KEY, "NON_COMPLIANT", True)}
    assert house.waiting() == 0


def test_a_rule_that_is_known_is_brought_under_its_key_with_its_item(house: House) -> None:
    house.look(KEY)
    house.pull()
    event = house.judged("ours", "b2")
    assert house.bring(event, settle=False).waiting == 1
    assert house.kept("b2") == []
    house.pump.drain()
    (found,) = house.kept("b2")
    assert told(found) == (KEY, "NON_COMPLIANT", True)
    house.pull()
    assert house.bring(event).waiting == 1
    assert [o.id for o in house.kept("b2")] == [found.id]
    called = [c.name for c in house.cloud.history.calls(outcome="ok")]
    assert called.count("config:DescribeConfigRules") == 2, "of rounds, and for no event"


def test_one_s_own_rule_of_a_managed_rule_s_name_is_no_evidence_of_that_one(house: House) -> None:
    house.look(SSH)
    house.bring(house.judged("restricted-ssh", "sg-1", "AWS::EC2::SecurityGroup"))
    assert [o.match_key for o in house.kept("sg-1")] == [OUR_SSH]


def test_judgements_between_two_rounds_are_all_kept(house: House) -> None:
    house.look(KEY)
    house.pull()
    for event in [house.judged("ours", "b3") for _ in range(3)]:
        house.bring(event, settle=False)
    house.pump.drain()
    house.pull()
    assert len(house.kept("b3")) == 3
    assert {told(o) for o in house.kept("b3")} == {(KEY, "NON_COMPLIANT", True)}


def test_an_account_that_says_nothing_keeps_nobody_s_judgements_from_being_kept(
    house: House,
) -> None:
    house.look(SSH)
    house.cloud.faults.add("denied", "config:DescribeConfigRules")
    house.bring(house.judged("restricted-ssh", "sg-2", "AWS::EC2::SecurityGroup"))
    assert [told(o)[0] for o in house.kept("sg-2")] == [SSH], "by its name, as nothing else is told"


def test_what_waits_for_an_account_that_is_paused_is_kept_unasked(house: House) -> None:
    house.look(KEY)
    house.pull()
    with house.parts.db.write(OWN) as tx:
        accounts.put(tx, Asked(account=ACCOUNT, paused=True))
    house.bring(house.judged("ours", "b4"))
    assert [told(o) for o in house.kept("b4")] == [(KEY, "NON_COMPLIANT", False)]


def test_an_account_that_throttles_is_asked_again(house: House) -> None:
    house.look(KEY)
    house.pull()
    rule = house.cloud.faults.add("throttled", "config:BatchGetResourceConfig")
    house.bring(house.judged("ours", "b5"))
    assert (house.kept("b5"), house.waiting()) == ([], 1)
    house.cloud.faults.drop(rule)
    house.cloud.clock.at = Instant(house.cloud.clock.at + 10 * MINUTE)
    house.pump.drain()
    assert [told(o) for o in house.kept("b5")] == [(KEY, "NON_COMPLIANT", True)]


def test_what_no_control_looks_at_is_kept_at_once_and_nobody_is_asked_for_it(house: House) -> None:
    house.look(SSH)
    house.pull()
    calls = len(house.cloud.history.calls())
    assert house.bring(house.judged("ours", "b6")).waiting == 0
    assert [told(o) for o in house.kept("b6")] == [(KEY, "NON_COMPLIANT", False)]
    assert len(house.cloud.history.calls()) == calls


def test_what_nobody_settled_is_settled_with_the_next_round(house: House) -> None:
    house.look(KEY)
    house.pull()
    house.bring(house.judged("ours", "b7"), settle=False)
    with house.parts.db.system_write() as tx:
        tx.run(tx.update(jobs).where(jobs.c.kind == pushed.JOB).values(state="failed"))
    house.pump.drain()
    assert house.waiting() == 1
    house.pull()
    assert house.waiting() == 0
    assert {told(o) for o in house.kept("b7")} == {(KEY, "NON_COMPLIANT", True)}


@pytest.mark.parametrize("house", [f"{ACCOUNT}/{HERE}"], indirect=True)
def test_an_aggregator_tells_how_a_resource_is_configured_and_no_rule_s_owner(house: House) -> None:
    house.cloud.estate.put(
        ACCOUNT, HERE, "config:DescribeConfigurationAggregators", "all", BEFORE
    )  # fmt: skip
    house.look(SSH)
    house.bring(house.judged("restricted-ssh", "sg-4", "AWS::EC2::SecurityGroup"))
    (by_push,) = house.kept("sg-4")
    assert told(by_push) == (SSH, "NON_COMPLIANT", True)
    house.pull()
    house.pull()
    assert {told(o) for o in house.kept("sg-4")} == {(SSH, "NON_COMPLIANT", True)}
    assert [o.id for o in house.kept("sg-4") if o.event_time == by_push.event_time] == [by_push.id]


def test_whom_nobody_asks_is_kept_at_once_by_what_is_remembered_or_brought(house: House) -> None:
    event = house.judged("restricted-ssh", "sg-3", "AWS::EC2::SecurityGroup")
    house.bring({
        "ConfigRules": [{
            "ConfigRuleName": "restricted-ssh",
            "ConfigRuleArn": f"arn:aws:config:{HERE}:{ACCOUNT}:config-rule/config-rule-9",
            "Source": {"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": "arn:aws:lambda:x"},
        }]
    })  # fmt: skip
    with house.parts.db.read(OWN) as tx:
        assert [r.name for r in definitions.known(tx, ACCOUNT, HERE)] == ["restricted-ssh"]
    assert house.bring(event).waiting == 0
    assert [o.match_key for o in house.kept("sg-3")] == [OUR_SSH]
