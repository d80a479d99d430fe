"""Insights: today's evidence in numbers (spec section 7).

The day is the UTC date of `lastUpdated`, which is now: nothing is computed ahead. Without a
catalogue of common controls every control belongs to the domain UNCATEGORIZED.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from auditkeep import clock
from auditkeep.assessments import store
from auditkeep.assessments.model import AssessedControl, Assessment
from auditkeep.clock import day_of, day_start
from auditkeep.evidence import insights
from auditkeep.evidence.counts import Counts
from auditkeep.evidence.insights import Shown, Watched
from auditkeep.operations.call import Call, pair
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am

UNCATEGORIZED = "UNCATEGORIZED"

Row = TypeVar("Row")


@dataclass(slots=True)
class _Control:
    """One control of the library, over the assessments that were asked about."""

    id: str
    name: str
    set_name: str = ""
    counts: Counts = field(default_factory=Counts)


def get_insights(call: Call, _ask: am.GetInsightsRequest) -> am.GetInsightsResponse:
    """Over all ACTIVE assessments, and those that ended today; counts are absent without one."""
    watched = store.shown_on(call.tx, day_start(day_of(call.now)))
    active = [a for a in watched if a.active]
    updated = clock.wire(call.now)
    if not watched:
        return am.GetInsightsResponse(
            insights=am.Insights(active_assessments_count=0, last_updated=updated)
        )
    seen = _seen(call, watched)
    total = _total(seen.values())
    return am.GetInsightsResponse(
        insights=am.Insights(
            active_assessments_count=len(active),
            noncompliant_evidence_count=total.noncompliant,
            compliant_evidence_count=total.compliant,
            inconclusive_evidence_count=total.inconclusive,
            assessment_controls_count_by_noncompliant_evidence=_failing(seen.values()),
            total_assessment_controls_count=store.count_controls(call.tx, [a.id for a in active]),
            last_updated=updated,
        )
    )


def get_insights_by_assessment(
    call: Call, ask: am.GetInsightsByAssessmentRequest
) -> am.GetInsightsByAssessmentResponse:
    assessment = store.get(call.tx, ask.assessment_id)
    seen = _seen(call, [assessment])
    total = _total(seen.values())
    return am.GetInsightsByAssessmentResponse(
        insights=am.InsightsByAssessment(
            noncompliant_evidence_count=total.noncompliant,
            compliant_evidence_count=total.compliant,
            inconclusive_evidence_count=total.inconclusive,
            assessment_controls_count_by_noncompliant_evidence=_failing(seen.values()),
            total_assessment_controls_count=store.count_controls(call.tx, [assessment.id]),
            last_updated=clock.wire(call.now),
        )
    )


def list_control_domain_insights(
    call: Call, ask: am.ListControlDomainInsightsRequest
) -> am.ListControlDomainInsightsResponse:
    watched = store.shown_on(call.tx, day_start(day_of(call.now)))
    shown, token = _domains(call, watched, ask.next_token, ask.max_results)
    return am.ListControlDomainInsightsResponse(control_domain_insights=shown, next_token=token)


def list_control_domain_insights_by_assessment(
    call: Call, ask: am.ListControlDomainInsightsByAssessmentRequest
) -> am.ListControlDomainInsightsByAssessmentResponse:
    assessment = store.get(call.tx, ask.assessment_id)
    shown, token = _domains(call, [assessment], ask.next_token, ask.max_results)
    return am.ListControlDomainInsightsByAssessmentResponse(
        control_domain_insights=shown, next_token=token
    )


def list_control_insights_by_control_domain(
    call: Call, ask: am.ListControlInsightsByControlDomainRequest
) -> am.ListControlInsightsByControlDomainResponse:
    """Controls that collected evidence today, over all assessments, the worst first."""
    found: dict[str, _Control] = {}
    if ask.control_domain_id == UNCATEGORIZED:
        watched = store.shown_on(call.tx, day_start(day_of(call.now)))
        for one, counts in _controls(call, watched):
            known = found.setdefault(one.control_id, _Control(one.control_id, one.copy.name))
            known.counts.merge(counts)
    scope = paging.scope("ListControlInsightsByControlDomain", call.tenant, ask.control_domain_id)
    shown, token = _ranked(call, list(found.values()), scope, ask.next_token, ask.max_results)
    return am.ListControlInsightsByControlDomainResponse(
        control_insights_metadata=tuple(
            am.ControlInsightsMetadataItem(
                name=c.name,
                id=c.id,
                evidence_insights=_evidence_insights(c.counts),
                last_updated=clock.wire(call.now),
            )
            for c in shown
        ),
        next_token=token,
    )


def list_assessment_control_insights_by_control_domain(
    call: Call, ask: am.ListAssessmentControlInsightsByControlDomainRequest
) -> am.ListAssessmentControlInsightsByControlDomainResponse:
    """The controls of one assessment that collected evidence today, the worst first."""
    assessment = store.get(call.tx, ask.assessment_id)
    found = []
    if ask.control_domain_id == UNCATEGORIZED:
        found = [
            _Control(c.control_id, c.copy.name, c.set_id, counts)
            for c, counts in _controls(call, [assessment])
        ]
    scope = paging.scope(
        "ListAssessmentControlInsightsByControlDomain",
        call.tenant,
        ask.control_domain_id,
        assessment.id,
    )
    shown, token = _ranked(call, found, scope, ask.next_token, ask.max_results)
    return am.ListAssessmentControlInsightsByControlDomainResponse(
        control_insights_by_assessment=tuple(
            am.ControlInsightsMetadataByAssessmentItem(
                name=c.name,
                id=c.id,
                evidence_insights=_evidence_insights(c.counts),
                control_set_name=c.set_name,
                last_updated=clock.wire(call.now),
            )
            for c in shown
        ),
        next_token=token,
    )


def _seen(call: Call, assessments: Sequence[Assessment]) -> dict[str, Shown]:
    watched = [Watched(a.id, a.version, a.next_ordinal, a.frozen_at_batch) for a in assessments]
    memo = call.deps.caches.insights
    return insights.of_day(call.tx, call.deps.lake, memo, watched, day_of(call.now))


def _controls(
    call: Call, assessments: Sequence[Assessment]
) -> Iterable[tuple[AssessedControl, Counts]]:
    """The controls that saw something today, with what they saw."""
    for assessment_id, seen in _seen(call, assessments).items():
        if seen.by_control:
            for control in store.controls(call.tx, assessment_id):
                if control.ordinal in seen.by_control:
                    yield control, seen.by_control[control.ordinal]


def _domains(
    call: Call,
    assessments: Sequence[Assessment],
    next_token: str | None,
    max_results: int | None,
) -> tuple[tuple[am.ControlDomainInsights, ...], str | None]:
    """The one domain there is, if any of its controls collected evidence today."""
    ids = ",".join(sorted(a.id for a in assessments))
    scope = paging.scope("ListControlDomainInsights", call.tenant, ids)
    paging.read(next_token, call.deps.id_secret, scope)
    seen = _seen(call, assessments)
    total = _total(seen.values())
    if not total.total:
        return (), None
    active = [a.id for a in assessments if a.active or len(assessments) == 1]
    domain = am.ControlDomainInsights(
        name="Uncategorized",
        id=UNCATEGORIZED,
        controls_count_by_noncompliant_evidence=_failing(seen.values()),
        total_controls_count=store.count_controls(call.tx, active),
        evidence_insights=_evidence_insights(total),
        last_updated=clock.wire(call.now),
    )
    rows, token = paging.page(
        [domain], max_results, lambda _: (UNCATEGORIZED,), call.deps.id_secret, scope
    )
    return tuple(rows), token


def _ranked(
    call: Call,
    controls: list[_Control],
    scope: str,
    next_token: str | None,
    max_results: int | None,
) -> tuple[Sequence[_Control], str | None]:
    """A page of controls: most non-compliant evidence first, then by name."""
    rank: Callable[[_Control], tuple[int | str, ...]] = lambda c: (  # noqa: E731
        -c.counts.noncompliant,
        c.name,
        c.id,
        c.set_name,
    )
    secret = call.deps.id_secret
    after = paging.read(next_token, secret, scope)
    ranked = sorted(controls, key=rank)
    if after is not None:
        ranked = [c for c in ranked if rank(c) > after]
    return paging.page(ranked[: paging.size(max_results) + 1], max_results, rank, secret, scope)


def _total(seen: Iterable[Shown]) -> Counts:
    total = Counts()
    for one in seen:
        total.merge(one.total)
    return total


def _failing(seen: Iterable[Shown]) -> int:
    """Assessment controls with non-compliant evidence."""
    return sum(one.failing for one in seen)


def _evidence_insights(counts: Counts) -> am.EvidenceInsights:
    return am.EvidenceInsights(
        noncompliant_evidence_count=counts.noncompliant,
        compliant_evidence_count=counts.compliant,
        inconclusive_evidence_count=counts.inconclusive,
    )


OPERATIONS = (
    pair(am.GET_INSIGHTS, get_insights),
    pair(am.GET_INSIGHTS_BY_ASSESSMENT, get_insights_by_assessment),
    pair(am.LIST_CONTROL_DOMAIN_INSIGHTS, list_control_domain_insights),
    pair(am.LIST_CONTROL_DOMAIN_INSIGHTS_BY_ASSESSMENT, list_control_domain_insights_by_assessment),
    pair(am.LIST_CONTROL_INSIGHTS_BY_CONTROL_DOMAIN, list_control_insights_by_control_domain),
    pair(
        am.LIST_ASSESSMENT_CONTROL_INSIGHTS_BY_CONTROL_DOMAIN,
        list_assessment_control_insights_by_control_domain,
    ),
)
