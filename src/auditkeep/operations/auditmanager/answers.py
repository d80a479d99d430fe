"""The whole of an assessment as the API shows it: gathered from few queries, kept while it holds.

All that the answer depends on, besides who asks, are the assessment's version, which its tags move
too, and the lake's last batch: an answer kept under both is right for as long as neither moves.
"""

from collections.abc import Hashable
from typing import cast

from auditkeep.access import grants
from auditkeep.accounts import tags
from auditkeep.assessments import review, store, wire
from auditkeep.assessments.model import AssessedControl, Assessment
from auditkeep.assessments.wire import Parts, Tally
from auditkeep.evidence import lens, selection
from auditkeep.evidence.totals import totals
from auditkeep.ids import principal_of, same_principal
from auditkeep.operations.caches import KeptAnswer
from auditkeep.operations.call import Call
from auditkeep.wire import codec
from auditkeep.wire.model import Encoded
from auditkeep.wire.models import auditmanager as am


def kept_answer(call: Call, assessment: Assessment, last_batch: int) -> am.GetAssessmentResponse:
    """GetAssessment's answer, for an assessment that this transaction has not changed.

    What is asked for most is built and written out once: the answer is kept as its bytes.
    """
    memo = call.deps.caches.assessments
    key = _key(call, assessment.id, assessment.version, last_batch)
    kept = memo.get(key)
    if kept is None:
        owner = _owner_of(call, assessment)
        answer = am.GetAssessmentResponse(
            assessment=answer_of(call, assessment),
            user_role=_role_of(call, assessment, owner),
        )
        kept = KeptAnswer(Encoded(body=codec.encode(answer)), owner is not None)
        memo.put(key, kept)
    return cast("am.GetAssessmentResponse", kept.encoded)


def still_right(call: Call, assessment_id: str, version: int, last_batch: int) -> bytes | None:
    """The answer kept for the caller, if there is one and they may have it without more ado."""
    kept = call.deps.caches.assessments.get(_key(call, assessment_id, version, last_batch))
    if kept is None or not (kept.to_owner or grants.is_administrator(call.principal)):
        return None
    return kept.encoded.body


def _key(call: Call, assessment_id: str, version: int, last_batch: int) -> Hashable:
    """What somebody is in an assessment changes with its version, as all else that is shown."""
    return call.tenant, assessment_id, version, last_batch, principal_of(call.principal.arn)


def answer_of(call: Call, assessment: Assessment) -> am.Assessment:
    """The assessment as of now, which this very transaction may have changed."""
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
    found = totals(call.tx, lake, lenses)
    chosen = selection.of_assessment(call.tx, assessment.id)
    wanted = {p: s for p, s in chosen.items() if p[0] in set(ordinals)}
    selected: dict[int, int] = {}
    for place, number in selection.selected_counts(call.tx, lake, lenses, wanted).items():
        selected[place[0]] = selected.get(place[0], 0) + number
    return {
        ordinal: Tally(total.system, total.manual, selected.get(ordinal, 0))
        for ordinal, total in found.items()
    }


def _owner_of(call: Call, assessment: Assessment) -> str | None:
    """The ARN by which the caller is an audit owner, if they are one."""
    owners = assessment.document.owners
    return next((o for o in owners if same_principal(o, call.principal.arn)), None)


def _role_of(call: Call, assessment: Assessment, owner: str | None) -> am.Role | None:
    """What the caller is in the assessment, under the ARN they were named by: `userRole`.

    An owner is that before being anybody's delegate; an administrator without a role has none.
    """
    if owner is not None:
        return am.Role(role_type="PROCESS_OWNER", role_arn=owner)
    me = call.principal.arn
    if not assessment.active:
        return None  # its delegates have none any more
    for one in review.delegations_of(call.tx, [assessment.id]):
        if same_principal(one.role_arn, me):
            return am.Role(role_type="RESOURCE_OWNER", role_arn=one.role_arn)
    return None
