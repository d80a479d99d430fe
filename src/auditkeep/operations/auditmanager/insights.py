"""Insights: today's evidence in numbers (spec section 7).

The day is the UTC date of `lastUpdated`, which is now: nothing is computed ahead, so nothing lags.

    what                            rule
    whose evidence                  of ACTIVE assessments, and of those that ended today
    evidence counts                 each control's items of the day, by class of verdict (spec 3.6);
                                    what two controls see is two items
    controls counted as failing     those with at least one non-compliant item of the day
    all controls                    of ACTIVE assessments, or of the one asked about; without those
                                    whose custom control was deleted
    no assessment is watched        counts are absent, activeAssessmentsCount is 0 (spec 12, #27)
    watched, and nothing seen       counts are 0
    one that ended on an earlier    counts are absent, lists are empty
    day
    domains                         a control's domain is its own, or that of the common and core
                                    controls it names; with several it counts in each, with none
                                    it is UNCATEGORIZED
    what is listed                  domains and controls that saw evidence today
    order                           most non-compliant items first, then name, then id
    a control over all              one entry however many assessments and sets it is in
    assessments

Names are compared by their first NAME characters, which is what fits a continuation token.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from auditkeep import clock
from auditkeep.assessments import store
from auditkeep.assessments.store import Standing
from auditkeep.clock import day_of, day_start
from auditkeep.evidence import insights
from auditkeep.evidence.counts import Counts
from auditkeep.evidence.insights import Shown, Watched
from auditkeep.evidence.progress import last_batch_no
from auditkeep.library.domains import UNCATEGORIZED
from auditkeep.operations.call import Call, pair
from auditkeep.operations.overview import ControlRow, DomainRow, Named, Overview
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am

Row = TypeVar("Row", ControlRow, DomainRow)


def get_insights(call: Call, _ask: am.GetInsightsRequest) -> am.GetInsightsResponse:
    """Over all ACTIVE assessments, and those that ended today."""
    watched = _watched(call)
    updated = clock.wire(call.now)
    if not watched:
        return am.GetInsightsResponse(
            insights=am.Insights(active_assessments_count=0, last_updated=updated)
        )
    seen = _seen(call, watched)
    total = _total(seen.values())
    active = [one for one in watched if one.active]
    return am.GetInsightsResponse(
        insights=am.Insights(
            active_assessments_count=len(active),
            noncompliant_evidence_count=total.noncompliant,
            compliant_evidence_count=total.compliant,
            inconclusive_evidence_count=total.inconclusive,
            assessment_controls_count_by_noncompliant_evidence=_failing(seen.values()),
            total_assessment_controls_count=_size(call, active),
            last_updated=updated,
        )
    )


def get_insights_by_assessment(
    call: Call, ask: am.GetInsightsByAssessmentRequest
) -> am.GetInsightsByAssessmentResponse:
    watched = _one(call, ask.assessment_id)
    updated = clock.wire(call.now)
    if not watched:
        return am.GetInsightsByAssessmentResponse(
            insights=am.InsightsByAssessment(last_updated=updated)
        )
    seen = _seen(call, watched)
    total = _total(seen.values())
    return am.GetInsightsByAssessmentResponse(
        insights=am.InsightsByAssessment(
            noncompliant_evidence_count=total.noncompliant,
            compliant_evidence_count=total.compliant,
            inconclusive_evidence_count=total.inconclusive,
            assessment_controls_count_by_noncompliant_evidence=_failing(seen.values()),
            total_assessment_controls_count=_size(call, watched),
            last_updated=updated,
        )
    )


def list_control_domain_insights(
    call: Call, ask: am.ListControlDomainInsightsRequest
) -> am.ListControlDomainInsightsResponse:
    scope = paging.scope("ListControlDomainInsights", call.tenant)
    rows, token = _page(call, _overview(call).domains, scope, ask.next_token, ask.max_results)
    return am.ListControlDomainInsightsResponse(
        control_domain_insights=tuple(_shown_domain(d, call) for d in rows), next_token=token
    )


def list_control_domain_insights_by_assessment(
    call: Call, ask: am.ListControlDomainInsightsByAssessmentRequest
) -> am.ListControlDomainInsightsByAssessmentResponse:
    watched = _one(call, ask.assessment_id)
    scope = paging.scope("ListControlDomainInsightsByAssessment", call.tenant, ask.assessment_id)
    found = _domains(call, watched, watched)
    rows, token = _page(call, found, scope, ask.next_token, ask.max_results)
    return am.ListControlDomainInsightsByAssessmentResponse(
        control_domain_insights=tuple(_shown_domain(d, call) for d in rows), next_token=token
    )


def list_control_insights_by_control_domain(
    call: Call, ask: am.ListControlInsightsByControlDomainRequest
) -> am.ListControlInsightsByControlDomainResponse:
    """The controls of a domain that collected evidence today, over all assessments."""
    found = _overview(call).controls.get(ask.control_domain_id, ())
    scope = paging.scope("ListControlInsightsByControlDomain", call.tenant, ask.control_domain_id)
    rows, token = _page(call, found, scope, ask.next_token, ask.max_results)
    return am.ListControlInsightsByControlDomainResponse(
        control_insights_metadata=tuple(
            am.ControlInsightsMetadataItem(
                name=c.name,
                id=c.id,
                evidence_insights=_evidence_insights(c.counts),
                last_updated=clock.wire(call.now),
            )
            for c in rows
        ),
        next_token=token,
    )


def list_assessment_control_insights_by_control_domain(
    call: Call, ask: am.ListAssessmentControlInsightsByControlDomainRequest
) -> am.ListAssessmentControlInsightsByControlDomainResponse:
    """The controls of a domain in one assessment that collected evidence today, set by set."""
    found = [
        ControlRow(c.control_id, c.name, c.set_name, c.ordinal, counts)
        for c, counts in _controls(call, _one(call, ask.assessment_id))
        if ask.control_domain_id in c.domains
    ]
    scope = paging.scope(
        "ListAssessmentControlInsightsByControlDomain",
        call.tenant,
        ask.control_domain_id,
        ask.assessment_id,
    )
    rows, token = _page(call, found, scope, ask.next_token, ask.max_results)
    return am.ListAssessmentControlInsightsByControlDomainResponse(
        control_insights_by_assessment=tuple(
            am.ControlInsightsMetadataByAssessmentItem(
                name=c.name,
                id=c.id,
                evidence_insights=_evidence_insights(c.counts),
                control_set_name=c.set_name,
                last_updated=clock.wire(call.now),
            )
            for c in rows
        ),
        next_token=token,
    )


# --- what is watched, and what it sees ---------------------------------------------------------


def _watched(call: Call) -> list[Standing]:
    """The assessments that are ACTIVE, first, and those that ended today."""
    found = store.standing_on(call.tx, day_start(day_of(call.now)))
    return sorted(found, key=lambda one: (not one.active, one.id))


def _one(call: Call, assessment_id: str) -> list[Standing]:
    """The assessment, unless it ended before today; NotFound where there is none."""
    one = store.standing(call.tx, assessment_id)
    today = day_start(day_of(call.now))
    return [one] if one.active or one.updated_at >= today else []


def _seen(call: Call, assessments: Sequence[Standing]) -> dict[str, Shown]:
    watched = [Watched(a.id, a.version, a.next_ordinal, a.frozen_at_batch) for a in assessments]
    memo = call.deps.caches.insights
    return insights.of_day(call.tx, call.deps.lake, memo, watched, day_of(call.now))


def _size(call: Call, assessments: Sequence[Standing]) -> int:
    """How many controls some assessments have."""
    memo = call.deps.caches.sizes
    known = {a.id: memo.get((call.tenant, a.id, a.version)) for a in assessments}
    missing = [a for a in assessments if known[a.id] is None]
    if missing:
        counted = store.count_controls_of(call.tx, [a.id for a in missing])
        for one in missing:
            known[one.id] = counted.get(one.id, 0)
            memo.put((call.tenant, one.id, one.version), counted.get(one.id, 0))
    return sum(n for n in known.values() if n is not None)


def _named(call: Call, one: Standing) -> tuple[Named, ...]:
    """The controls of an assessment, as lists show them."""
    memo, key = call.deps.caches.controls, (call.tenant, one.id, one.version)
    known = memo.get(key)
    if known is None:
        known = tuple(
            Named(
                ordinal=c.ordinal,
                control_id=c.control_id,
                name=c.copy.name,
                set_name=c.set_id,
                removed=c.removed,
                domains=c.copy.domains or (UNCATEGORIZED,),
            )
            for c in store.controls(call.tx, one.id)
        )
        memo.put(key, known)
    return known


def _controls(call: Call, assessments: Sequence[Standing]) -> Iterable[tuple[Named, Counts]]:
    """The controls that saw something today, with what they saw."""
    seen = _seen(call, assessments)
    for assessment in assessments:
        by_control = seen[assessment.id].by_control
        if by_control:
            for named in _named(call, assessment):
                counts = by_control.get(named.ordinal)
                if counts is not None:
                    yield named, counts


def _overview(call: Call) -> Overview:
    """Domains and controls over all assessments; computed once for each state of things."""
    watched, day = _watched(call), day_of(call.now)
    versions = tuple((one.id, one.version) for one in watched)
    key = (call.tenant, versions, day, last_batch_no(call.tx))
    memo = call.deps.caches.overviews
    known = memo.get(key)
    if known is None:
        controls: dict[str, dict[str, ControlRow]] = {}
        for named, counts in _controls(call, watched):
            for domain in named.domains:
                rows = controls.setdefault(domain, {})
                row = rows.setdefault(named.control_id, ControlRow(named.control_id, named.name))
                row.counts.merge(counts)
        counted = [one for one in watched if one.active]
        domains = tuple(_domains(call, watched, counted))
        known = Overview(domains, {d: tuple(rows.values()) for d, rows in controls.items()})
        memo.put(key, known)
    return known


def _domains(
    call: Call, watched: Sequence[Standing], counted: Sequence[Standing]
) -> Iterable[DomainRow]:
    """The domains with evidence of the `watched`, and how many controls the `counted` have."""
    found: dict[str, DomainRow] = {}
    for named, counts in _controls(call, watched):
        for id_ in named.domains:
            domain = found.setdefault(id_, DomainRow(id_, _name(call, id_)))
            domain.counts.merge(counts)
            domain.failing += counts.noncompliant > 0
    if found:
        for one in counted:
            for named in _named(call, one):
                for id_ in named.domains:
                    if id_ in found and not named.removed:
                        found[id_].controls += 1
    return found.values()


def _name(call: Call, domain: str) -> str:
    known = call.deps.library.catalogue.domain(domain)
    if known is not None:
        return known.name
    return "Uncategorized" if domain == UNCATEGORIZED else domain


# --- answers -----------------------------------------------------------------------------------


def _page(
    call: Call, rows: Iterable[Row], scope: str, next_token: str | None, max_results: int | None
) -> tuple[Sequence[Row], str | None]:
    """A page of domains or controls: most non-compliant evidence first, then by name."""
    rank: Callable[[Row], tuple[int | str, ...]] = lambda row: row.rank  # noqa: E731
    secret = call.deps.id_secret
    after = paging.read(next_token, secret, scope)
    ranked = sorted(rows, key=rank)
    if after is not None:
        ranked = [row for row in ranked if row.rank > after]
    return paging.page(ranked[: paging.size(max_results) + 1], max_results, rank, secret, scope)


def _total(seen: Iterable[Shown]) -> Counts:
    total = Counts()
    for one in seen:
        total.merge(one.total)
    return total


def _failing(seen: Iterable[Shown]) -> int:
    """Assessment controls with non-compliant evidence."""
    return sum(one.failing for one in seen)


def _shown_domain(domain: DomainRow, call: Call) -> am.ControlDomainInsights:
    return am.ControlDomainInsights(
        name=domain.name,
        id=domain.id,
        controls_count_by_noncompliant_evidence=domain.failing,
        total_controls_count=domain.controls,
        evidence_insights=_evidence_insights(domain.counts),
        last_updated=clock.wire(call.now),
    )


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
