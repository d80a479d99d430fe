"""Which operation tells what, and to which channels (spec sections 8.1, 8.2 and 10.4)."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.operations.making import assessment, by

from auditkeep import settings as settings_room
from auditkeep.db.schema import jobs, outgoing
from auditkeep.errors import InvalidRequest
from auditkeep.notifications import webhooks
from auditkeep.notifications.webhooks import Sent
from auditkeep.operations.auditmanager import accounts, assessments, delegations, review
from auditkeep.operations.call import Call
from auditkeep.wire.models import auditmanager as am

EXPERT = "arn:aws:iam::111122223333:role/Expert"
TOPIC = "arn:aws:sns:us-east-1:111122223333:audit"
BUS = "arn:aws:events:us-east-1:111122223333:event-bus/audit"


@pytest.fixture
def heard(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A call in a deployment where every channel is set up."""
    monkeypatch.setenv("AUDITKEEP_SMTP_HOST", "mail.example.com")
    monkeypatch.setenv("AUDITKEEP_SMTP_FROM", "audit@example.com")
    monkeypatch.setenv("AUDITKEEP_EVENT_BUS", BUS)
    accounts.update_settings(call, am.UpdateSettingsRequest(sns_topic=TOPIC))
    _webhook(call, "siem", "events")
    _webhook(call, "chat", "notices")
    deps = dataclasses.replace(call.deps, settings=settings_room.load(tmp_path))
    return dataclasses.replace(call, deps=deps)


def test_the_life_of_an_assessment_makes_each_event_once(heard: Call) -> None:
    made = assessment(heard)
    assert _events(heard) == ["Assessment Created"]
    _update(heard, made)
    assert _events(heard) == ["Assessment Updated"]
    _delegate(heard, made)
    assert _events(heard) == ["Assessment ControlSet Delegation Created"]
    _review_control(heard, made, "INACTIVE")
    _review_control(heard, made, "UNDER_REVIEW")
    assert _events(heard) == []
    _review_control(heard, made, "REVIEWED")
    assert _events(heard) == ["Assessment Control Reviewed"]
    _review_control(heard, made, "REVIEWED")
    _move_set(heard, made, "UNDER_REVIEW")
    _move_set(heard, made, "ACTIVE")
    assert _events(heard) == []
    _move_set(heard, made, "REVIEWED")
    assert _events(heard) == ["Assessment ControlSet Reviewed"]
    _move_set(heard, made, "REVIEWED")
    assert _events(heard) == []
    assessments.delete_assessment(
        heard, am.DeleteAssessmentRequest(assessment_id=made["metadata"]["id"])
    )
    assert _events(heard) == ["Assessment Deleted"]


def test_ending_an_assessment_is_no_review(heard: Call) -> None:
    made = assessment(heard)
    _events(heard)
    assessments.update_assessment_status(
        heard,
        am.UpdateAssessmentStatusRequest(assessment_id=made["metadata"]["id"], status="INACTIVE"),
    )
    assert _events(heard) == []
    assert _notices(heard) == []


def test_a_request_that_is_refused_tells_nothing(heard: Call) -> None:
    made = assessment(heard)
    _delegate(heard, made)
    _events(heard), _notices(heard)
    _delegate(heard, made)  # the same again is an error of its own
    assert _events(heard) == _notices(heard) == []
    _review_control(heard, made, "REVIEWED")
    _events(heard)
    with pytest.raises(InvalidRequest):
        _review_control(heard, made, "INACTIVE")
    assert _events(heard) == []


def test_an_event_names_the_session_that_caused_it(heard: Call) -> None:
    session = "arn:aws:sts::111122223333:assumed-role/Owner/jane"
    assessment(by(heard, "jane", arn=session))
    (event,) = _documents(heard, "event")
    assert event["author"] == session
    assert event["account"] == "111122223333"
    assert event["region"] == "us-east-1"
    assert event["assessment_name"] == "assessment"
    assert event["at"] == heard.now


def test_the_three_notices_go_to_topic_webhook_and_mailboxes(heard: Call) -> None:
    made = assessment(heard)
    _jobs(heard)
    _delegate(heard, made)
    assert _jobs(heard, "notice-sns", "notice-mail", "webhook/chat") == (1, 1, 1)
    _move_set(by(heard, "expert", arn=EXPERT), made, "UNDER_REVIEW")
    assert _jobs(heard, "notice-sns", "notice-mail", "webhook/chat") == (1, 2, 1)  # two owners
    _move_set(heard, made, "REVIEWED")
    assert _jobs(heard, "notice-sns", "notice-mail", "webhook/chat") == (1, 1, 1)
    assert [n["kind"] for n in _notices(heard)] == [
        "CONTROL_SET_DELEGATED",
        "CONTROL_SET_HANDED_BACK",
        "CONTROL_SET_REVIEWED",
    ]


def test_a_topic_hears_of_it_also_when_nobody_else_is_told(heard: Call) -> None:
    made = assessment(heard)
    _jobs(heard)
    _move_set(heard, made, "REVIEWED")
    assert _jobs(heard, "notice-sns", "notice-mail", "webhook/chat") == (1, 0, 1)


@pytest.mark.parametrize("comment", [None, "", "  \n "])
def test_a_notice_always_says_something(heard: Call, comment: str | None) -> None:
    made = assessment(heard)
    _delegate(heard, made, comment)
    (notice,) = _notices(heard)
    assert notice["description"] == "The control set 'Access' was delegated to you."


def test_events_go_to_the_bus_and_to_webhooks_that_want_them(heard: Call) -> None:
    assessment(heard)
    assert _jobs(heard, "event-bus", "webhook/siem", "webhook/chat") == (1, 1, 0)


def test_where_no_channel_is_set_up_nothing_is_queued(call: Call) -> None:
    made = assessment(call)
    _delegate(call, made)
    _move_set(call, made, "REVIEWED")
    assert call.tx.system().all(call.tx.system().select(jobs)) == []
    assert call.tx.all(call.tx.select(outgoing)) == []


def test_jobs_hold_ids_and_no_words(heard: Call) -> None:
    made = assessment(heard, name="Project Nightfall")
    _delegate(heard, made, "top secret")
    rows = heard.tx.system().all(heard.tx.system().select(jobs))
    assert rows
    for row in rows:
        assert "Nightfall" not in str(row)
        assert "top secret" not in str(row)
        assert "Access" not in str(row)


def _jobs(call: Call, *names: str) -> tuple[int, ...]:
    """How many jobs of each name were queued since this was asked last."""
    tx = call.tx.system()
    rows = tx.all(tx.select(jobs))
    tx.run(tx.delete(jobs))
    found = Counter(f"webhook/{r.lane}" if r.kind == "webhook" else r.kind for r in rows)
    return tuple(found[name] for name in names)


def _documents(call: Call, tag: str) -> list[Any]:
    rows = call.tx.all(call.tx.select(outgoing))
    found = [d for d in (json.loads(r.document) for r in rows) if d["type"] == tag]
    of_tag = [d["id"] for d in found]
    call.tx.run(call.tx.delete(outgoing).where(outgoing.c.id.in_(of_tag)))
    return found


def _events(call: Call) -> list[str]:
    """The kinds of the events since this was asked last."""
    return [d["detail_type"] for d in _documents(call, "event")]


def _notices(call: Call) -> list[Any]:
    order = ["CONTROL_SET_DELEGATED", "CONTROL_SET_HANDED_BACK", "CONTROL_SET_REVIEWED"]
    return sorted(_documents(call, "notice"), key=lambda d: order.index(d["kind"]))


def _webhook(call: Call, name: str, sends: Sent) -> None:
    webhooks.put(
        call.tx,
        name,
        "https://hooks.example.com/",
        sends=[sends],
        secret=None,
        now=call.now,
    )


def _where(made: dict[str, Any]) -> dict[str, Any]:
    return {"assessment_id": made["metadata"]["id"], "control_set_id": "Access"}


def _delegate(call: Call, made: dict[str, Any], comment: str | None = "please look") -> None:
    asked = am.CreateDelegationRequest(
        control_set_id="Access", role_arn=EXPERT, role_type="RESOURCE_OWNER", comment=comment
    )
    delegations.batch_create_delegation(
        call,
        am.BatchCreateDelegationByAssessmentRequest(
            assessment_id=made["metadata"]["id"], create_delegation_requests=(asked,)
        ),
    )


def _move_set(call: Call, made: dict[str, Any], status: Any) -> None:
    review.update_assessment_control_set_status(
        call,
        am.UpdateAssessmentControlSetStatusRequest(**_where(made), status=status, comment=""),
    )


def _review_control(call: Call, made: dict[str, Any], status: Any) -> None:
    control = made["framework"]["controlSets"][0]["controls"][0]["id"]
    review.update_assessment_control(
        call,
        am.UpdateAssessmentControlRequest(
            **_where(made), control_id=control, control_status=status
        ),
    )


def _update(call: Call, made: dict[str, Any]) -> None:
    assessments.update_assessment(
        call,
        am.UpdateAssessmentRequest(
            assessment_id=made["metadata"]["id"],
            scope=am.Scope(aws_accounts=(am.AWSAccount(id=call.tenant.account),)),
        ),
    )
