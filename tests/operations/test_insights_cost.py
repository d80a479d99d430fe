"""What is asked of the database for one assessment, and for many that look at the same facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from tests.operations.making import ask_for, assessment, at, framework_of, observe, shown

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.db.tx import Tx
from auditkeep.operations.auditmanager import assessments, evidence, insights
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

SETS = {"Access": ["a", "b"], "Keys": ["c", "a"]}
Asked = list[tuple[str, int]]
"""Each query that was sent, and how many rows it gave."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found: Asked = []

    def heard(name: str) -> None:
        real: Callable[..., Any] = getattr(Tx, name)

        def hear(self: Tx, statement: Any, **values: Any) -> Any:
            rows = real(self, statement, **values)
            found.append((str(getattr(statement, "_statement", statement)), len(rows)))
            return rows

        monkeypatch.setattr(Tx, name, hear)

    for name in ("all", "fetch"):
        heard(name)
    return found


@contextmanager
def listening(asked: Asked) -> Iterator[Counter[str]]:
    """Rows by query of what is asked meanwhile; a query without rows counts as one."""
    asked.clear()
    counted: Counter[str] = Counter()
    yield counted
    for statement, rows in asked:
        counted[statement] += max(rows, 1)


def several(call: Call, count: int) -> list[str]:
    """Assessments of one framework, each made a minute after the one before."""
    framework = framework_of(call, SETS)
    scope = am.Scope(aws_accounts=(am.AWSAccount(id=call.tenant.account),))
    made = []
    for number in range(count):
        later = at(call, Instant(call.now + number * MINUTE))
        answer = shown(assessments.create_assessment(later, ask_for(framework, scope=scope)))
        made.append(answer["assessment"]["metadata"]["id"])
    return made


READS: Sequence[Callable[[Call], Any]] = (
    lambda call: insights.get_insights(call, am.GetInsightsRequest()),
    lambda call: insights.list_control_domain_insights(call, am.ListControlDomainInsightsRequest()),
)


@pytest.mark.both_databases
@pytest.mark.parametrize("read", READS, ids=["numbers", "domains"])
def test_a_batch_and_a_new_day_cost_the_same_however_many_look_at_them(
    call: Call, elsewhere: Call, asked: Asked, read: Callable[[Call], Any]
) -> None:
    counted = []
    for one, count in ((call, 1), (elsewhere, 6)):
        several(one, count)
        batches: list[Counter[str]] = []
        for day in (1, 2, 3):
            today = at(one, Instant(one.now + day * DAY))
            batches.clear()
            for moment in (1, 2):
                observe(today, Instant(today.now + moment), account=one.tenant.account)
                with listening(asked) as found:
                    read(today)
                batches.append(found)
        counted.append(batches)  # of the last day; the first finds who looks alike
    assert counted[0] == counted[1]
    assert all(counted[0])


@pytest.mark.both_databases
def test_while_nothing_changes_one_query_is_enough(call: Call, asked: Asked) -> None:
    several(call, 3)
    observe(call, Instant(call.now + MINUTE))
    for read in READS:
        first = shown(read(call))
        with listening(asked) as found:
            assert shown(read(call)) == first
        assert len(found) == 1


@pytest.mark.both_databases
def test_what_is_kept_of_all_assessments_ends_with_any_change_of_one(call: Call) -> None:
    first, *_ = several(call, 3)
    observe(call, Instant(call.now + MINUTE), verdict="FAILED", source="AWS_Security_Hub")
    later = at(call, Instant(call.now + 10 * MINUTE))

    def told() -> list[int]:
        found = shown(insights.get_insights(later, am.GetInsightsRequest()))["insights"]
        return [
            found["activeAssessmentsCount"],
            found["noncompliantEvidenceCount"],
            found["totalAssessmentControlsCount"],
        ]

    # The second and third were made when the event had happened, or as it did.
    assert told() == [3, 4, 12]
    assessment(later)
    assert told() == [4, 4, 13]
    ask = am.UpdateAssessmentStatusRequest(assessment_id=first, status="INACTIVE")
    assessments.update_assessment_status(later, ask)
    assert told() == [3, 4, 9]
    assessments.delete_assessment(later, am.DeleteAssessmentRequest(assessment_id=first))
    assert told() == [3, 2, 9]


@pytest.mark.both_databases
def test_one_assessment_does_not_ask_about_the_others(
    call: Call, elsewhere: Call, asked: Asked
) -> None:
    counted = []
    for one, count in ((call, 1), (elsewhere, 6)):
        made, *_ = several(one, count)
        observe(one, Instant(one.now + 9 * MINUTE), account=one.tenant.account)
        by_one = am.GetInsightsByAssessmentRequest(assessment_id=made)
        folders = am.GetEvidenceFoldersByAssessmentRequest(assessment_id=made)
        with listening(asked) as found:
            insights.get_insights_by_assessment(one, by_one)
            evidence.get_evidence_folders_by_assessment(one, folders)
        counted.append(found)
    assert counted[0] == counted[1]


def test_lenses_of_one_assessment_are_found_by_its_id_alone(call: Call, asked: Asked) -> None:
    """SQLite reads no interval of another assessment to find those of one."""
    made, *_ = several(call, 2)
    ask = am.GetEvidenceFoldersByAssessmentRequest(assessment_id=made)
    with listening(asked):
        evidence.get_evidence_folders_by_assessment(call, ask)
    (query,) = {statement for statement, _ in asked if "FROM lens_intervals" in statement}
    plan = call.tx.driver().execute(
        text(f"EXPLAIN QUERY PLAN {query}"),
        {"account_1": "", "region_1": "", "assessment_id_1": ""},
    )
    (how,) = [row.detail for row in plan]
    assert "assessment_id=?" in how
