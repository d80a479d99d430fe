"""Requests decoded, refused and explained; answers encoded."""

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.model_cases import MODEL, UUID, Sent, broken, request_of, send

from auditkeep.errors import InvalidRequest
from auditkeep.wire.codec import DEEPEST, decode, encode
from auditkeep.wire.faults import faults
from auditkeep.wire.model import AnyOperation, Shape
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.router import Router

ROUTER = Router(am.OPERATIONS)
BY_NAME = {o.name: o for o in am.OPERATIONS}
NAMES = sorted(BY_NAME)


def receive(sent: Sent) -> Shape:
    match = ROUTER.find(sent.method, sent.path)
    return decode(match.operation, match.labels, sent.query, sent.body)


def refusal(operation: AnyOperation, **how: Any) -> InvalidRequest:
    how.setdefault("labels", {})
    with pytest.raises(InvalidRequest) as caught:
        decode(operation, **how)
    return caught.value


@pytest.mark.parametrize("name", NAMES)
def test_a_request_with_every_member_set_arrives_whole(name: str) -> None:
    ask = request_of(name)
    assert json.loads(encode(receive(send(BY_NAME[name], ask)))) == ask


@pytest.mark.parametrize("name", NAMES)
def test_what_botocore_sends_arrives_whole(name: str) -> None:
    ask = request_of(name)
    serializer = create_serializer("rest-json", include_validation=False)
    made = serializer.serialize_to_request(ask, MODEL.operation_model(name))
    query = urlencode(made["query_string"], doseq=True, quote_via=quote).encode()
    body = made["body"] if isinstance(made["body"], bytes) else made["body"].encode()
    sent = Sent(made["method"], made["url_path"].encode(), query, body)
    assert json.loads(encode(receive(sent))) == ask


@pytest.mark.parametrize("name", NAMES)
def test_every_constraint_of_the_model_is_enforced_and_the_member_named(name: str) -> None:
    for case in broken(name):
        sent = send(BY_NAME[name], case.ask)
        with pytest.raises(InvalidRequest) as caught:
            pytest.fail(f"{case} was accepted as {receive(sent)}")
        assert caught.value.reason == "fieldValidationFailed", case
        assert case.field in {f.name for f in caught.value.fields}, (case, caught.value)
        assert case.field in str(caught.value), case


def test_there_are_thousands_of_such_cases() -> None:
    assert sum(1 for name in NAMES for _ in broken(name)) > 2000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "name is required"),
        ({"name": "x" * 301}, "name must be at most 300 characters long"),
        ({"name": ""}, "name must be at least 1 character long"),
        ({"name": "back\\slash"}, r"name must match the pattern ^[^\\]*$"),
        ({"name": 7}, "name must be a string"),
        ({"controlMappingSources": []}, "controlMappingSources must hold at least 1 item"),
        (
            {"controlMappingSources": [{"sourceType": "AWS_Nothing"}]},
            "controlMappingSources[0].sourceType must be one of AWS_API_Call, ",
        ),
        ({"tags": {"aws:x": "y"}}, "tags has a key that must match the pattern "),
        ({"tags": {"x": "y" * 257}}, "tags.x must be at most 256 characters long"),
        ({"tags": []}, "tags must be a JSON object"),
        ({"name": "a\0"}, "name must not contain the character U+0000"),
    ],
)
def test_the_sentence_names_the_member_as_the_client_knows_it(
    body: dict[str, Any], words: str
) -> None:
    assert words in str(refusal(am.CREATE_CONTROL, body=json.dumps(body).encode()))


def test_all_faults_are_told_at_once() -> None:
    error = refusal(am.CREATE_CONTROL, body=b'{"name": "", "description": 5}')
    names = [f.name for f in error.fields]
    assert names == ["name", "controlMappingSources", "description"]


def test_values_are_never_repeated() -> None:
    error = refusal(
        am.CREATE_CONTROL, body=b'{"name": "s3cret\\\\", "controlMappingSources": "s3cret"}'
    )
    assert "s3cret" not in str(error) + repr(error.fields)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a"} trailing',
        b"\xef\xbb\xbf{}",
        b"[]",
        b'"text"',
        b"5",
        b"1e999",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 500 + b"null" + b"}" * 500,
        b'{"a":' + b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1) + b"}",
    ],
)
def test_a_body_that_is_no_json_object_cannot_be_parsed(body: bytes) -> None:
    assert refusal(am.CREATE_CONTROL, body=body).reason == "cannotParse"


def test_null_means_absent_at_any_depth() -> None:
    source = {"sourceName": "s", "sourceDescription": None, "sourceKeyword": {"keywordValue": None}}
    body = {
        "name": "n",
        "description": None,
        "tags": {"a": None},
        "controlMappingSources": [source],
    }
    asked = decode(am.CREATE_CONTROL, {}, b"", json.dumps(body).encode())
    assert json.loads(encode(asked)) == {
        "name": "n",
        "tags": {},
        "controlMappingSources": [{"sourceName": "s", "sourceKeyword": {}}],
    }
    assert decode(am.UPDATE_SETTINGS, {}, b"", b"null") == am.UpdateSettingsRequest()


def test_null_in_a_list_is_not_a_value() -> None:
    error = refusal(am.CREATE_ASSESSMENT_FRAMEWORK, body=b'{"name": "n", "controlSets": [null]}')
    assert [f.name for f in error.fields] == ["controlSets[0]"]


def test_unknown_members_are_ignored() -> None:
    asked = decode(
        am.UPDATE_SETTINGS, {}, b"x=1&y", b'{"nobody": {"knows": [1]}, "snsTopic": "NONE"}'
    )
    assert asked == am.UpdateSettingsRequest(sns_topic="NONE")


def test_a_member_bound_to_the_path_is_not_taken_from_the_body() -> None:
    body = json.dumps({"controlId": "x", "name": "n", "controlMappingSources": [{}]}).encode()
    asked = decode(am.UPDATE_CONTROL, {"controlId": UUID}, b"", body)
    assert asked.control_id == UUID  # type: ignore[attr-defined]


def test_a_body_nobody_asked_for_is_not_looked_at() -> None:
    assert decode(am.LIST_ASSESSMENTS, {}, b"", b"\xff not json") == am.ListAssessmentsRequest()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"maxResults=1&maxResults=2", "maxResults"),
        (b"maxResults=", "maxResults"),
        (b"maxResults=+7", "maxResults"),
        (b"maxResults=99999999999999999999999", "maxResults"),
        (b"maxResults=0", "maxResults"),
        (b"maxResults=1001", "maxResults"),
        (b"nextToken=", "nextToken"),
        (b"nextToken=%00", "nextToken"),
        (b"status=active", "status"),
    ],
)
def test_a_bad_query_names_its_parameter(query: bytes, field: str) -> None:
    assert [f.name for f in refusal(am.LIST_ASSESSMENTS, query=query).fields] == [field]


@pytest.mark.parametrize("query", [b"status=%FF", b"%C3=x", b"a=b&" * 500])
def test_a_query_that_is_not_text_cannot_be_parsed(query: bytes) -> None:
    assert refusal(am.LIST_ASSESSMENTS, query=query).reason == "cannotParse"


def test_a_plus_in_a_query_is_a_plus() -> None:
    asked = decode(am.LIST_ASSESSMENTS, {}, b"nextToken=QUJD+/8=", b"")
    assert asked == am.ListAssessmentsRequest(next_token="QUJD+/8=")


def test_a_list_in_a_query_repeats_its_name() -> None:
    arn = f"arn:aws:auditmanager:us-east-1:111122223333:control/{UUID}"
    asked = decode(am.UNTAG_RESOURCE, {"resourceArn": arn}, b"tagKeys=a&tagKeys=b&tagKeys=a", b"")
    assert asked == am.UntagResourceRequest(resource_arn=arn, tag_keys=("a", "b", "a"))


@given(st.binary(max_size=80), st.binary(max_size=80), st.sampled_from(am.OPERATIONS))
def test_whatever_comes_is_a_struct_or_a_refusal(
    query: bytes, body: bytes, operation: AnyOperation
) -> None:
    labels = {b.name: UUID for b in operation.bindings if b.location == "uri"}
    with suppress(InvalidRequest):
        assert isinstance(decode(operation, labels, query, body), operation.request)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("MANUAL"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "tags", "controlMappingSources", "sourceType", "sourceKeyword", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_the_explanation_agrees_with_the_judgement(value: Any) -> None:
    try:
        msgspec.convert(value, am.CreateControlRequest)
    except msgspec.ValidationError:
        assert faults(am.CreateControlRequest, value)
    else:
        found = faults(am.CreateControlRequest, value)
        assert all("U+0000" in fault.message for fault in found)


def test_unset_members_are_not_sent() -> None:
    assert encode(am.GetSettingsResponse()) == b"{}"
    settings = am.Settings(is_aws_org_enabled=False, kms_key="DEFAULT")
    assert json.loads(encode(am.GetSettingsResponse(settings=settings))) == {
        "settings": {"isAwsOrgEnabled": False, "kmsKey": "DEFAULT"}
    }


def test_botocore_reads_timestamps_as_sent() -> None:
    answer = am.GetChangeLogsResponse(change_logs=(am.ChangeLog(created_at=1681511681.787),))
    shape = MODEL.operation_model("GetChangeLogs").output_shape
    parsed = create_parser("rest-json").parse(
        {"status_code": 200, "headers": {}, "body": encode(answer)}, shape
    )
    assert parsed["changeLogs"][0]["createdAt"].timestamp() == 1681511681.787
