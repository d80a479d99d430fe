"""The judge of answers: it finds what is wrong, and nothing in what is right."""

import json
from typing import Any

import pytest
from tests.fuzz.answers import wrong
from tests.fuzz.running import changed

from auditkeep.errors import InvalidRequest, NotFound, UnknownOperation
from auditkeep.wire.errors import JSON, to_response
from auditkeep.wire.messages import Response

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
GOOD: dict[str, Any] = {
    "assessmentMetadata": [
        {
            "id": ID,
            "name": "first",
            "status": "ACTIVE",
            "creationTime": 1777636800.5,
            "roles": [{"roleType": "PROCESS_OWNER", "roleArn": "arn:aws:iam::111122223333:role/x"}],
        }
    ],
    "nextToken": "QUJD",
}


def answered(body: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> list[str]:
    return wrong("ListAssessments", Response(status, json.dumps(body).encode(), (JSON, *headers)))


def with_item(**members: Any) -> dict[str, Any]:
    return {**GOOD, "assessmentMetadata": [GOOD["assessmentMetadata"][0] | members]}


def test_a_right_answer_has_nothing_wrong() -> None:
    assert answered(GOOD) == []
    assert wrong("GetControl", to_response(NotFound("control", ID), "i")) == []
    assert wrong(None, to_response(UnknownOperation("No such path."), "i")) == []


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"assessmentMetadata": None},
        {"assessmentMetadata": {}},
        {**GOOD, "more": 1},
        {**GOOD, "nextToken": "not base64!"},
        {**GOOD, "nextToken": ""},
        with_item(id=ID.upper()),
        with_item(status="GONE"),
        with_item(name=""),
        with_item(name="x" * 301),
        with_item(name="back\\slash"),
        with_item(creationTime="2026-05-01T12:00:00Z"),
        with_item(creationTime=True),
        with_item(roles=[{"roleType": "PROCESS_OWNER"}]),
        with_item(roles=[None]),
    ],
)
def test_an_answer_out_of_shape_is_found(body: Any) -> None:
    assert answered(body)


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (500, "InternalServerException", {"message": "It failed."}),
        (400, "ValidationException", {}),
        (400, "ValidationException", {"message": "short"}),
        (404, "ValidationException", {"message": "The status is another."}),
        (404, "ResourceNotFoundException", {"message": "Not modelled for this operation."}),
        (400, "ValidationException", {"message": "A wrong reason.", "reason": "none"}),
        (418, "TeapotException", {"message": "Not known at all."}),
    ],
)
def test_a_refusal_out_of_shape_is_found(status: int, code: str, body: dict[str, Any]) -> None:
    header = (b"x-amzn-errortype", code.encode())
    assert answered({"__type": code, **body}, status, header)


def test_header_and_body_name_the_same_error() -> None:
    refused = to_response(InvalidRequest("It is wrong."), "i")
    assert wrong("ListAssessments", refused) == []
    other = Response(400, refused.body, (JSON, (b"x-amzn-errortype", b"AccessDeniedException")))
    assert wrong("ListAssessments", other)


def test_what_is_no_json_is_found() -> None:
    assert wrong("ListAssessments", Response(200, b"<x/>", (JSON,)))
    plain = ((b"content-type", b"text/plain"),)
    assert wrong("ListAssessments", Response(200, json.dumps(GOOD).encode(), plain))


SOURCE = {"sourceName": "s", "sourceType": "MANUAL"}


@pytest.mark.parametrize(
    "told",
    [
        {"name": "other", "controlMappingSources": [SOURCE]},
        {"name": "c", "controlMappingSources": [SOURCE], "description": "invented"},
        {"name": "c", "controlMappingSources": [SOURCE], "tags": {"a": "b"}},
        {"name": "c", "controlMappingSources": [{**SOURCE, "sourceName": "t"}]},
    ],
)
def test_what_comes_back_otherwise_than_it_was_sent_is_found(told: dict[str, Any]) -> None:
    ask = {"name": "c", "controlMappingSources": [SOURCE]}
    same = {"name": "c", "controlMappingSources": [{**SOURCE, "sourceId": ID}], "type": "Custom"}
    assert changed("CreateControl", ask, {"control": same}) == []
    assert changed("CreateControl", ask, {"control": told})
