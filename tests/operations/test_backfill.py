"""Reaching into the past, and what changes of library and registration do to lenses."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from tests.operations.making import (
    again,
    assessment,
    at,
    by,
    control_of,
    folders_of,
    items_of,
    observe,
    rows_of,
)

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.collection import backfills, looks
from auditkeep.errors import AccessDenied, InvalidRequest, NotFound
from auditkeep.evidence import lens
from auditkeep.frameworks import store as frameworks
from auditkeep.frameworks.model import Keyword
from auditkeep.operations.auditkeep.backfill import fetch, start_backfill
from auditkeep.operations.auditmanager import assessments, propagation, review
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am


def test_a_backfill_shows_what_was_kept_before_and_keeps_nothing_more(call: Call) -> None:
    observe(call, *(_day(call, -d) for d in (1, 2, 5)))
    made = assessment(call)
    assert _totals(call, made) == []
    before = rows_of(call, "observation_ids"), rows_of(call, "rollups"), rows_of(call, "tail")
    assert start_backfill(call, made["metadata"]["id"], _day(call, -3)) == 1
    assert _totals(call, made) == [1, 1]
    assert start_backfill(call, made["metadata"]["id"], _day(call, -9)) == 1
    assert _totals(call, made) == [1, 1, 1]
    after = rows_of(call, "observation_ids"), rows_of(call, "rollups"), rows_of(call, "tail")
    assert before == after


def test_asking_twice_or_for_less_changes_nothing(call: Call) -> None:
    made = assessment(call)
    observe(call, _day(call, -1))
    start_backfill(call, made["metadata"]["id"], _day(call, -3))
    assert start_backfill(call, made["metadata"]["id"], _day(call, -3)) == 0
    assert start_backfill(call, made["metadata"]["id"], _day(call, -2)) == 0
    assert _totals(call, made) == [1]


def test_a_gap_stays_a_gap(call: Call) -> None:
    made = assessment(call)
    _set_control(at(call, Instant(call.now + 10 * MINUTE)), made, "INACTIVE")
    later = at(call, Instant(call.now + 20 * MINUTE))
    _set_control(later, made, "UNDER_REVIEW")
    observe(call, Instant(call.now + 15 * MINUTE), _day(call, -1))
    start_backfill(later, made["metadata"]["id"], _day(call, -3))
    assert _totals(call, made) == [1]


@pytest.mark.both_databases
def test_a_corrected_keyword_sees_the_time_before_it_was_corrected(call: Call) -> None:
    made = assessment(call)
    observe(call, *(Instant(call.now + m * MINUTE) for m in (1, 5)), match_key="s3:CreateBucket")
    observe(call, Instant(call.now + 2 * MINUTE), _day(call, -1))
    later = at(call, Instant(call.now + 10 * MINUTE))
    _edit(later, keyword="s3_CreateBucket")
    assert _totals(later, made) == [1]
    assert start_backfill(later, made["metadata"]["id"], _day(call, -2)) == 1
    # what it looked at before the edit stays as it was: only what it looks at now is opened
    assert _totals(later, made) == [3]
    observe(call, Instant(call.now + 3 * MINUTE), match_key="s3:CreateBucket")
    assert _totals(later, made) == [4]
    assert start_backfill(later, made["metadata"]["id"], _day(call, -2)) == 0


@pytest.mark.both_databases
def test_an_account_that_came_into_scope_is_seen_before_it_did(call: Call) -> None:
    other = "999988887777"
    made = assessment(call)
    observe(call, Instant(call.now + MINUTE))
    observe(call, Instant(call.now + 2 * MINUTE), account=other)
    later = at(call, Instant(call.now + 10 * MINUTE))
    accounts = tuple(am.AWSAccount(id=id_) for id_ in ("111122223333", other))
    ask = am.UpdateAssessmentRequest(
        assessment_id=made["metadata"]["id"], scope=am.Scope(aws_accounts=accounts)
    )
    assessments.update_assessment(later, ask)
    assert _totals(later, made) == [1]
    assert start_backfill(later, made["metadata"]["id"], _day(call, 0)) == 1
    assert _totals(later, made) == [2]
    (folder,) = folders_of(later, made)
    assert {i["evidenceAwsAccountId"] for i in items_of(later, folder)} == {"111122223333", other}


def test_sources_are_asked_up_to_when_each_account_came_into_scope(call: Call) -> None:
    settings = call.deps.settings.model_copy(update={"collect": "aws"})
    call = dataclasses.replace(call, deps=dataclasses.replace(call.deps, settings=settings))
    other, made = "999988887777", assessment(call, sets={"Access": ["b"]})
    id_ = made["metadata"]["id"]
    later = at(call, Instant(call.now + 10 * MINUTE))
    accounts = tuple(am.AWSAccount(id=one) for one in ("111122223333", other))
    ask = am.UpdateAssessmentRequest(assessment_id=id_, scope=am.Scope(aws_accounts=accounts))
    assessments.update_assessment(later, ask)
    start_backfill(later, id_, _day(call, -2))
    # asked for again it is the same, though all of it is opened by now
    assert [fetch(later, id_, _day(call, -2)) for _ in range(2)] == [2, 0]
    ends = {f.place.account: (f.start, f.end) for f in backfills.listed(later.tx, id_)}
    assert ends == {
        "111122223333": (_day(call, -2), call.now),
        other: (_day(call, -2), later.now),
    }


def test_a_past_that_is_opened_makes_no_slot_due(call: Call) -> None:
    _edit(call, keyword="iam_GetAccountPasswordPolicy", kind="AWS_API_Call")
    made = assessment(call)
    start_backfill(call, made["metadata"]["id"], _day(call, -3))
    (look,) = looks.intervals(call.tx, Instant(call.now + MINUTE))
    assert (look.opens_at, look.since) == (call.now, None)


def test_a_time_in_which_a_control_was_inactive_stays_a_gap_for_a_corrected_keyword(
    call: Call,
) -> None:
    made = assessment(call)
    _set_control(at(call, Instant(call.now + 10 * MINUTE)), made, "INACTIVE")
    later = at(call, Instant(call.now + 20 * MINUTE))
    _set_control(later, made, "UNDER_REVIEW")
    last = at(call, Instant(call.now + 30 * MINUTE))
    _edit(last, keyword="s3_CreateBucket")
    minutes = (5, 15, 25)
    observe(call, *(Instant(call.now + m * MINUTE) for m in minutes), match_key="s3:CreateBucket")
    start_backfill(last, made["metadata"]["id"], _day(call, -1))
    assert _totals(last, made) == [2]


def test_future_ended_dormant_and_foreign_assessments_are_refused(
    call: Call, elsewhere: Call
) -> None:
    made = assessment(call)
    assessment_id = made["metadata"]["id"]
    with pytest.raises(InvalidRequest, match="future"):
        start_backfill(call, assessment_id, Instant(call.now + 1))
    with pytest.raises(NotFound):
        start_backfill(elsewhere, assessment_id, _day(call, -1))
    with pytest.raises(AccessDenied):
        start_backfill(by(call, "stranger"), assessment_id, _day(call, -1))
    propagation.account_deregistered(call)
    with pytest.raises(InvalidRequest, match="dormant"):
        start_backfill(call, assessment_id, _day(call, -1))
    assessments.update_assessment_status(
        call, am.UpdateAssessmentStatusRequest(assessment_id=assessment_id, status="INACTIVE")
    )
    with pytest.raises(InvalidRequest, match="INACTIVE"):
        start_backfill(call, assessment_id, _day(call, -1))


def test_an_edited_control_looks_elsewhere_from_then_on(call: Call) -> None:
    made = assessment(call)
    ended = assessment(call)
    assessments.update_assessment_status(
        at(call, Instant(call.now + 5 * MINUTE)),
        am.UpdateAssessmentStatusRequest(assessment_id=ended["metadata"]["id"], status="INACTIVE"),
    )
    later = at(call, Instant(call.now + 10 * MINUTE))
    _edit(later, keyword="s3_CreateBucket", name="renamed")
    for minute in (1, 11):
        observe(call, Instant(call.now + minute * MINUTE))
        observe(call, Instant(call.now + minute * MINUTE), match_key="s3:CreateBucket")
    (folder,) = folders_of(call, made)
    assert (folder["totalEvidence"], folder["controlName"]) == (2, "renamed")
    names = {i["eventName"] for i in items_of(call, folder)}
    assert names == {"CreateUser", "CreateBucket"}
    assert again(call, ended)["framework"]["controlSets"][0]["controls"][0]["name"] == "a"


def test_api_calls_of_an_edited_control_begin_at_midnight(call: Call) -> None:
    made = assessment(call)
    _edit(call, keyword="iam_GetAccountPasswordPolicy", kind="AWS_API_Call")
    (one,) = lens.load(call.tx, made["metadata"]["id"], [1], None)
    opened = [i for i in one.intervals if not i.pinned]
    assert len(opened) == 1
    assert opened[0].opens_at == (call.now // DAY + 1) * DAY
    assert all(k.startswith("api:") for k in opened[0].match_keys)


def test_a_deleted_control_stops_and_keeps_what_it_has(call: Call) -> None:
    made = assessment(call)
    observe(call, Instant(call.now + MINUTE))
    later = at(call, Instant(call.now + 10 * MINUTE))
    propagation.control_deleted(later, control_of(call, "a").id)
    observe(call, Instant(call.now + 11 * MINUTE))
    assert _totals(call, made) == [1]
    assessments.update_assessment(
        later,
        am.UpdateAssessmentRequest(
            assessment_id=made["metadata"]["id"],
            scope=am.Scope(aws_accounts=(am.AWSAccount(id="999988887777"),)),
        ),
    )
    observe(call, Instant(call.now + 12 * MINUTE), account="999988887777")
    assert _totals(call, made) == [1]


def test_deregistering_puts_assessments_to_sleep_until_they_are_saved(call: Call) -> None:
    made = assessment(call)
    propagation.account_deregistered(at(call, Instant(call.now + 10 * MINUTE)))
    _set_control(at(call, Instant(call.now + 12 * MINUTE)), made, "INACTIVE")
    _set_control(at(call, Instant(call.now + 13 * MINUTE)), made, "UNDER_REVIEW")
    _edit(at(call, Instant(call.now + 14 * MINUTE)), keyword="iam_DeleteUser")
    _edit(at(call, Instant(call.now + 15 * MINUTE)), keyword="iam_CreateUser")
    assert again(call, made)["metadata"]["status"] == "ACTIVE"
    assessments.update_assessment(
        at(call, Instant(call.now + 20 * MINUTE)),
        am.UpdateAssessmentRequest(
            assessment_id=made["metadata"]["id"],
            scope=am.Scope(aws_accounts=(am.AWSAccount(id="111122223333"),)),
        ),
    )
    observe(call, *(Instant(call.now + m * MINUTE) for m in (5, 11, 16, 21)))
    assert _totals(call, made) == [2]


def _day(call: Call, days: int) -> Instant:
    return Instant(call.now + days * DAY)


def _edit(call: Call, *, keyword: str, kind: Any = "AWS_Cloudtrail", name: str = "a") -> None:
    """What UpdateControl does to the control named 'a'."""
    before = control_of(call, "a")
    source = msgspec.structs.replace(
        before.sources[0], type=kind, keyword=Keyword(keyword, "SELECT_FROM_LIST")
    )
    after = msgspec.structs.replace(before, name=name, sources=(source,))
    frameworks.save_control(call.tx, after)
    propagation.control_edited(call, after)


def _totals(call: Call, made: Any) -> list[int]:
    return [f["totalEvidence"] for f in folders_of(call, made)]


def _set_control(call: Call, made: Any, status: Any) -> None:
    ask = am.UpdateAssessmentControlRequest(
        assessment_id=made["metadata"]["id"],
        control_set_id="Access",
        control_id=made["framework"]["controlSets"][0]["controls"][0]["id"],
        control_status=status,
    )
    review.update_assessment_control(call, ask)
