"""An API whose clients are of Auditkeep's own service, and whose home tenant is registered."""

import pytest
from tests.operations.auditkeep.keeping import Keep
from tests.operations.in_process import Api

from auditkeep.clock import FixedClock
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Keep:
    made = Keep(db, deps, clock)
    made.call(Api.client(made).register_account)
    return made
