"""Metering through the API: which observations count while assessments come, change and go."""

from __future__ import annotations

import dataclasses

import pytest
from tests.operations.making import assessment, at, observe

from auditkeep.accounts import usage
from auditkeep.clock import MINUTE, Instant, day_of
from auditkeep.evidence.metering import LensMeter
from auditkeep.operations.auditkeep.backfill import start_backfill
from auditkeep.operations.auditmanager import accounts, assessments, manual, review
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

pytestmark = pytest.mark.both_databases


@pytest.fixture
def metered(call: Call) -> Call:
    lake = dataclasses.replace(call.deps.lake, meter=LensMeter())
    return dataclasses.replace(call, deps=dataclasses.replace(call.deps, lake=lake))


def total(call: Call, source: str = "AWS_Cloudtrail") -> int:
    day = day_of(call.now)
    rows = usage.metered(call.tx.system(), day, type(day)(day + 2))
    return sum(r.items for r in rows if r.source == source)


def later(call: Call, minutes: int = 1) -> Call:
    return at(call, Instant(call.now + minutes * MINUTE))


def test_only_what_an_active_assessment_sees_is_metered(metered: Call) -> None:
    call = metered
    observe(call, call.now)
    assert total(call) == 0
    made, also = assessment(call), assessment(call)
    observe(call, later(call).now)
    assert total(call) == 1
    for one in (made, also):
        ask = am.UpdateAssessmentStatusRequest(
            assessment_id=one["metadata"]["id"], status="INACTIVE"
        )
        assessments.update_assessment_status(later(call, 2), ask)
    observe(call, later(call).now)
    assert total(call) == 1


def test_a_deleted_assessment_sees_nothing_and_what_was_metered_stays(metered: Call) -> None:
    made = assessment(metered)
    observe(metered, later(metered).now)
    assessments.delete_assessment(
        metered, am.DeleteAssessmentRequest(assessment_id=made["metadata"]["id"])
    )
    observe(metered, later(metered).now)
    assert total(metered) == 1


def test_an_inactive_control_meters_nothing_until_it_is_looked_at_again(metered: Call) -> None:
    made = assessment(metered)
    control = made["framework"]["controlSets"][0]["controls"][0]["id"]
    for minute, status in ((5, "INACTIVE"), (15, "UNDER_REVIEW")):
        review.update_assessment_control(
            later(metered, minute),
            am.UpdateAssessmentControlRequest(
                assessment_id=made["metadata"]["id"],
                control_set_id="Access",
                control_id=control,
                control_status=status,  # type: ignore[arg-type]
            ),
        )
    for minute in (1, 10, 20):
        observe(metered, later(metered, minute).now)
    assert total(metered) == 2


def test_a_dormant_assessment_meters_nothing(metered: Call) -> None:
    made = assessment(metered)
    accounts.deregister_account(metered, am.DeregisterAccountRequest())
    accounts.register_account(metered, am.RegisterAccountRequest())
    observe(metered, later(metered).now)
    assert total(metered) == 0
    ask = am.UpdateAssessmentRequest(
        assessment_id=made["metadata"]["id"],
        scope=am.Scope(aws_accounts=(am.AWSAccount(id=metered.tenant.account),)),
    )
    assessments.update_assessment(metered, ask)
    observe(metered, later(metered).now)
    assert total(metered) == 1


def test_a_backfill_meters_what_comes_after_it_and_not_what_was_there(metered: Call) -> None:
    made = assessment(metered)
    past = Instant(metered.now - 10 * MINUTE)
    observe(metered, past)
    start_backfill(metered, made["metadata"]["id"], Instant(past - MINUTE))
    assert total(metered) == 0
    observe(metered, past)
    assert total(metered) == 1


def test_a_backfill_of_a_new_account_meters_what_comes_after_it_and_counts_nothing_twice(
    metered: Call,
) -> None:
    made = assessment(metered)
    other, past = "999988887777", later(metered)
    observe(metered, past.now, account=other)
    observe(metered, past.now)
    assert total(metered) == 1
    scoped, last = later(metered, 2), later(metered, 3)
    accounts_ = tuple(am.AWSAccount(id=id_) for id_ in ("111122223333", other))
    ask = am.UpdateAssessmentRequest(
        assessment_id=made["metadata"]["id"], scope=am.Scope(aws_accounts=accounts_)
    )
    assessments.update_assessment(scoped, ask)
    start_backfill(last, made["metadata"]["id"], metered.now)
    assert total(metered) == 1
    observe(metered, past.now, account=other)
    observe(metered, past.now)
    assert total(metered) == 3


def test_manual_evidence_is_metered_and_not_charged(metered: Call) -> None:
    made = assessment(metered)
    manual.batch_import_evidence(
        metered,
        am.BatchImportEvidenceToAssessmentControlRequest(
            assessment_id=made["metadata"]["id"],
            control_set_id="Access",
            control_id=made["framework"]["controlSets"][0]["controls"][0]["id"],
            manual_evidence=(am.ManualEvidence(text_response="Done."),),
        ),
    )
    assert total(metered, "MANUAL") == 1
    day = day_of(metered.now)
    rows = usage.metered(metered.tx.system(), day, type(day)(day + 1))
    assert usage.assessments(rows) == 0
