"""Taking a role is in the activity log: who took which, and whoever was turned away."""

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.operations.sts.signing_in import ACCOUNT, SignIn

from auditkeep.access.trust import Trust
from auditkeep.accounts import store as accounts
from auditkeep.activity.batcher import Batcher
from auditkeep.activity.reading import Wanted, records
from auditkeep.clock import MINUTE, FixedClock
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.ids import Tenant
from auditkeep.operations.call import Deps

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
HOME = Tenant("999988887777", "eu-west-1")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Auditor"


@pytest.fixture
def here(db: Database, deps: Deps, clock: FixedClock) -> SignIn:
    with db.system_write() as tx:
        rows = {"account": HOME.account, "region": HOME.region}
        tx.upsert(meta, [{"key": k, "value": v} for k, v in rows.items()])
        accounts.register(tx.of(HOME), None, clock.now())
    return SignIn(db, deps, clock)


def told(here: SignIn) -> list[dict[str, Any]]:
    Batcher(here.deps.lake, here.deps.heard, here.clock).flush()
    return list(records(here.deps.lake, Wanted()))[::-1]


def test_a_role_taken_is_recorded_without_its_secrets(here: SignIn) -> None:
    alice = here.key("alice", "AuditkeepReadOnly")
    here.role("Auditor", Trust(principals=(ALICE,)))
    made = here.call(
        here.sts(alice).assume_role, RoleArn=ROLE, RoleSessionName="jane", DurationSeconds=900
    )["Credentials"]
    here.call(here.api(made).get_account_status)
    used, taken = sorted(told(here), key=lambda r: r["eventSource"])
    assert (taken["eventSource"], taken["eventName"]) == ("sts.amazonaws.com", "AssumeRole")
    assert taken["userIdentity"]["arn"] == ALICE
    assert taken["requestParameters"] == {
        "roleArn": ROLE,
        "roleSessionName": "jane",
        "durationSeconds": 900,
    }
    answer = taken["responseElements"]["Credentials"]
    assert answer["AccessKeyId"] == made["AccessKeyId"]
    assert answer["SecretAccessKey"] == answer["SessionToken"] == "***"
    assert made["SecretAccessKey"] not in json.dumps(taken)
    assert made["SessionToken"] not in json.dumps(taken)
    assert used["userIdentity"]["type"] == "AssumedRole"
    assert used["userIdentity"]["accessKeyId"] == made["AccessKeyId"]
    issuer = used["userIdentity"]["sessionContext"]["sessionIssuer"]
    assert (issuer["arn"], issuer["userName"]) == (ROLE, "Auditor")


def test_who_is_turned_away_is_recorded(here: SignIn) -> None:
    bob = here.key("bob", "AuditkeepReadOnly")
    here.role("Auditor", Trust(principals=(ALICE,)))
    with pytest.raises(ClientError):
        here.call(here.sts(bob).assume_role, RoleArn=ROLE, RoleSessionName="bob")
    (record,) = told(here)
    assert record["errorCode"] == "AccessDeniedException"
    assert record["userIdentity"]["userName"] == "bob"
    assert record["requestParameters"]["roleArn"] == ROLE
    assert record["responseElements"] is None


def test_who_asks_for_their_name_is_recorded_and_a_forger_as_claimed(here: SignIn) -> None:
    alice = here.key("alice", "AuditkeepReadOnly")
    here.call(here.sts(alice).get_caller_identity)
    forged = replace(alice, secret_access_key="x" * 40)
    with pytest.raises(ClientError):
        here.call(here.sts(forged).get_caller_identity)
    proven, claimed = sorted(told(here), key=lambda r: r.get("errorCode", ""))
    assert proven["eventName"] == claimed["eventName"] == "GetCallerIdentity"
    assert proven["readOnly"] is True
    assert claimed["errorCode"] == "InvalidSignatureException"
    assert "claimed" in claimed["additionalEventData"]["identity"]


def test_a_token_that_proves_nothing_is_counted(here: SignIn, clock: FixedClock) -> None:
    with pytest.raises(ClientError):
        here.call(
            here.sts().assume_role_with_web_identity,
            RoleArn=ROLE,
            RoleSessionName="eve",
            WebIdentityToken="secret-token-of-eve",
        )
    clock.advance(MINUTE)
    (record,) = told(here)
    assert record["eventName"] == "UnauthenticatedRequests"
    assert "secret-token-of-eve" not in json.dumps(record)
