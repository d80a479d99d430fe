"""Notices as people read them, and messages as systems do."""

import json
from typing import get_args

import pytest

from auditkeep.clock import DAY, Instant, parse
from auditkeep.db.database import Database
from auditkeep.ids import Tenant
from auditkeep.notifications import outgoing, store
from auditkeep.notifications.model import OCCURRENCES, About, DetailType, Event, Telling, sentence
from auditkeep.wire.models import auditmanager as am

NOW = parse("2026-05-01T12:00:00.123456Z")
TENANT = Tenant("111122223333", "us-east-1")
OTHER = Tenant("999988887777", "us-east-1")
OWNER = "arn:aws:iam::111122223333:role/team/Owner"
EXPERT = "arn:aws:iam::111122223333:role/Expert"
SESSION = "arn:aws:sts::111122223333:assumed-role/Owner/jane"
ABOUT = About("a-1", "Q3 review", "Access")
TELLING = Telling(
    id="m-1", kind="CONTROL_SET_DELEGATED", about=ABOUT, description="look", source=EXPERT, at=NOW
)


def event(detail_type: DetailType = "Assessment Created") -> Event:
    return Event(
        id="e-1",
        detail_type=detail_type,
        account=TENANT.account,
        region=TENANT.region,
        author=SESSION,
        assessment_id="a-1",
        assessment_name="Q3 review",
        at=NOW,
    )


@pytest.mark.both_databases
def test_notices_reach_each_recipient_once_however_they_sign_in(db: Database) -> None:
    with db.write(TENANT) as tx:
        (told,) = store.tell(tx, [OWNER, SESSION, EXPERT], TELLING)
    with db.read(TENANT) as tx:
        (notice,) = store.page(tx, SESSION, None, 10)
        assert store.find(tx, told) == notice
        assert store.page(tx, EXPERT, None, 10) == []
        assert store.page(tx, OWNER, (notice.created_at, notice.id), 10) == []
    assert notice.id == told
    assert told.startswith(f"{NOW // 1000}_")
    assert (notice.about, notice.description, notice.source) == (ABOUT, "look", EXPERT)
    assert (notice.kind, notice.recipient) == (
        "CONTROL_SET_DELEGATED",
        "arn:aws:iam::111122223333:role/Owner",
    )
    with db.read(OTHER) as tx:
        assert store.find(tx, told) is None


@pytest.mark.both_databases
@pytest.mark.parametrize("message", [TELLING, event()])
def test_a_message_waits_as_it_was_written_for_its_tenant_alone(
    db: Database, message: Telling | Event
) -> None:
    with db.write(TENANT) as tx:
        outgoing.put(tx, message)
    with db.read(TENANT) as tx:
        assert outgoing.find(tx, message.id) == message
    with db.read(OTHER) as tx:
        assert outgoing.find(tx, message.id) is None


@pytest.mark.both_databases
def test_messages_outlive_the_jobs_that_carry_them_and_then_go(db: Database) -> None:
    with db.write(TENANT) as tx:
        outgoing.put(tx, TELLING)
    for days, forgotten in [(31, 0), (44, 0), (46, 1), (46, 0)]:
        with db.system_write() as system:
            assert outgoing.prune(system, Instant(NOW + days * DAY)) == forgotten


def test_a_notice_is_told_in_the_members_of_the_specification() -> None:
    assert TELLING.body() == {
        "assessmentId": "a-1",
        "assessmentName": "Q3 review",
        "controlSetId": "Access",
        "controlSetName": "Access",
        "source": EXPERT,
        "description": "look",
        "eventTime": 1777636800123,
        "type": "CONTROL_SET_DELEGATED",
    }


def test_an_event_has_the_envelope_of_eventbridge() -> None:
    arn = "arn:aws:auditmanager:us-east-1:111122223333:assessment/a-1"
    assert json.loads(json.dumps(event().envelope())) == {
        "version": "0",
        "id": "e-1",
        "detail-type": "Assessment Created",
        "source": "aws.auditmanager",
        "account": "111122223333",
        "time": "2026-05-01T12:00:00Z",
        "region": "us-east-1",
        "resources": [arn],
        "detail": {
            "eventID": "e-1",
            "author": SESSION,
            "assessmentTenantId": "111122223333",
            "assessmentName": "Q3 review",
            "eventTime": 1777636800123,
            "eventName": "CREATE",
            "eventType": "ASSESSMENT",
            "assessmentID": "a-1",
        },
    }
    assert event().envelope("mine")["source"] == "mine"


def test_the_names_of_events_are_those_of_the_model() -> None:
    assert len(OCCURRENCES) == 7  # AWS's six, and that of gaps
    for name, kind in OCCURRENCES.values():
        assert name in get_args(am.ActionEnum)
        assert kind in get_args(am.ObjectTypeEnum)


@pytest.mark.parametrize(
    "kind", ["CONTROL_SET_DELEGATED", "CONTROL_SET_HANDED_BACK", "CONTROL_SET_REVIEWED"]
)
def test_a_sentence_stands_in_for_a_comment(kind: str) -> None:
    assert "'Access'" in sentence(kind, "Access")  # type: ignore[arg-type]
