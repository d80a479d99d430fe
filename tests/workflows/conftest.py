"""moto's S3 and SQS on a port of this machine, and a tenant that reads a trail from there."""

from collections.abc import Iterator

import httpx
import pytest
from tests.lake.making import register
from tests.moto_server import running_moto
from tests.workflows.trail_house import House

from auditkeep.db.database import Database
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with running_moto() as url:
        yield url


@pytest.fixture
def house(db: Database, lake: Lake, tenant: Tenant, endpoint: str) -> House:
    register(db, tenant)
    # what moto holds is held by the process, for whoever starts a server of it
    httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
    return House(lake, tenant, endpoint)
