"""What a change in the library or of the registration means for assessments that are ACTIVE.

Called in the transaction of the change (design section 1): intervals close and open with it, and
what was already collected stays as it is. Framework edits touch no assessment, but the baseline.
"""

from msgspec.structs import replace

from auditkeep.assessments import store
from auditkeep.assessments.model import AssessedControl, ControlCopy
from auditkeep.clock import Day, Instant, day_of, day_start
from auditkeep.collection import baseline
from auditkeep.evidence import lens
from auditkeep.frameworks.model import Control
from auditkeep.operations.auditmanager.copying import copy_of
from auditkeep.operations.auditmanager.scoping import look
from auditkeep.operations.call import Call

_API_CALLS = "api:"
"""How match keys of API calls begin: those are asked for at midnight UTC (spec section 3.1)."""


def control_edited(call: Call, control: Control) -> None:
    """A custom control says, or looks at, something else from now on; API calls from midnight."""
    baseline.library_changed(call.tx)
    copy = copy_of(control, call.deps.library)
    for assessment_id, uses in store.uses_of(call.tx, control.id).items():
        store.rewrite_control(call.tx, assessment_id, [u.ordinal for u in uses], copy)
        changed = [u for u in uses if u.copy.by_rhythm() != copy.by_rhythm()]
        _reopen(call, assessment_id, changed, copy)
        store.touch(call.tx, assessment_id)


def control_deleted(call: Call, control_id: str) -> None:
    """Collection for it ends; past evidence stays readable in its assessments."""
    baseline.library_changed(call.tx)
    for assessment_id, uses in store.uses_of(call.tx, control_id).items():
        ordinals = [u.ordinal for u in uses]
        lens.close(call.tx, assessment_id, call.now, ordinals)
        store.mark_removed(call.tx, assessment_id, ordinals)
        store.touch(call.tx, assessment_id)


def framework_edited(call: Call) -> None:
    """Assessments are copies; only the baseline looks at what a framework holds now."""
    baseline.library_changed(call.tx)


def account_deregistered(call: Call) -> None:
    """All intervals close; assessments sleep until they are saved again (spec section 2.1)."""
    call.tx.lock_tenant()  # what is read here is written back
    for assessment in store.active(call.tx):
        lens.close(call.tx, assessment.id, call.now)
        store.save(call.tx, replace(assessment, dormant=True))


def organisation_passed_on(call: Call) -> None:
    """Another account collects for the organisation from now on: the same (spec section 8.4)."""
    account_deregistered(call)
    baseline.members_changed(call.tx)


def _reopen(call: Call, assessment_id: str, uses: list[AssessedControl], copy: ControlCopy) -> None:
    assessment = store.get(call.tx, assessment_id)
    lens.close(call.tx, assessment_id, call.now, [u.ordinal for u in uses])
    if assessment.dormant:
        return
    looking = {u.ordinal: copy for u in uses if u.status != "INACTIVE"}
    midnight = _next_midnight(call.now)
    look(call, assessment, looking, call.now, only=lambda key: not key.startswith(_API_CALLS))
    look(call, assessment, looking, midnight, only=lambda key: key.startswith(_API_CALLS))


def _next_midnight(now: Instant) -> Instant:
    return day_start(Day(day_of(now) + 1))
