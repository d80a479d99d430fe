"""AWS Signature Version 4, verified: header and presigned forms.

Source: AWS, "Create a signed AWS API request"; where it leaves room, what botocore's signer does
for every service but S3 (path encoded twice after dot segments are gone; query pairs sorted as
they were sent). botocore is the oracle of the property tests.

Invariants: signatures are compared in constant time; a signature is good for five minutes either
way (a presigned one for as long as it says, at most seven days); the body is always covered.
What a caller learns is what AWS tells: a key that is not known, or a signature that does not match.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from itertools import islice, product
from urllib.parse import quote, unquote_to_bytes

from auditkeep.clock import MINUTE, SECOND, Instant, from_datetime, iso
from auditkeep.errors import SignatureIncomplete, SignatureMissing, SignatureWrong
from auditkeep.ids import GLOBAL_REGION
from auditkeep.wire import query as query_string
from auditkeep.wire.altered import hosts, paths, shown
from auditkeep.wire.messages import Request

ALGORITHM = "AWS4-HMAC-SHA256"
WINDOW = 5 * MINUTE
LONGEST_LINK = 7 * 24 * 3600
"""Seconds a presigned request may be valid, as with AWS."""
UNSIGNED = b"UNSIGNED-PAYLOAD"
MOST_GUESSES = 200
"""Forms that a failed request is compared with, to tell what a proxy did to it."""
_STREAMED = b"STREAMING-"

_EMPTY = hashlib.sha256(b"").hexdigest().encode()
_REGION = re.compile(r"[a-z]{2,10}(?:-[a-z0-9]{1,20}){2,3}")
_KEY_ID = re.compile(r"[A-Za-z0-9_]{16,128}")
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}")
_NAMES = re.compile(r"[a-z0-9!#$%&'*+.^_`|~;-]{4,4000}")
_MEMBER = re.compile(r"\s*(Credential|SignedHeaders|Signature)=(\S+)\s*")
_QUERY_AUTH = frozenset(
    f"X-Amz-{n}"
    for n in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
)
_TOKEN = "X-Amz-Security-Token"  # noqa: S105  # the name of a header, not a secret
_TOKEN_HEADER = _TOKEN.lower()
_LONGEST_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request claims about its signer; nothing of it holds before `Verifier.verify`."""

    access_key_id: str
    date: str
    region: str
    service: str
    timestamp: str
    """`YYYYMMDDTHHMMSSZ`, as it was signed."""
    at: Instant
    headers: tuple[str, ...]
    """Names of the signed headers, in the order given."""
    signature: str
    expires: int | None
    """Seconds a presigned request is valid; None for the header form."""
    token: str | None = field(default=None, repr=False)
    """The session token, which the signature covers; None where none was sent."""


def parse(request: Request) -> Signed:
    """Who the request says signed it.

    SignatureMissing when it does not say; SignatureIncomplete when it says so wrongly, also where
    it brings a session token that the signature does not cover.
    """
    authorization = list(request.values(b"authorization"))
    presigned = b"X-Amz-Signature=" in request.query or b"X-Amz-Algorithm=" in request.query
    if not authorization and not presigned:
        raise SignatureMissing(
            "The request is not signed. Sign it with AWS Signature Version 4 and an access key "
            "made by `auditkeep keys create`."
        )
    if len(authorization) + presigned > 1:
        raise SignatureIncomplete("The request is signed more than once.")
    signed = _from_query(request) if presigned else _from_header(request, authorization[0])
    if not request.header(b"host"):
        raise SignatureIncomplete("A signed request must name its Host.")
    tokens = list(request.values(_TOKEN_HEADER.encode()))
    return _with_token(signed, tokens) if tokens else signed


def _with_token(signed: Signed, tokens: list[bytes]) -> Signed:
    """The same with the session token of its header."""
    if len(tokens) > 1 or signed.token is not None:
        raise SignatureIncomplete(f"{_TOKEN} is given more than once.")
    if _TOKEN_HEADER not in signed.headers:
        raise SignatureIncomplete(f"{_TOKEN} must be among the signed headers.")
    return replace(signed, token=_token(_ascii(tokens[0], _TOKEN)))


def _from_header(request: Request, value: bytes) -> Signed:
    algorithm, _, rest = _ascii(value, "The Authorization header").partition(" ")
    if algorithm != ALGORITHM:
        raise SignatureIncomplete(f"The Authorization header must begin with {ALGORITHM}.")
    members: dict[str, str] = {}
    for part in rest.split(","):
        match = _MEMBER.fullmatch(part)
        if match is None or match[1] in members:
            raise SignatureIncomplete(
                "The Authorization header must hold Credential=…, SignedHeaders=…, Signature=…, "
                "each once."
            )
        members[match[1]] = match[2]
    if len(members) != 3:
        missing = next(n for n in ("Credential", "SignedHeaders", "Signature") if n not in members)
        raise SignatureIncomplete(f"The Authorization header lacks {missing}.")
    return _signed(
        members["Credential"],
        members["SignedHeaders"],
        members["Signature"],
        _timestamp(request),
        None,
    )


def _from_query(request: Request) -> Signed:
    members: dict[str, str] = {}
    for name, value in query_string.pairs(request.query):
        if name in _QUERY_AUTH or name == _TOKEN:
            if name in members:
                raise SignatureIncomplete(f"The parameter {name} is given more than once.")
            members[name] = value
    missing = sorted(_QUERY_AUTH - set(members))
    if missing:
        raise SignatureIncomplete(f"The presigned request lacks {', '.join(missing)}.")
    if members["X-Amz-Algorithm"] != ALGORITHM:
        raise SignatureIncomplete(f"X-Amz-Algorithm must be {ALGORITHM}.")
    expires = members["X-Amz-Expires"]
    if not re.fullmatch(r"[0-9]{1,6}", expires) or not 1 <= int(expires) <= LONGEST_LINK:
        raise SignatureIncomplete(f"X-Amz-Expires must be from 1 to {LONGEST_LINK} seconds.")
    signed = _signed(
        members["X-Amz-Credential"],
        members["X-Amz-SignedHeaders"],
        members["X-Amz-Signature"],
        members["X-Amz-Date"],
        int(expires),
    )
    return replace(signed, token=_token(members[_TOKEN])) if _TOKEN in members else signed


def _token(text: str) -> str:
    if not text or len(text) > _LONGEST_TOKEN:
        raise SignatureIncomplete(f"{_TOKEN} must have from 1 to {_LONGEST_TOKEN} characters.")
    return text


def _signed(
    credential: str, headers: str, signature: str, timestamp: str, expires: int | None
) -> Signed:
    scope = credential.split("/")
    if len(scope) != 5 or scope[4] != "aws4_request" or not _KEY_ID.fullmatch(scope[0]):
        raise SignatureIncomplete(
            "The credential must read ACCESS_KEY_ID/DATE/REGION/SERVICE/aws4_request."
        )
    key_id, date, region, service, _ = scope
    at = _instant(timestamp)
    if date != timestamp[:8]:
        raise SignatureWrong("The date of the credential scope is not that of the request.")
    if not _REGION.fullmatch(region) or len(region) > 32 or region == GLOBAL_REGION:
        raise SignatureWrong("The credential must be scoped to a valid region.")
    names = tuple(headers.split(";"))
    if "host" not in names or len(set(names)) != len(names) or not _NAMES.fullmatch(headers):
        raise SignatureIncomplete(
            "The signed headers must be in lower case, each once, and hold `host`."
        )
    if not _HEX.fullmatch(signature):
        raise SignatureWrong("The signature must be 64 hexadecimal digits in lower case.")
    return Signed(key_id, date, region, service, timestamp, at, names, signature, expires)


def _timestamp(request: Request) -> str:
    """When a request of the header form was signed: `X-Amz-Date`, or `Date` where it lacks."""
    given = request.header(b"x-amz-date")
    if given is not None:
        return _ascii(given, "X-Amz-Date")
    given = request.header(b"date")
    if given is None:
        raise SignatureIncomplete("A signed request must hold the header X-Amz-Date or Date.")
    text = _ascii(given, "Date")
    if _TIME.fullmatch(text):
        return text
    try:
        return parsedate_to_datetime(text).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError) as error:
        raise SignatureIncomplete("The header Date is not a date.") from error


def _instant(text: str) -> Instant:
    try:
        match = _TIME.fullmatch(text)
        year, month, day, hour, minute, second = map(int, match.groups()) if match else (0,) * 6
        return from_datetime(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError as error:
        raise SignatureIncomplete("The date must be written as 20260501T101112Z.") from error


def _ascii(value: bytes, what: str) -> str:
    try:
        return value.decode("ascii")
    except UnicodeDecodeError as error:
        raise SignatureIncomplete(f"{what} holds characters that are not ASCII.") from error


class Verifier:
    """Checks signatures; holds a bounded number of derived signing keys. Safe between threads.

    `host` is the name clients know this server by, where a proxy in between writes another one;
    `prefix` the path in front of the API's own that such a proxy takes away.
    """

    def __init__(self, host: str = "", prefix: str = "") -> None:
        self._host = host.encode()
        self._prefix = prefix.rstrip("/").encode()
        self._signing_key = lru_cache(maxsize=1024)(signing_key)

    def verify(
        self, request: Request, signed: Signed, secret: str, service: str, now: Instant
    ) -> None:
        """SignatureWrong unless the holder of `secret` signed this very request for `service`."""
        if signed.service != service:
            raise SignatureWrong(f"The credential must be scoped to the service '{service}'.")
        _check_time(signed, now)
        payload = _payload(request)
        key = self._signing_key(secret, signed.date, signed.region, signed.service)
        given = signed.signature.encode()
        matches = False
        for canonical in self._candidates(request, signed, payload):
            expected = hmac.digest(key, _string_to_sign(signed, canonical), "sha256")
            matches |= hmac.compare_digest(expected.hex().encode(), given)
            if matches:
                return
        raise SignatureWrong(
            "The signature does not match. "
            + (
                self._altered(request, signed, payload, key)
                or "Either the secret access key is another one, or the request was changed after "
                "it was signed: a proxy in between must pass its path and Host on as they come."
            )
        )

    def diagnose(self, request: Request, signed: Signed, secret: str) -> str | None:
        """What a proxy did to a request that leads nowhere; None unless the holder of `secret`
        can be seen to have signed another one.
        """
        try:
            payload = _payload(request)
        except SignatureWrong:
            return None
        key = self._signing_key(secret, signed.date, signed.region, signed.service)
        return self._altered(request, signed, payload, key)

    def _altered(self, request: Request, signed: Signed, payload: bytes, key: bytes) -> str | None:
        """How the request differs from one that was signed, where a guess (`altered`) finds it."""
        given = signed.signature.encode()
        sent = request.header(b"host") or b""
        names = list(dict.fromkeys((sent, *([self._host] if self._host else []), *hosts(request))))
        asked = (request.path, *paths(request))
        for path, host in islice(product(asked, names), MOST_GUESSES):
            canonical = _canonical(request, signed, path, host, payload)
            expected = hmac.digest(key, _string_to_sign(signed, canonical), "sha256")
            if hmac.compare_digest(expected.hex().encode(), given):
                known = (sent, self._host)
                return _told(path, request.path, host, b"" if host in known else sent)
        return None

    def _candidates(self, request: Request, signed: Signed, payload: bytes) -> Iterator[bytes]:
        """The canonical forms a signer may have meant: as sent, re-encoded, under our own name."""
        path = _canonical_path(request.path)
        query = _canonical_query(request.query)
        for host in (None, self._host) if self._host else (None,):
            if host is not None and self._prefix:
                path = _canonical_path(self._prefix + request.path)
            headers = _canonical_headers(request, signed.headers, host)
            yield b"\n".join((request.method.encode(), path, query, headers, payload))
            tidy = _canonical_query(_reencoded(request.query))
            if tidy != query:
                yield b"\n".join((request.method.encode(), path, tidy, headers, payload))


def _check_time(signed: Signed, now: Instant) -> None:
    shown = iso(now)[:19] + "Z"
    if signed.at > now + WINDOW:
        raise SignatureWrong(
            f"The signature is not yet valid: it says {signed.timestamp}, here it is {shown}. "
            "Set the client's clock."
        )
    valid = WINDOW if signed.expires is None else signed.expires * SECOND
    if now > signed.at + valid:
        raise SignatureWrong(
            f"The signature has ended: it was made at {signed.timestamp}, here it is {shown}. "
            "Sign again, and check the client's clock."
        )


def _payload(request: Request) -> bytes:
    """The body's digest as it must have been signed."""
    actual = hashlib.sha256(request.body).hexdigest().encode() if request.body else _EMPTY
    claimed = request.header(b"x-amz-content-sha256")
    if claimed is None or claimed == actual:
        return actual
    if claimed == UNSIGNED:
        # nothing but the digest would tie the body to its signer
        if request.body:
            raise SignatureWrong("The body must be signed: UNSIGNED-PAYLOAD is not accepted.")
        return UNSIGNED
    if claimed.startswith(_STREAMED):
        raise SignatureWrong(
            "A body signed chunk by chunk (STREAMING-…) is not accepted: sign the whole of it."
        )
    raise SignatureWrong("The body is not the one that x-amz-content-sha256 names.")


def _canonical_path(path: bytes) -> bytes:
    """Without dot segments and empty ones (RFC 3986, 5.2.4, as botocore has it), encoded again."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    tail = b"/" if kept and path.endswith(b"/") else b""
    return quote(b"/" + b"/".join(kept) + tail, safe="/~").encode()


def _canonical_query(query: bytes) -> bytes:
    if not query:
        return b""
    found = []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name != b"X-Amz-Signature":
            found.append((name, value))
    return b"&".join(b"=".join(pair) for pair in sorted(found))


def _reencoded(query: bytes) -> bytes:
    """The same query as RFC 3986 writes it, for signers that tidy what they send otherwise."""
    parts = (part.partition(b"=") for part in query.split(b"&"))
    return (
        b"&".join(_tidy(name) + b"=" + _tidy(value) for name, _, value in parts) if query else b""
    )


def _tidy(text: bytes) -> bytes:
    return quote(unquote_to_bytes(text), safe="-_.~").encode()


def _canonical_headers(request: Request, names: tuple[str, ...], host: bytes | None) -> bytes:
    lines = []
    for name in sorted(names):
        key = name.encode()
        if host is not None and name == "host":
            values = [host]
        else:
            values = [b" ".join(value.split()) for value in request.values(key)]
        lines.append(key + b":" + b",".join(values) + b"\n")
    return b"".join(lines) + b"\n" + ";".join(names).encode()


def _string_to_sign(signed: Signed, canonical: bytes) -> bytes:
    scope = f"{signed.date}/{signed.region}/{signed.service}/aws4_request"
    digest = hashlib.sha256(canonical).hexdigest()
    return f"{ALGORITHM}\n{signed.timestamp}\n{scope}\n{digest}".encode()


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of one day, region and service, derived from a secret access key."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical(request: Request, signed: Signed, path: bytes, host: bytes, payload: bytes) -> bytes:
    headers = _canonical_headers(request, signed.headers, host)
    query = _canonical_query(request.query)
    return b"\n".join((request.method.encode(), _canonical_path(path), query, headers, payload))


def _told(path: bytes, came: bytes, host: bytes, came_host: bytes) -> str | None:
    """The diagnosis; None where nothing differs."""
    said = ""
    if path != came:
        said += (
            f"Your proxy altered the path: it was signed as {shown(path)} and arrived as "
            f"{shown(came)}. Let it pass paths on as they come (in nginx: no path behind the "
            "server's name in proxy_pass). "
        )
    if came_host:
        said += (
            f"Your proxy altered the Host: the request was signed for {shown(host)} and arrived "
            f"for {shown(came_host)}. Let it pass the Host on (in nginx: proxy_set_header Host "
            "$http_host), or set AUDITKEEP_EXTERNAL_URL to the URL that clients use. "
        )
    return said.strip() or None
