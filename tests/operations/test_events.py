"""Events of a bus: whose they are, of which source, and what becomes of each."""

import json
from typing import Any

import pytest
from tests.operations.in_process import Api

from auditkeep.access import tokens
from auditkeep.access.tokens import Tokens
from auditkeep.clock import DAY, FixedClock
from auditkeep.db.database import Database
from auditkeep.db.schema import batches
from auditkeep.ids import Tenant
from auditkeep.operations.call import Deps
from auditkeep.operations.events import PATH, Events
from auditkeep.wire.messages import Headers, Request, Response

pytestmark = pytest.mark.keys_elsewhere

HOME = Tenant("111122223333", "us-east-1")

TRAIL: dict[str, Any] = {
    "version": "0",
    "id": "1",
    "source": "aws.iam",
    "detail-type": "AWS API Call via CloudTrail",
    "account": "111122223333",
    "region": "us-east-1",
    "time": "2026-03-01T10:00:00Z",
    "detail": {
        "eventID": "e-1",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "eventTime": "2026-03-01T10:00:00Z",
        "readOnly": False,
        "awsRegion": "us-east-1",
        "recipientAccountId": "111122223333",
    },
}
CONFIG: dict[str, Any] = {
    "source": "aws.config",
    "detail-type": "Config Rules Compliance Change",
    "account": "111122223333",
    "region": "us-east-1",
    "detail": {
        "awsAccountId": "111122223333",
        "awsRegion": "us-east-1",
        "configRuleName": "iam-password-policy",
        "resourceType": "AWS::::Account",
        "resourceId": "111122223333",
        "newEvaluationResult": {
            "complianceType": "NON_COMPLIANT",
            "resultRecordedTime": "2026-03-01T10:00:00Z",
            "evaluationResultIdentifier": {
                "evaluationResultQualifier": {
                    "configRuleName": "iam-password-policy",
                    "resourceType": "AWS::::Account",
                    "resourceId": "111122223333",
                },
                "orderingTimestamp": "2026-03-01T10:00:00Z",
            },
        },
    },
}
HUB: dict[str, Any] = {
    "source": "aws.securityhub",
    "detail-type": "Security Hub Findings - Imported",
    "detail": {
        "findings": [
            {
                "Id": "f-1",
                "ProductArn": "arn:aws:securityhub:us-east-1::product/aws/securityhub",
                "AwsAccountId": "111122223333",
                "Region": "us-east-1",
                "UpdatedAt": "2026-03-01T10:00:00Z",
                "Compliance": {"Status": "FAILED", "SecurityControlId": "IAM.4"},
            }
        ]
    },
}
OCSF: dict[str, Any] = {
    "source": "aws.securityhub",
    "detail-type": "Findings Imported V2",
    "detail": {
        "findings": [
            {
                "class_uid": 2003,
                "metadata": {"product": {"name": "Security Hub", "vendor_name": "AWS"}},
                "compliance": {"control": "IAM.4", "status": "Fail"},
                "finding_info": {"uid": "f-2"},
                "cloud": {"account": {"uid": "111122223333"}, "region": "us-east-1"},
                "time": 1772359200000,
            }
        ]
    },
}


class Bus:
    """An event bus with a token."""

    def __init__(self, db: Database, deps: Deps, clock: FixedClock) -> None:
        self.db = db
        self._clock = clock
        self._events = Events(db, deps, clock, Tokens(db, clock, "events").holder)
        with db.system_write() as tx:
            ends = clock.now() + DAY
            made = tokens.create(tx, "events", "bus", clock.now(), type(clock.at)(ends), HOME)
        self.token = made

    def bring(self, event: Any, headers: Headers | None = None, **how: Any) -> Response:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        shown = ((b"x-api-key", self.token.token.encode()),) if headers is None else headers
        asked = {"method": "POST", "path": PATH, "query": b"", "headers": shown, "body": body}
        return self._events.answer(Request(**{**asked, **how}))

    def counted(self, event: Any) -> dict[str, Any]:
        response = self.bring(event)
        assert response.status == 200, response.body
        found: dict[str, Any] = json.loads(response.body)
        return found


@pytest.fixture
def bus(db: Database, deps: Deps, clock: FixedClock) -> Bus:
    api = Api(db, deps, clock)
    api.call(api.client().register_account)
    return Bus(db, deps, clock)


@pytest.mark.both_databases
@pytest.mark.parametrize("event", [TRAIL, CONFIG, HUB, OCSF])
def test_an_event_is_kept_once(bus: Bus, event: dict[str, Any]) -> None:
    assert bus.counted(event)["observations"] == 1
    assert bus.counted(event) == {
        "observations": 0,
        "duplicates": 1,
        "unmatched": 0,
        "rejected": [],
    }


def test_a_bearer_header_does_as_well(bus: Bus) -> None:
    shown = ((b"authorization", f"Bearer {bus.token.token}".encode()),)
    assert bus.bring(TRAIL, shown).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"x-api-key", b"akevt_guess"),),
        ((b"x-api-key", b""),),
        ((b"authorization", b"Basic Zm9vOmJhcg=="),),
        ((b"x-api-key", b"a"), (b"x-api-key", b"b")),
    ],
)
def test_without_a_good_token_nothing_is_taken(bus: Bus, headers: Headers) -> None:
    refused = bus.bring(TRAIL, headers)
    assert refused.status == 401
    assert (b"cache-control", b"no-store") in refused.headers


def test_a_token_for_the_log_brings_nothing(bus: Bus, db: Database, clock: FixedClock) -> None:
    with db.system_write() as tx:
        other = tokens.create(tx, "log", "auditor", clock.now())
    assert bus.bring(TRAIL, ((b"x-api-key", other.token.encode()),)).status == 401


def test_a_revoked_token_brings_nothing(bus: Bus, db: Database, clock: FixedClock) -> None:
    with db.system_write() as tx:
        tokens.revoke(tx, "events", bus.token.id, clock.now())
    assert bus.bring(TRAIL).status == 401


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (b"{", "no EventBridge event"),
        ({"source": "aws.config"}, "no EventBridge event"),
        ({"source": "aws.s3", "detail-type": "Object Created", "detail": {}}, "Route here"),
    ],
)
def test_what_brings_no_records_is_refused(bus: Bus, event: Any, words: str) -> None:
    refused = bus.bring(event)
    assert refused.status == 400
    assert words in json.loads(refused.body)["message"]


def test_only_a_plain_post_is_taken(bus: Bus) -> None:
    assert bus.bring(TRAIL, method="GET").status == 405
    assert bus.bring(TRAIL, query=b"token=x").status == 400


def test_an_account_that_is_not_registered_takes_nothing(
    db: Database, deps: Deps, clock: FixedClock
) -> None:
    bus = Bus(db, deps, clock)
    assert bus.bring(TRAIL).status == 403
    with db.read(HOME) as tx:
        assert tx.all(tx.select(batches)) == []
