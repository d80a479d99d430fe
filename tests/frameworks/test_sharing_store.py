"""Share requests on both sides, on both databases."""

import pytest
from msgspec.structs import replace

from auditkeep.clock import DAY, SECOND, Instant
from auditkeep.db.database import Database
from auditkeep.errors import NotFound
from auditkeep.frameworks import sharing_store as store
from auditkeep.frameworks.model import Framework
from auditkeep.frameworks.sharing_model import ShareRequest, Snapshot, Subject
from auditkeep.ids import Tenant, new_id

pytestmark = pytest.mark.both_databases
NOW = Instant(1_700_000_000_000_000)
THERE = Tenant("444455556666", "eu-west-1")
STRANGER = Tenant("444455556666", "us-east-1")


def request_from(tenant: Tenant, to: Tenant = THERE, at: int = 0, **changed: str) -> ShareRequest:
    made = ShareRequest(
        id=new_id(),
        side="SENT",
        framework_id=new_id(),
        source=tenant,
        destination=to,
        status="ACTIVE",
        subject=Subject(name="ünïcode", standard_controls=1, custom_controls=0),
        created_at=Instant(NOW + at),
        updated_at=Instant(NOW + at),
        expires_at=Instant(NOW + at + 120 * DAY),
        comment="why",
    )
    return replace(made, **changed)


def snapshot(name: str = "f") -> Snapshot:
    framework = Framework(
        id=new_id(), name=name, type="Custom", sets=(), created_at=NOW, updated_at=NOW
    )
    return Snapshot(framework=framework, controls=())


def test_both_sides_see_their_own_record(db: Database, tenant: Tenant) -> None:
    sent, offered = request_from(tenant), snapshot()
    with db.write(tenant) as tx:
        store.send(tx, sent, offered)
        assert store.get(tx, sent.id, "SENT") == sent
        with pytest.raises(NotFound):
            store.get(tx, sent.id, "RECEIVED")
        with pytest.raises(NotFound):
            store.get_snapshot(tx, sent.id)
    with db.read(THERE) as tx:
        assert store.get(tx, sent.id, "RECEIVED") == replace(sent, side="RECEIVED")
        assert store.get_snapshot(tx, sent.id) == offered
    with db.read(STRANGER) as tx:
        for side in ("SENT", "RECEIVED"):
            with pytest.raises(NotFound):
                store.get(tx, sent.id, side)


def test_an_answer_reaches_both_sides_and_ends_the_offer(db: Database, tenant: Tenant) -> None:
    sent = request_from(tenant)
    with db.write(tenant) as tx:
        store.send(tx, sent, snapshot())
    declined = replace(sent, side="RECEIVED", status="DECLINED", updated_at=Instant(NOW + SECOND))
    with db.write(THERE) as tx:
        store.lock(tx, sent.id)
        store.settle(tx, declined)
        assert store.get(tx, sent.id, "RECEIVED") == declined
        with pytest.raises(NotFound):
            store.get_snapshot(tx, sent.id)
    with db.read(tenant) as tx:
        assert store.get(tx, sent.id, "SENT") == replace(declined, side="SENT")


def test_renewing_brings_back_what_the_recipient_deleted(db: Database, tenant: Tenant) -> None:
    sent, later = request_from(tenant), snapshot("later")
    with db.write(tenant) as tx:
        store.send(tx, sent, snapshot())
    with db.write(THERE) as tx:
        store.settle(tx, replace(sent, status="SHARED"))
        store.delete(tx, sent.id)
    with db.write(tenant) as tx:
        assert store.get(tx, sent.id, "SENT").status == "SHARED"
        store.settle(tx, replace(sent, status="SHARED"))
    with db.read(THERE) as tx, pytest.raises(NotFound):
        store.get(tx, sent.id, "RECEIVED")
    renewed = replace(sent, comment=None, expires_at=Instant(sent.expires_at + DAY))
    with db.write(tenant) as tx:
        store.send(tx, renewed, later)
    with db.read(THERE) as tx:
        assert store.get(tx, sent.id, "RECEIVED") == replace(renewed, side="RECEIVED")
        assert store.get_snapshot(tx, sent.id) == later


def test_a_failed_request_is_on_the_senders_side_alone(db: Database, tenant: Tenant) -> None:
    failed = request_from(tenant, status="FAILED")
    with db.write(tenant) as tx:
        store.fail(tx, failed)
        assert store.get(tx, failed.id, "SENT") == failed
    with db.read(THERE) as tx:
        assert store.page(tx, "RECEIVED", None, 10) == []


def test_requests_are_found_by_framework_and_recipient(db: Database, tenant: Tenant) -> None:
    one = request_from(tenant)
    two = replace(one, id=new_id(), destination=STRANGER)
    with db.write(tenant) as tx:
        for sent in (one, two, request_from(tenant)):
            store.send(tx, sent, snapshot())
        assert store.sent_of(tx, one.framework_id, THERE) == [one]
        assert store.sent_of(tx, one.framework_id) == sorted((one, two), key=lambda r: r.id)
        assert store.sent_of(tx, new_id()) == []


def test_recipients_are_accounts_with_an_open_request(db: Database, tenant: Tenant) -> None:
    other = Tenant("555566667777", "us-east-1")
    with db.write(tenant) as tx:
        for to in (THERE, STRANGER, other):
            store.send(tx, request_from(tenant, to), snapshot())
        store.fail(tx, request_from(tenant, Tenant("666677778888", "us-east-1"), status="FAILED"))
        assert store.recipients(tx, NOW) == {THERE.account, other.account}
        assert store.recipients(tx, Instant(NOW + 120 * DAY)) == frozenset()


def test_pages_run_newest_first_and_keep_the_sides_apart(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        sent = [request_from(tenant, at=n // 2 * SECOND) for n in range(5)]
        for one in sent:
            store.send(tx, one, snapshot())
    with db.write(THERE) as tx:
        store.send(tx, request_from(THERE, tenant), snapshot())
    expected = sorted(sent, key=lambda r: (-r.created_at, r.id))
    with db.read(tenant) as tx:
        first = store.page(tx, "SENT", None, 3)
        rest = store.page(tx, "SENT", (first[-1].created_at, first[-1].id), 3)
        assert first + rest == expected
        assert len(store.page(tx, "RECEIVED", None, 10)) == 1
