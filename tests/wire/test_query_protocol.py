"""The query protocol, read back with botocore's own parser."""

from typing import Any

import pytest
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.errors import (
    AccessDenied,
    InvalidRequest,
    KeyUnknown,
    PolicyMalformed,
    SessionEnded,
    SignatureWrong,
)
from auditkeep.wire import query_protocol
from auditkeep.wire.messages import Request, Response

STS = ServiceModel(get_session().get_service_data("sts", "2011-06-15"), "sts")
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def parsed(response: Response, operation: str = "GetCallerIdentity") -> Any:
    sent = {
        "status_code": response.status,
        "headers": {k.decode(): v.decode() for k, v in response.headers},
        "body": response.body,
    }
    return create_parser("query").parse(sent, STS.operation_model(operation).output_shape)


@given(st.text())
def test_every_text_survives_or_is_replaced_and_always_parses(text: str) -> None:
    answer = query_protocol.answer("GetCallerIdentity", NAMESPACE, {"Arn": text + "."}, "id-1")
    found = parsed(answer)
    assert found["ResponseMetadata"]["RequestId"] == "id-1"
    fits = all(c in "\t\n" or (c >= " " and c not in "\ufffe\uffff") for c in text)
    assert found["Arn"] == text + "." or not fits
    refused = query_protocol.refusal(AccessDenied(text + "."), NAMESPACE, "id-1")
    assert parsed(refused)["Error"]["Code"] == "AccessDenied"


def test_structures_lie_inside_each_other() -> None:
    answer = query_protocol.answer(
        "AssumeRole", NAMESPACE, {"Credentials": {"AccessKeyId": "ASIA<&>"}}, "r"
    )
    assert parsed(answer, "AssumeRole")["Credentials"]["AccessKeyId"] == "ASIA<&>"


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (KeyUnknown("x"), "InvalidClientTokenId", 403),
        (SessionEnded("x"), "ExpiredToken", 403),
        (SignatureWrong("x"), "SignatureDoesNotMatch", 403),
        (InvalidRequest("x"), "ValidationError", 400),
        (PolicyMalformed("x"), "MalformedPolicyDocument", 400),
    ],
)
def test_errors_have_the_names_that_sts_gives_them(error: Any, code: str, status: int) -> None:
    answer = query_protocol.refusal(error, NAMESPACE, "r")
    assert answer.status == status
    assert parsed(answer)["Error"] == {"Code": code, "Message": "x", "Type": "Sender"}


def test_what_was_not_raised_on_purpose_is_not_told() -> None:
    answer = query_protocol.refusal(ValueError("secret"), NAMESPACE, "r")
    assert answer.status == 500
    assert b"secret" not in answer.body


def asked(query: bytes = b"", body: bytes = b"") -> Request:
    return Request("POST", b"/", query, (), body)


def test_parameters_come_from_query_and_form() -> None:
    found = query_protocol.parameters(asked(b"Action=A%2FB", b"x=a+b&y=%C3%A9&&z"))
    assert found == {"Action": "A/B", "x": "a b", "y": "é", "z": ""}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asked(b"a=1", b"a=1"), "more than once"),
        (asked(body=b"a=1&%61=2"), "more than once"),
        (asked(body=b"a=%FF"), "UTF-8"),
        (asked(body=b"&".join(b"a%d=1" % n for n in range(201))), "200 parameters"),
        (asked(body=b"a=" + b"x" * 65536), "larger"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(request_: Request, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        query_protocol.parameters(request_)
