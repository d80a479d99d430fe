"""Regions that are off: left out, told, and asked from the moment they are switched on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.workflows.collect_house import HERE, ONE, TWO, A, House

from auditkeep.clock import DAY, MINUTE, SystemClock
from auditkeep.collection import accounts, coverage, knowing
from auditkeep.collection.accounts import Asked
from auditkeep.collection.coverage import Coverage, Looking
from auditkeep.collection.plan import Reason
from auditkeep.errors import NotCollected
from auditkeep.evidence import lens
from auditkeep.evidence.lens import Reach
from auditkeep.ids import GLOBAL_REGION, Tenant
from auditkeep.lake.lake import Lake
from auditkeep.sources.aggregator import Aggregators, Where
from auditkeep.sources.pull import Clients, Denied, Expired
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND, asks_for_regions, regions_key
from auditkeep.workflows.rounds import Rounds

FAR = "af-south-1"
RULE, EVENT, CALL = "config:RULE", "ec2:RunInstances", "api:ec2_DescribeVpcs"
ROUND = 60 * MINUTE


class Switching(House):
    """A house whose one account says which regions it has switched on."""

    def __init__(self, lake: Lake, tenant: Tenant, folder: Path) -> None:
        self.on = frozenset({HERE})
        self.troubles: list[NotCollected] = []
        self.times = 0
        super().__init__(lake, tenant, folder, collect_regions=f"{HERE},{FAR}")
        for made in (self.api, self.config, self.trail):
            made.resources[ONE, ""] = ["one"]

    def restart(self) -> None:
        super().restart()
        self.collector = replace(self.collector, regions=self._say)
        self.rounds = Rounds(self.collector)
        handlers = {KIND: Asking(self.collector).handler()}
        self.pump = Pump(self.jobs, handlers, self.clock, threads=1)

    def _say(self, clients: Clients) -> frozenset[str]:
        del clients
        self.times += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return self.on

    def look_wide(self, *keys: str) -> None:
        """A control looks at some keys in both regions."""
        reach = Reach(frozenset({ONE}), frozenset({HERE, FAR, GLOBAL_REGION}))
        with self.lake.db.write(self.tenant) as tx:
            lens.open_for_control(tx, A, 1, keys, reach, self.clock.now())
        self.keys = frozenset(keys)

    def round(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.advance(ROUND)
            self.collect()

    def places(self) -> set[str]:
        """Where anything was asked since this was looked at last."""
        found = {a.region for made in (self.api, self.config, self.trail) for a in made.asked}
        for made in (self.api, self.config, self.trail):
            made.asked.clear()
        return found

    def asked_where(self) -> list[tuple[str, str]]:
        """Region and source of what is asked by now."""
        with self.lake.db.read(self.tenant) as tx:
            plan = self.collector.plans.of(tx, self.clock.now())
        return sorted((r, d.question.source) for _, r, d in plan.questions())

    def covered(self) -> Coverage:
        now = self.clock.now()
        looking = Looking(Reason("assessment", A, "1"), "a", self.keys, ())
        with self.lake.db.read(self.tenant) as tx:
            plan, known = self.collector.plans.of(tx, now), knowing.known(tx, now)
        (one,) = coverage.of([looking], plan, known, {}, now, asks=True, every=ROUND)
        return one


class Seeing(Aggregators):
    """An aggregator that sees every place, or none."""

    def __init__(self, name: str | None) -> None:
        super().__init__(Where(TWO, HERE), SystemClock())
        self.name = name

    def seeing(self, clients: Callable[[], Clients], account: str, region: str) -> str | None:
        del clients, account, region
        return self.name


@pytest.fixture
def house(lake: Lake, tenant: Tenant, tmp_path: Path) -> Switching:
    return Switching(lake, tenant, tmp_path)


@pytest.mark.both_databases
def test_what_is_off_is_not_asked_and_what_is_switched_on_is_asked_at_once(
    house: Switching,
) -> None:
    house.look_wide(RULE, EVENT, CALL)
    house.collect()
    assert house.places() == {HERE}
    house.days(1)
    assert (house.places(), house.gaps()) == ({HERE}, [])
    one = house.covered()
    assert (one.state, one.expected, one.answered) == ("collecting", 3, 3)
    assert {(lack.reason, lack.places[0].region, lack.what) for lack in one.lacks} == {
        ("region-off", FAR, ""), ("region-off", FAR, "ec2_DescribeVpcs"),
    }  # fmt: skip

    house.on = frozenset({HERE, FAR})
    house.clock.advance(ROUND)
    house.collect()
    assert house.places() == {HERE, FAR}
    house.days(1)
    assert house.gaps() == []
    one = house.covered()
    assert (one.state, one.expected, one.answered, one.lacks) == ("collecting", 6, 6, ())
    # once an hour, through all of it
    assert house.times == (2 * DAY + ROUND) // ROUND + 1


def test_what_happened_before_a_region_was_switched_off_is_a_gap_for_good(
    house: Switching,
) -> None:
    house.on = frozenset({HERE, FAR})
    house.look_wide(RULE, EVENT)
    house.collect()
    last = house.clock.now()
    house.on = frozenset({HERE})
    house.round()
    gone = house.clock.now()
    assert {(g.place.source, g.opens_at, g.closes_at, g.reason, g.filled) for g in house.gaps()} == {
        (source, last, gone, "region-off", False) for source in ("AWS_Config", "AWS_Cloudtrail")
    }  # fmt: skip
    assert house.told == [("", True), ("", False)] * 2
    assert {g.place.region for g in house.gaps()} == {FAR}
    house.round(5)
    house.on = frozenset({HERE, FAR})
    house.places()
    house.round()
    assert house.places() == {HERE, FAR}
    # that nobody asked while it was off is none
    assert len(house.gaps()) == 2
    assert house.covered().state == "collecting"


def test_what_was_missed_before_it_was_off_stays_a_gap(house: Switching) -> None:
    house.on = frozenset({HERE, FAR})
    house.look_wide(RULE)
    house.config.troubles[ONE, ""] = [Denied("No.", action="config:DescribeConfigRules")]
    house.collect()
    (before,) = house.gaps()
    assert before.place.region == FAR
    house.on = frozenset({HERE})
    house.round(2)
    (after,) = house.gaps()
    assert (after.id, after.reason, after.filled) == (before.id, "denied", False)
    assert after.closes_at is not None


def test_who_does_not_say_is_asked_and_refuses_by_itself(house: Switching) -> None:
    house.look_wide(RULE)
    house.troubles = [Denied("No.", action="ec2:DescribeRegions")]
    house.collect()
    assert house.places() == {HERE, FAR}
    house.round()
    assert house.places() == {HERE}


def test_what_was_said_once_holds_for_a_day(house: Switching) -> None:
    house.look_wide(RULE)
    house.collect()
    house.troubles = [Denied("No.", action="ec2:DescribeRegions") for _ in range(30)]
    house.places()
    house.round(23)
    assert house.places() == {HERE}
    house.round()
    assert house.places() == {HERE, FAR}
    assert house.gaps() == []


def test_credentials_that_are_over_are_renewed_once(house: Switching) -> None:
    house.look_wide(RULE)
    house.troubles = [Expired("Over.")]
    house.collect()
    assert (house.clients.renewed, house.places()) == (1, {HERE})


def test_an_account_says_first_and_is_asked_nothing_meanwhile(house: Switching) -> None:
    house.look_wide(RULE, EVENT)
    house.rounds.queue()
    now = house.clock.now()
    first = house.jobs.claim([KIND], now)
    assert first is not None
    assert asks_for_regions(first.key)
    assert house.jobs.claim([KIND], now) is None
    house.jobs.finish(first, now)
    after = house.jobs.claim([KIND], now)
    assert after is not None
    assert not asks_for_regions(after.key)


@pytest.mark.parametrize("sees", [True, False])
def test_whom_an_aggregator_sees_need_not_say(house: Switching, *, sees: bool) -> None:
    seeing = Seeing("all" if sees else None)
    house.collector = replace(house.collector, aggregators=seeing)
    asking = Asking(house.collector)
    house.look_wide(RULE)
    asking.run(house.tenant, regions_key(ONE, "now"))
    assert house.times == (0 if sees else 1)
    # what only the account itself can tell of is asked of it
    house.look_wide(CALL)
    asking.run(house.tenant, regions_key(ONE, "now"))
    assert house.times == (1 if sees else 2)


def test_a_region_that_an_aggregator_sees_by_now_is_on(house: Switching) -> None:
    house.look_wide(RULE)
    house.collect()
    assert [r for r, _ in house.asked_where()] == [HERE]
    house.collector = replace(house.collector, aggregators=Seeing("all"))
    Asking(house.collector).run(house.tenant, regions_key(ONE, "now"))
    assert [r for r, _ in house.asked_where()] == [FAR, HERE]
    assert house.times == 1


def test_a_paused_account_is_not_asked_for_its_regions(house: Switching) -> None:
    with house.lake.db.write(house.tenant) as tx:
        accounts.put(tx, Asked(account=ONE, paused=True))
    house.look_wide(RULE)
    house.collect()
    assert house.times == 0
