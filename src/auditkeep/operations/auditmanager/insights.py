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

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from auditkeep import clock
from auditkeep.assessments import store
from auditkeep.assessments.store import Standing
from auditkeep.clock import day_of, day_start
from auditkeep.evidence import insights
from auditkeep.evidence.counts import Counts
from auditkeep.evidence.insights import Seen, Shown
from auditkeep.evidence.progress import last_batch_no
from auditkeep.library.domains import UNCATEGORIZED
from auditkeep.operations.call import Call, pair
from auditkeep.operations.overview import (
    ControlRow,
    DomainRow,
    Kind,
    Named,
    Numbers,
    Overview,
    Standings,
    Watching,
)
from auditkeep.wire import paging
from auditkeep.wire.models import auditmanager as am

Row = TypeVar("Row", ControlRow, DomainRow)


def get_insights(call: Call, _ask: am.GetInsightsRequest) -> am.GetInsightsResponse:
    """Over all ACTIVE assessments, and those that ended today."""
    numbers = _numbers(call)
    updated = clock.wire(call.now)
    if numbers is None:
        return am.GetInsightsResponse(
            insights=am.Insights(active_assessments_count=0, last_updated=updated)
        )
    return am.GetInsightsResponse(
        insights=am.Insights(
            active_assessments_count=numbers.active,
            noncompliant_evidence_count=numbers.counts.noncompliant,
            compliant_evidence_count=numbers.counts.compliant,
            inconclusive_evidence_count=numbers.counts.inconclusive,
            assessment_controls_count_by_noncompliant_evidence=numbers.failing,
            total_assessment_controls_count=numbers.controls,
            last_updated=updated,
        )
    )


def get_insights_by_assessment(
    call: Call, ask: am.GetInsightsByAssessmentRequest
) -> am.GetInsightsByAssessmentResponse:
    one = _one(call, ask.assessment_id)
    updated = clock.wire(call.now)
    if one is None:
        return am.GetInsightsByAssessmentResponse(
            insights=am.InsightsByAssessment(last_updated=updated)
        )
    shown = _seen_by(call, one)
    return am.GetInsightsByAssessmentResponse(
        insights=am.InsightsByAssessment(
            noncompliant_evidence_count=shown.total.noncompliant,
            compliant_evidence_count=shown.total.compliant,
            inconclusive_evidence_count=shown.total.inconclusive,
            assessment_controls_count_by_noncompliant_evidence=shown.failing,
            total_assessment_controls_count=_size(call, [one]),
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
    one = _one(call, ask.assessment_id)
    scope = paging.scope("ListControlDomainInsightsByAssessment", call.tenant, ask.assessment_id)
    found: Iterable[DomainRow] = ()
    if one is not None:
        seen = _Seeing(_seen_by(call, one), _named(call, one), 1)
        found = _domains(call, [seen], [(seen.controls, 1)])
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
    one = _one(call, ask.assessment_id)
    found = [
        ControlRow(c.control_id, c.name, c.set_name, c.ordinal, counts)
        for seen in ([] if one is None else [_Seeing(_seen_by(call, one), _named(call, one), 1)])
        for c, counts in seen.each()
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


@dataclass(frozen=True, slots=True)
class _Seeing:
    """Assessments that have the same controls, which see the same."""

    shown: Shown
    controls: tuple[Named, ...]
    times: int
    """How many they are."""

    def each(self) -> Iterator[tuple[Named, Counts]]:
        """The controls that saw something, with what each saw."""
        by_control = self.shown.by_control
        for named in self.controls if by_control else ():
            counts = by_control.get(named.ordinal)
            if counts is not None:
                yield named, counts


def _watching(call: Call, version: int) -> Watching:
    """Who counts today: looked at once for each state of all assessments."""
    day = day_of(call.now)
    memo, key = call.deps.caches.watching, (call.tenant, version, day)
    known = memo.get(key)
    if known is None:
        standings, begins = _standings(call, version), day_start(day)
        watched = [a for a in standings.watched if a.active or a.updated_at >= begins]
        alike = insights.alike(call.tx, call.deps.caches.insights, watched, day)
        known = Watching(watched, alike, standings.active, standings.controls)
        memo.put(key, known)
    return known


def _standings(call: Call, version: int) -> Standings:
    """Who counts today, and maybe some who did on an earlier day."""
    day = day_of(call.now)
    memo, key = call.deps.caches.standings, (call.tenant, version)
    known = memo.get(key)
    if known is None or known.day > day:
        found = store.standing_on(call.tx, day_start(day))
        watched = sorted(found, key=lambda one: (not one.active, one.id))
        active = [one for one in watched if one.active]
        known = Standings(day, watched, len(active), _size(call, active))
        memo.put(key, known)
    return known


def _one(call: Call, assessment_id: str) -> Standing | None:
    """The assessment, unless it ended before today; NotFound where there is none."""
    one = store.standing(call.tx, assessment_id)
    today = day_start(day_of(call.now))
    return one if one.active or one.updated_at >= today else None


def _seen_by(call: Call, one: Standing) -> Shown:
    """What one assessment sees today."""
    lake, memo = call.deps.lake, call.deps.caches.insights
    return insights.of_one(call.tx, lake, memo, one, day_of(call.now), last_batch_no(call.tx))


def _seen(call: Call, watching: Watching, reached: int) -> Seen:
    """What all of them see today."""
    lake, memo = call.deps.lake, call.deps.caches.insights
    return insights.of_day(call.tx, lake, memo, watching.alike, day_of(call.now), reached)


def _numbers(call: Call) -> Numbers | None:
    """Over all assessments, computed once for each state of things; None: nobody watches."""
    state = store.state(call.tx)
    memo, key = call.deps.caches.numbers, (call.tenant, state, day_of(call.now))
    known = memo.get(key)
    if known is None:
        watching = _watching(call, state.version)
        if not watching.watched:
            return None
        seen = _seen(call, watching, state.last_batch)
        known = Numbers(watching.active, watching.controls, seen.total(), seen.failing())
        memo.put(key, known)
    return known


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
        shared = call.deps.caches.alike_controls.get(known)
        if shared is None:
            call.deps.caches.alike_controls.put(known, known)
        known = shared or known
        memo.put(key, known)
    return known


def _overview(call: Call) -> Overview:
    """Domains and controls over all assessments; computed once for each state of things."""
    state = store.state(call.tx)
    memo, key = call.deps.caches.overviews, (call.tenant, state, day_of(call.now))
    known = memo.get(key)
    if known is None:
        watching = _watching(call, state.version)
        seen = _seen(call, watching, state.last_batch)
        kinds: Sequence[Kind] = ()
        if seen.own or any(shown.by_control for shown, _ in seen.shared):
            kinds = _kinds(call, watching, state.version)
        seeing = [one for kind in kinds for one in _seeing(kind, seen)]
        controls: dict[str, dict[str, ControlRow]] = {}
        for one in seeing:
            for named, counts in one.each():
                for domain in named.domains:
                    rows = controls.setdefault(domain, {})
                    row = rows.get(named.control_id)
                    if row is None:
                        row = rows[named.control_id] = ControlRow(named.control_id, named.name)
                    row.counts.merge(counts, one.times)
        domains = tuple(_domains(call, seeing, [(k.controls, k.active) for k in kinds]))
        known = Overview(domains, {d: tuple(rows.values()) for d, rows in controls.items()})
        memo.put(key, known)
    return known


def _kinds(call: Call, watching: Watching, version: int) -> Sequence[Kind]:
    """All assessments by how they look and what controls they have."""
    memo, key = call.deps.caches.kinds, (call.tenant, version, day_of(call.now))
    known = memo.get(key)
    if known is None:
        group_of = {one.id: n for n, group in enumerate(watching.alike) for one in group.watched}
        found: dict[tuple[int, int], tuple[tuple[Named, ...], list[Standing]]] = {}
        for assessment in watching.watched:
            controls = _named(call, assessment)
            place = group_of[assessment.id], id(controls)
            found.setdefault(place, (controls, []))[1].append(assessment)
        known = tuple(
            Kind(group, controls, [a.id for a in some], sum(a.active for a in some))
            for (group, _), (controls, some) in found.items()
        )
        memo.put(key, known)
    return known


def _seeing(kind: Kind, seen: Seen) -> Iterator[_Seeing]:
    own = [seen.own[id_] for id_ in kind.ids if id_ in seen.own] if seen.own else []
    if len(own) < len(kind.ids):
        yield _Seeing(seen.shared[kind.group][0], kind.controls, len(kind.ids) - len(own))
    for shown in own:
        yield _Seeing(shown, kind.controls, 1)


def _domains(
    call: Call, seeing: Sequence[_Seeing], counted: Sequence[tuple[tuple[Named, ...], int]]
) -> Iterable[DomainRow]:
    """The domains with evidence, and how many of the counted controls each has."""
    found: dict[str, DomainRow] = {}
    for one in seeing:
        for named, counts in one.each():
            for id_ in named.domains:
                domain = found.get(id_)
                if domain is None:
                    domain = found[id_] = DomainRow(id_, _name(call, id_))
                domain.counts.merge(counts, one.times)
                domain.failing += one.times * (counts.noncompliant > 0)
    if found:
        for controls, times in counted:
            for named in controls:
                for id_ in named.domains:
                    if id_ in found and not named.removed:
                        found[id_].controls += times
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
