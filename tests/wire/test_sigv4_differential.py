"""Signatures of whatever botocore's signer can be brought to sign, and of nothing else.

`test_sigv4` holds the rules one by one; here botocore's own signer is the oracle over random
requests: what it signed is accepted, and what differs from that in any signed part is not.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import MINUTE, SECOND, Instant, from_datetime
from auditkeep.errors import InvalidRequest, NotAuthenticated, SignatureIncomplete, SignatureWrong
from auditkeep.wire.messages import Request
from auditkeep.wire.sigv4 import Verifier, parse

KEY, SECRET = "AKIA" + "B" * 16, "k" * 40
WHEN = datetime(2026, 5, 1, 23, 59, 58, tzinfo=UTC)
NOW = from_datetime(WHEN)
HOST = "audit.example.com:8443"
STREAMED = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


@pytest.fixture(autouse=True)
def _stopped_clock() -> Iterator[None]:
    with mock.patch("botocore.auth.get_current_datetime", return_value=WHEN):
        yield


def signed(
    method: str,
    target: str,
    body: bytes = b"",
    headers: tuple[tuple[str, str], ...] = (),
    *,
    expires: int | None = None,
    region: str = "us-east-1",
    service: str = "auditmanager",
    token: str | None = None,
) -> Request:
    """The request as botocore signs it and as urllib3 would write it."""
    request = AWSRequest(method, f"https://{HOST}{target}", data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    who = Credentials(KEY, SECRET, token)
    if expires is None:
        SigV4Auth(who, service, region).add_auth(request)
    else:
        SigV4QueryAuth(who, service, region, expires=expires).add_auth(request)
    parts = urlsplit(request.url)
    sent = [(k.lower().encode(), v.encode()) for k, v in request.headers.items()]
    sent.append((b"host", HOST.encode()))
    return Request(method, parts.path.encode() or b"/", parts.query.encode(), tuple(sent), body)


def verify(request: Request, now: Instant = NOW) -> None:
    Verifier().verify(request, parse(request), SECRET, "auditmanager", now)


def changed(request: Request, **what: Any) -> Request:
    members = {n: getattr(request, n) for n in ("method", "path", "query", "headers", "body")}
    return Request(**(members | what))


def with_header(request: Request, name: bytes, *values: bytes) -> Request:
    kept = tuple(h for h in request.headers if h[0] != name)
    return changed(request, headers=(*kept, *((name, value) for value in values)))


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
SEGMENT = st.one_of(
    TEXT.map(lambda text: quote(text, safe="-._~")),
    TEXT.map(lambda text: quote(text, safe="-._~:@!$&'()*+,;=")),
    st.sampled_from([".", "..", "", "%2F", "%2f", "%2E%2E", "a%00b", "~", "%7E", "a+b", "%25"]),
)
PATH = st.lists(SEGMENT, max_size=5).map(lambda parts: "/" + "/".join(parts))
NAME = st.one_of(st.sampled_from(["a", "a-", "A", "tagKeys", "%61"]), TEXT.map(quote))
PAIR = st.one_of(
    st.tuples(NAME, TEXT.map(lambda text: quote(text, safe=""))).map("=".join),
    NAME,
    NAME.map(lambda name: name + "="),
    st.sampled_from(["a=1", "a=1&a=0", "a=b=c", "b=+", "b=%20", "maxResults=1", "x=%2f"]),
)
QUERY = st.lists(PAIR, max_size=5).map("&".join)
WORDS = st.text(alphabet="ab \t,;=\"'!", max_size=14)
HEADERS = st.lists(
    st.tuples(st.sampled_from(["X-Note", "X-Amz-Meta-A", "x-note", "Content-Type", "X-B"]), WORDS),
    max_size=4,
).map(tuple)
TOKEN = st.one_of(st.none(), st.text(alphabet="abcXYZ019+/=", min_size=1, max_size=300))
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE"])


@given(
    method=METHODS,
    path=PATH,
    query=QUERY,
    headers=HEADERS,
    body=st.binary(max_size=60),
    region=st.sampled_from(["us-east-1", "eu-central-2", "us-gov-west-1", "ap-southeast-5"]),
    token=TOKEN,
)
def test_whatever_botocore_signs_in_a_header_is_accepted(
    method: str,
    path: str,
    query: str,
    headers: tuple[tuple[str, str], ...],
    body: bytes,
    region: str,
    token: str | None,
) -> None:
    target = path + (f"?{query}" if query else "")
    request = signed(method, target, body, headers, region=region, token=token)
    verify(request)
    assert (parse(request).region, parse(request).token) == (region, token)


@given(path=PATH, query=QUERY, expires=st.integers(1, 604_800), token=TOKEN)
def test_whatever_botocore_signs_in_a_query_is_accepted(
    path: str, query: str, expires: int, token: str | None
) -> None:
    target = path + (f"?{query}" if query else "")
    request = signed("GET", target, expires=expires, token=token)
    assert parse(request).token == token
    verify(request)
    verify(request, Instant(NOW + expires * SECOND))
    for moment in (NOW + expires * SECOND + 1, NOW - 5 * MINUTE - 1, NOW + 30 * 86_400 * SECOND):
        with pytest.raises(SignatureWrong):
            verify(request, Instant(moment))


@given(path=PATH, query=QUERY, body=st.binary(min_size=1, max_size=40), data=st.data())
def test_one_bit_changed_in_what_was_signed_is_found(
    path: str, query: str, body: bytes, data: st.DataObject
) -> None:
    request = signed("POST", path + (f"?{query}" if query else ""), body)
    part = data.draw(st.sampled_from(["body", "signature", "date", "method"]))
    if part == "method":
        bent = changed(request, method="PUT")
    elif part == "body":
        bent = changed(request, body=_flipped(body, data))
    elif part == "date":
        bent = with_header(request, b"x-amz-date", b"20260501T235957Z")
    else:
        header = request.header(b"authorization") or b""
        head, mark, signature = header.partition(b"Signature=")
        bent = with_header(request, b"authorization", head + mark + _flipped(signature, data))
    with pytest.raises((NotAuthenticated, InvalidRequest)):
        verify(bent)


def _flipped(value: bytes, data: st.DataObject) -> bytes:
    at = data.draw(st.integers(0, len(value) - 1))
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


@given(pairs=st.lists(PAIR, min_size=2, max_size=6), seed=st.integers())
def test_the_order_of_parameters_is_not_signed_and_anything_else_of_them_is(
    pairs: list[str], seed: int
) -> None:
    request = signed("GET", "/controls?" + "&".join(pairs))
    shuffled = request.query.split(b"&")
    random.Random(seed).shuffle(shuffled)
    verify(changed(request, query=b"&".join(shuffled)))
    for other in (request.query + b"&more=1", request.query.partition(b"&")[2] + b"x"):
        with pytest.raises(SignatureWrong):
            verify(changed(request, query=other))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (("a   b",), (b"a b",)),
        (("  a b  ",), (b"a\t\tb",)),
        (("one", "two"), (b"one", b"two")),
        (("one", "two"), (b"one,two",)),
        (("", "x"), (b"   ", b"x")),
    ],
)
def test_white_space_and_lines_of_a_header_are_folded(
    given: tuple[str, ...], sent: tuple[bytes, ...]
) -> None:
    request = signed("GET", "/controls", headers=tuple(("X-Note", value) for value in given))
    verify(with_header(request, b"x-note", *sent))
    with pytest.raises(SignatureWrong):
        verify(with_header(request, b"x-note", *sent, b"more"))
    with pytest.raises(SignatureWrong):
        verify(with_header(request, b"x-note"))


def test_the_order_of_a_header_s_lines_is_signed() -> None:
    request = signed("GET", "/controls", headers=(("X-Note", "one"), ("X-Note", "two")))
    with pytest.raises(SignatureWrong):
        verify(with_header(request, b"x-note", b"two", b"one"))


def test_a_header_that_was_not_signed_changes_nothing() -> None:
    verify(with_header(signed("GET", "/controls"), b"x-amz-later", b"added on the way"))


@pytest.mark.parametrize("claim", [STREAMED, STREAMED + b"-TRAILER", b"STREAMING-UNSIGNED-PAYLOAD"])
def test_bodies_signed_chunk_by_chunk_are_refused_by_name(claim: bytes) -> None:
    request = signed("POST", "/controls", b"{}", (("X-Amz-Content-SHA256", claim.decode()),))
    with pytest.raises(SignatureWrong, match="chunk by chunk"):
        verify(request)


@pytest.mark.parametrize(
    "authorization",
    [
        b"AWS4-HMAC-SHA256 Credential=" + b"A" * 100_000,
        b"AWS4-HMAC-SHA256 " + b"x=1," * 20_000,
        b"AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f,SignedHeaders=host,Signature=" + b"0" * 64,
        b"AWS4-HMAC-SHA256 Credential=" + b"/" * 50_000 + b",SignedHeaders=host,Signature=0",
        b"AWS4-HMAC-SHA512 Credential=x, SignedHeaders=host, Signature=0",
        b"aws4-hmac-sha256 Credential=x, SignedHeaders=host, Signature=0",
        b"AWS AKIA:c2lnbmF0dXJl",
        b"AWS4-ECDSA-P256-SHA256 Credential=x, SignedHeaders=host, Signature=0",
        b"AWS4-HMAC-SHA256",
        b" AWS4-HMAC-SHA256 Credential=x",
        b"\x00",
        b"\xff" * 64,
    ],
)
def test_odd_and_huge_credentials_are_refused_with_a_short_sentence(authorization: bytes) -> None:
    request = with_header(signed("GET", "/controls"), b"authorization", authorization)
    with pytest.raises(NotAuthenticated) as caught:
        verify(request)
    assert len(str(caught.value)) < 300


def test_a_truncated_authorization_is_refused_wherever_it_ends() -> None:
    request = signed("GET", "/controls")
    whole = request.header(b"authorization") or b""
    for end in range(len(whole)):
        with pytest.raises(NotAuthenticated):
            verify(with_header(request, b"authorization", whole[:end]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"/us-east-1/", b"/us-east-2/"),
        (b"/us-east-1/", b"/*/"),
        (b"/us-east-1/", b"//"),
        (b"/auditmanager/", b"/s3/"),
        (b"/auditmanager/", b"/AuditManager/"),
        (b"/aws4_request", b"/aws4_requests"),
        (b"/20260501/", b"/20260502/"),
        (b"SignedHeaders=host;", b"SignedHeaders=host;accept;"),
        (b"SignedHeaders=host;x-amz-date", b"SignedHeaders=host"),
        (b"SignedHeaders=host;x-amz-date", b"SignedHeaders=x-amz-date;host"),
    ],
)
def test_another_scope_or_other_headers_than_signed_are_refused(old: bytes, new: bytes) -> None:
    request = signed("GET", "/controls")
    header = request.header(b"authorization") or b""
    assert old in header
    with pytest.raises(NotAuthenticated):
        verify(with_header(request, b"authorization", header.replace(old, new)))


def test_a_request_signed_for_another_service_is_refused_although_its_signature_holds() -> None:
    request = signed("GET", "/controls", service="s3")
    with pytest.raises(SignatureWrong, match="'auditmanager'"):
        verify(request)


def test_the_day_of_the_scope_is_that_of_the_signature_at_midnight() -> None:
    request = signed("GET", "/controls")
    verify(request, Instant(NOW + 3 * SECOND))  # on the next day
    verify(request, Instant(NOW + 5 * MINUTE))


@pytest.mark.parametrize("how", ["both", "query twice", "header twice"])
def test_two_signatures_are_refused_even_where_each_is_good(how: str) -> None:
    header, query = signed("GET", "/controls"), signed("GET", "/controls", expires=60)
    request = {
        "both": changed(header, query=query.query),
        "query twice": changed(query, query=query.query + b"&" + query.query),
        "header twice": with_header(
            header, b"authorization", *[header.header(b"authorization") or b""] * 2
        ),
    }[how]
    with pytest.raises(SignatureIncomplete, match="more than once"):
        verify(request)
