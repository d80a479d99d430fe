"""moto's S3 and SQS on a port of this machine, and a tenant that reads a trail from there."""

from collections.abc import Iterator

import httpx
import pytest
from moto.server import ThreadedMotoServer
from tests.e2e.conftest import free_port
from tests.lake.making import register
from tests.workflows.trail_house import House

from auditkeep.db.database import Database
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def house(db: Database, lake: Lake, tenant: Tenant, endpoint: str) -> House:
    register(db, tenant)
    # what moto holds is held by the process, for whoever starts a server of it
    httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
    return House(lake, tenant, endpoint)
