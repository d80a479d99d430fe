"""Continuation tokens: opaque, bound to their list, and pages that lose and repeat nothing."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.errors import AuditkeepError, InvalidRequest
from auditkeep.ids import Tenant
from auditkeep.wire import paging

SECRET = b"s" * 32
TENANT = Tenant("111122223333", "us-east-1")
SCOPE = paging.scope("ListControls", TENANT, "Custom", None)
KEYS = st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.text(max_size=36), min_size=1, max_size=3
).map(tuple)


@given(KEYS)
def test_a_token_gives_back_its_key_and_fits_the_model(key: paging.Key) -> None:
    token = paging.make(key, SECRET, SCOPE)
    assert re.fullmatch(r"[A-Za-z0-9+/=]{1,1000}", token)
    assert paging.read(token, SECRET, SCOPE) == key


def test_no_token_is_the_first_page() -> None:
    assert paging.read(None, SECRET, SCOPE) is None


@pytest.mark.parametrize(
    "other",
    [
        paging.scope("ListAssessments", TENANT, "Custom", None),
        paging.scope("ListControls", Tenant("444455556666", "us-east-1"), "Custom", None),
        paging.scope("ListControls", Tenant("111122223333", "eu-west-1"), "Custom", None),
        paging.scope("ListControls", TENANT, "Standard", None),
        paging.scope("ListControls", TENANT, "Custom"),
    ],
)
def test_a_token_of_another_list_is_refused(other: str) -> None:
    token = paging.make((1, "a"), SECRET, SCOPE)
    with pytest.raises(InvalidRequest, match="nextToken") as caught:
        paging.read(token, SECRET, other)
    assert [f.name for f in caught.value.fields] == ["nextToken"]
    assert caught.value.reason == "fieldValidationFailed"


def test_a_token_made_under_another_secret_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        paging.read(paging.make((1,), b"x" * 32, SCOPE), SECRET, SCOPE)


@given(st.text(st.sampled_from("ABCabc019+/="), min_size=1, max_size=60) | st.text(max_size=20))
def test_garbage_is_refused_as_a_bad_field(token: str) -> None:
    with pytest.raises(InvalidRequest, match="nextToken"):
        paging.read(token, SECRET, SCOPE)


@given(st.data())
def test_any_flipped_bit_is_noticed(data: st.DataObject) -> None:
    raw = bytearray(base64.b64decode(paging.make((12, "abc"), SECRET, SCOPE)))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(InvalidRequest):
        paging.read(base64.b64encode(bytes(raw)).decode(), SECRET, SCOPE)


@given(st.sets(st.integers(0, 300)), st.integers(1, 40))
def test_pages_join_to_the_whole_list(values: set[int], limit: int) -> None:
    whole = sorted(values)
    seen: list[int] = []
    token = None
    for _ in range(len(whole) + 1):
        after = paging.read(token, SECRET, SCOPE)
        rows = [v for v in whole if after is None or v > int(after[0])][: paging.size(limit) + 1]
        part, token = paging.page(rows, limit, lambda v: (v,), SECRET, SCOPE)
        assert len(part) <= limit
        seen += part
        if token is None:
            break
    assert seen == whole


def test_a_page_has_a_hundred_rows_when_nobody_says() -> None:
    part, token = paging.page(list(range(101)), None, lambda v: (v,), SECRET, SCOPE)
    assert len(part) == 100
    assert paging.read(token, SECRET, SCOPE) == (99,)


def test_a_key_that_fits_no_token_is_a_fault_of_ours() -> None:
    with pytest.raises(AuditkeepError, match="1000"):
        paging.make(("x" * 900,), SECRET, SCOPE)
