"""Policies are attached to all keys of a user, and stay while anything carries them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditkeep.access import credentials, policies, roles, users
from auditkeep.access.trust import Trust
from auditkeep.clock import FixedClock
from auditkeep.crypto.providers import KeyProvider
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.db.database import Database
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError

ACCOUNT, OTHER = "111122223333", "999988887777"
OWN = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
)


@pytest.fixture
def provider(tmp_path: Path) -> KeyProvider:
    return LocalKeyProvider.create(tmp_path / "master.key")


@pytest.fixture
def tx(db: Database) -> Iterator[SystemTx]:
    with db.system_write() as tx:
        policies.put(tx, ACCOUNT, "Mine", OWN)
        yield tx


def key(tx: SystemTx, provider: KeyProvider, user: str, clock: FixedClock, account: str = ACCOUNT) -> str:  # fmt: skip
    made = credentials.create(tx, provider, account, user, ("AuditkeepReadOnly",), clock.now())
    return made.access_key_id


def carried(tx: SystemTx, provider: KeyProvider, key_id: str) -> tuple[str, ...]:
    known = credentials.find(tx, provider, key_id)
    assert known is not None
    return known.principal.policies


@pytest.mark.both_databases
def test_a_policy_is_attached_to_every_key_in_use_and_taken_off_again(
    tx: SystemTx, provider: KeyProvider, clock: FixedClock
) -> None:
    one, two, gone = (key(tx, provider, "jo", clock) for _ in range(3))
    bystander = key(tx, provider, "al", clock)
    credentials.disable(tx, gone, clock.now())
    assert users.attach(tx, ACCOUNT, "jo", "Mine") == 2
    assert users.attach(tx, ACCOUNT, "jo", "Mine") == 0
    assert carried(tx, provider, one) == carried(tx, provider, two) == ("AuditkeepReadOnly", "Mine")
    assert carried(tx, provider, bystander) == ("AuditkeepReadOnly",)
    assert [p.carriers for p in policies.listed(tx, ACCOUNT)] == [("user jo",)]
    with pytest.raises(SetupError, match="is attached to user jo; detach it first"):
        policies.delete(tx, ACCOUNT, "Mine")
    assert users.detach(tx, ACCOUNT, "jo", "Mine") == 2
    assert carried(tx, provider, one) == ("AuditkeepReadOnly",)
    policies.delete(tx, ACCOUNT, "Mine")
    assert policies.find(tx, ACCOUNT, "Mine") is None


def test_what_is_not_there_is_neither_attached_nor_taken_off(
    tx: SystemTx, provider: KeyProvider, clock: FixedClock
) -> None:
    with pytest.raises(SetupError, match="has no user 'jo' with a key in use"):
        users.attach(tx, ACCOUNT, "jo", "Mine")
    key(tx, provider, "jo", clock)
    key(tx, provider, "jo", clock, OTHER)
    with pytest.raises(SetupError, match="no policy 'Theirs'"):
        users.attach(tx, ACCOUNT, "jo", "Theirs")
    with pytest.raises(SetupError, match="no policy 'Mine'"):
        users.attach(tx, OTHER, "jo", "Mine")
    with pytest.raises(SetupError, match="No key of jo in account 111122223333 carries"):
        users.detach(tx, ACCOUNT, "jo", "Mine")
    assert [account for account, _ in users.keys_of(tx, "jo")] == [ACCOUNT, OTHER]


def test_a_role_holds_on_to_its_policies_too(tx: SystemTx, clock: FixedClock) -> None:
    trusted = Trust(principals=(f"arn:aws:iam::{ACCOUNT}:user/jo",))
    roles.put(tx, ACCOUNT, "Review", ("Mine",), trusted, 3600, clock.now())
    with pytest.raises(SetupError, match="is attached to role Review"):
        policies.delete(tx, ACCOUNT, "Mine")


def test_only_own_policies_can_be_deleted(tx: SystemTx) -> None:
    with pytest.raises(SetupError, match="is a managed policy; it stays"):
        policies.delete(tx, ACCOUNT, "AuditkeepReadOnly")
    with pytest.raises(SetupError, match="has no policy 'Nobodys' of its own"):
        policies.delete(tx, ACCOUNT, "Nobodys")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 129, "ü"])
def test_a_policy_needs_a_name_as_iam_has_them(tx: SystemTx, name: str) -> None:
    with pytest.raises(SetupError, match="is no name of a policy"):
        policies.put(tx, ACCOUNT, name, OWN)
    with pytest.raises(SetupError, match="twelve digits"):
        policies.put(tx, "12", "Mine", OWN)
