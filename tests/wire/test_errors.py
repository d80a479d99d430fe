"""Errors as REST-JSON sends them."""

import json

import pytest
from botocore.parsers import create_parser
from tests.wire.model_cases import MODEL

from auditkeep import errors
from auditkeep.errors import Field, InvalidRequest, NotFound, RequestError, StorageError
from auditkeep.wire.errors import describe, to_response
from auditkeep.wire.models import auditmanager as am


def concrete(kind: type[RequestError]) -> list[type[RequestError]]:
    return [kind, *(k for sub in kind.__subclasses__() for k in concrete(sub))]


def test_modelled_codes_have_the_model_s_status() -> None:
    modelled = {name for o in am.OPERATIONS for name in o.errors}
    ours = {kind.code: kind.status for kind in concrete(RequestError) if "code" in vars(kind)}
    assert modelled <= set(ours)
    for name in modelled:
        assert MODEL.shape_for(name).metadata["error"]["httpStatusCode"] == ours[name]


def parsed(error: Exception) -> dict[str, object]:
    response = to_response(error, "id-1")
    headers = {k.decode(): v.decode() for k, v in response.headers}
    shape = MODEL.operation_model("CreateAssessment").output_shape
    answer = create_parser("rest-json").parse(
        {"status_code": response.status, "headers": headers, "body": response.body}, shape
    )
    error_part: dict[str, object] = answer["Error"]
    return error_part


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("Wrong."),
        NotFound("control", "x"),
        errors.AccessDenied("Denied."),
        errors.QuotaExceeded("Full."),
        errors.Throttled("Slow.", retry_after=1),
        errors.NotWrittenYet("Later."),
        errors.SignatureWrong("Forged."),
    ],
)
def test_botocore_reads_code_and_message(error: RequestError) -> None:
    assert parsed(error) == {"Code": error.code, "Message": str(error)}


def test_a_validation_carries_reason_and_fields() -> None:
    fields = (Field("name", "is required"), Field("roles", "must be a list"))
    body = json.loads(
        to_response(InvalidRequest("x", reason="fieldValidationFailed", fields=fields), "i").body
    )
    assert body["reason"] == "fieldValidationFailed"
    assert body["fields"] == [
        {"name": "name", "message": "is required"},
        {"name": "roles", "message": "must be a list"},
    ]
    assert "fields" not in json.loads(to_response(InvalidRequest("x"), "i").body)


@pytest.mark.parametrize(
    ("wait", "milliseconds", "seconds"),
    [(1, b"1", b"1"), (250_000, b"250", b"1"), (1_000_001, b"1001", b"2")],
)
def test_a_throttled_client_is_told_when_to_come_again(
    wait: int, milliseconds: bytes, seconds: bytes
) -> None:
    """Rounded up: who comes a moment early is refused again."""
    headers = dict(to_response(errors.Throttled("Slow.", retry_after=wait), "i").headers)
    assert headers[b"x-amz-retry-after"] == milliseconds
    assert headers[b"retry-after"] == seconds


def test_a_missing_resource_is_named() -> None:
    body = json.loads(to_response(NotFound("assessment", "a-1"), "i").body)
    assert (body["resourceId"], body["resourceType"]) == ("a-1", "assessment")


def test_what_was_not_meant_for_clients_stays_here() -> None:
    answer = parsed(StorageError("/data/secret.db broke"))
    assert answer["Code"] == "InternalServerException"
    assert "id-1" in str(answer["Message"])
    assert "secret" not in str(answer["Message"])


def test_a_description_tells_places_and_our_sentences_but_no_values() -> None:
    def fail() -> None:
        try:
            int("hunter2")
        except ValueError as error:
            raise StorageError("The database refused.") from error

    with pytest.raises(StorageError) as caught:
        fail()
    told = describe(caught.value)
    assert "StorageError: The database refused." in told
    assert "builtins.ValueError" in told
    assert "test_errors.py" in told
    assert "hunter2" not in told


def test_a_message_is_never_longer_than_the_model_allows() -> None:
    told = json.loads(to_response(NotFound("resource", "arn:" + "x" * 2044), "i").body)
    assert told["message"].startswith("No resource with the id 'arn:xxx")
    assert told["message"].endswith("…' was found.")
    assert len(told["resourceId"]) == 2048
    told = json.loads(to_response(InvalidRequest("long " * 1000), "i").body)
    assert len(told["message"]) == 2048
    assert told["message"].endswith("…")
