"""Signatures, with botocore's own signer as the oracle."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from unittest import mock
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import MINUTE, SECOND, Instant, from_datetime
from auditkeep.errors import (
    InvalidRequest,
    NotAuthenticated,
    SignatureIncomplete,
    SignatureMissing,
    SignatureWrong,
)
from auditkeep.wire import altered, sigv4
from auditkeep.wire.messages import Request
from auditkeep.wire.sigv4 import ALGORITHM, Verifier, parse, signing_key

KEY, SECRET = "AKIA" + "A" * 16, "s" * 40
WHEN = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
NOW = from_datetime(WHEN)
BASE = "http://127.0.0.1:8080"


@pytest.fixture(autouse=True)
def _stopped_clock() -> Iterator[None]:
    with mock.patch("botocore.auth.get_current_datetime", return_value=WHEN):
        yield


def signed_by_botocore(
    method: str = "GET",
    url: str = BASE + "/assessments",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    presigned: int | None = None,
    service: str = "auditmanager",
    region: str = "us-east-1",
    token: str | None = None,
) -> Request:
    request = AWSRequest(method, url, data=body, headers=dict(headers or {}))
    who = Credentials(KEY, SECRET, token)
    if presigned is None:
        SigV4Auth(who, service, region).add_auth(request)
    else:
        SigV4QueryAuth(who, service, region, expires=presigned).add_auth(request)
    parts = urlsplit(request.url)
    sent = [(k.lower().encode(), v.encode()) for k, v in request.headers.items()]
    if not any(name == b"host" for name, _ in sent):
        sent.append((b"host", parts.netloc.encode()))
    return Request(method, parts.path.encode() or b"/", parts.query.encode(), tuple(sent), body)


def verify(request: Request, now: Instant = NOW, *, host: str = "") -> None:
    Verifier(host).verify(request, parse(request), SECRET, "auditmanager", now)


def changed(request: Request, **what: object) -> Request:
    members = {n: getattr(request, n) for n in ("method", "path", "query", "headers", "body")}
    return Request(**(members | what))


def with_header(request: Request, name: bytes, value: bytes) -> Request:
    kept = tuple(h for h in request.headers if h[0] != name)
    return changed(request, headers=(*kept, (name, value)))


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SEGMENTS = st.lists(TEXT, max_size=4)
PAIRS = st.lists(st.tuples(TEXT, st.text(alphabet="ab /%+=é", max_size=5)), max_size=4)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    segments=SEGMENTS,
    pairs=PAIRS,
    body=st.binary(max_size=40),
    tail=st.sampled_from(["", "/"]),
)
def test_what_botocore_signs_is_accepted(
    method: str, segments: list[str], pairs: list[tuple[str, str]], body: bytes, tail: str
) -> None:
    path = "/" + "/".join(quote(s, safe="-._~") for s in segments) + tail
    query = "&".join(f"{quote(n, safe='-._~')}={quote(v, safe='-._~')}" for n, v in pairs)
    verify(signed_by_botocore(method, BASE + path + (f"?{query}" if query else ""), body))


@given(segments=SEGMENTS, names=st.lists(TEXT, unique=True, max_size=3))
def test_what_botocore_presigns_is_accepted(segments: list[str], names: list[str]) -> None:
    path = "/" + "/".join(quote(s, safe="-._~") for s in segments)
    query = "&".join(f"{quote(n, safe='-._~')}=1%2F" for n in names)
    url = BASE + path + (f"?{query}" if query else "")
    verify(signed_by_botocore("GET", url, presigned=900))


@pytest.mark.parametrize(
    "url",
    [
        "/tags/arn%3Aaws%3Aauditmanager%3Aus-east-1%3A111122223333%3Acontrol%2Fx?tagKeys=b&tagKeys=a&tagKeys=",
        "/assessments/x/controlSets/Identity%20%26%20access%20%2F%20people/status",
        "/a//b/./c/../d/",
        "",
        "/x?flag",
        "/x?a=1&&b=2",
        "/x?lower=%2f",
        "/x~y?z=~",
    ],
)
def test_awkward_addresses_are_signed_as_botocore_signs_them(url: str) -> None:
    verify(signed_by_botocore("GET", BASE + url))


def test_a_signer_that_tidies_its_query_is_understood() -> None:
    tidy = signed_by_botocore("GET", BASE + "/x?a=%2F&b=")
    verify(changed(tidy, query=b"a=%2f&b"))
    with pytest.raises(SignatureWrong):
        verify(changed(tidy, query=b"a=%2f&b=1"))


def test_header_values_are_folded_and_joined() -> None:
    request = signed_by_botocore(headers={"X-Note": "a   b", "X-Amz-Meta": "one"})
    sent = [h for h in request.headers if h[0] != b"x-note"]
    verify(changed(request, headers=(*sent, (b"x-note", b"  a b "))))
    doubled = signed_by_botocore(headers={"X-Note": "a,b"})
    rest = [h for h in doubled.headers if h[0] != b"x-note"]
    verify(changed(doubled, headers=(*rest, (b"x-note", b"a"), (b"x-note", b"b"))))


def test_the_date_header_serves_where_the_other_lacks() -> None:
    request = signed_by_botocore(headers={"Date": "now"})
    assert request.header(b"x-amz-date") is None
    verify(request)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"path": b"/assessment"},
        {"path": b"/assessments/"},
        {"query": b"status=ACTIVE"},
        {"body": b"x"},
    ],
)
def test_any_change_is_found(change: dict[str, object]) -> None:
    with pytest.raises(SignatureWrong):
        verify(changed(signed_by_botocore(), **change))


@given(st.data())
def test_one_changed_bit_of_a_signed_header_is_found(data: st.DataObject) -> None:
    request = signed_by_botocore("POST", body=b"{}", headers={"X-Amz-Note": "note"})
    name = data.draw(st.sampled_from([b"host", b"x-amz-note"]))
    value = bytearray(request.header(name) or b"")
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] ^= 1
    with pytest.raises(SignatureWrong):
        verify(with_header(request, name, bytes(value)))


def test_another_secret_another_service_and_another_region_do_not_match() -> None:
    request = signed_by_botocore()
    with pytest.raises(SignatureWrong):
        Verifier().verify(request, parse(request), "t" * 40, "auditmanager", NOW)
    with pytest.raises(SignatureWrong, match="service 'auditmanager'"):
        verify(signed_by_botocore(service="s3"))
    moved = (request.header(b"authorization") or b"").replace(b"us-east-1", b"eu-west-1")
    with pytest.raises(SignatureWrong):
        verify(with_header(request, b"authorization", moved))


@pytest.mark.parametrize("offset", [-5 * MINUTE, 0, 5 * MINUTE])
def test_five_minutes_either_way_are_good(offset: int) -> None:
    verify(signed_by_botocore(), Instant(NOW + offset))


@pytest.mark.parametrize(
    ("offset", "words"), [(-5 * MINUTE - 1, "not yet"), (5 * MINUTE + 1, "ended")]
)
def test_more_is_not(offset: int, words: str) -> None:
    with pytest.raises(SignatureWrong, match=words):
        verify(signed_by_botocore(), Instant(NOW + offset))


def test_a_presigned_request_lives_as_long_as_it_says() -> None:
    request = signed_by_botocore(presigned=3600)
    verify(request, Instant(NOW + 3600 * SECOND))
    with pytest.raises(SignatureWrong, match="ended"):
        verify(request, Instant(NOW + 3600 * SECOND + 1))
    with pytest.raises(SignatureWrong, match="not yet"):
        verify(request, Instant(NOW - 5 * MINUTE - 1))
    with pytest.raises(SignatureWrong):
        verify(changed(request, query=request.query.replace(b"Expires=3600", b"Expires=3601")))


def test_the_body_is_always_covered() -> None:
    digest = hashlib.sha256(b"{}").hexdigest()
    verify(signed_by_botocore("POST", body=b"{}", headers={"X-Amz-Content-SHA256": digest}))
    lying = signed_by_botocore("POST", body=b"[]", headers={"X-Amz-Content-SHA256": digest})
    with pytest.raises(SignatureWrong, match="x-amz-content-sha256"):
        verify(lying)
    unsigned = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    verify(signed_by_botocore("GET", headers=unsigned))
    with pytest.raises(SignatureWrong, match="must be signed"):
        verify(signed_by_botocore("POST", body=b"{}", headers=unsigned))


def test_a_request_without_signature_says_how_to_sign() -> None:
    with pytest.raises(SignatureMissing, match="keys create"):
        parse(Request("GET", b"/assessments", b"", ()))


def authorization(value: bytes) -> Request:
    headers = ((b"host", b"h"), (b"x-amz-date", b"20260501T120000Z"), (b"authorization", value))
    return Request("GET", b"/", b"", headers)


GOOD = f"Credential={KEY}/20260501/us-east-1/auditmanager/aws4_request"
SIGNATURE = "Signature=" + "a" * 64


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer abc",
        ALGORITHM,
        f"{ALGORITHM} {GOOD}",
        f"{ALGORITHM} {GOOD}, SignedHeaders=host",
        f"{ALGORITHM} {GOOD}, {GOOD}, SignedHeaders=host, {SIGNATURE}",
        f"{ALGORITHM} {GOOD}, SignedHeaders=host, {SIGNATURE}, More=1",
        f"{ALGORITHM} {GOOD}, SignedHeaders=x-amz-date, {SIGNATURE}",
        f"{ALGORITHM} {GOOD}, SignedHeaders=Host, {SIGNATURE}",
        f"{ALGORITHM} {GOOD}, SignedHeaders=host;host, {SIGNATURE}",
        f"{ALGORITHM} {GOOD}, SignedHeaders=host:x, {SIGNATURE}",
        f"{ALGORITHM} {GOOD}/more, SignedHeaders=host, {SIGNATURE}",
        f"{ALGORITHM} {GOOD}, SignedHeaders=host, Signature=abc",
        f"{ALGORITHM} {GOOD}, SignedHeaders=host, Signature={'A' * 64}",
        f"{ALGORITHM} {GOOD.replace('us-east-1', 'us_east_1')}, SignedHeaders=host, {SIGNATURE}",
        f"{ALGORITHM} {GOOD.replace('us-east-1', 'aws-global')}, SignedHeaders=host, {SIGNATURE}",
        f"{ALGORITHM} {GOOD.replace('20260501', '20260502')}, SignedHeaders=host, {SIGNATURE}",
        "AWS4-ECDSA-P256-SHA256 Credential=x",
        "é",
    ],
)
def test_a_malformed_authorization_is_told_so(value: str) -> None:
    with pytest.raises((SignatureIncomplete, SignatureWrong)) as caught:
        parse(authorization(value.encode()))
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "date",
    [
        b"",
        b"yesterday",
        b"20261301T000000Z",
        b"20260501T250000Z",
        b"2026-05-01T12:00:00Z",
        "٢٠٢٦٠٥٠١T120000Z".encode(),
    ],
)
def test_a_malformed_date_is_told_so(date: bytes) -> None:
    good = authorization(f"{ALGORITHM} {GOOD}, SignedHeaders=host, {SIGNATURE}".encode())
    parse(good)
    with pytest.raises(SignatureIncomplete):
        parse(with_header(good, b"x-amz-date", date))


def test_a_request_must_name_its_host() -> None:
    with pytest.raises(SignatureIncomplete, match="Host"):
        parse(with_header(signed_by_botocore(), b"host", b""))


def test_a_request_signed_twice_is_refused() -> None:
    request = signed_by_botocore()
    twice = (*request.headers, (b"authorization", request.header(b"authorization") or b""))
    with pytest.raises(SignatureIncomplete, match="more than once"):
        parse(changed(request, headers=twice))
    with pytest.raises(SignatureIncomplete, match="more than once"):
        parse(changed(request, query=b"X-Amz-Signature=abc"))
    presigned = signed_by_botocore(presigned=60)
    with pytest.raises(SignatureIncomplete, match="X-Amz-Date"):
        parse(changed(presigned, query=presigned.query + b"&X-Amz-Date=20260501T120000Z"))


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders"])
def test_a_presigned_request_must_be_whole(name: str) -> None:
    request = signed_by_botocore(presigned=60)
    kept = [p for p in request.query.split(b"&") if not p.startswith(f"X-Amz-{name}=".encode())]
    with pytest.raises(NotAuthenticated):
        parse(changed(request, query=b"&".join(kept)))


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "x", "1.5", ""])
def test_a_presigned_request_must_end(expires: str) -> None:
    request = signed_by_botocore(presigned=60)
    with pytest.raises(SignatureIncomplete, match="X-Amz-Expires"):
        parse(
            changed(
                request, query=request.query.replace(b"Expires=60", b"Expires=" + expires.encode())
            )
        )


@pytest.mark.parametrize("presigned", [None, 60])
@pytest.mark.parametrize("token", ["FQoG", "a+/=" * 60])
def test_a_session_token_is_read_where_botocore_puts_it(presigned: int | None, token: str) -> None:
    request = signed_by_botocore(token=token, presigned=presigned)
    assert parse(request).token == token
    verify(request)
    assert parse(signed_by_botocore(presigned=presigned)).token is None


def test_a_session_token_is_part_of_what_is_signed() -> None:
    header = signed_by_botocore(token="FQoG")
    with pytest.raises(SignatureWrong):
        verify(with_header(header, b"x-amz-security-token", b"FQoH"))
    link = signed_by_botocore(token="FQoG", presigned=60)
    with pytest.raises(SignatureWrong):
        verify(changed(link, query=link.query.replace(b"FQoG", b"FQoH")))


def test_a_session_token_that_nobody_signed_is_refused() -> None:
    plain = signed_by_botocore()
    with pytest.raises(SignatureIncomplete, match="among the signed headers"):
        parse(with_header(plain, b"x-amz-security-token", b"FQoG"))
    link = signed_by_botocore(presigned=60)
    with pytest.raises(SignatureIncomplete, match="among the signed headers"):
        parse(with_header(link, b"x-amz-security-token", b"FQoG"))


def test_two_session_tokens_are_refused() -> None:
    header = signed_by_botocore(token="FQoG")
    doubled = changed(header, headers=(*header.headers, (b"x-amz-security-token", b"FQoG")))
    link = signed_by_botocore(token="FQoG", presigned=60)
    twice = changed(link, query=link.query + b"&X-Amz-Security-Token=FQoG")
    for request in (doubled, twice, with_header(link, b"x-amz-security-token", b"FQoG")):
        with pytest.raises(SignatureIncomplete, match="more than once"):
            parse(request)


@pytest.mark.parametrize("token", ["", "t" * 5000])
def test_a_session_token_has_a_sane_length(token: str) -> None:
    request = with_header(signed_by_botocore(token="FQoG"), b"x-amz-security-token", token.encode())
    with pytest.raises(SignatureIncomplete, match="characters"):
        parse(request)


def test_a_session_token_is_never_shown() -> None:
    assert "FQoG" not in repr(parse(signed_by_botocore(token="FQoG")))


@pytest.mark.parametrize(
    ("signed", "arrived"),
    [
        ("/tags/a%2Fb", b"/tags/a/b"),
        ("/tags/arn%3Aaws%3Acontrol%2Fx", b"/tags/arn:aws:control/x"),
        ("/assessments/x/controlSets/a%20%2F%20b%20%2F%20c/status",
         b"/assessments/x/controlSets/a%20/%20b%20/%20c/status"),
        ("/x/%C3%A9%26", b"/x/\xc3\xa9&"),
    ],
)  # fmt: skip
def test_a_path_that_a_proxy_decoded_is_named(signed: str, arrived: bytes) -> None:
    for presigned in (None, 60):
        request = changed(signed_by_botocore(url=BASE + signed, presigned=presigned), path=arrived)
        with pytest.raises(SignatureWrong, match="Your proxy altered the path") as caught:
            verify(request)
        assert f"signed as {signed} " in str(caught.value)
        assert "Host" not in str(caught.value)


def test_a_path_whose_prefix_a_proxy_cut_off_is_named() -> None:
    cut = changed(signed_by_botocore(url=BASE + "/audit/assessments"), path=b"/assessments")
    with pytest.raises(SignatureWrong, match="signed as /audit/assessments"):
        verify(with_header(cut, b"x-forwarded-prefix", b"/audit/"))
    Verifier("127.0.0.1:8080", "/audit/").verify(cut, parse(cut), SECRET, "auditmanager", NOW)


@pytest.mark.parametrize(
    ("signed", "headers"),
    [
        ("audit.example.com", {b"x-forwarded-host": b"audit.example.com"}),
        ("audit.example.com", {b"x-forwarded-host": b"audit.example.com, inner"}),
        ("audit.example.com:8443", {b"host": b"audit.example.com", b"x-forwarded-port": b"8443"}),
        ("audit.example.com", {b"host": b"audit.example.com:8080"}),
    ],
)
def test_a_host_that_a_proxy_changed_is_named(signed: str, headers: dict[bytes, bytes]) -> None:
    request = signed_by_botocore(url=f"https://{signed}/assessments")
    for name, value in {b"host": b"backend", **headers}.items():
        request = with_header(request, name, value)
    with pytest.raises(SignatureWrong, match="Your proxy altered the Host") as caught:
        verify(request)
    assert f"signed for {signed} " in str(caught.value)
    assert "the path:" not in str(caught.value)


def test_both_may_have_been_changed() -> None:
    request = changed(
        signed_by_botocore(url="https://out.example.com/tags/a%2Fb"), path=b"/tags/a/b"
    )
    request = with_header(request, b"host", b"backend")
    with pytest.raises(SignatureWrong, match=r"altered the path.*altered the Host"):
        verify(with_header(request, b"x-forwarded-host", b"out.example.com"))
    with pytest.raises(SignatureWrong, match="altered the path") as caught:
        verify(request, host="out.example.com")
    assert "the Host:" not in str(caught.value)


def test_a_wrong_secret_is_not_blamed_on_a_proxy() -> None:
    request = signed_by_botocore(url=BASE + "/tags/a%2Fb")
    with pytest.raises(SignatureWrong, match="secret access key is another one") as caught:
        Verifier().verify(request, parse(request), "t" * 40, "auditmanager", NOW)
    assert "Your proxy" not in str(caught.value)


def test_a_request_that_is_right_is_not_diagnosed() -> None:
    request = signed_by_botocore(url=BASE + "/tags/a%2Fb")
    assert Verifier().diagnose(request, parse(request), SECRET) is None
    assert Verifier().diagnose(changed(request, body=b"x"), parse(request), SECRET) is None


def test_guessing_has_an_end() -> None:
    path = b"/" + b"/".join(b"%61" for _ in range(12))
    request = signed_by_botocore(url=BASE + path.decode())
    request = changed(request, headers=(*request.headers, *((b"x-forwarded-host", b"h%d" % n) for n in range(99))))  # fmt: skip
    with mock.patch("auditkeep.wire.sigv4._canonical", wraps=sigv4._canonical) as tried:
        assert Verifier().diagnose(request, parse(request), "t" * 40) is None
    assert tried.call_count == sigv4.MOST_GUESSES
    assert list(altered.paths(changed(request, path=b"/a" * 13))) == []


def test_a_proxy_may_rename_the_host_when_the_outer_name_is_known() -> None:
    request = with_header(
        signed_by_botocore(url="https://audit.example.com/assessments"), b"host", b"10.0.0.7:8080"
    )
    verify(request, host="audit.example.com")
    with pytest.raises(SignatureWrong):
        verify(request)


def test_the_signing_key_is_that_of_the_documentation() -> None:
    derived = signing_key(
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam"
    )
    assert derived.hex() == "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_are_answered_with_anything_but_a_refusal(header: bytes, query: bytes) -> None:
    for request in (
        authorization(header),
        changed(authorization(b""), headers=(), query=query + b"&X-Amz-Signature="),
    ):
        with pytest.raises((NotAuthenticated, InvalidRequest)):
            parse(request)
