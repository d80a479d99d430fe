"""The rules of insights as a table: who counts, what is listed, in which order (spec section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.operations.making import (
    ACCOUNT,
    DESTINATION,
    OWNER,
    assessment,
    at,
    observe,
    shown,
)

from auditkeep.clock import DAY, MINUTE, SECOND, Instant
from auditkeep.frameworks import keys
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.model import Control, ControlSet, Framework, Keyword, MappingSource
from auditkeep.ids import new_id
from auditkeep.operations.auditmanager import assessments, controls, insights, manual
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

pytestmark = pytest.mark.both_databases

ASSETS = "arn:aws:controlcatalog:::domain/d4msesd9vvmzmmuvlv06m92uq"
DISCOVERY = "1ukpmkewk4i92tjmhsvewi4y7"
BACKUPS = "Backups"


def source(kind: Any, word: str) -> MappingSource:
    return MappingSource(
        id=new_id(),
        type=kind,
        set_up_option="System_Controls_Mapping",
        keyword=Keyword(word, "SELECT_FROM_LIST"),
    )


def custom(call: Call, name: str, *sources: MappingSource) -> Control:
    control = Control(
        id=new_id(),
        name=name,
        type="Custom",
        sources=sources,
        created_at=call.now,
        updated_at=call.now,
    )
    frameworks.save_control(call.tx, control)
    return control


def over(call: Call, **sets: list[Control]) -> str:
    """The id of a new assessment with these controls in its sets."""
    framework = Framework(
        id=new_id(),
        name="framework",
        type="Custom",
        sets=tuple(
            ControlSet(id=name, name=name, control_ids=tuple(c.id for c in members))
            for name, members in sets.items()
        ),
        created_at=call.now,
        updated_at=call.now,
    )
    frameworks.save_framework(call.tx, framework)
    answer = assessments.create_assessment(
        call,
        am.CreateAssessmentRequest(
            name="a",
            framework_id=framework.id,
            assessment_reports_destination=DESTINATION,
            scope=am.Scope(aws_accounts=(am.AWSAccount(id=ACCOUNT),)),
            roles=(am.Role(role_type="PROCESS_OWNER", role_arn=OWNER),),
        ),
    )
    return str(shown(answer)["assessment"]["metadata"]["id"])


def soon(call: Call) -> Instant:
    return Instant(call.now + MINUTE)


def fail(call: Call, match_key: str, times: int = 1) -> None:
    observe(
        call,
        *[soon(call)] * times,
        match_key=match_key,
        source="AWS_Security_Hub",
        verdict="FAILED",
    )


def get(call: Call) -> Any:
    return shown(insights.get_insights(call, am.GetInsightsRequest()))["insights"]


def get_of(call: Call, assessment_id: str) -> Any:
    ask = am.GetInsightsByAssessmentRequest(assessment_id=assessment_id)
    return shown(insights.get_insights_by_assessment(call, ask))["insights"]


def domains(call: Call, **ask: Any) -> Any:
    answer = insights.list_control_domain_insights(call, am.ListControlDomainInsightsRequest(**ask))
    return shown(answer)


def domains_of(call: Call, assessment_id: str) -> Any:
    ask = am.ListControlDomainInsightsByAssessmentRequest(assessment_id=assessment_id)
    answer = insights.list_control_domain_insights_by_assessment(call, ask)
    return shown(answer)["controlDomainInsights"]


def listed(call: Call, domain: str, **ask: Any) -> Any:
    answer = insights.list_control_insights_by_control_domain(
        call, am.ListControlInsightsByControlDomainRequest(control_domain_id=domain, **ask)
    )
    return shown(answer)


def listed_of(call: Call, domain: str, assessment_id: str) -> Any:
    answer = insights.list_assessment_control_insights_by_control_domain(
        call,
        am.ListAssessmentControlInsightsByControlDomainRequest(
            control_domain_id=domain, assessment_id=assessment_id
        ),
    )
    return shown(answer)["controlInsightsByAssessment"]


def end(call: Call, assessment_id: str) -> None:
    ask = am.UpdateAssessmentStatusRequest(assessment_id=assessment_id, status="INACTIVE")
    assessments.update_assessment_status(call, ask)


COUNTS = (
    "noncompliantEvidenceCount",
    "compliantEvidenceCount",
    "inconclusiveEvidenceCount",
    "assessmentControlsCountByNoncompliantEvidence",
    "totalAssessmentControlsCount",
)


@pytest.mark.parametrize("verdict", ["FAILED", "WARNING", "NON_COMPLIANT"])
def test_verdicts_of_the_non_compliant_class_count_as_such(call: Call, verdict: str) -> None:
    assessment(call)
    observe(call, soon(call), source="AWS_Security_Hub", verdict=verdict)
    assert [get(call)[name] for name in COUNTS] == [1, 0, 0, 1, 1]


@pytest.mark.parametrize("verdict", ["COMPLIANT", "PASSED"])
def test_verdicts_of_the_compliant_class_count_as_such(call: Call, verdict: str) -> None:
    assessment(call)
    observe(call, soon(call), source="AWS_Config", verdict=verdict)
    assert [get(call)[name] for name in COUNTS] == [0, 1, 0, 0, 1]


@pytest.mark.parametrize("verdict", [None, "SUPPRESSED", "NOT_APPLICABLE", "INSUFFICIENT_DATA"])
def test_everything_else_is_inconclusive(call: Call, verdict: str | None) -> None:
    assessment(call)
    observe(call, soon(call), source="AWS_Config", verdict=verdict)
    assert [get(call)[name] for name in COUNTS] == [0, 0, 1, 0, 1]


def test_watched_and_nothing_seen_is_zero(call: Call) -> None:
    made = assessment(call)["metadata"]["id"]
    assert [get(call)[name] for name in COUNTS] == [0, 0, 0, 0, 1]
    assert [get_of(call, made)[name] for name in COUNTS] == [0, 0, 0, 0, 1]


def test_nobody_watches_and_there_are_no_counts(call: Call) -> None:
    made = assessment(call)["metadata"]["id"]
    fail(call, "iam:CreateUser")
    later = at(call, Instant(call.now + 10 * MINUTE))
    end(later, made)
    assert get(later)["noncompliantEvidenceCount"] == 1
    assert get(later)["activeAssessmentsCount"] == 0
    tomorrow = at(call, Instant(call.now + DAY))
    assert get(tomorrow) == {"activeAssessmentsCount": 0, "lastUpdated": tomorrow.now / SECOND}
    assert get_of(tomorrow, made) == {"lastUpdated": tomorrow.now / SECOND}
    assert domains_of(tomorrow, made) == []
    assert listed_of(tomorrow, "UNCATEGORIZED", made) == []


def test_what_people_hand_in_counts_for_its_control_alone(call: Call) -> None:
    first = assessment(call, sets={"One": ["a"]})
    assessment(call, sets={"One": ["a"]})
    observe(call, soon(call))
    manual.batch_import_evidence(
        call,
        am.BatchImportEvidenceToAssessmentControlRequest(
            assessment_id=first["metadata"]["id"],
            control_set_id="One",
            control_id=first["framework"]["controlSets"][0]["controls"][0]["id"],
            manual_evidence=(am.ManualEvidence(text_response="Done."),),
        ),
    )
    assert get(call)["inconclusiveEvidenceCount"] == 3
    assert get_of(call, first["metadata"]["id"])["inconclusiveEvidenceCount"] == 2


def test_what_is_shown_of_all_is_the_sum_of_what_is_shown_of_each(call: Call) -> None:
    """Of some that look alike, one with evidence by hand, one that ended, and one of its own."""
    alike = [assessment(call, sets={"One": ["a", "b"], "Two": ["a"]}) for _ in range(4)]
    made = [*alike, assessment(call, sets={"One": ["b", "c"]})]
    tomorrow = at(call, Instant(call.now + DAY))
    fail(tomorrow, "iam:CreateUser", 2)
    observe(tomorrow, soon(tomorrow), match_key="s3:CreateBucket")
    manual.batch_import_evidence(
        tomorrow,
        am.BatchImportEvidenceToAssessmentControlRequest(
            assessment_id=alike[1]["metadata"]["id"],
            control_set_id="Two",
            control_id=alike[1]["framework"]["controlSets"][1]["controls"][0]["id"],
            manual_evidence=(am.ManualEvidence(text_response="Done."),),
        ),
    )
    later = at(call, Instant(tomorrow.now + 5 * MINUTE))
    end(later, alike[2]["metadata"]["id"])
    ids = [one["metadata"]["id"] for one in made]

    def added(rows: Sequence[Any]) -> list[int]:
        names = COUNTS[:3]
        return [sum(r["evidenceInsights"][name] for r in rows) for name in names]

    each = [get_of(later, one) for one in ids]
    assert [get(later)[name] for name in COUNTS[:4]] == [
        sum(one[name] for one in each) for name in COUNTS[:4]
    ]
    assert [get(later)[name] for name in COUNTS[:4]] == [16, 0, 6, 8]
    (domain,) = domains(later)["controlDomainInsights"]
    by_one = [row for one in ids for row in domains_of(later, one)]
    assert added([domain]) == added(by_one) == [16, 0, 6]
    assert domain["controlsCountByNoncompliantEvidence"] == 8
    assert domain["totalControlsCount"] == 3 * 3 + 2  # of those that are ACTIVE
    whole = listed(later, "UNCATEGORIZED")["controlInsightsMetadata"]
    parts = [row for one in ids for row in listed_of(later, "UNCATEGORIZED", one)]
    assert added(whole) == added(parts) == [16, 0, 6]
    assert [c["name"] for c in whole] == ["a", "b"]


def test_assessments_that_began_at_different_times_see_what_each_may(call: Call) -> None:
    early = assessment(call)["metadata"]["id"]
    fail(call, "iam:CreateUser")
    late_call = at(call, Instant(call.now + 10 * MINUTE))
    late = assessment(late_call)["metadata"]["id"]
    fail(late_call, "iam:CreateUser", 2)
    assert get_of(late_call, early)["noncompliantEvidenceCount"] == 3
    assert get_of(late_call, late)["noncompliantEvidenceCount"] == 2
    assert get(late_call)["noncompliantEvidenceCount"] == 5


def test_a_deleted_control_is_listed_with_its_evidence_and_counted_no_more(call: Call) -> None:
    made = over(
        call,
        One=[custom(call, "gone", source("AWS_Cloudtrail", "iam_CreateUser"))],
        Two=[custom(call, "stays", source("AWS_Cloudtrail", "s3_CreateBucket"))],
    )
    fail(call, "iam:CreateUser")
    gone = listed_of(call, "UNCATEGORIZED", made)[0]["id"]
    controls.delete_control(
        at(call, Instant(call.now + 2 * MINUTE)), am.DeleteControlRequest(control_id=gone)
    )
    assert [get(call)[name] for name in COUNTS] == [1, 0, 0, 1, 1]
    assert [c["name"] for c in listed(call, "UNCATEGORIZED")["controlInsightsMetadata"]] == ["gone"]
    (domain,) = domains(call)["controlDomainInsights"]
    assert domain["totalControlsCount"] == 1


def test_a_custom_control_is_listed_under_the_domains_of_what_it_names(call: Call) -> None:
    catalogue = call.deps.library.catalogue
    backups = next(c for c in catalogue.common_controls if c.name == BACKUPS)
    both = custom(
        call, "both", source("Common_Control", DISCOVERY), source("Common_Control", backups.arn)
    )
    assets = custom(call, "assets", source("Common_Control", DISCOVERY))
    plain = custom(call, "plain", source("AWS_Cloudtrail", "iam_CreateUser"))
    made = over(call, One=[both, assets], Two=[plain])
    fail(call, "securityhub:SSM.1", 2)
    fail(call, "iam:CreateUser", 3)
    continuity = backups.objective.domain.arn
    expected = [
        # name, id, failing controls, all controls, non-compliant items: the worst first
        ("Asset management", ASSETS, 2, 2, 4),
        ("Uncategorized", "UNCATEGORIZED", 1, 1, 3),
        ("Business continuity", continuity, 1, 1, 2),
    ]
    for found in (domains(call)["controlDomainInsights"], domains_of(call, made)):
        assert [
            (
                d["name"],
                d["id"],
                d["controlsCountByNoncompliantEvidence"],
                d["totalControlsCount"],
                d["evidenceInsights"]["noncompliantEvidenceCount"],
            )
            for d in found
        ] == expected
    names = [c["name"] for c in listed(call, ASSETS)["controlInsightsMetadata"]]
    assert names == ["assets", "both"]
    assert [c["name"] for c in listed_of(call, continuity, made)] == ["both"]
    assert listed(call, "11111111-1111-1111-1111-111111111111")["controlInsightsMetadata"] == []


def test_a_domain_is_listed_only_once_a_control_in_it_has_seen_something(call: Call) -> None:
    named = custom(call, "assets", source("Common_Control", DISCOVERY))
    over(call, One=[named, custom(call, "p", source("AWS_Cloudtrail", "iam_CreateUser"))])
    assert domains(call)["controlDomainInsights"] == []
    observe(call, soon(call))
    assert [d["id"] for d in domains(call)["controlDomainInsights"]] == ["UNCATEGORIZED"]
    tomorrow = at(call, Instant(call.now + DAY))
    assert domains(tomorrow)["controlDomainInsights"] == []


def test_ties_go_by_name_and_pages_join_to_the_whole(call: Call) -> None:
    names = ["b", "a", "c", "ä" * 300, "a"]
    words = ["iam_CreateUser", "iam_CreateRole", "iam_CreateGroup", "iam_DeleteUser", "iam_TagUser"]
    made = [custom(call, n, source("AWS_Cloudtrail", w)) for n, w in zip(names, words, strict=True)]
    over(call, One=made)
    for word in words:
        fail(call, word.replace("_", ":"))
    fail(call, "iam:CreateGroup")
    seen, token = [], None
    for _ in range(len(names)):
        answer = listed(call, "UNCATEGORIZED", max_results=1, next_token=token)
        seen += answer["controlInsightsMetadata"]
        token = answer.get("nextToken")
    assert token is None
    whole = listed(call, "UNCATEGORIZED")["controlInsightsMetadata"]
    assert seen == whole
    assert [c["name"] for c in whole] == ["c", "a", "a", "b", "ä" * 300]
    twins = [c["id"] for c in whole if c["name"] == "a"]
    assert twins == sorted(twins)


def test_pages_of_domains_join_to_the_whole(call: Call) -> None:
    assets = custom(call, "assets", source("Common_Control", DISCOVERY))
    plain = custom(call, "plain", source("AWS_Cloudtrail", "iam_CreateUser"))
    over(call, One=[assets, plain])
    fail(call, "securityhub:SSM.1")
    fail(call, "iam:CreateUser")
    first = domains(call, max_results=1)
    second = domains(call, max_results=1, next_token=first["nextToken"])
    joined = first["controlDomainInsights"] + second["controlDomainInsights"]
    assert [d["name"] for d in joined] == ["Asset management", "Uncategorized"]
    assert "nextToken" not in second


def test_a_control_in_two_sets_and_assessments_is_one_entry_over_all(call: Call) -> None:
    one = custom(call, "one", source("AWS_Cloudtrail", "iam_CreateUser"))
    made = over(call, First=[one], Second=[one])
    over(call, Third=[one])
    fail(call, "iam:CreateUser")
    (entry,) = listed(call, "UNCATEGORIZED")["controlInsightsMetadata"]
    assert entry["id"] == one.id
    assert entry["evidenceInsights"]["noncompliantEvidenceCount"] == 3
    rows = listed_of(call, "UNCATEGORIZED", made)
    assert [(r["id"], r["controlSetName"]) for r in rows] == [(one.id, "First"), (one.id, "Second")]


def test_standard_controls_are_listed_under_their_familys_domain(call: Call) -> None:
    library = call.deps.library
    control = next(c for c in library.controls.values() if c.name.startswith("AC-2: "))
    made = over(call, One=[control])
    fail(call, min(keys.match_keys_of(control, library.group)))
    assert [d["name"] for d in domains_of(call, made)] == ["Identity and access management"]
