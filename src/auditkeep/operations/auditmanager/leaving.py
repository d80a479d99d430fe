"""An account that leaves the organisation leaves every scope (spec 3.8, 12 point 3).

What was collected stays readable; nothing of the account is collected any more. The change log
says so, under the name of the service's own role. A delegated administrator that leaves has
administered: its assessments sleep, as after a deregistration.
"""

from collections.abc import Iterable
from dataclasses import replace as with_

from msgspec.structs import replace

from auditkeep.accounts import organisation
from auditkeep.assessments import store
from auditkeep.operations.auditmanager import scoping
from auditkeep.operations.auditmanager.propagation import organisation_passed_on
from auditkeep.operations.auditmanager.standing import log_assessment
from auditkeep.operations.call import Call


def accounts_left(call: Call, gone: Iterable[str]) -> int:
    """Take accounts out of this tenant's ACTIVE assessments; how many assessments that changed.

    An account's own assessments of itself are its own affair and stay as they are.
    """
    leaving = frozenset(gone) - {call.tenant.account}
    call.tx.lock_tenant()
    changed = 0
    for assessment in store.active(call.tx):
        left = tuple(a for a in assessment.document.accounts if a.id not in leaving)
        if len(left) == len(assessment.document.accounts):
            continue
        document = replace(assessment.document, accounts=left)
        saved = store.save(call.tx, replace(assessment, document=document, updated_at=call.now))
        if not saved.dormant:
            scoping.reopen_lenses(call, saved)
        log_assessment(call, saved, "UPDATE_METADATA")
        changed += 1
    return changed


def administrators_left(call: Call, gone: Iterable[str]) -> None:
    """End the administration of accounts that are members no more, in every region."""
    for tenant in organisation.dismiss(call.tx.system(), gone):
        theirs = with_(call, tx=call.tx.system().of(tenant), tenant=tenant)
        theirs.tx.lock_tenant()
        organisation_passed_on(theirs)
