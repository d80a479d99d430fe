"""Policies shipped, own ones, and what they grant."""

import json

import pytest

from auditkeep.access import policies
from auditkeep.access.grants import ADMINISTRATOR, DELEGATE_ACTIONS, OWNER_ACTIONS
from auditkeep.access.policies import Policies, managed
from auditkeep.access.policy import decide
from auditkeep.access.principals import Principal
from auditkeep.access.remembered import TTL
from auditkeep.clock import FixedClock, Instant
from auditkeep.db.database import Database
from auditkeep.errors import InputError, SetupError
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.models import controlcatalog as cc

ACCOUNT = "111122223333"
NAMES = {o.name for o in am.OPERATIONS}
OWN = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "auditmanager:ListControls", "Resource": "*"},
    }
)


def granted(name: str) -> set[str]:
    policy = managed()[name]
    return {n for n in NAMES if decide([policy], f"auditmanager:{n}", "*").allowed}


def someone(*names: str, account: str = ACCOUNT) -> Principal:
    return Principal(account, "u", f"arn:aws:iam::{account}:user/u", names, "AKIA" + "A" * 16)


def test_these_policies_are_shipped() -> None:
    assert set(managed()) == {
        ADMINISTRATOR,
        "AuditkeepAuditOwner",
        "AuditkeepAuditor",
        "AuditkeepCollector",
        "AuditkeepDelegate",
        "AuditkeepManagement",
        "AuditkeepReadOnly",
    }


def test_the_administrator_may_do_everything() -> None:
    assert granted(ADMINISTRATOR) == NAMES


def test_management_is_everything_but_the_account() -> None:
    missing = NAMES - granted("AuditkeepManagement")
    assert len(granted("AuditkeepManagement")) == 57
    assert missing == {
        "RegisterAccount",
        "DeregisterAccount",
        "RegisterOrganizationAdminAccount",
        "DeregisterOrganizationAdminAccount",
        "UpdateSettings",
    }


@pytest.mark.parametrize("name", ["AuditkeepReadOnly", "AuditkeepAuditor"])
def test_readers_change_nothing(name: str) -> None:
    changing = {o.name for o in am.OPERATIONS if o.method != "GET"}
    assert granted(name) & changing <= {"ValidateAssessmentReportIntegrity"}
    assert "GetEvidenceFileUploadUrl" not in granted(name)


def test_an_owner_and_a_delegate_may_use_what_their_role_grants() -> None:
    assert granted("AuditkeepAuditOwner") >= OWNER_ACTIONS
    assert granted("AuditkeepDelegate") >= DELEGATE_ACTIONS
    assert "GetAssessment" not in granted("AuditkeepDelegate")


@pytest.mark.parametrize("name", sorted(managed()))
def test_every_pattern_of_a_managed_policy_speaks_of_an_operation(name: str) -> None:
    for statement in managed()[name].statements:
        for glob in statement.actions:
            services = {"auditmanager", "auditkeep"}
            actions = {f"{s}:{n}".lower() for s in services for n in NAMES}
            actions |= {f"controlcatalog:{o.name}".lower() for o in cc.OPERATIONS}
            assert any(glob.matches(action) for action in actions), (name, statement.name)


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
