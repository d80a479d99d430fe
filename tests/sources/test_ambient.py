"""Clients with this process's credentials, or a role's: from moto, over a real socket."""

from collections.abc import Iterator

import httpx
import pytest
from tests.e2e.conftest import free_port
from tests.moto_server import running_moto

from auditkeep.ids import GLOBAL_REGION
from auditkeep.sources.ambient import SESSION_NAME, AmbientClients
from auditkeep.sources.pull import Expired, Unreachable
from auditkeep.sources.refusals import asking

pytestmark = pytest.mark.server
ROLE = "arn:aws:iam::222233334444:role/reader"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with running_moto() as url:
        httpx.post(f"{url}/moto-api/reset").raise_for_status()
        yield url


def test_a_role_is_taken_before_anything_is_asked(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    clients = AmbientClients(ROLE, "external")
    who = clients.client("sts", "us-east-1").get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::222233334444:assumed-role/reader/{SESSION_NAME}"
    assert clients.client("s3", "eu-west-1").list_buckets()["Buckets"] == []


def test_without_a_role_the_process_asks_itself_and_clients_are_made_once(endpoint: str) -> None:
    clients = AmbientClients(endpoint=endpoint)
    made = clients.client("s3", GLOBAL_REGION)
    assert made is clients.client("s3", "us-east-1")
    assert made.meta.endpoint_url == endpoint
    assert clients.client("sts", "us-east-1").get_caller_identity()["Account"] == "123456789012"


def test_a_role_that_cannot_be_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    client = AmbientClients(ROLE).client("s3", "us-east-1")
    with pytest.raises((Unreachable, Expired)), asking(client, "ListBuckets"):
        client.list_buckets()
