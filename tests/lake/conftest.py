"""A tenant that is registered, which appending asks for."""

import pytest

from auditkeep.db.database import Database
from auditkeep.ids import Tenant
from tests.lake.making import register


@pytest.fixture(autouse=True)
def registered(request: pytest.FixtureRequest) -> None:
    if "db" in request.fixturenames:
        database: Database = request.getfixturevalue("db")
        tenant: Tenant = request.getfixturevalue("tenant")
        register(database, tenant)
