"""Own policies: kept, found, attached, and refused when they are not understood."""

import json

import pytest

from auditkeep.access import policies
from auditkeep.access.grants import ADMINISTRATOR
from auditkeep.access.policies import Policies
from auditkeep.access.policy import decide
from auditkeep.access.principals import Principal
from auditkeep.access.remembered import TTL
from auditkeep.clock import FixedClock, Instant
from auditkeep.db import schema
from auditkeep.db.database import Database
from auditkeep.errors import AccessDenied, InputError, SetupError

ACCOUNT = "111122223333"
OWN = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "auditmanager:ListControls", "Resource": "*"},
    }
)


def someone(*names: str, account: str = ACCOUNT) -> Principal:
    return Principal(account, "u", f"arn:aws:iam::{account}:user/u", names, "AKIA" + "A" * 16)


def test_an_own_policy_is_found_for_its_account_only(db: Database, clock: FixedClock) -> None:
    with db.system_write() as tx:
        policies.put(tx, ACCOUNT, "Mine", OWN)
        policies.require(tx, ACCOUNT, "Mine")
        with pytest.raises(SetupError, match="no policy 'Mine'"):
            policies.require(tx, "999988887777", "Mine")
    known = Policies(db)
    found = known.of(someone("Mine", "Gone", ADMINISTRATOR), clock.now())
    assert [p.name for p in found] == ["Mine", ADMINISTRATOR]
    assert known.of(someone("Mine", account="999988887777"), clock.now()) == []


def test_a_changed_policy_counts_within_seconds(db: Database, clock: FixedClock) -> None:
    known = Policies(db)
    with db.system_write() as tx:
        policies.put(tx, ACCOUNT, "Mine", OWN)
    assert decide(known.of(someone("Mine"), clock.now()), "auditmanager:ListControls", "*").allowed
    with db.system_write() as tx:
        policies.put(tx, ACCOUNT, "Mine", OWN.replace("Allow", "Deny"))
    later = Instant(clock.now() + TTL)
    assert not decide(known.of(someone("Mine"), later), "auditmanager:ListControls", "*").allowed


def test_what_cannot_be_honoured_is_never_attached(db: Database) -> None:
    conditional = json.loads(OWN)
    conditional["Statement"]["Condition"] = {"Perhaps": {"aws:username": "jo"}}
    with db.system_write() as tx:
        with pytest.raises(InputError, match="operator 'Perhaps', which is not known"):
            policies.put(tx, ACCOUNT, "Mine", json.dumps(conditional))
        with pytest.raises(SetupError, match="managed policy"):
            policies.put(tx, ACCOUNT, ADMINISTRATOR, OWN)
        assert policies.find(tx, ACCOUNT, "Mine") is None


def test_a_kept_document_that_is_not_understood_denies(db: Database, clock: FixedClock) -> None:
    with db.system_write() as tx:
        policies.put(tx, ACCOUNT, "Mine", OWN)
        damaged = {"account": ACCOUNT, "name": "Mine", "document": OWN.replace("Allow", "Perhaps")}
        tx.upsert(schema.policies, [damaged], replace=["document"])
    with pytest.raises(AccessDenied, match="must have the Effect Allow or Deny"):
        Policies(db).of(someone("Mine", ADMINISTRATOR), clock.now())
