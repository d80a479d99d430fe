"""The life of a request, driven by an unmodified client."""

import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.operations.in_process import BASE, REQUEST_ID, Api
from tests.wire.model_cases import UUID, Sent, broken, request_of, send

from auditkeep.access import credentials, policies
from auditkeep.clock import SECOND, FixedClock
from auditkeep.db.database import Database
from auditkeep.db.schema import tags
from auditkeep.errors import Contended, InvalidRequest, StorageFull
from auditkeep.ids import Tenant
from auditkeep.operations.call import Call, Deps
from auditkeep.operations.table import OPERATIONS, TABLE, only_reads, written
from auditkeep.settings import Settings
from auditkeep.wire.messages import Request
from auditkeep.wire.model import Shape
from auditkeep.wire.models import auditmanager as am

NAMES = [o.name for o in am.OPERATIONS]
BY_NAME = {o.name: o for o in am.OPERATIONS}
ROW = {"arn": "a", "key": "k", "value": "v"}
LIST = Sent("GET", b"/controls", b"controlType=Custom", b"")


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Api:
    return Api(db, deps, clock)


@pytest.fixture
def registered(api: Api) -> Api:
    api.call(api.client().register_account)
    return api


def refusal(api: Api, method: Any, /, **ask: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        api.call(method, **ask)
    error = caught.value.response["Error"]
    return (
        error["Code"],
        caught.value.response["ResponseMetadata"]["HTTPStatusCode"],
        error["Message"],
    )


def test_a_signed_request_is_answered(api: Api) -> None:
    client = api.client()
    assert api.call(client.get_account_status)["status"] == "INACTIVE"
    assert api.call(client.register_account)["status"] == "ACTIVE"
    assert api.call(client.get_account_status)["status"] == "ACTIVE"


def test_what_one_request_wrote_the_next_one_reads(registered: Api) -> None:
    client = registered.client()
    source = {
        "sourceName": "s",
        "sourceSetUpOption": "Procedural_Controls_Mapping",
        "sourceType": "MANUAL",
    }
    made = registered.call(client.create_control, name="n", controlMappingSources=[source])
    read = registered.call(client.get_control, controlId=made["control"]["id"])
    assert read["control"]["name"] == "n"


def test_before_registration_only_the_door_is_open(api: Api) -> None:
    code, status, message = refusal(api, api.client().list_controls, controlType="Custom")
    assert (code, status) == ("AccessDeniedException", 403)
    assert "RegisterAccount" in message
    assert api.call(api.client().deregister_account)["status"] == "INACTIVE"


def test_a_region_is_a_tenant_of_its_own(registered: Api) -> None:
    elsewhere = registered.client(region="eu-west-1")
    assert registered.call(elsewhere.get_account_status)["status"] == "INACTIVE"


def test_after_deregistering_the_door_is_shut_again(registered: Api) -> None:
    client = registered.client()
    registered.call(client.deregister_account)
    assert refusal(registered, client.list_assessments)[0] == "AccessDeniedException"


def test_unsigned_unknown_disabled_and_forged_requests_are_403(api: Api) -> None:
    key = api.admin
    bare = api.dispatcher.answer(replace_request(LIST, ()))
    assert (bare.status, code_of(bare)) == (403, "MissingAuthenticationTokenException")
    forged = replace(key, secret_access_key="wrong" + key.secret_access_key[5:])
    assert refusal(api, api.client(forged).list_assessments)[:2] == (
        "InvalidSignatureException",
        403,
    )
    unknown = replace(key, access_key_id="AKIA" + "A" * 16)
    assert refusal(api, api.client(unknown).list_assessments)[:2] == (
        "UnrecognizedClientException",
        403,
    )
    with api.db.system_write() as tx:
        credentials.disable(tx, key.access_key_id, api.clock.now())
    fresh = Api(api.db, api.deps, api.clock)
    assert refusal(fresh, fresh.client(key).list_assessments)[0] == "UnrecognizedClientException"


def replace_request(sent: Sent, headers: Any) -> Any:
    return Request(sent.method, sent.path, sent.query, headers, sent.body, REQUEST_ID)


def code_of(response: Any) -> str:
    code: str = json.loads(response.body)["__type"]
    assert dict(response.headers)[b"x-amzn-errortype"] == code.encode()
    return code


def test_a_request_for_another_service_is_refused(api: Api) -> None:
    response = api.ask(LIST, service="s3")
    assert (response.status, code_of(response)) == (403, "InvalidSignatureException")


def test_the_service_of_the_signature_must_be_the_operations_own(api: Api) -> None:
    domains = Sent("POST", b"/domains", b"", b"{}")
    crossed = api.ask(domains)
    assert (crossed.status, code_of(crossed)) == (403, "InvalidSignatureException")
    assert "controlcatalog" in json.loads(crossed.body)["message"]
    assert api.ask(domains, service="controlcatalog").status == 200
    assert api.ask(LIST, service="controlcatalog").status == 403


def test_an_identity_policy_is_needed(registered: Api) -> None:
    reader = registered.client(registered.key("reader", "AuditkeepReadOnly"))
    registered.call(reader.list_controls, controlType="Custom")
    code, status, message = refusal(registered, reader.delete_control, controlId=UUID)
    assert (code, status) == ("AccessDeniedException", 403)
    assert message == (
        "User: arn:aws:iam::111122223333:user/reader is not authorized to perform: "
        "auditmanager:DeleteControl on resource: arn:aws:auditmanager:us-east-1:111122223333:"
        f"control/{UUID}, because no identity-based policy allows it."
    )


def test_an_own_policy_may_name_one_resource(registered: Api) -> None:
    arn = f"arn:aws:auditmanager:us-east-1:111122223333:control/{UUID}"
    statement = {"Effect": "Allow", "Action": "auditmanager:GetControl", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    with registered.db.system_write() as tx:
        policies.put(tx, "111122223333", "One", document)
    client = registered.client(registered.key("one", "One"))
    assert refusal(registered, client.get_control, controlId=UUID)[0] == "ResourceNotFoundException"
    other = UUID.replace("0", "1")
    assert refusal(registered, client.get_control, controlId=other)[0] == "AccessDeniedException"


def test_errors_carry_what_the_model_promises(registered: Api) -> None:
    missing = registered.ask(Sent("GET", f"/controls/{UUID}".encode(), b"", b""))
    assert missing.status == 404
    assert json.loads(missing.body)["resourceId"] == UUID
    assert json.loads(missing.body)["resourceType"]
    wrong = json.loads(registered.ask(Sent("GET", b"/controls/NOT-A-UUID", b"", b"")).body)
    assert wrong["reason"] == "fieldValidationFailed"
    assert wrong["fields"][0]["name"] == "controlId"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (Sent("GET", b"/nothing", b"", b""), 404),
        (Sent("PATCH", b"/controls", b"", b""), 405),
        (Sent("HEAD", b"/controls", b"", b""), 405),
    ],
)
def test_what_is_no_operation_is_told_so(api: Api, sent: Sent, status: int) -> None:
    response = api.ask(sent)
    assert (response.status, code_of(response)) == (status, "UnknownOperationException")
    if status == 405:
        assert dict(response.headers)[b"allow"] == b"GET, POST"


def test_what_is_not_written_answers_501_and_is_listed(
    db: Database, deps: Deps, clock: FixedClock
) -> None:
    api = Api(db, deps, clock, table={})
    code, status, message = refusal(api, api.client().get_insights)
    assert (code, status) == ("NotImplementedException", 501)
    assert "GetInsights" in message
    assert [name for name, _ in written()] == [f"{o.service}:{o.name}" for o in OPERATIONS]
    assert {name for name, there in written() if there} == {f"{o.service}:{o.name}" for o in TABLE}


@pytest.mark.parametrize("name", NAMES)
def test_every_malformed_request_is_400_and_names_the_field(api: Api, name: str) -> None:
    for case in broken(name):
        if BY_NAME[name] not in TABLE:
            continue
        response = api.ask(send(BY_NAME[name], case.ask))
        assert (response.status, code_of(response)) == (400, "ValidationException"), case
        answer = json.loads(response.body)
        assert case.field in {f["name"] for f in answer["fields"]}, case
        assert case.field in answer["message"]


@pytest.mark.parametrize("name", NAMES)
def test_no_well_formed_request_breaks_the_server(registered: Api, name: str) -> None:
    response = registered.ask(send(BY_NAME[name], request_of(name)))
    assert response.status in (200, 400, 402, 403, 404, 501), response.body


def failing(error: Exception) -> Any:
    def function(call: Call, ask: Shape) -> Shape:
        call.tx.insert(tags, ROW)
        raise error

    return function


def rows(api: Api) -> int:
    with api.db.read(Tenant("111122223333", "us-east-1")) as tx:
        return len(tx.all(tx.select(tags)))


TAGGED = Sent("POST", f"/tags/arn%3Aaws%3Aauditmanager%3Aus-east-1%3A111122223333%3Acontrol%2F{UUID}".encode(), b"", b'{"tags": {"a": "b"}}')  # fmt: skip


def test_a_refused_request_changes_nothing(db: Database, deps: Deps, clock: FixedClock) -> None:
    api = Api(db, deps, clock, table={am.TAG_RESOURCE: failing(InvalidRequest("No."))})
    assert api.ask(TAGGED).status == 400
    assert rows(api) == 0


def test_an_unexpected_error_is_500_logged_by_id_and_tells_no_value(
    db: Database, deps: Deps, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api(db, deps, clock, table={am.TAG_RESOURCE: failing(RuntimeError("hunter2"))})
    with caplog.at_level(logging.INFO):
        response = api.ask(TAGGED)
    assert (response.status, code_of(response)) == (500, "InternalServerException")
    assert REQUEST_ID in response.body.decode()
    assert REQUEST_ID in caplog.text
    assert "RuntimeError" in caplog.text
    assert "test_dispatch.py" in caplog.text
    assert "hunter2" not in caplog.text + response.body.decode()
    assert api.admin.secret_access_key not in caplog.text
    assert rows(api) == 0


def test_a_full_disk_is_told_as_such(db: Database, deps: Deps, clock: FixedClock) -> None:
    api = Api(db, deps, clock, table={am.TAG_RESOURCE: failing(StorageFull("The disk is full."))})
    response = api.ask(TAGGED)
    assert (response.status, json.loads(response.body)["message"]) == (500, "The disk is full.")


def test_an_answer_that_cannot_be_sent_changes_nothing(
    db: Database, deps: Deps, clock: FixedClock
) -> None:
    def function(call: Call, ask: Shape) -> Shape:
        call.tx.insert(tags, ROW)
        return am.GetAccountStatusResponse(status="\ud800")  # type: ignore[arg-type]

    api = Api(db, deps, clock, table={am.TAG_RESOURCE: function})
    assert api.ask(TAGGED).status == 500
    assert rows(api) == 0


def test_a_reading_operation_cannot_write(db: Database, deps: Deps, clock: FixedClock) -> None:
    api = Api(db, deps, clock, table={am.GET_ACCOUNT_STATUS: failing(AssertionError())})
    assert api.ask(Sent("GET", b"/account/status", b"", b"")).status == 500
    assert rows(api) == 0


def test_which_operations_only_read() -> None:
    reading = {o.name for o in am.OPERATIONS if only_reads(o)}
    assert reading == {n for n in NAMES if n.startswith(("Get", "List", "Validate"))} - {
        "GetEvidenceFileUploadUrl"
    }


def seen_by(api_deps: Deps, db: Database, clock: FixedClock) -> Call:
    calls: list[Call] = []

    def function(call: Call, ask: Shape) -> Shape:
        calls.append(call)
        return am.GetAccountStatusResponse()

    api = Api(db, api_deps, clock, table={am.GET_ACCOUNT_STATUS: function})
    assert api.ask(Sent("GET", b"/account/status", b"", b"")).status == 200
    return calls[0]


def test_a_call_tells_who_when_and_where(db: Database, deps: Deps, clock: FixedClock) -> None:
    call = seen_by(deps, db, clock)
    assert call.principal.arn == "arn:aws:iam::111122223333:user/root"
    assert call.now == clock.now()
    assert call.base_url == BASE
    assert call.request_id == REQUEST_ID


def test_links_name_the_external_url_where_there_is_one(
    db: Database, deps: Deps, clock: FixedClock
) -> None:
    settings = Settings(data=deps.settings.data, external_url="https://audit.example.com/")
    assert (
        seen_by(replace(deps, settings=settings), db, clock).base_url == "https://audit.example.com"
    )


def test_an_old_signature_is_refused(registered: Api, clock: FixedClock) -> None:
    with registered.signing_clock():
        clock.advance(301 * SECOND)
        with pytest.raises(ClientError, match="has ended"):
            registered.client().list_assessments()


@pytest.mark.both_databases
def test_the_same_on_both_databases(registered: Api) -> None:
    client = registered.client()
    assert registered.call(client.get_account_status)["status"] == "ACTIVE"
    assert registered.call(client.list_assessments)["assessmentMetadata"] == []


class Undoing:
    """An operation that the database undoes a number of times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.begun = 0

    def __call__(self, call: Call, _ask: Shape) -> Shape:
        self.begun += 1
        call.tx.insert(tags, {**ROW, "key": f"try-{self.begun}"})
        if self.begun <= self.times:
            raise Contended("Two changes waited for each other, and the database undid this one.")
        return am.TagResourceResponse()


@pytest.mark.parametrize(("times", "status"), [(0, 200), (1, 200), (3, 200), (4, 429)])
def test_what_the_database_undid_is_tried_again_and_leaves_nothing_of_the_first_try(
    db: Database, deps: Deps, clock: FixedClock, times: int, status: int
) -> None:
    undoing = Undoing(times)
    api = Api(db, deps, clock, table={**TABLE, am.TAG_RESOURCE: undoing})
    answer = api.ask(send(BY_NAME["TagResource"], request_of("TagResource")))
    assert answer.status == status
    with db.read(Tenant("111122223333", "us-east-1")) as tx:
        kept = [row.key for row in tx.all(tx.select(tags.c.key))]
    assert kept == ([f"try-{times + 1}"] if status == 200 else [])
    if status == 429:
        assert json.loads(answer.body)["__type"] == "ThrottlingException"


def test_who_has_waited_long_is_told_to_come_again_and_not_made_to_wait_on(
    db: Database, deps: Deps, clock: FixedClock
) -> None:
    begun = []

    def waiting(_call: Call, _ask: Shape) -> Shape:
        begun.append(1)
        raise Contended("The database stayed busy for too long; try again.", again=False)

    api = Api(db, deps, clock, table={**TABLE, am.TAG_RESOURCE: waiting})
    answer = api.ask(send(BY_NAME["TagResource"], request_of("TagResource")))
    assert (answer.status, len(begun)) == (429, 1)
    assert b"nothing was done" in answer.body
