"""Delivering: what a job sends, what it finds gone, and what it makes of failures."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.receivers import MailRelay, WebServer, mail_relay, web_server

from auditkeep import settings as settings_room
from auditkeep.accounts import store as accounts
from auditkeep.accounts.model import TenantSettings
from auditkeep.clock import DAY, MINUTE, SECOND, FixedClock
from auditkeep.db.database import Database
from auditkeep.errors import ChannelDown
from auditkeep.ids import Tenant
from auditkeep.notifications import addresses, outgoing, store, webhooks
from auditkeep.notifications.model import BUS, CHANNELS, MAIL, SNS, WEBHOOK, About, Event, Telling
from auditkeep.work import ended
from auditkeep.work.ended import Trouble
from auditkeep.work.jobs import DatabaseJobs
from auditkeep.work.pump import Pump
from auditkeep.workflows.notify import FOR_A_DAY, Delivery, Post

EXPERT = "arn:aws:iam::111122223333:role/Expert"
ALICE = "arn:aws:iam::111122223333:user/alice"
TOPIC = "arn:aws:sns:us-east-1:111122223333:audit"
BUS_ARN = "arn:aws:events:us-east-1:111122223333:event-bus/audit"


class Cloud:
    """What would be SNS and EventBridge: keeps what it is handed, and is down when told so."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Telling]] = []
        self.put: list[tuple[str, Event, str]] = []
        self.down = False
        self.heard = threading.Event()

    def publish(self, topic: str, telling: Telling) -> None:
        if self.down:
            raise ChannelDown("SNS answered InternalError.")
        self.published.append((topic, telling))
        self.heard.set()

    def put_event(self, bus: str, event: Event, source: str) -> None:
        self.put.append((bus, event, source))


class House:
    """One tenant's messages, and the pump that delivers them."""

    def __init__(self, db: Database, tenant: Tenant, clock: FixedClock, folder: Path) -> None:
        self.db, self.tenant, self.clock = db, tenant, clock
        self.jobs = DatabaseJobs(db)
        self.cloud = Cloud()
        self.post = Post(
            db, settings_room.load(folder), clock, self.cloud  # type: ignore[arg-type]
        )  # fmt: skip
        self.pump = Pump(self.jobs, self.post.handlers(), clock)
        with db.write(tenant) as tx:
            accounts.register(tx, None, clock.now())

    def topic(self, arn: str | None) -> None:
        with self.db.write(self.tenant) as tx:
            accounts.save_settings(tx, TenantSettings(sns_topic=arn), "DEFAULT")

    def webhook(self, name: str, url: str) -> None:
        with self.db.write(self.tenant) as tx:
            webhooks.put(
                tx, name, url,
                sends=webhooks.ALL_SENT, secret=None, now=self.clock.now(),
            )  # fmt: skip

    def tell(self, *channels: tuple[str, str], comment: str = "look") -> str:
        """Queue a notice for channels, given by kind and lane; the message's id."""
        now = self.clock.now()
        telling = Telling(
            id=f"m-{now}-{comment}",
            kind="CONTROL_SET_DELEGATED",
            about=About("a-1", "Q3 review", "Access"),
            description=comment,
            source=ALICE,
            at=now,
        )
        with self.db.write(self.tenant) as tx:
            (notice,) = store.tell(tx, [EXPERT], telling)
            outgoing.put(tx, telling)
            for kind, lane in channels:
                keys = {MAIL: notice, WEBHOOK: f"{telling.id}/{lane}"}
                self.jobs.enqueue(tx, kind, keys.get(kind, telling.id), now, lane=lane)
        return telling.id

    def happen(self) -> str:
        now = self.clock.now()
        event = Event(
            id="e-1",
            detail_type="Assessment Created",
            account=self.tenant.account,
            region=self.tenant.region,
            author=ALICE,
            assessment_id="a-1",
            assessment_name="Q3 review",
            at=now,
        )
        with self.db.write(self.tenant) as tx:
            outgoing.put(tx, event)
            self.jobs.enqueue(tx, BUS, event.id, now, lane="")
            self.jobs.enqueue(tx, WEBHOOK, f"{event.id}/siem", now, lane="siem")
        return event.id

    def troubles(self) -> list[Trouble]:
        with self.db.system_read() as tx:
            return ended.troubles(tx, CHANNELS)


Build = Callable[[], House]


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def relay() -> Iterator[MailRelay]:
    with mail_relay() as server:
        yield server


@pytest.fixture
def build(
    db: Database, tenant: Tenant, clock: FixedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Build:
    monkeypatch.setenv("AUDITKEEP_WEBHOOK_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("AUDITKEEP_EVENT_BUS", BUS_ARN)
    return lambda: House(db, tenant, clock, tmp_path)


@pytest.fixture
def house(build: Build) -> House:
    return build()


@pytest.mark.both_databases
@pytest.mark.server
def test_each_channel_gets_its_own_form_of_it(
    build: Build, web: WebServer, relay: MailRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("AUDITKEEP_SMTP_PORT", str(relay.port))
    monkeypatch.setenv("AUDITKEEP_SMTP_TLS", "none")
    monkeypatch.setenv("AUDITKEEP_SMTP_FROM", "audit@example.com")
    house = build()
    house.topic(TOPIC)
    house.webhook("siem", web.url)
    with house.db.write(house.tenant) as tx:
        addresses.put(tx, EXPERT, "expert@example.com", house.clock.now())
    message = house.tell((SNS, ""), (WEBHOOK, "siem"), (MAIL, ""))
    event = house.happen()
    assert house.pump.drain() == 5
    assert house.troubles() == []
    ((topic, telling),) = house.cloud.published
    assert (topic, telling.id) == (TOPIC, message)
    ((bus, put, source),) = house.cloud.put
    assert (bus, put.id, source) == (BUS_ARN, event, "auditkeep")
    ((mail, recipient, _),) = relay.mails
    assert recipient == "expert@example.com"
    assert "> look" in mail.get_content()
    posted = {p.headers["webhook-id"]: json.loads(p.body) for p in web.posted}
    assert posted == {message: telling.body(), event: put.envelope()}


@pytest.mark.server
def test_what_was_taken_away_meanwhile_ends_what_was_on_its_way(
    build: Build, web: WebServer, relay: MailRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("AUDITKEEP_SMTP_PORT", str(relay.port))
    monkeypatch.setenv("AUDITKEEP_SMTP_FROM", "audit@example.com")
    house = build()
    house.topic(TOPIC)
    house.webhook("siem", web.url)
    house.tell((SNS, ""), (WEBHOOK, "siem"), (MAIL, ""))
    house.topic(None)
    with house.db.write(house.tenant) as tx:
        webhooks.delete(tx, "siem")
    assert house.pump.drain() == 3
    assert house.troubles() == []
    assert (house.cloud.published, web.posted, relay.mails) == ([], [], [])


def test_a_channel_missing_from_the_settings_is_a_failure(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDITKEEP_EVENT_BUS")
    house = build()
    house.happen()
    with house.db.write(house.tenant) as tx:
        addresses.put(tx, EXPERT, "expert@example.com", house.clock.now())
    house.tell((MAIL, ""))
    house.pump.drain()
    errors = [t.error for t in house.troubles()]
    assert errors == [
        "No event bus is set any more: set AUDITKEEP_EVENT_BUS again.",
        "No mail relay is set any more: set AUDITKEEP_SMTP_HOST again.",
    ]


@pytest.mark.both_databases
def test_a_dead_topic_is_tried_for_a_day_and_again_when_asked(house: House) -> None:
    house.topic(TOPIC)
    house.cloud.down = True
    began = house.clock.now()
    message = house.tell((SNS, ""))
    runs = 0
    while (trouble := next(iter(house.troubles()), None)) is None or trouble.again_at is not None:
        runs += house.pump.drain()
        (trouble,) = house.troubles()
        if trouble.again_at is not None:
            house.clock.at = trouble.again_at
    assert 23 * 60 * MINUTE < house.clock.now() - began <= DAY
    assert (trouble.key, trouble.error) == (message, "SNS answered InternalError.")
    assert runs == trouble.tries > 100
    house.clock.advance(DAY)
    assert house.pump.drain() == 0
    house.cloud.down = False
    with house.db.system_write() as tx:
        assert ended.try_again(tx, CHANNELS, house.clock.now()) == 1
    assert house.pump.drain() == 1
    assert [t.id for _, t in house.cloud.published] == [message]
    assert house.troubles() == []


@pytest.mark.server
def test_what_waits_for_a_dead_webhook_costs_one_try_at_a_time(
    house: House, web: WebServer
) -> None:
    house.webhook("siem", web.url)
    house.webhook("chat", web.url)
    web.answers = [503]
    for n in range(5):
        house.tell((WEBHOOK, "siem"), comment=f"siem {n}")
    assert house.pump.drain() == 1
    house.tell((WEBHOOK, "chat"), comment="chat")
    assert house.pump.drain() == 1
    assert [json.loads(p.body)["description"] for p in web.posted] == ["siem 0", "chat"]
    house.clock.advance(3 * SECOND)
    assert house.pump.drain() == 5
    assert sorted(json.loads(p.body)["description"] for p in web.posted[2:]) == [
        f"siem {n}" for n in range(5)
    ]


@pytest.mark.server
def test_a_try_is_signed_anew_under_the_same_id(house: House, web: WebServer) -> None:
    house.webhook("siem", web.url)
    web.answers = [500]
    message = house.tell((WEBHOOK, "siem"))
    house.pump.drain()
    house.clock.advance(3 * SECOND)
    house.pump.drain()
    first, second = web.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == message
    assert first.headers["webhook-timestamp"] < second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.body == second.body


@pytest.mark.server
def test_a_mail_refused_for_good_is_failed_at_once_and_holds_no_other(
    build: Build, relay: MailRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("AUDITKEEP_SMTP_PORT", str(relay.port))
    monkeypatch.setenv("AUDITKEEP_SMTP_TLS", "none")
    monkeypatch.setenv("AUDITKEEP_SMTP_FROM", "audit@example.com")
    house = build()
    relay.refuses["gone@example.com"] = "550 gone@example.com is no more"
    with house.db.write(house.tenant) as tx:
        addresses.put(tx, EXPERT, "gone@example.com", house.clock.now())
    house.tell((MAIL, ""))
    house.pump.drain()
    with house.db.write(house.tenant) as tx:
        addresses.put(tx, EXPERT, "here@example.com", house.clock.now())
    house.tell((MAIL, ""), comment="second")
    house.pump.drain()
    (trouble,) = house.troubles()
    assert trouble.again_at is None
    assert trouble.error == "The mail relay refused the recipient for good (550)."
    assert [to for _, to, _ in relay.mails] == ["here@example.com"]


def test_a_password_file_is_read_when_it_is_needed(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("AUDITKEEP_SMTP_FROM", "audit@example.com")
    monkeypatch.setenv("AUDITKEEP_SMTP_USER", "auditkeep")
    monkeypatch.setenv("AUDITKEEP_SMTP_PASSWORD_FILE", str(tmp_path / "password"))
    house = build()
    with house.db.write(house.tenant) as tx:
        addresses.put(tx, EXPERT, "expert@example.com", house.clock.now())
    house.tell((MAIL, ""))
    house.pump.drain()
    (trouble,) = house.troubles()
    assert trouble.error.startswith("The mail relay's password cannot be read from")


@pytest.mark.server
def test_threads_deliver_and_stop(house: House, web: WebServer) -> None:
    house.topic(TOPIC)
    house.webhook("siem", web.url)
    delivery = Delivery(house.post, house.jobs)
    delivery.start()
    house.tell((SNS, ""), (WEBHOOK, "siem"))
    web.wait(1)
    assert house.cloud.heard.wait(10)
    assert delivery.stop()
    assert len(house.cloud.published) == 1


def test_a_day_is_the_specifications() -> None:
    assert FOR_A_DAY.within == DAY
