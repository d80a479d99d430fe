"""Owners are told of gaps: gathered, once, over every channel, whatever dies on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tests.operations.making import ACCOUNT, OWNER, assessment, shown
from tests.workflows.collect_house import Made, Nobody
from tests.workflows.test_report import House, library

from auditkeep.clock import MINUTE, FixedClock, Instant
from auditkeep.collection import gaps
from auditkeep.collection.looks import Plans
from auditkeep.db.database import Database
from auditkeep.db.schema import jobs, outgoing
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.notifications import outgoing as messages
from auditkeep.notifications import store, webhooks
from auditkeep.notifications.model import Event, Notice, Telling
from auditkeep.operations.auditmanager import accounts, assessments, notifications
from auditkeep.sources.pull import Denied
from auditkeep.wire.models import auditmanager as am
from auditkeep.work.jobs import DatabaseJobs
from auditkeep.work.pump import Pump
from auditkeep.workflows import gap_notices
from auditkeep.workflows.asking import Asking
from auditkeep.workflows.collect import KIND, Collector
from auditkeep.workflows.gap_notices import GapNotices
from auditkeep.workflows.rounds import Rounds

OTHERS = tuple(f"4444555566{n:02}" for n in range(30))
TOPIC = "arn:aws:sns:us-east-1:111122223333:audit"
REFUSED = "cloudtrail:LookupEvents"


class Watched(House):
    """A tenant of many accounts, all of which may refuse at once."""

    def __init__(self, db: Database, lake: Lake, tenant: Tenant, clock: FixedClock) -> None:
        super().__init__(db, lake, tenant, clock)
        update = {
            "collect": "aws",
            "collect_minutes": 60,
            "smtp_host": "mail.example.com",
            "event_bus": "arn:aws:events:us-east-1:111122223333:event-bus/audit",
        }
        self.settings = self.deps.settings.model_copy(update=update)
        self.deps = replace(self.deps, settings=self.settings)
        self.trail = Made("AWS_Cloudtrail", clock)
        plans = Plans(library(), self.settings)
        self.notices = GapNotices(db, self.settings, clock, plans)
        collector = Collector(
            db=db,
            lake=lake,
            settings=self.settings,
            clock=clock,
            plans=plans,
            pullers={"AWS_Cloudtrail": self.trail},
            clients=lambda _: Nobody(),
            interest=lambda _: Interest.everything(),
            secret=b"s" * 32,
            told=self.notices.hear,
        )
        self.rounds = Rounds(collector)
        handlers = {KIND: Asking(collector).handler(), gap_notices.KIND: self.notices.handler()}
        self.pump = Pump(DatabaseJobs(db), handlers, clock, threads=1)

    def made(self, *accounts: str, **members: Any) -> str:
        with self.call() as call:
            found = assessment(call, sets={"S": ["a"]}, accounts=accounts, **members)
        return str(found["metadata"]["id"])

    def refuse(self, *accounts: str, times: int = 99) -> None:
        for account in accounts:
            error = Denied("No.", action=REFUSED)
            self.trail.troubles[(account, "")] = [error] * times

    def allow(self) -> None:
        self.trail.troubles.clear()

    def collect(self) -> None:
        self.rounds.queue()
        self.pump.drain()

    def later(self, time: int) -> None:
        self.clock.at = Instant(self.clock.at + time)
        self.collect()

    def told(self) -> list[Notice]:
        """What the owner reads, oldest first."""
        with self.db.read(self.tenant) as tx:
            return store.page(tx, OWNER, None, 100)[::-1]

    def sent(self) -> list[Telling | Event]:
        with self.db.read(self.tenant) as tx:
            found = [messages.find(tx, row.id) for row in tx.all(tx.select(outgoing.c.id))]
        return [message for message in found if message is not None]

    def queued(self) -> Counter[str]:
        with self.db.read(self.tenant) as tx:
            rows = tx.system().all(tx.system().select(jobs.c.kind, jobs.c.state))
        return Counter(row.kind for row in rows if row.state == "queued")


pytestmark = pytest.mark.both_databases


@pytest.fixture
def house(db: Database, lake: Lake, tenant: Tenant, clock: FixedClock) -> Watched:
    return Watched(db, lake, tenant, clock)


def test_thirty_accounts_that_refuse_are_one_notice(house: Watched) -> None:
    where = house.made(ACCOUNT, *OTHERS)
    house.refuse(*OTHERS)
    house.collect()
    assert house.told() == []
    house.later(15 * MINUTE)
    (notice,) = house.told()
    assert (notice.kind, notice.source, notice.about.assessment_id) == (
        "COLLECTION_GAPS", "auditkeep", where,
    )  # fmt: skip
    assert (
        f"cloudtrail in {OTHERS[0]} us-east-1 and 29 more places: denied ({REFUSED}), since "
        "2026-05-01 12:00 UTC, for 1 control"
    ) in notice.description
    assert "30 gaps last for this assessment." in notice.description
    house.later(2 * 60 * MINUTE)
    assert len(house.told()) == 1


def test_what_follows_on_the_same_day_is_told_after_midnight(house: Watched) -> None:
    house.made(ACCOUNT, *OTHERS[:2])
    house.refuse(OTHERS[0])
    house.collect()
    house.later(60 * MINUTE)
    house.refuse(OTHERS[1])
    house.later(60 * MINUTE)
    house.allow()
    house.later(60 * MINUTE)
    assert len(house.told()) == 1
    house.clock.at = Instant(house.clock.at + 10 * 60 * MINUTE)
    house.pump.drain()
    _, second = house.told()
    assert f"cloudtrail in {OTHERS[0]}" in second.description
    assert OTHERS[1] not in second.description  # over and filled before anybody was told
    assert "filled afterwards" in second.description
    assert second.description.startswith("Collected again, or not needed any more:")
    assert "0 gaps last" in second.description


def test_it_goes_over_every_channel_and_wakes_nobody_twice(house: Watched) -> None:
    with house.call() as call:
        accounts.update_settings(call, am.UpdateSettingsRequest(sns_topic=TOPIC))
        for name, what in (("siem", "events"), ("chat", "notices")):
            sends: Any = (what,)
            webhooks.put(
                call.tx,
                name,
                f"https://{name}.example.com/",
                sends=sends,
                secret=None,
                now=call.now,
            )
    where = house.made(ACCOUNT, OTHERS[0])
    house.refuse(OTHERS[0])
    before = house.queued()
    house.collect()
    house.later(15 * MINUTE)
    new = house.queued() - before
    assert {kind: new[kind] for kind in ("notice-mail", "notice-sns", "webhook", "event-bus")} == {
        "notice-mail": 2, "notice-sns": 1, "webhook": 2, "event-bus": 1,
    }  # fmt: skip
    (telling,) = [m for m in house.sent() if isinstance(m, Telling)]
    assert "controlSetId" not in telling.body()
    (event,) = [m for m in house.sent() if isinstance(m, Event) and m.gaps]
    envelope: Any = event.envelope()
    assert (envelope["source"], envelope["detail-type"]) == (
        "auditkeep",
        "Assessment Collection Gaps",
    )
    counts = {
        name: envelope["detail"][name] for name in ("gapsOpened", "gapsClosed", "gapsLasting")
    }
    assert counts == {"gapsOpened": 1, "gapsClosed": 0, "gapsLasting": 1}
    assert envelope["detail"]["assessmentID"] == where


def test_only_owners_of_assessments_that_look_there_are_told(house: Watched) -> None:
    other = "arn:aws:iam::111122223333:role/Elsewhere"
    house.made(ACCOUNT, owners=(other,))
    looking = house.made(ACCOUNT, OTHERS[0])
    house.refuse(OTHERS[0])
    house.collect()
    house.later(15 * MINUTE)
    assert [n.about.assessment_id for n in house.told()] == [looking]
    with house.db.read(house.tenant) as tx:
        assert store.page(tx, other, None, 10) == []


def test_a_telling_that_dies_is_told_whole_by_the_next_and_once(
    house: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.made(ACCOUNT, OTHERS[0])
    house.refuse(OTHERS[0])
    house.collect()
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise OSError("gone")

        patch.setattr(gaps, "told", die)
        with pytest.raises(OSError, match="gone"):
            house.notices.tell(house.tenant, "2026-05-01/first")
    assert house.told() == []
    for _ in range(3):
        house.notices.tell(house.tenant, "2026-05-01/first")
    assert len(house.told()) == 1


def test_a_gap_that_is_never_filled_is_told_though_it_is_over(house: Watched) -> None:
    where = house.made(ACCOUNT, OTHERS[0])
    house.refuse(OTHERS[0])
    house.collect()
    house.clock.advance(MINUTE)
    with house.call() as call:
        assessments.update_assessment(
            call,
            am.UpdateAssessmentRequest(
                assessment_id=where, scope=am.Scope(aws_accounts=(am.AWSAccount(id=ACCOUNT),))
            ),
        )
    house.later(15 * MINUTE)
    (notice,) = house.told()
    assert "not filled" in notice.description


def test_the_list_of_notifications_has_the_shape_that_clients_know(house: Watched) -> None:
    house.made(ACCOUNT, OTHERS[0])
    house.refuse(OTHERS[0])
    house.collect()
    house.later(15 * MINUTE)
    with house.call() as call:
        mine = replace(call, principal=replace(call.principal, arn=OWNER))
        answer = shown(notifications.list_notifications(mine, am.ListNotificationsRequest()))
    (one,) = answer["notifications"]
    assert set(one) == {
        "id", "assessmentId", "assessmentName", "description", "eventTime", "source",
    }  # fmt: skip
