"""The members of the organisation, read from AWS now and then, and what their leaving means.

Reading waits for the network outside any transaction; what was read is written in one, together
with the scopes that change. A reading that fails changes nothing and is tried again.
"""

import logging
from collections.abc import Callable, Collection
from functools import partial

from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.principals import Principal
from auditkeep.accounts import members, organisation
from auditkeep.accounts.members import Organisation
from auditkeep.assessments import store
from auditkeep.clock import Clock, Instant
from auditkeep.collection import baseline
from auditkeep.crypto.asking import begun_again
from auditkeep.db.database import Database
from auditkeep.db.tx import SystemTx
from auditkeep.ids import Tenant, new_id
from auditkeep.operations.auditmanager.leaving import accounts_left, administrators_left
from auditkeep.operations.call import Call, Deps
from auditkeep.repeating import Repeating

SOON = 30.0
"""Seconds after which a reading that failed is tried again."""

_LOG = logging.getLogger("auditkeep.organization")


@begun_again
def refresh(
    db: Database, deps: Deps, clock: Clock, read: Callable[[], Organisation]
) -> frozenset[str]:
    """Read the members and keep them; the accounts that have left."""
    found = read()
    with db.system_write() as tx:
        before = members.joined(tx)
        gone = members.replace(tx, found, clock.now())
        leave(tx, deps, clock.now(), gone)
        if before.keys() != {m.account for m in found.members}:
            for tenant in organisation.administrators(tx):
                baseline.members_changed(tx.of(tenant))
    return gone


def leave(tx: SystemTx, deps: Deps, now: Instant, gone: Collection[str]) -> int:
    """Take accounts out of every tenant's scopes; how many assessments that changed."""
    if not gone:
        return 0
    tx.lock("organisation")  # before any tenant's lock, as whoever registers an administrator does
    changed = 0
    for tenant in store.collecting(tx):
        changed += accounts_left(_as_service(tx, tenant, deps, now), gone)
    nobody = Tenant(min(gone), "us-east-1")
    administrators_left(_as_service(tx, nobody, deps, now), gone)
    for account in sorted(gone):
        _LOG.warning("account %s has left the organisation, and every scope it was in", account)
    return changed


def _as_service(tx: SystemTx, tenant: Tenant, deps: Deps, now: Instant) -> Call:
    """A call by the service itself, under the name of its role."""
    name = "AWSServiceRoleForAuditManager"
    arn = f"arn:aws:iam::{tenant.account}:role/aws-service-role/auditmanager.amazonaws.com/{name}"
    principal = Principal(tenant.account, name, arn, (ADMINISTRATOR,), "")
    return Call(tx.of(tenant), tenant, principal, now, new_id(), "", deps)


class MembersThread:
    """Reads the members again every so many minutes, for as long as the server runs."""

    def __init__(
        self, db: Database, deps: Deps, clock: Clock, read: Callable[[], Organisation]
    ) -> None:
        seconds = deps.settings.organizations_minutes * 60.0
        self._turns = Repeating(
            "members",
            partial(refresh, db, deps, clock, read),
            seconds,
            log=_LOG,
            put_off="The organisation's members stay as they were read before",
            after_failure=min(SOON, seconds),
        )

    def start(self) -> None:
        self._turns.start()

    def stop(self) -> None:
        self._turns.stop()
