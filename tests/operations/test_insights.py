"""Insights: one day, over all assessments or one, by class of verdict (spec section 7)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.operations.making import assessment, at, observe, shown

from auditkeep.clock import DAY, MINUTE, SECOND, Instant
from auditkeep.errors import NotFound
from auditkeep.ids import new_id
from auditkeep.operations.auditmanager import assessments, insights
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am


def test_without_assessments_there_are_no_counts(call: Call) -> None:
    assert _insights(call) == {
        "activeAssessmentsCount": 0,
        "lastUpdated": call.now / SECOND,
    }


def test_evidence_of_today_is_counted_once_for_each_control_that_sees_it(call: Call) -> None:
    made = assessment(call, sets={"One": ["a", "b"], "Two": ["a"]})
    assessment(call)
    soon = _soon(call)
    observe(call, soon, soon, source="AWS_Config", verdict="NON_COMPLIANT")
    observe(call, soon, source="AWS_Config", verdict="COMPLIANT")
    observe(call, soon)
    observe(call, soon, match_key="s3:CreateBucket")
    assert _insights(call) == {
        "activeAssessmentsCount": 2,
        "noncompliantEvidenceCount": 6,
        "compliantEvidenceCount": 3,
        "inconclusiveEvidenceCount": 4,
        "assessmentControlsCountByNoncompliantEvidence": 3,
        "totalAssessmentControlsCount": 4,
        "lastUpdated": call.now / SECOND,
    }
    assert _of(call, made) == {
        "noncompliantEvidenceCount": 4,
        "compliantEvidenceCount": 2,
        "inconclusiveEvidenceCount": 3,
        "assessmentControlsCountByNoncompliantEvidence": 2,
        "totalAssessmentControlsCount": 3,
        "lastUpdated": call.now / SECOND,
    }


def test_yesterday_does_not_count(call: Call) -> None:
    made = assessment(call)
    observe(call, _soon(call), verdict="FAILED", source="AWS_Security_Hub")
    assert _of(call, made)["noncompliantEvidenceCount"] == 1
    tomorrow = at(call, Instant(call.now + DAY))
    assert _of(tomorrow, made)["noncompliantEvidenceCount"] == 0
    assert _insights(tomorrow)["noncompliantEvidenceCount"] == 0


def test_an_assessment_that_ended_today_still_counts_and_a_deleted_one_does_not(
    call: Call,
) -> None:
    ended, deleted = assessment(call), assessment(call)
    assessment(call)
    observe(call, _soon(call), verdict="FAILED", source="AWS_Security_Hub")
    later = at(call, Instant(call.now + 10 * MINUTE))
    assessments.update_assessment_status(
        later,
        am.UpdateAssessmentStatusRequest(assessment_id=ended["metadata"]["id"], status="INACTIVE"),
    )
    assessments.delete_assessment(
        later, am.DeleteAssessmentRequest(assessment_id=deleted["metadata"]["id"])
    )
    found = _insights(later)
    assert found["noncompliantEvidenceCount"] == 2
    assert found["activeAssessmentsCount"] == found["totalAssessmentControlsCount"] == 1
    tomorrow = at(call, Instant(call.now + DAY))
    assert _insights(tomorrow)["activeAssessmentsCount"] == 1


def test_new_evidence_is_in_the_very_next_answer(call: Call) -> None:
    made = assessment(call)
    for number in range(1, 4):
        observe(call, _soon(call))
        assert _of(call, made)["inconclusiveEvidenceCount"] == number


def test_an_unknown_assessment_has_no_insights(call: Call) -> None:
    with pytest.raises(NotFound):
        _of(call, {"metadata": {"id": new_id()}})


def test_the_one_domain_is_listed_once_it_has_evidence(call: Call) -> None:
    made = assessment(call)
    assert _domains(call) == []
    observe(call, _soon(call), verdict="FAILED", source="AWS_Security_Hub")
    (domain,) = _domains(call)
    assert domain == {
        "name": "Uncategorized",
        "id": "UNCATEGORIZED",
        "controlsCountByNoncompliantEvidence": 1,
        "totalControlsCount": 1,
        "evidenceInsights": {
            "noncompliantEvidenceCount": 1,
            "compliantEvidenceCount": 0,
            "inconclusiveEvidenceCount": 0,
        },
        "lastUpdated": call.now / SECOND,
    }
    ask = am.ListControlDomainInsightsByAssessmentRequest(assessment_id=made["metadata"]["id"])
    answer = insights.list_control_domain_insights_by_assessment(call, ask)
    assert shown(answer)["controlDomainInsights"] == [domain]


def test_controls_are_ranked_the_worst_first_and_joined_over_assessments(call: Call) -> None:
    made = assessment(call, sets={"One": ["a", "b", "c"]})
    assessment(call)
    observe(call, _soon(call), verdict="FAILED", source="AWS_Security_Hub")
    observe(call, _soon(call), match_key="kms:DisableKey")
    ask = am.ListControlInsightsByControlDomainRequest(
        control_domain_id="UNCATEGORIZED", max_results=1
    )
    first = shown(insights.list_control_insights_by_control_domain(call, ask))
    (worst,) = first["controlInsightsMetadata"]
    assert (worst["name"], worst["evidenceInsights"]["noncompliantEvidenceCount"]) == ("a", 2)
    ask = am.ListControlInsightsByControlDomainRequest(
        control_domain_id="UNCATEGORIZED", max_results=1, next_token=first["nextToken"]
    )
    second = shown(insights.list_control_insights_by_control_domain(call, ask))
    assert [c["name"] for c in second["controlInsightsMetadata"]] == ["c"]
    assert "nextToken" not in second
    of_one = am.ListAssessmentControlInsightsByControlDomainRequest(
        control_domain_id="UNCATEGORIZED", assessment_id=made["metadata"]["id"]
    )
    answer = shown(insights.list_assessment_control_insights_by_control_domain(call, of_one))
    rows = answer["controlInsightsByAssessment"]
    assert [(r["name"], r["controlSetName"]) for r in rows] == [("a", "One"), ("c", "One")]


def test_a_domain_of_the_catalogue_has_no_controls(call: Call) -> None:
    assessment(call)
    observe(call, _soon(call))
    ask = am.ListControlInsightsByControlDomainRequest(
        control_domain_id="arn:aws:controlcatalog:::domain/abc"
    )
    answer = insights.list_control_insights_by_control_domain(call, ask)
    assert shown(answer)["controlInsightsMetadata"] == []


def _soon(call: Call) -> Instant:
    return Instant(call.now + MINUTE)


def _insights(call: Call) -> Any:
    return shown(insights.get_insights(call, am.GetInsightsRequest()))["insights"]


def _of(call: Call, made: Any) -> Any:
    ask = am.GetInsightsByAssessmentRequest(assessment_id=made["metadata"]["id"])
    return shown(insights.get_insights_by_assessment(call, ask))["insights"]


def _domains(call: Call) -> Any:
    ask = am.ListControlDomainInsightsRequest()
    return shown(insights.list_control_domain_insights(call, ask))["controlDomainInsights"]
