"""Asking for everything of a tenant to be destroyed, in the transaction of DeregisterAccount.

Here the request becomes durable, and all that others see of it happens at once: who asked is in the
log, the tenant is gone on the wire, nobody can accept what it had offered, nothing is collected
for it. `workflows.erase` does the rest, whatever becomes of this process.

What others hold stays theirs: a framework they accepted before, and their record of a request. What
was offered and not accepted is the sender's, and goes.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from auditkeep.accounts import erasure, store
from auditkeep.accounts.model import Account
from auditkeep.frameworks import sharing_store
from auditkeep.frameworks.sharing_model import KeptStatus, Side
from auditkeep.ids import new_id
from auditkeep.lake import governance, holds
from auditkeep.operations.call import Call
from auditkeep.work.jobs import enqueue

_ENDED: Final[Mapping[Side, KeptStatus]] = {"SENT": "REVOKED", "RECEIVED": "FAILED"}


def is_asked_for(account: Account) -> bool:
    """Whether deregistering the account, as it is set up, destroys everything."""
    return account.status == "ACTIVE" and account.settings.delete_resources == "ALL"


def begin(call: Call) -> None:
    """Let everything of the tenant be destroyed; nothing where there is nothing, or it is gone.

    The caller has closed its intervals. InvalidRequest under a legal hold; LogError if the database
    is behind the published log.
    """
    call.tx.lock_tenant()
    account = store.find(call.tx)
    if account is None or account.status in {"ERASING", "ERASED"}:
        return
    holds.require_none(call.tx)
    _end_shares(call)
    authority = call.authority(governance.DEREGISTER_ACCOUNT)
    lake, settings = call.deps.lake, call.deps.settings
    governance.record_given(call.tx, lake, authority, [authority], call.now)
    asked = erasure.begin(call.tx, new_id(), authority.id, call.now, settings.erase_minutes)
    enqueue(call.tx, erasure.JOB, asked.id, call.now)
    call.tx.after_commit(call.deps.wake)


def _end_shares(call: Call) -> None:
    """Requests that wait for an answer end: those sent as revoked, those received as failed."""
    for side in sharing_store.SIDES:
        for known in sharing_store.open_of(call.tx, side):
            sharing_store.lock(call.tx, known.id)  # in the order of ids: nobody waits in a circle
            request = sharing_store.get(call.tx, known.id, side)  # as it is under the lock
            if request.status != "ACTIVE":
                continue
            if request.expires_at > call.now:  # otherwise it is shown as EXPIRED, and stays so
                request = replace(request, status=_ENDED[side], updated_at=call.now)
            sharing_store.settle(call.tx, request)
