"""Routing on the raw path."""

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.errors import InvalidRequest, MethodNotAllowed, UnknownOperation
from auditkeep.wire.model import AnyOperation
from auditkeep.wire.models import auditmanager as am
from auditkeep.wire.router import Router

ROUTER = Router(am.OPERATIONS)


def path_of(operation: AnyOperation, values: dict[str, str]) -> bytes:
    return "/".join(
        quote(values[s[1:-1]], safe="") if s.startswith("{") else s
        for s in operation.path.split("/")
    ).encode()


def labels_of(operation: AnyOperation) -> list[str]:
    return [s[1:-1] for s in operation.path.split("/") if s.startswith("{")]


@pytest.mark.parametrize("operation", am.OPERATIONS, ids=lambda o: o.name)
def test_every_operation_is_found_by_its_own_path(operation: AnyOperation) -> None:
    values = {label: f"a/b {label} é" for label in labels_of(operation)}
    found = ROUTER.find(operation.method, path_of(operation, values))
    assert found.operation is operation
    assert found.labels == values


@given(
    st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])).filter(
        lambda text: text not in (".", "..")  # which no client sends as they are
    )
)
def test_a_segment_may_hold_any_text(text: str) -> None:
    found = ROUTER.find("GET", path_of(am.LIST_TAGS_FOR_RESOURCE, {"resourceArn": text}))
    assert found.labels == {"resourceArn": text}


@given(
    st.binary(max_size=60), st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", ""])
)
def test_no_bytes_are_answered_with_anything_but_a_request_error(path: bytes, method: str) -> None:
    with suppress(UnknownOperation, InvalidRequest):
        ROUTER.find(method, b"/" + path)


def test_a_slash_that_was_not_encoded_separates() -> None:
    with pytest.raises(UnknownOperation):
        ROUTER.find("GET", b"/tags/arn:aws:auditmanager:us-east-1:111122223333:control/x")


def test_a_literal_wins_over_a_label() -> None:
    found = ROUTER.find("GET", b"/insights/controls")
    assert found.operation is am.LIST_CONTROL_INSIGHTS_BY_CONTROL_DOMAIN


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"/nothing",
        b"/assessments/",
        b"//assessments",
        b"/assessments/x/",
        b"/assessments%2Fx",
        b"/assessments/.",
        b"/assessments/..",
    ],
)
def test_an_unknown_path_is_404(path: bytes) -> None:
    with pytest.raises(UnknownOperation) as caught:
        ROUTER.find("GET", path)
    assert caught.value.status == 404


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "OPTIONS", "get"])
def test_a_known_path_with_another_method_is_405_and_names_what_is_allowed(method: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        ROUTER.find(method, b"/assessments")
    assert caught.value.status == 405
    assert caught.value.allowed == ("GET", "POST")


@pytest.mark.parametrize("value", [b"%FF", b"%C3", b"\xff", b"%ED%A0%80"])
def test_a_label_must_be_utf8(value: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ROUTER.find("GET", b"/controls/" + value)
    assert caught.value.fields[0].name == "controlId"


def test_two_operations_on_one_path_are_refused_at_start() -> None:
    with pytest.raises(ValueError, match="two operations"):
        Router([am.GET_CONTROL, am.GET_CONTROL])
