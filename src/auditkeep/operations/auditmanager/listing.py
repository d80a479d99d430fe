"""Assessments as lists show them: built once for each version, and kept.

An assessment's version moves with every change of it or of its delegations, and an item of the
list, and who may see it, depend on nothing else.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from msgspec import Raw

from auditkeep.access import grants
from auditkeep.access.principals import Principal
from auditkeep.assessments import review, store, wire
from auditkeep.assessments.model import Assessment, Delegation
from auditkeep.ids import principal_of
from auditkeep.operations.caches import Listed
from auditkeep.operations.call import Call
from auditkeep.wire import codec
from auditkeep.wire.models import auditmanager as am


def listed(call: Call, heads: Sequence[store.Head]) -> list[Listed]:
    """What lists show of some assessments, in their order."""
    memo = call.deps.caches.listed
    keys = [(call.tenant, head.id, head.version) for head in heads]
    known = {key[1]: one for key in keys if (one := memo.get(key)) is not None}
    missing = [head.id for head in heads if head.id not in known]
    if missing:
        delegations = review.delegations_of(call.tx, missing)
        for assessment in store.some(call.tx, missing):
            mine = [d for d in delegations if d.assessment_id == assessment.id]
            one = known[assessment.id] = _listed(assessment, mine)
            memo.put((call.tenant, assessment.id, assessment.version), one)
    return [known[head.id] for head in heads]


def shown(principal: Principal, one: Listed) -> am.AssessmentMetadataItem | None:
    """The item as the caller sees it: all of it, what they work on, or nothing."""
    me = principal_of(principal.arn)
    if me in one.owners or grants.is_administrator(principal):
        return one.item
    return one.delegates.get(me)


def _listed(assessment: Assessment, delegations: Sequence[Delegation]) -> Listed:
    """Delegates of an INACTIVE assessment have lost their access (spec section 2.2)."""
    theirs: dict[str, list[Delegation]] = defaultdict(list)
    for delegation in delegations if assessment.active else ():
        theirs[principal_of(delegation.role_arn)].append(delegation)
    return Listed(
        key=(assessment.created_at, assessment.id),
        item=_item(assessment, delegations),
        owners=frozenset(map(principal_of, assessment.document.owners)),
        delegates={who: _item(assessment, some) for who, some in theirs.items()},
    )


def _item(assessment: Assessment, delegations: Sequence[Delegation]) -> am.AssessmentMetadataItem:
    """Written out already: the encoder puts it into every answer as it is."""
    item = Raw(codec.encode(wire.to_item(assessment, delegations)))
    return cast("am.AssessmentMetadataItem", item)
