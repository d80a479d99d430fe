"""Backfill: an assessment's lenses reach into the past, and what was kept there is its evidence.

Nothing is collected or copied. Each control that collects by itself gets an interval from `start`
up to where its first one opens; what was not kept back then stays missing.
"""

from auditkeep.assessments import rules, store
from auditkeep.assessments.model import Assessment
from auditkeep.clock import Instant, iso
from auditkeep.errors import InvalidRequest
from auditkeep.evidence import lens, selection
from auditkeep.operations.auditmanager.scoping import look
from auditkeep.operations.auditmanager.standing import assessment_for, log_assessment
from auditkeep.operations.call import Call


def start_backfill(call: Call, assessment_id: str, start: Instant) -> int:
    """Let an assessment see from `start` on; how many of its controls see further back now.

    InvalidRequest for a start in the future, and for assessments that are INACTIVE or dormant.
    Where a control sees as far back already, nothing changes, so asking twice is harmless.
    """
    call.tx.lock_tenant()  # nothing is appended while intervals change
    assessment = assessment_for(call, assessment_id, "UpdateAssessment")
    rules.require_active(assessment.status)
    if assessment.dormant:
        raise InvalidRequest(
            "This assessment is dormant: its account was deregistered, or handed its organisation "
            "over. Once that is undone, save it (UpdateAssessment), then backfill it."
        )
    if start > call.now:
        raise InvalidRequest.of_field("start", f"is in the future: {iso(start)}.")
    openings = _later_openings(call, assessment, start)
    lenses = lens.load(call.tx, assessment.id, openings, assessment.frozen_at_batch)
    selection.spell_out(call.tx, call.deps.lake, assessment.id, lenses)
    copies = {c.ordinal: c.copy for c in store.controls(call.tx, assessment.id)}
    for opening in sorted(set(openings.values())):
        looking = {o: copies[o] for o, first in openings.items() if first == opening}
        look(call, assessment, looking, start, opening)
    store.touch(call.tx, assessment.id, call.now)
    log_assessment(call, assessment, "UPDATE_METADATA")
    return len(openings)


def _later_openings(call: Call, assessment: Assessment, start: Instant) -> dict[int, Instant]:
    """Controls that would see more, by ordinal, with the event time they see from until now."""
    first = lens.first_openings(call.tx, assessment.id)
    return {
        c.ordinal: first[c.ordinal]
        for c in store.controls(call.tx, assessment.id)
        if first.get(c.ordinal, start) > start and not c.removed and c.status != "INACTIVE"
    }
