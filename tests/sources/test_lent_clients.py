"""Clients are lent from account to account, and sign for the one that has them."""

from collections.abc import Iterator

import pytest
from tests.simulator.cloud import Simulator

from auditkeep.clock import SystemClock
from auditkeep.sources.pull import Denied
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
