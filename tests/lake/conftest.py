"""A tenant that is registered, which appending asks for."""

import pytest
from tests.lake.making import register

from auditkeep.db.database import Database
from auditkeep.ids import Tenant


@pytest.fixture(autouse=True)
def registered(request: pytest.FixtureRequest) -> None:
    if "db" in request.fixturenames:
        database: Database = request.getfixturevalue("db")
        tenant: Tenant = request.getfixturevalue("tenant")
        register(database, tenant)
