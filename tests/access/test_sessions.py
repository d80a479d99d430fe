"""Roles and their sessions: kept, found, narrowed, ended."""

import pytest
from sqlalchemy import text

from auditkeep.access import credentials, policies, roles, sessions
from auditkeep.access.credentials import Credentials
from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.remembered import TTL
from auditkeep.access.roles import Role
from auditkeep.access.sessions import Issued, Wanted
from auditkeep.access.trust import Trust
from auditkeep.clock import MINUTE, SECOND, FixedClock, Instant
from auditkeep.crypto.aead import new_key
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.db.database import Database
from auditkeep.errors import DecryptionFailed, SetupError, TokenRefused

ACCOUNT = "111122223333"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
TRUST = Trust(principals=(ALICE,))
NARROW = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'


@pytest.fixture
def provider() -> LocalKeyProvider:
    return LocalKeyProvider(new_key(), "test")


def put(db: Database, clock: FixedClock, name: str = "Auditor", policy: str = ADMINISTRATOR) -> Role:  # fmt: skip
    with db.system_write() as tx:
        return roles.put(tx, ACCOUNT, name, [policy], TRUST, 3600, clock.now())


def take(
    db: Database, provider: LocalKeyProvider, clock: FixedClock, role: Role, **how: object
) -> Issued:
    wanted = Wanted(**{"name": "jane", "seconds": 900, "origin": ALICE, **how})  # type: ignore[arg-type]
    with db.system_write() as tx:
        return sessions.issue(tx, provider, role, wanted, clock.now())


@pytest.mark.both_databases
def test_a_session_is_found_with_what_its_role_grants(
    db: Database, provider: LocalKeyProvider, clock: FixedClock
) -> None:
    role = put(db, clock)
    made = take(db, provider, clock, role, tags=(("team", "x"),), policy=NARROW)
    known = Credentials(db, provider).find(made.access_key_id, clock.now())
    assert known is not None
    assert known.secret == made.secret_access_key
    assert known.token_digest == sessions.digest(made.session_token)
    assert known.expires_at == made.expires_at == clock.now() + 900 * SECOND
    principal = known.principal
    assert principal.arn == made.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/Auditor/jane"
    assert principal.user_id == made.user_id == f"{role.id}:jane"
    assert principal.policies == (ADMINISTRATOR,)
    assert (principal.role, principal.session) == ("Auditor", "jane")
    assert principal.tags == (("team", "x"),)
    assert principal.issued_at == clock.now()
    assert [p.name for p in principal.limits] == [sessions.POLICY_NAME]


def test_session_credentials_look_like_those_of_aws(
    db: Database, provider: LocalKeyProvider, clock: FixedClock
) -> None:
    role = put(db, clock)
    made = take(db, provider, clock, role)
    assert (made.access_key_id[:4], len(made.access_key_id)) == ("ASIA", 20)
    assert len(made.secret_access_key) == 40
    assert (role.id[:4], len(role.id)) == ("AROA", 20)
    assert made.secret_access_key not in repr(made)
    assert made.session_token not in repr(made)


def test_neither_secret_nor_token_is_kept_in_clear(
    db: Database, provider: LocalKeyProvider, clock: FixedClock
) -> None:
    role = put(db, clock)
    one, other = take(db, provider, clock, role), take(db, provider, clock, role)
    with db.system_write() as tx:
        rows = repr(tx.driver().execute(text("SELECT * FROM sessions")).all())
        assert one.secret_access_key not in rows
        assert one.session_token not in rows
        tx.driver().execute(
            text(
                "UPDATE sessions SET secret = "
                "(SELECT secret FROM sessions WHERE access_key_id = :other) "
                "WHERE access_key_id = :one"
            ),
            {"one": one.access_key_id, "other": other.access_key_id},
        )
    with pytest.raises(DecryptionFailed):
        Credentials(db, provider).find(one.access_key_id, clock.now())


@pytest.mark.both_databases
def test_a_revoked_session_is_refused_within_seconds(
    db: Database, provider: LocalKeyProvider, clock: FixedClock
) -> None:
    role, found = put(db, clock), Credentials(db, provider)
    one, other = take(db, provider, clock, role), take(db, provider, clock, role, origin="bob")
    assert found.find(one.access_key_id, clock.now()) is not None
    with db.system_write() as tx:
        assert sessions.revoke(tx, clock.now(), access_key_id=one.access_key_id) == 1
        assert sessions.revoke(tx, clock.now(), access_key_id=one.access_key_id) == 0
    clock.advance(TTL)
    assert found.find(one.access_key_id, clock.now()) is None
    assert found.find(other.access_key_id, clock.now()) is not None
    with db.system_write() as tx:
        assert sessions.revoke(tx, clock.now(), role=(ACCOUNT, "Other")) == 0
        assert sessions.revoke(tx, clock.now(), role=(ACCOUNT, "Auditor"), origin=ALICE) == 0
        assert sessions.revoke(tx, clock.now(), origin="bob") == 1
        with pytest.raises(SetupError, match="which sessions"):
            sessions.revoke(tx, clock.now())


def test_a_changed_role_changes_its_running_sessions(
    db: Database, provider: LocalKeyProvider, clock: FixedClock
) -> None:
    role, found = put(db, clock), Credentials(db, provider)
    made = take(db, provider, clock, role)
    assert found.find(made.access_key_id, clock.now()) is not None
    assert put(db, clock, policy="AuditkeepReadOnly").id == role.id
    clock.advance(TTL)
    known = found.find(made.access_key_id, clock.now())
    assert known is not None
    assert known.principal.policies == ("AuditkeepReadOnly",)


def test_a_role_made_again_does_not_revive_sessions(
    db: Database, provider: LocalKeyProvider, clock: FixedClock
) -> None:
    made = take(db, provider, clock, put(db, clock))
    with db.system_write() as tx:
        roles.delete(tx, ACCOUNT, "Auditor", clock.now())
        assert sessions.listed(tx, clock.now()) == []
        with pytest.raises(SetupError, match="no role"):
            roles.delete(tx, ACCOUNT, "Auditor", clock.now())
        tx.driver().execute(text("UPDATE sessions SET revoked_at = NULL"))
    put(db, clock)
    assert Credentials(db, provider).find(made.access_key_id, clock.now()) is None


def test_sessions_are_listed_while_they_last_and_forgotten_in_the_end(
    db: Database, provider: LocalKeyProvider, clock: FixedClock
) -> None:
    role = put(db, clock)
    first = take(db, provider, clock, role)
    clock.advance(MINUTE)
    second = take(db, provider, clock, role, seconds=3600)

    def shown(*, ended: bool) -> list[str]:
        with db.system_read() as tx:
            return [s.access_key_id for s in sessions.listed(tx, clock.now(), ended=ended)]

    assert shown(ended=False) == [second.access_key_id, first.access_key_id]
    clock.advance(15 * MINUTE)
    assert shown(ended=False) == [second.access_key_id]
    assert shown(ended=True) == [second.access_key_id, first.access_key_id]
    clock.advance(sessions.REMEMBERED_FOR)
    third = take(db, provider, clock, role)
    assert shown(ended=True) == [third.access_key_id, second.access_key_id]


@pytest.mark.both_databases
def test_a_proof_is_used_once_and_then_forgotten(db: Database, clock: FixedClock) -> None:
    until = Instant(clock.now() + 30 * MINUTE)
    with db.system_write() as tx:
        sessions.use_once(tx, b"one", clock.now(), until)
        sessions.use_once(tx, b"two", clock.now(), until)
    with pytest.raises(TokenRefused, match="used before"), db.system_write() as tx:
        sessions.use_once(tx, b"one", clock.now(), until)
    clock.advance(31 * MINUTE)
    with db.system_write() as tx:
        sessions.use_once(tx, b"one", clock.now(), Instant(clock.now() + 30 * MINUTE))


def test_roles_are_listed_and_found_by_their_arn(db: Database, clock: FixedClock) -> None:
    made = put(db, clock)
    with db.system_write() as tx:
        policies.put(tx, ACCOUNT, "Own", NARROW)
    other = put(db, clock, "Zwei", "Own")
    with db.system_read() as tx:
        assert roles.listed(tx) == [made, other]
        assert roles.find_arn(tx, made.arn) == made
        assert roles.find_arn(tx, f"arn:aws:iam::{ACCOUNT}:user/Auditor") is None
        assert roles.find_arn(tx, "arn:aws:iam::444455556666:role/Auditor") is None
        assert roles.find_arn(tx, made.arn + "\n") is None


@pytest.mark.parametrize(
    ("account", "name", "names", "longest", "words"),
    [
        ("12", "r", [ADMINISTRATOR], 3600, "twelve digits"),
        (ACCOUNT, "a/b", [ADMINISTRATOR], 3600, "role name"),
        (ACCOUNT, "r", [], 3600, "at least one"),
        (ACCOUNT, "r", ["Nothing"], 3600, "no policy"),
        (ACCOUNT, "r", [ADMINISTRATOR], 899, "900"),
        (ACCOUNT, "r", [ADMINISTRATOR], 43_201, "43200"),
    ],
)
def test_a_role_nobody_could_use_is_not_made(
    db: Database,
    clock: FixedClock,
    account: str,
    name: str,
    names: list[str],
    longest: int,
    words: str,
) -> None:
    with db.system_write() as tx:
        with pytest.raises(SetupError, match=words):
            roles.put(tx, account, name, names, TRUST, longest, clock.now())
        assert roles.listed(tx) == []


def test_the_keys_of_one_user_have_one_user_id(
    db: Database, provider: LocalKeyProvider, clock: FixedClock
) -> None:
    def user_id(user: str) -> str:
        with db.system_write() as tx:
            made = credentials.create(tx, provider, ACCOUNT, user, [ADMINISTRATOR], clock.now())
            known = credentials.find(tx, provider, made.access_key_id)
        assert known is not None
        return known.principal.user_id

    assert user_id("alice") == user_id("alice") != user_id("bob")
    assert user_id("alice").startswith("AIDA")
