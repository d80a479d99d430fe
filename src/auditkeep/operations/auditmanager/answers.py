"""The whole of an assessment as the API shows it: gathered from few queries, kept while it holds.

All that the answer depends on, besides tags, is the assessment's version and the lake's last
batch, so an answer kept under both is right for as long as neither moves.
"""

from msgspec.structs import replace

from auditkeep.accounts import tags
from auditkeep.assessments import review, store, wire
from auditkeep.assessments.model import AssessedControl, Assessment
from auditkeep.assessments.wire import Parts, Tally
from auditkeep.evidence import folders, lens, selection
from auditkeep.evidence.progress import last_batch_no
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am


def kept_answer(call: Call, assessment: Assessment) -> am.Assessment:
    """The answer for an assessment that this transaction has not changed."""
    memo = call.deps.caches.assessments
    key = (call.tenant, assessment.id, assessment.version, last_batch_no(call.tx))
    answer = memo.get(key)
    if answer is None:
        answer = wire.to_assessment(parts_of(call, assessment), call.tenant, {})
        memo.put(key, answer)
    return replace(answer, tags=tags.of(call.tx, assessment.arn(call.tenant)))


def answer_of(call: Call, assessment: Assessment) -> am.Assessment:
    """The answer as of now, for an assessment that this very transaction may have changed."""
    found = tags.of(call.tx, assessment.arn(call.tenant))
    return wire.to_assessment(parts_of(call, assessment), call.tenant, found)


def parts_of(call: Call, assessment: Assessment) -> Parts:
    controls = store.controls(call.tx, assessment.id)
    return Parts(
        assessment=assessment,
        sets=store.sets(call.tx, assessment.id),
        controls=controls,
        comments=review.comments(call.tx, assessment.id),
        delegations=review.delegations_of(call.tx, [assessment.id]),
        tallies=tallies(call, assessment, controls),
    )


def tallies(
    call: Call, assessment: Assessment, controls: list[AssessedControl]
) -> dict[int, Tally]:
    """How much evidence some controls have, and how much of it is selected, by ordinal."""
    lake = call.deps.lake
    ordinals = [c.ordinal for c in controls]
    lenses = lens.load(call.tx, assessment.id, ordinals, assessment.frozen_at_batch)
    totals = folders.totals(call.tx, lake, lenses)
    chosen = selection.of_assessment(call.tx, assessment.id)
    wanted = {p: s for p, s in chosen.items() if p[0] in set(ordinals)}
    selected: dict[int, int] = {}
    for place, number in selection.selected_counts(call.tx, lake, lenses, wanted).items():
        selected[place[0]] = selected.get(place[0], 0) + number
    return {
        ordinal: Tally(counts.system, counts.manual, selected.get(ordinal, 0))
        for ordinal, counts in totals.items()
    }
