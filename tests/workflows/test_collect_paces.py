"""Accounts that throttle wait for their own pace, and hold nobody else's work meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.workflows.collect_house import ONE, TWO, House, Made

from auditkeep.clock import DAY, Instant
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.sources.pull import Ask, Clients, Page
from auditkeep.sources.sessions import Pace
from auditkeep.work.pump import Pump
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND

USERS = "api:iam_ListUsers"
THREE, HEALTHY = "777788889999", "999900001111"
THROTTLED = (ONE, TWO, THREE)


class Paced(Made):
    """A source whose every answer takes a request of its account's pace."""

    def __init__(self, house: House) -> None:
        super().__init__("AWS_API_Call", house.clock)
        self.resources = {(a, "iam_ListUsers"): [f"of-{a}"] for a in (*THROTTLED, HEALTHY)}
        self.wait: Callable[[float], bool] = lambda _: False
        self._paces = {a: Pace(1_000, self._waits) for a in (*THROTTLED, HEALTHY)}
        for account in THROTTLED:
            while self._paces[account].rate > 0.1:
                self._paces[account].slow_down()
            self._paces[account]._next = time.monotonic() + 20

    def _waits(self, seconds: float) -> bool:
        return self.wait(seconds)

    def get(self, clients: Clients, ask: Ask, resume: str | None = None) -> Iterator[Page]:
        self._paces[ask.account].take()
        yield from super().get(clients, ask, resume)


@pytest.fixture
def house(lake: Lake, tenant: Tenant, tmp_path: Path) -> House:
    made = House(lake, tenant, tmp_path)
    made.api = Paced(made)
    made.restart()
    made.look(USERS, accounts=(*THROTTLED, HEALTHY))
    made.clock.at = Instant(made.clock.now() + DAY)
    made.rounds.queue()
    return made


@pytest.mark.both_databases
@pytest.mark.parametrize("aside", [4, 1])
def test_several_throttled_accounts_do_not_delay_a_healthy_one(house: House, aside: int) -> None:
    """All may wait aside, or only one of them: then the others are put off."""
    handlers = {KIND: Asking(house.collector).handler()}
    pump = Pump(house.jobs, handlers, house.clock, threads=1, aside=aside)
    assert isinstance(house.api, Paced)
    house.api.wait = pump.stand_aside
    began = time.monotonic()
    pump.start()
    while not house.kept(USERS):
        assert time.monotonic() < began + 10
        time.sleep(0.01)
    assert {account for account, _, _ in house.kept(USERS)} == {HEALTHY}
    assert pump.stop(10)
    assert time.monotonic() < began + 10
    assert house.clients.slowed == 0  # nobody said again that it is asked too often
    assert house.gaps() == []


def test_what_was_put_off_for_its_pace_is_asked_when_that_allows(house: House) -> None:
    house.pump.drain()
    assert {account for account, _, _ in house.kept(USERS)} == {HEALTHY}
    assert isinstance(house.api, Paced)
    house.api.wait = lambda _: True
    house.clock.advance(DAY // 24)
    house.pump.drain()
    assert {account for account, _, _ in house.kept(USERS)} == {*THROTTLED, HEALTHY}
    assert house.gaps() == []
