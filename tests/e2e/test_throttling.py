"""A real server that throttles, and an unmodified boto3 in each of its retry modes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.conftest import Running, running

pytestmark = [pytest.mark.server, pytest.mark.slow]

RATE = 4


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data: Path = tmp_path_factory.mktemp("throttled") / "audit"
    environment = {"AUDITKEEP_THROTTLE_RATE": str(RATE), "AUDITKEEP_THROTTLE_BURST": "1"}
    with running(data, **environment) as made:
        yield made


def client(server: Running, **retries: Any) -> Any:
    return boto3.Session(server.access_key, server.secret_key, region_name="us-east-1").client(
        "auditmanager", endpoint_url=server.url, config=Config(retries=retries)
    )


@pytest.mark.parametrize("mode", ["standard", "adaptive", "legacy"])
def test_boto3_waits_and_succeeds(slow: Running, mode: str) -> None:
    asking = client(slow, mode=mode, total_max_attempts=10)
    time.sleep(1)
    started = time.monotonic()
    answers = [asking.get_account_status() for _ in range(4)]
    passed = time.monotonic() - started
    assert [a["status"] for a in answers] == ["ACTIVE"] * 4
    assert sum(a["ResponseMetadata"]["RetryAttempts"] for a in answers) >= 1
    assert passed >= 3 / RATE - 0.01


@pytest.mark.parametrize("mode", ["standard", "adaptive"])
def test_one_retry_is_enough_for_who_obeys_the_hint(
    slow: Running, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the hint, a back-off of nothing would come again at once, and be refused again."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    asking = client(slow, mode=mode, total_max_attempts=2)
    time.sleep(1)
    answers = [asking.get_account_status() for _ in range(3)]
    attempts = [a["ResponseMetadata"]["RetryAttempts"] for a in answers]
    # after the first refusal the adaptive mode slows down by itself
    assert attempts in ([0, 1, 1], [0, 1, 0])


def test_a_client_that_does_not_retry_is_told(slow: Running) -> None:
    asking = client(slow, total_max_attempts=1)
    time.sleep(1)
    with pytest.raises(ClientError) as caught:
        for _ in range(3):
            asking.get_account_status()
    error = caught.value.response
    assert error["Error"]["Code"] == "ThrottlingException"
    assert 1 <= int(error["ResponseMetadata"]["HTTPHeaders"]["x-amz-retry-after"]) <= 1000 / RATE
