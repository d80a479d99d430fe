"""Coverage, gaps, plan and baseline, for the API's users; `collection` computes them."""

from collections.abc import Iterable

from auditkeep.clock import SECOND, Instant, wire
from auditkeep.collection import baseline, gaps
from auditkeep.collection.baseline import Baseline
from auditkeep.collection.coverage import Coverage
from auditkeep.collection.gaps import Gap
from auditkeep.collection.knowing import Knowing
from auditkeep.collection.plan import Plan, Question
from auditkeep.collection.targets import REGION_OFF
from auditkeep.operations.auditkeep.keeping import kept
from auditkeep.operations.auditmanager.pages import time_key
from auditkeep.operations.auditmanager.standing import assessment_for
from auditkeep.operations.call import Call, pair
from auditkeep.wire import paging
from auditkeep.wire.models import auditkeep as ak

_SHOWN = 3
"""Accounts that are named of those whose region is left out."""


def get_coverage(call: Call, ask: ak.GetCoverageRequest) -> ak.GetCoverageResponse:
    assessment = assessment_for(call, ask.assessment_id, "GetAssessment")
    found = _knowing(call).of_assessment(assessment)
    return ak.GetCoverageResponse(controls=tuple(map(_covered, found)))


def get_baseline_coverage(
    call: Call, ask: ak.GetBaselineCoverageRequest
) -> ak.GetBaselineCoverageResponse:
    framework = baseline.framework_of(call.tx, call.deps.library, ask.framework_id)
    found = _knowing(call).of_framework(framework)
    return ak.GetBaselineCoverageResponse(controls=tuple(map(_covered, found)))


def _knowing(call: Call) -> Knowing:
    return Knowing(call.tx, call.deps.plans, call.now)


def list_gaps(call: Call, ask: ak.ListGapsRequest) -> ak.ListGapsResponse:
    secret = call.deps.id_secret
    scope = paging.scope("ListGaps", call.tenant, str(ask.open), str(ask.since))
    key = paging.read(ask.next_token, secret, scope)
    found = gaps.listed(
        call.tx,
        since=None if ask.since is None else Instant(round(ask.since * SECOND)),
        only_open=bool(ask.open),
        after=time_key(key),
        limit=paging.size(ask.max_results) + 1,
    )
    page, token = paging.page(found, ask.max_results, lambda g: (g.opens_at, g.id), secret, scope)
    return ak.ListGapsResponse(gaps=tuple(map(_gap, page)), next_token=token)


def get_collection_plan(
    call: Call,
    ask: ak.GetCollectionPlanRequest,  # noqa: ARG001 - it has no members
) -> ak.GetCollectionPlanResponse:
    plan = call.deps.plans.of(call.tx, call.now)
    return ak.GetCollectionPlanResponse(
        asks=call.deps.settings.collects,
        questions=plan.size,
        plan=tuple(_planned(plan)),
        left_out=tuple(
            ak.LeftOutRegion(
                region=region,
                reason=REGION_OFF,
                accounts=len(off),
                examples=tuple(off[:_SHOWN]),
                questions=questions,
            )
            for region, (off, questions) in plan.regions_off().items()
        ),
        keeping=kept(call),
    )


def get_baseline(
    call: Call,
    ask: ak.GetBaselineRequest,  # noqa: ARG001 - it has no members
) -> ak.GetBaselineResponse:
    kept = baseline.find(call.tx)
    return ak.GetBaselineResponse(framework_ids=kept.frameworks, accounts=kept.accounts)


def put_baseline(call: Call, ask: ak.PutBaselineRequest) -> ak.PutBaselineResponse:
    kept: Baseline = baseline.put(
        call.tx, call.deps.library, ask.framework_ids, ask.accounts or (), call.now
    )
    return ak.PutBaselineResponse(framework_ids=kept.frameworks, accounts=kept.accounts)


def _planned(plan: Plan) -> Iterable[ak.PlannedQuestion]:
    rows: dict[Question, tuple[set[str], set[str], set[object], set[str]]] = {}
    for territory in plan.territories:
        for duty in territory.duties:
            accounts, regions, reasons, often = rows.setdefault(
                duty.question, (set(), set(), set(), set())
            )
            accounts.update(territory.accounts)
            regions.add(territory.region)
            reasons |= duty.reasons
            often |= {r.every for r in duty.rhythms}
    for question, (accounts, regions, reasons, often) in sorted(
        rows.items(), key=lambda r: (r[0].source, r[0].what)
    ):
        yield ak.PlannedQuestion(
            source=question.source,
            what=question.what or None,
            accounts=len(accounts),
            regions=tuple(sorted(regions)),
            controls=len(reasons),
            frequencies=tuple(sorted(often)),
        )


def _covered(one: Coverage) -> ak.ControlCoverage:
    return ak.ControlCoverage(
        control_name=one.name,
        state=one.state,
        expected=one.expected,
        answered=one.answered,
        last_answer=_wire(one.last_answer),
        last_evidence=_wire(one.last_evidence),
        lacks=tuple(
            ak.Lack(
                reason=lack.reason,
                detail=lack.detail or None,
                message=lack.message,
                what=lack.what or None,
                places=lack.count,
                examples=tuple(f"{p.account} {p.region}" for p in lack.places),
            )
            for lack in one.lacks
        ),
        doubts=tuple(
            ak.KeywordDoubt(
                source_type=d.source,
                keyword=d.keyword,
                message=d.message,
                suggestions=d.suggestions,
            )
            for d in one.doubts
        ),
    )


def _gap(gap: Gap) -> ak.Gap:
    return ak.Gap(
        id=gap.id,
        account=gap.place.account,
        region=gap.place.region,
        source=gap.place.source,
        what=gap.what or None,
        opens_at=wire(gap.opens_at),
        closes_at=_wire(gap.closes_at),
        reason=gap.reason,
        detail=gap.detail or None,
        message=gap.message,
        filled=gap.filled,
    )


def _wire(at: Instant | None) -> float | None:
    return None if at is None else wire(at)


OPERATIONS = (
    pair(ak.GET_COVERAGE, get_coverage),
    pair(ak.GET_BASELINE_COVERAGE, get_baseline_coverage),
    pair(ak.LIST_GAPS, list_gaps),
    pair(ak.GET_COLLECTION_PLAN, get_collection_plan),
    pair(ak.GET_BASELINE, get_baseline),
    pair(ak.PUT_BASELINE, put_baseline),
)
