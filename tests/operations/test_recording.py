"""Every call leaves exactly one record: allowed or denied, whatever became of it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.operations.in_process import Api
from tests.wire.model_cases import UUID, Sent, request_of, send

from auditkeep.accounts import store as accounts
from auditkeep.activity.batcher import Batcher
from auditkeep.activity.heard import CLAIMS
from auditkeep.activity.reading import Wanted, records
from auditkeep.clock import MINUTE, SECOND, FixedClock
from auditkeep.db.database import Database
from auditkeep.db.schema import activity_pending, controls, meta, tags
from auditkeep.errors import KeyUnusable
from auditkeep.ids import Tenant
from auditkeep.mapping.interest import Interest
from auditkeep.operations.call import Call, Deps
from auditkeep.operations.table import OPERATIONS, only_reads
from auditkeep.settings import Settings
from auditkeep.sources import cloudtrail
from auditkeep.sources.records import Context, Tally
from auditkeep.sources.secrets import Cutter
from auditkeep.wire.messages import Request
from auditkeep.wire.model import AnyOperation, Shape
from auditkeep.wire.models import auditmanager as am

HOME = Tenant("111122223333", "us-east-1")
LIST = Sent("GET", b"/controls", b"controlType=Custom", b"")
MANUAL = {
    "sourceName": "s",
    "sourceSetUpOption": "Procedural_Controls_Mapping",
    "sourceType": "MANUAL",
}


@pytest.fixture
def home(db: Database, clock: FixedClock) -> Tenant:
    with db.system_write() as tx:
        rows = {"account": HOME.account, "region": HOME.region}
        tx.upsert(meta, [{"key": k, "value": v} for k, v in rows.items()])
        accounts.register(tx.of(HOME), None, clock.now())
    return HOME


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock, home: Tenant) -> Api:
    return Api(db, deps, clock)


def told(api: Api, **wanted: Any) -> list[dict[str, Any]]:
    """Everything recorded so far, oldest first, after the log's thread had its turn."""
    Batcher(api.deps.lake, api.deps.heard, api.clock).flush()
    return list(records(api.deps.lake, Wanted(**wanted)))[::-1]


def refused(api: Api, method: Any, /, **ask: Any) -> str:
    with pytest.raises(ClientError) as caught:
        api.call(method, **ask)
    return str(caught.value.response["Error"]["Code"])


def read_back(found: list[dict[str, Any]]) -> tuple[int, Tally]:
    """How many of some records our own reader of CloudTrail files takes, reads included."""
    tally = Tally()
    context = Context(HOME, Interest(None), Cutter(b"c" * 32), reads=True)
    text = json.dumps({"Records": found}).encode()
    kept = list(cloudtrail.parse(iter([text]), context, tally))
    return len(kept), tally


def test_a_change_is_recorded_with_request_and_answer(api: Api) -> None:
    made = api.call(api.client().create_control, name="n", controlMappingSources=[MANUAL])
    (record,) = told(api)
    assert record["eventVersion"] == "1.08"
    assert record["eventSource"] == "auditmanager.amazonaws.com"
    assert record["eventName"] == "CreateControl"
    assert record["eventTime"] == "2026-05-01T12:00:00Z"
    assert record["awsRegion"] == "us-east-1"
    assert record["recipientAccountId"] == "111122223333"
    assert record["userIdentity"] == {
        "type": "IAMUser",
        "principalId": record["userIdentity"]["principalId"],
        "arn": "arn:aws:iam::111122223333:user/root",
        "accountId": "111122223333",
        "accessKeyId": api.admin.access_key_id,
        "userName": "root",
    }
    assert "Botocore" in record["userAgent"]
    assert record["readOnly"] is False
    assert record["managementEvent"] is True
    assert (record["eventType"], record["eventCategory"]) == ("AwsApiCall", "Management")
    assert record["requestID"]
    assert record["requestParameters"]["name"] == "n"
    assert record["responseElements"]["control"]["id"] == made["control"]["id"]
    assert "errorCode" not in record


def test_a_read_is_recorded_without_its_answer(api: Api) -> None:
    api.call(api.client().list_controls, controlType="Custom")
    (record,) = told(api)
    assert record["readOnly"] is True
    assert record["requestParameters"] == {"controlType": "Custom"}
    assert record["responseElements"] is None


def test_what_a_call_acts_on_is_named(api: Api) -> None:
    refused(api, api.client().get_control, controlId=UUID)
    (record,) = told(api)
    arn = f"arn:aws:auditmanager:us-east-1:111122223333:control/{UUID}"
    assert record["resources"] == [
        {"accountId": "111122223333", "type": "AWS::AuditManager::Control", "ARN": arn}
    ]
    assert record["errorCode"] == "ResourceNotFoundException"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.service}-{o.name}")
def test_every_operation_leaves_exactly_one_record_that_parses(
    api: Api, operation: AnyOperation
) -> None:
    if operation.service == "auditmanager":
        ask = request_of(operation.name)
    else:
        ask = {b.member: "1" for b in operation.bindings if b.location == "uri"}
    sent = send(operation, ask)
    response = api.ask(sent, service=operation.service)
    found = told(api)
    assert [r["eventName"] for r in found] == [operation.name]
    (record,) = found
    own = operation.service == "auditkeep"
    assert record["eventSource"] == f"{operation.service}{'' if own else '.amazonaws.com'}"
    assert record["readOnly"] is only_reads(operation)
    code = json.loads(response.body).get("__type")
    assert record.get("errorCode") == code
    if response.status != 200:
        assert record["errorMessage"]
        assert record["responseElements"] is None
    assert read_back(found) == (1, Tally(records=1))


def test_a_denied_call_tells_who_was_denied_what(api: Api) -> None:
    reader = api.client(api.key("reader", "AuditkeepReadOnly"))
    refused(api, reader.delete_control, controlId=UUID)
    (record,) = told(api)
    assert record["errorCode"] == "AccessDeniedException"
    assert "auditmanager:DeleteControl" in record["errorMessage"]
    assert record["userIdentity"]["userName"] == "reader"
    assert record["requestParameters"] == {"controlId": UUID}


def test_an_invalid_call_is_recorded_without_what_could_not_be_read(api: Api) -> None:
    api.ask(Sent("GET", b"/controls/NOT-A-UUID", b"", b""))
    (record,) = told(api)
    assert (record["eventName"], record["errorCode"]) == ("GetControl", "ValidationException")
    assert record["requestParameters"] is None


def test_a_throttled_call_is_recorded(
    db: Database, deps: Deps, clock: FixedClock, home: Tenant
) -> None:
    settings = Settings(data=deps.settings.data, throttle_rate=1, throttle_burst=1)
    api = Api(db, replace(deps, settings=settings), clock)
    api.ask(LIST)
    assert [api.ask(LIST).status for _ in range(3)] == [429, 429, 429]
    codes = [r.get("errorCode") for r in told(api)]
    assert codes.count("ThrottlingException") == 3
    assert codes.count(None) == 1


def test_a_defect_is_recorded_and_tells_no_value(
    db: Database, deps: Deps, clock: FixedClock, home: Tenant
) -> None:
    def function(call: Call, ask: Shape) -> Shape:
        call.tx.insert(tags, {"arn": "a", "key": "k", "value": "v"})
        raise RuntimeError("hunter2")

    api = Api(db, deps, clock, table={am.REGISTER_ACCOUNT: function})
    assert api.ask(Sent("POST", b"/account/registerAccount", b"", b"{}")).status == 500
    (record,) = told(api)
    assert record["errorCode"] == "InternalServerException"
    assert "hunter2" not in json.dumps(record)


def test_a_wrong_signature_under_a_known_key_says_whom_it_named(api: Api) -> None:
    forged = replace(api.admin, secret_access_key="wrong" + api.admin.secret_access_key[5:])
    refused(api, api.client(forged).list_assessments)
    (record,) = told(api)
    assert record["errorCode"] == "InvalidSignatureException"
    assert record["userIdentity"]["userName"] == "root"
    assert "claimed" in record["additionalEventData"]["identity"]
    assert record["requestParameters"] is None


def test_requests_by_nobody_known_are_counted_by_the_minute(api: Api, clock: FixedClock) -> None:
    unknown = replace(api.admin, access_key_id="AKIA" + "A" * 16)
    for _ in range(40):
        api.ask(LIST, key=unknown)
    for number in range(30):
        stranger = replace(api.admin, access_key_id=f"AKIA{number:016}")
        api.ask(LIST, key=stranger)
    for _ in range(5):
        api.dispatcher.answer(Request("GET", b"/controls", b"", (), b"", "r", "http", "192.0.2.9"))
    clock.advance(MINUTE)
    (record,) = told(api)
    data = record["additionalEventData"]
    assert record["eventName"] == "UnauthenticatedRequests"
    assert data["requests"] == 75
    assert data["byErrorCode"] == {
        "UnrecognizedClientException": 70,
        "MissingAuthenticationTokenException": 5,
    }
    assert data["accessKeyIds"]["AKIA" + "A" * 16] == 40
    assert len(data["accessKeyIds"]) == 20
    assert data["sourceIPAddresses"]["192.0.2.9"] == 5
    assert read_back([record])[0] == 1


def test_a_flood_of_claims_to_one_key_is_counted_too(api: Api, clock: FixedClock) -> None:
    forged = replace(api.admin, secret_access_key="x" * 40)
    for _ in range(CLAIMS + 15):
        api.ask(LIST, key=forged)
    clock.advance(MINUTE)
    found = told(api)
    names = [r["eventName"] for r in found]
    assert names.count("ListControls") == CLAIMS
    (counted,) = [r for r in found if r["eventName"] == "UnauthenticatedRequests"]
    assert counted["additionalEventData"]["requests"] == 15


def test_an_unknown_path_is_no_call_and_only_counted(api: Api, clock: FixedClock) -> None:
    api.ask(Sent("GET", b"/nothing", b"", b""))
    clock.advance(MINUTE)
    (record,) = told(api)
    assert record["additionalEventData"]["byErrorCode"] == {"UnknownOperationException": 1}


def test_a_record_commits_with_its_change_or_not_at_all(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyUnusable("The key is out of reach.")

    with monkeypatch.context() as patch:
        patch.setattr("auditkeep.operations.recording.pending.keep", broken)
        code = refused(api, api.client().create_control, name="n", controlMappingSources=[MANUAL])
    assert code == "InternalServerException"
    with api.db.read(HOME) as tx:
        assert tx.all(tx.select(controls)) == []
    (record,) = told(api)
    assert (record["eventName"], record["errorCode"]) == ("CreateControl", code)


def test_a_change_is_durable_before_the_log_has_its_turn(api: Api) -> None:
    api.call(api.client().create_control, name="n", controlMappingSources=[MANUAL])
    with api.db.read(HOME) as tx:
        assert len(tx.all(tx.select(activity_pending))) == 1
    assert [r["eventName"] for r in records(api.deps.lake, Wanted())] == ["CreateControl"]


def test_comments_and_free_text_are_not_shown(api: Api) -> None:
    canary = "the-quick-brown-canary"
    api.call(
        api.client().create_control,
        name="n",
        description=canary,
        testingInformation=canary,
        actionPlanInstructions=canary,
        controlMappingSources=[MANUAL | {"sourceDescription": "shown"}],
    )
    (record,) = told(api)
    assert record["requestParameters"]["description"] == "***"
    assert record["responseElements"]["control"]["testingInformation"] == "***"
    assert canary not in json.dumps(record)


def test_who_was_given_a_role_is_shown(api: Api) -> None:
    role = {"roleArn": "arn:aws:iam::111122223333:role/owner", "roleType": "PROCESS_OWNER"}
    api.call(api.client().update_settings, defaultProcessOwners=[role])
    (record,) = told(api)
    assert record["requestParameters"]["defaultProcessOwners"] == [role]


def test_a_large_refused_body_is_not_held(api: Api) -> None:
    sent = Sent("POST", b"/controls", b"", json.dumps({"name": "x" * 100_000}).encode())
    assert api.ask(sent).status == 400
    (record,) = told(api)
    assert record["requestParameters"] == {
        "omitted": True,
        "originalSize": len(sent.body),
        "reason": "too large",
    }


def test_what_concerns_no_registered_tenant_belongs_to_the_home_tenant(api: Api) -> None:
    stranger = api.key("bob", "AWSAuditManagerAdministratorAccess", account="999988887777")
    client = api.client(stranger, region="eu-west-1")
    api.call(client.get_account_status)
    refused(api, client.list_assessments)
    api.call(client.deregister_account)
    found = told(api, account="999988887777")
    assert {r["eventName"] for r in found} == {
        "GetAccountStatus",
        "ListAssessments",
        "DeregisterAccount",
    }
    with api.db.system_read() as tx:
        owners = tx.all(tx.select(activity_pending.c.account).distinct())
    assert not owners
    api.call(client.register_account)
    assert len(told(api, account="999988887777")) == 4


def test_the_client_behind_a_trusted_proxy_is_named(
    db: Database, deps: Deps, clock: FixedClock, home: Tenant
) -> None:
    settings = Settings(data=deps.settings.data, trusted_proxies="10.0.0.0/8")
    api = Api(db, replace(deps, settings=settings), clock)
    request = Request(
        "GET", b"/nothing", b"", ((b"x-forwarded-for", b"192.0.2.55"),), peer="10.1.2.3"
    )
    api.dispatcher.answer(request)
    clock.advance(MINUTE)
    (record,) = told(api)
    assert record["additionalEventData"]["sourceIPAddresses"] == {"192.0.2.55": 1}


def test_records_do_not_change_what_evidence_is_remembered_under(api: Api) -> None:
    from auditkeep.evidence.progress import last_batch_no

    api.call(api.client().list_controls, controlType="Custom")
    assert told(api)
    with api.db.read(HOME) as tx:
        assert last_batch_no(tx) == 0


@pytest.mark.both_databases
def test_the_same_on_both_databases(api: Api, clock: FixedClock) -> None:
    api.call(api.client().create_control, name="n", controlMappingSources=[MANUAL])
    api.call(api.client().list_controls, controlType="Custom")
    refused(api, api.client().get_control, controlId=UUID)
    clock.advance(30 * SECOND)
    api.call(api.client().list_controls, controlType="Core")
    names = [(r["eventName"], r.get("errorCode")) for r in told(api)]
    assert sorted(names[:3]) == [
        ("CreateControl", None),
        ("GetControl", "ResourceNotFoundException"),
        ("ListControls", None),
    ]
    assert names[3:] == [("ListControls", None)]
    assert len(told(api)) == 4
