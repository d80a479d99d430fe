"""A `Call` as the dispatcher would hand it: real database, real library, nothing committed.

`call` belongs to a tenant that has registered; `unregistered` to one that has not. Both see one
open write transaction, which is rolled back at the end of the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from auditkeep import settings as settings_room
from auditkeep.accounts import store as accounts
from auditkeep.clock import MINUTE, FixedClock
from auditkeep.db.database import Database
from auditkeep.db.tx import SystemTx
from auditkeep.errors import AuditkeepError
from auditkeep.ids import Tenant
from auditkeep.library.library import Library

if TYPE_CHECKING:
    from tests.operations.world import World

    from auditkeep.lake.lake import Lake
    from auditkeep.operations.call import Call, Deps

MakeCall = Callable[..., "Call"]


@pytest.fixture(scope="session")
def library() -> Library:
    return Library.load()


@pytest.fixture
def deps(tmp_path: Path, library: Library, lake: Lake) -> Deps:
    from auditkeep.operations.call import Deps
    from auditkeep.wire.links import Links

    return Deps(
        settings=settings_room.load(tmp_path),
        library=library,
        lake=lake,
        links=Links(b"l" * 32, 15 * MINUTE),
        id_secret=b"i" * 32,
    )


class _Undone(AuditkeepError):
    """Ends a transaction without any trace."""


@pytest.fixture
def system_tx(db: Database, lake: Lake) -> Iterator[SystemTx]:
    """One write transaction over everything; what happened in it is undone."""
    with suppress(_Undone), db.system_write() as tx:
        yield tx
        raise _Undone("as every test leaves it")


@pytest.fixture
def call_as(system_tx: SystemTx, deps: Deps, clock: FixedClock) -> MakeCall:
    """Make calls of other tenants and people, all inside the same transaction."""
    from auditkeep.access.principals import Principal
    from auditkeep.operations.call import Call

    def make(tenant: Tenant, *, user: str = "alice", registered: bool = True) -> Call:
        tx = system_tx.of(tenant)
        if registered:
            accounts.register(tx, None, clock.now())
        return Call(
            tx=tx,
            tenant=tenant,
            principal=Principal(
                account=tenant.account,
                user=user,
                arn=f"arn:aws:iam::{tenant.account}:user/{user}",
                policies=("AWSAuditManagerAdministratorAccess",),
                access_key_id="AKIATEST",
            ),
            now=clock.now(),
            request_id="11111111-2222-4333-8444-555555555555",
            base_url="http://127.0.0.1:8080",
            deps=deps,
        )

    return make


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A deployment that the rules of one module share."""
    from tests.operations.world import World

    made = World(tmp_path_factory.mktemp("world"))
    assert made.open.id != made.over.id  # both are made now, and not while a refusal is awaited
    yield made
    made.close()


@pytest.fixture
def call(call_as: MakeCall, tenant: Tenant) -> Call:
    """A call of an administrator of a registered tenant."""
    return call_as(tenant)


@pytest.fixture
def unregistered(call_as: MakeCall) -> Call:
    """A call from an account that never registered."""
    return call_as(Tenant("444455556666", "us-east-1"), registered=False)


@pytest.fixture
def elsewhere(call_as: MakeCall) -> Call:
    """A call of another registered tenant in the same database."""
    return call_as(Tenant("999988887777", "us-east-1"))
