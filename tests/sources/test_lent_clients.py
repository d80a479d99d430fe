"""Clients are lent from account to account, and sign for the one that has them."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import botocore.endpoint
import pytest
from tests.simulator.cloud import Simulator

from auditkeep.clock import SystemClock
from auditkeep.sources.pull import Denied, NotYet
from auditkeep.sources.sessions import CLIENTS, Sessions, Who

pytestmark = pytest.mark.server

OURS, ONE, TWO = "111122223333", "444455556666", "777788889999"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator() as running:
        for account in (OURS, ONE, TWO):
            running.estate.account(account, external_id="a-word")
        key = running.key(OURS)
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield running


def who(account: str, external_id: str = "a-word") -> Who:
    return Who(account, "AuditkeepCollector", external_id, "auditkeep")


def test_one_client_asks_for_one_account_after_the_other(cloud: Simulator) -> None:
    sessions = Sessions(1_000, SystemClock())
    for account in (ONE, TWO, ONE):
        sessions.of(who(account)).client("sns", "eu-west-1").list_topics()
    asked = cloud.history.calls("sns:ListTopics")
    assert [call.account for call in asked] == [ONE, TWO, ONE]
    assert cloud.history.count("sts:AssumeRole") == 2


def test_credentials_that_are_over_are_taken_anew(cloud: Simulator) -> None:
    clients = Sessions(1_000, SystemClock()).of(who(ONE))
    clients.client("sns", "eu-west-1").list_topics()
    cloud.end_sessions(ONE)
    clients.renew()
    clients.client("sns", "eu-west-1").list_topics()
    assert cloud.history.count("sns:ListTopics", outcome="ok") == 2


def test_a_role_that_cannot_be_taken_is_a_denial(cloud: Simulator) -> None:
    clients = Sessions(1_000, SystemClock()).of(who(ONE, "another-word"))
    with pytest.raises(Denied) as refused:
        clients.client("sns", "eu-west-1")
    assert refused.value.action == "sts:AssumeRole"


def test_a_thread_keeps_so_many_clients_only(cloud: Simulator) -> None:
    sessions = Sessions(1_000, SystemClock())
    clients = sessions.of(who(ONE))
    for number in range(CLIENTS + 3):
        clients.client("sns", f"eu-west-{number}")
    clients.client("sns", "eu-west-1").list_topics()
    assert len(sessions._made._own.clients) == CLIENTS


def test_a_throttled_request_is_made_again_after_a_wait_that_others_can_use(
    cloud: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    slept: list[float] = []
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=slept.append))

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return True

    cloud.faults.add("throttled", "sns:ListTopics", account=ONE, turns=lambda n: n <= 2)
    Sessions(1_000, SystemClock(), wait).of(who(ONE)).client("sns", "eu-west-1").list_topics()
    assert not any(slept), "the thread is not held"
    assert [1 <= round(2 * seconds) <= 2 * 2**n for n, seconds in enumerate(waits)] == [True] * 2
    assert cloud.history.count("sns:ListTopics") == 3


def test_who_cannot_wait_for_the_next_attempt_is_told_at_once(cloud: Simulator) -> None:
    cloud.faults.add("throttled", "sns:ListTopics", account=ONE)
    sessions = Sessions(1_000, SystemClock(), lambda _: False)
    with pytest.raises(NotYet):
        sessions.of(who(ONE)).client("sns", "eu-west-1").list_topics()
    assert cloud.history.count("sns:ListTopics") == 1


def test_who_cannot_wait_for_a_slowed_account_is_told_and_takes_no_turn(cloud: Simulator) -> None:
    sessions = Sessions(1_000, SystemClock(), lambda _: False)
    clients = sessions.of(who(ONE))
    for _ in range(14):
        clients.throttled()
    pace = sessions._paces[ONE]
    pace._next = begins = time.monotonic() + 30
    for _ in range(2):
        with pytest.raises(NotYet, match=r"asked again in (29|30) s"):
            clients.client("sns", "eu-west-1").list_topics()
    assert pace._next == pytest.approx(begins)
    assert cloud.history.count("sns:ListTopics") == 0
