"""Webhooks as they are kept: sealed, one tenant's own, found by what they are sent."""

import base64

import pytest
from sqlalchemy import select

from auditkeep.clock import parse
from auditkeep.db.database import Database
from auditkeep.db.schema import webhooks as table
from auditkeep.errors import DecryptionFailed, SetupError
from auditkeep.ids import Tenant
from auditkeep.notifications import webhooks
from auditkeep.notifications.webhooks import ALL_SENT, Sent

NOW = parse("2026-05-01T12:00:00Z")
TENANT = Tenant("111122223333", "us-east-1")
OTHER = Tenant("999988887777", "us-east-1")
URL = "https://hooks.example.com:8443/in/s3cr3t-token?key=t0p"


def put(
    db: Database,
    name: str = "siem",
    url: str = URL,
    *,
    sends: tuple[Sent, ...] = ALL_SENT,
    secret: str | None = None,
    tenant: Tenant = TENANT,
) -> str:
    with db.write(tenant) as tx:
        return webhooks.put(tx, name, url, sends=sends, secret=secret, now=NOW)


@pytest.mark.both_databases
def test_a_webhook_is_found_whole_and_listed_without_secrets(db: Database) -> None:
    secret = put(db)
    with db.read(TENANT) as tx:
        found = webhooks.find(tx, "siem")
        (listed,) = webhooks.listed(tx)
        (row,) = tx.driver().execute(select(table)).all()  # as it lies there
    assert found is not None
    assert found.url == URL
    assert secret == "whsec_" + base64.b64encode(found.secret).decode()
    assert listed.origin == "https://hooks.example.com:8443"
    assert (listed.sends, listed.created_at) == (("notices", "events"), NOW)
    for shown in (repr(found), repr(listed), repr(tuple(row))):
        assert "s3cr3t" not in shown
        assert "t0p" not in shown
        assert secret[6:] not in shown


@pytest.mark.both_databases
def test_the_same_name_replaces_and_another_tenant_sees_nothing(db: Database) -> None:
    first = put(db)
    assert put(db, url="https://b.example.com/x") != first
    with db.read(TENANT) as tx:
        found = webhooks.find(tx, "siem")
    assert found is not None
    assert found.url == "https://b.example.com/x"
    with db.write(OTHER) as tx:
        assert webhooks.find(tx, "siem") is None
        assert webhooks.names(tx, "events") == []
        with pytest.raises(SetupError, match="no webhook named"):
            webhooks.delete(tx, "siem")
    with db.write(TENANT) as tx:
        webhooks.delete(tx, "siem")
        assert webhooks.listed(tx) == []


@pytest.mark.both_databases
def test_webhooks_are_found_by_what_they_are_sent(db: Database) -> None:
    put(db, "both")
    put(db, "people", sends=("notices",))
    put(db, "systems", sends=("events",))
    with db.read(TENANT) as tx:
        assert webhooks.names(tx, "notices") == ["both", "people"]
        assert webhooks.names(tx, "events") == ["both", "systems"]


def test_a_sealed_target_opens_for_its_own_row_only(db: Database) -> None:
    put(db, "mine")
    put(db, "theirs", tenant=OTHER)
    with db.read(TENANT) as tx:
        sealed = tx.driver().execute(select(table.c.target)).scalar()
    with db.write(OTHER) as tx:
        tx.run(tx.update(table).values(target=sealed))
    with db.read(OTHER) as tx, pytest.raises(DecryptionFailed):
        webhooks.find(tx, "theirs")


def test_a_secret_can_be_brought_along(db: Database) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    assert put(db, secret=secret) == secret
    for wrong in ("", "secret", "whsec_", "whsec_!!!", "whsec_" + "YQ==", secret + "\n"):
        with pytest.raises(SetupError, match="whsec_ and 24 to 64 bytes"):
            put(db, secret=wrong)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/", "begins with https"),
        ("//example.com/", "begins with https"),
        ("https://u:p@example.com/", "no user or password"),
        ("https:///x", "names its host"),
        ("https://ex ample.com/", "names its host"),
        ("https://b\u00fccher.example/", "names its host"),
        ("https://example.com/a b", "printable"),
        ("https://example.com/\u00e4", "printable"),
        ("https://example.com/" + "x" * 2048, "at most 2048"),
        ("https://example.com:99999/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
    ],
)
def test_what_cannot_be_posted_to_is_refused(db: Database, url: str, why: str) -> None:
    with pytest.raises(SetupError, match=why):
        put(db, url=url)


@pytest.mark.parametrize("name", ["", "A", "a/b", "-a", "a" * 41, "a b"])
def test_names_fit_into_keys_of_jobs(db: Database, name: str) -> None:
    with pytest.raises(SetupError, match="no name for a webhook"):
        put(db, name)
