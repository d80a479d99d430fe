"""Access keys: made, found, listed, disabled."""

from collections.abc import Mapping

import pytest
from sqlalchemy import text

from auditkeep.access import credentials
from auditkeep.access.credentials import AccessKey, Credentials
from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.remembered import TTL
from auditkeep.clock import FixedClock, Instant
from auditkeep.crypto.aead import new_key
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.db.database import Database
from auditkeep.errors import DecryptionFailed, SetupError

ACCOUNT = "111122223333"


class Counting:
    """A provider that counts how often it is asked."""

    def __init__(self) -> None:
        self._inner = LocalKeyProvider(new_key(), "test")
        self.key_id = self._inner.key_id
        self.unwrapped = 0

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        return self._inner.wrap(key, context)

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        self.unwrapped += 1
        return self._inner.unwrap(wrapped, context)


@pytest.fixture
def provider() -> Counting:
    return Counting()


def make(db: Database, provider: Counting, clock: FixedClock, user: str = "alice") -> AccessKey:
    with db.system_write() as tx:
        return credentials.create(tx, provider, ACCOUNT, user, [ADMINISTRATOR], clock.now())


@pytest.mark.both_databases
def test_a_key_is_found_with_its_holder(
    db: Database, provider: Counting, clock: FixedClock
) -> None:
    made = make(db, provider, clock)
    known = Credentials(db, provider).find(made.access_key_id, clock.now())
    assert known is not None
    assert known.secret == made.secret_access_key
    assert known.principal.arn == made.arn == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert known.principal.policies == (ADMINISTRATOR,)
    assert Credentials(db, provider).find("AKIA" + "A" * 16, clock.now()) is None


def test_a_key_looks_like_one_of_aws(db: Database, provider: Counting, clock: FixedClock) -> None:
    made = make(db, provider, clock)
    assert made.access_key_id.startswith("AKIA")
    assert len(made.access_key_id) == 20
    assert len(made.secret_access_key) == 40
    assert made.secret_access_key not in repr(made)


def test_the_secret_is_kept_sealed_and_bound_to_its_id(
    db: Database, provider: Counting, clock: FixedClock
) -> None:
    one, other = make(db, provider, clock), make(db, provider, clock, "bob")
    with db.system_write() as tx:
        rows = tx.driver().execute(text("SELECT * FROM access_keys")).all()
        assert one.secret_access_key.encode() not in repr(rows).encode()
        tx.driver().execute(
            text(
                "UPDATE access_keys SET secret = "
                "(SELECT secret FROM access_keys WHERE access_key_id = :other) "
                "WHERE access_key_id = :one"
            ),
            {"one": one.access_key_id, "other": other.access_key_id},
        )
    with pytest.raises(DecryptionFailed):
        Credentials(db, provider).find(one.access_key_id, clock.now())


def test_a_request_soon_after_reads_and_unseals_nothing(
    db: Database, provider: Counting, clock: FixedClock
) -> None:
    made, found = make(db, provider, clock), Credentials(db, provider)
    for _ in range(3):
        found.find(made.access_key_id, clock.now())
    assert provider.unwrapped == 1
    clock.advance(TTL)
    found.find(made.access_key_id, clock.now())
    assert provider.unwrapped == 2


def test_a_disabled_key_is_refused_within_seconds(
    db: Database, provider: Counting, clock: FixedClock
) -> None:
    made, found = make(db, provider, clock), Credentials(db, provider)
    assert found.find(made.access_key_id, clock.now()) is not None
    with db.system_write() as tx:
        credentials.disable(tx, made.access_key_id, clock.now())
        credentials.disable(tx, made.access_key_id, Instant(clock.now() + 1))
        assert credentials.listed(tx)[0].disabled_at == clock.now()
        with pytest.raises(SetupError, match="no access key"):
            credentials.disable(tx, "AKIANOBODY", clock.now())
    clock.advance(TTL)
    assert found.find(made.access_key_id, clock.now()) is None


def test_keys_are_listed_without_secrets(
    db: Database, provider: Counting, clock: FixedClock
) -> None:
    first = make(db, provider, clock)
    clock.advance(1)
    second = make(db, provider, clock, "bob")
    with db.system_read() as tx:
        records = credentials.listed(tx)
    assert [(r.access_key_id, r.user) for r in records] == [
        (first.access_key_id, "alice"),
        (second.access_key_id, "bob"),
    ]
    assert first.secret_access_key not in repr(records)


@pytest.mark.parametrize(
    ("account", "user", "names", "words"),
    [
        ("12", "u", [ADMINISTRATOR], "twelve digits"),
        (ACCOUNT, "", [ADMINISTRATOR], "user name"),
        (ACCOUNT, "a/b", [ADMINISTRATOR], "user name"),
        (ACCOUNT, "u" * 65, [ADMINISTRATOR], "user name"),
        (ACCOUNT, "u", [], "at least one"),
        (ACCOUNT, "u", ["Nothing"], "no policy 'Nothing'. Managed policies are AWS"),
    ],
)
def test_a_key_nobody_could_use_is_not_made(
    db: Database,
    provider: Counting,
    clock: FixedClock,
    account: str,
    user: str,
    names: list[str],
    words: str,
) -> None:
    with db.system_write() as tx:
        with pytest.raises(SetupError, match=words):
            credentials.create(tx, provider, account, user, names, clock.now())
        assert credentials.listed(tx) == []
