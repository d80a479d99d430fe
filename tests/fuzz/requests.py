"""A request on its way: laid out as the model binds it, and then bent in the ways bytes can be.

`laid_out` is what a client sends. `bent` changes the bytes of a request after that: its path, its
query, its body, its headers or its method; what comes of it may be any operation or none.
"""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from auditkeep.wire.messages import Headers
from auditkeep.wire.model import AnyOperation

Change = Callable[[bytes], bytes]
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Wire:
    """The bytes of one request, before it is signed."""

    method: str
    path: bytes
    query: bytes
    body: bytes
    headers: Headers = ()

    @property
    def shown(self) -> str:
        """Short enough for a list of findings."""
        where = self.path + (b"?" + self.query if self.query else b"")
        return f"{self.method} {where[:300]!r} body {self.body[:300]!r} ({len(self.body)} bytes)"


def laid_out(operation: AnyOperation, ask: dict[str, Any], source: random.Random) -> Wire:
    """The request as a client sends it."""
    rest = dict(ask)
    labels: dict[str, str] = {}
    query: list[bytes] = []
    for binding in operation.bindings:
        if binding.member not in rest:
            continue
        value = rest.pop(binding.member)
        if binding.location == "uri":
            labels[binding.name] = str(value)
            continue
        items = value if isinstance(value, list) else [value]
        name = _quoted(binding.name)
        query += [name + b"=" + _quoted(str(item)) for item in items if item is not None]
    path = b"/".join(
        _quoted(labels[s[1:-1]]) if s.startswith("{") else s.encode()
        for s in operation.path.split("/")
    )
    body = b""
    if rest or operation.method in ("POST", "PUT"):
        text = json.dumps(rest, ensure_ascii=source.random() < 0.5)
        body = text.encode("utf-8", "surrogatepass")
    headers = ((b"content-type", b"application/json"),) if body else ()
    return Wire(operation.method, path, b"&".join(query), body, headers)


def _quoted(text: str) -> bytes:
    return quote(text.encode("utf-8", "surrogatepass"), safe="-_.~").encode()


def bent(wire: Wire, source: random.Random, *, big: bool = False) -> tuple[Wire, str]:
    """The request with one thing wrong about its bytes, and what that is."""
    if big:
        return _huge(wire, source), "a huge body"
    way = source.choice([_path, _path, _query, _query, _body, _body, _headers, _method])
    changed, what = way(wire, source)
    return changed, f"{way.__name__.removeprefix('_')}: {what}"


PATHS: dict[str, Change] = {
    "doubled slash": lambda p: p.replace(b"/", b"//", 1),
    "slash at the end": lambda p: p + b"/",
    "slashes at the end": lambda p: p + b"//",
    "dot": lambda p: p.replace(b"/", b"/./", 1),
    "dots": lambda p: p + b"/../x",
    "dots up": lambda p: b"/.." + p,
    "encoded dots": lambda p: p + b"/%2e%2e/%2E%2E",
    "encoded slash": lambda p: b"/" + p[1:].replace(b"/", b"%2F", 1),
    "small encoded slash": lambda p: p + b"%2f..%2fx",
    "NUL": lambda p: p + b"%00",
    "NUL inside": lambda p: p[:-3] + b"%00" + p[-2:],
    "overlong slash": lambda p: p + b"%c0%af",
    "overlong dot": lambda p: p + b"%c0%ae%c0%ae",
    "overlong, three bytes": lambda p: p + b"%e0%80%af",
    "surrogate": lambda p: p + b"%ed%a0%80",
    "beyond Unicode": lambda p: p + b"%f4%90%80%80",
    "lone per cent": lambda p: p + b"%",
    "no hexadecimal": lambda p: p + b"%zz%u0041",
    "twice encoded": lambda p: p.replace(b"%", b"%25") + b"%252F",
    "raw high bytes": lambda p: p + b"\xff\xfe",
    "raw UTF-8": lambda p: p + "é監".encode(),
    "parameters": lambda p: p + b";a=b",
    "question encoded": lambda p: p + b"%3Fx=1",
    "fragment": lambda p: p + b"#x",
    "backslash": lambda p: p.replace(b"/", b"\\"),
    "capitals": lambda p: p.upper(),
    "plus": lambda p: p + b"+",
    "space": lambda p: p + b"%20",
    "line break": lambda p: p + b"%0d%0aX-Evil:%201",
    "long": lambda p: p + b"a" * 20_000,
    "many segments": lambda p: p + b"/a" * 3_000,
    "nothing": lambda _: b"/",
    "empty": lambda _: b"",
    "star": lambda _: b"*",
    "elsewhere": lambda _: b"/assessments/x/y/z",
    "absolute": lambda p: b"http://elsewhere" + p,
    "one less": lambda p: p.rpartition(b"/")[0],
    "truncated": lambda p: p[:-1],
}


def _path(wire: Wire, source: random.Random) -> tuple[Wire, str]:
    what = source.choice(sorted(PATHS))
    return replace(wire, path=PATHS[what](wire.path)), what


QUERIES: dict[str, Change] = {
    "twice": lambda q: q + b"&" + q if q else b"maxResults=1&maxResults=2",
    "unknown": lambda q: q + b"&unknown=1&%75nknown=2",
    "empty pairs": lambda q: b"&&" + q + b"&&=&=x&x=",
    "no value": lambda q: q.split(b"=")[0] if q else b"maxResults",
    "many": lambda q: q + b"&a=1" * 300,
    "very many": lambda q: q + b"&maxResults=1" * 5_000,
    "bad per cent": lambda q: q + b"%&maxResults=%zz",
    "no UTF-8": lambda q: q + b"&maxResults=%ff%fe",
    "raw bytes": lambda q: q + b"&controlType=\xff",
    "NUL": lambda q: q + b"%00",
    "plus": lambda q: q.replace(b"%20", b"+") + b"+",
    "semicolons": lambda q: q.replace(b"&", b";") + b";x=1",
    "capitals": lambda q: q.upper(),
    "cut": lambda q: q[:-1],
    "brackets": lambda q: q + b"&tagKeys[]=x&tagKeys[0]=y",
    "zero": lambda q: q + b"&maxResults=0",
    "too large": lambda q: q + b"&maxResults=1001",
    "enormous": lambda q: q + b"&maxResults=" + b"9" * 5_000,
    "negative": lambda q: q + b"&maxResults=-1",
    "fraction": lambda q: q + b"&maxResults=1.0",
    "foreign digits": lambda q: q + b"&maxResults=%D9%A3",
    "padded": lambda q: q + b"&maxResults=%207",
    "token": lambda q: q + b"&nextToken=AAAA",
    "token, no base64": lambda q: q + b"&nextToken=A",
    "token, URL-safe": lambda q: q + b"&nextToken=--__",
    "token, long": lambda q: q + b"&nextToken=" + b"A" * 1_000,
    "token, too long": lambda q: q + b"&nextToken=" + b"A" * 1_001,
    "token, empty": lambda q: q + b"&nextToken=",
    "tags": lambda q: q + b"&tagKeys=a&tagKeys=a&tagKeys=",
    "gone": lambda _: b"",
    "question": lambda q: b"?" + q,
    "signed twice": lambda q: q + b"&X-Amz-Signature=abc&X-Amz-Algorithm=AWS4-HMAC-SHA256",
}


def _query(wire: Wire, source: random.Random) -> tuple[Wire, str]:
    what = source.choice(sorted(QUERIES))
    return replace(wire, query=QUERIES[what](wire.query).lstrip(b"&")), what


def _open(body: bytes) -> bytes:
    """The members of an object without its closing brace, ready for one more."""
    head = body[:-1] if body.endswith(b"}") else b"{"
    return head if head == b"{" else head + b","


BODIES: dict[str, Change] = {
    "none": lambda _: b"",
    "null": lambda _: b"null",
    "a list": lambda _: b"[]",
    "a text": lambda _: b'"x"',
    "a number": lambda _: b"12",
    "true": lambda _: b"true",
    "spaces": lambda _: b" \r\n\t ",
    "cut": lambda b: b[:-1],
    "cut in half": lambda b: b[: len(b) // 2],
    "more after it": lambda b: b + b"}",
    "twice": lambda b: b + b,
    "spaces around": lambda b: b" \n" + b + b"\n ",
    "byte order mark": lambda b: b"\xef\xbb\xbf" + b,
    "UTF-16": lambda b: b.decode("utf-8", "replace").encode("utf-16"),
    "Latin-1": lambda b: _open(b) + b'"name":"\xe9"}',
    "overlong": lambda b: _open(b) + b'"name":"\xc0\x80"}',
    "surrogates": lambda b: _open(b) + b'"name":"\\ud800"}',
    "surrogates swapped": lambda b: _open(b) + b'"name":"\\udc00\\ud800"}',
    "surrogates, raw": lambda b: _open(b) + b'"name":"\xed\xa0\x80"}',
    "a pair": lambda b: _open(b) + b'"name":"\\ud83d\\udd11"}',
    "NUL": lambda b: _open(b) + b'"name":"\\u0000"}',
    "raw NUL": lambda b: _open(b) + b'"name":"\x00"}',
    "raw line break": lambda b: _open(b) + b'"name":"\n"}',
    "bad escape": lambda b: _open(b) + b'"name":"\\x"}',
    "member twice": lambda b: _open(b) + b'"name":"a","name":5}',
    "empty name": lambda b: _open(b) + b'"":1}',
    "prototype": lambda b: _open(b) + b'"__proto__":{"x":1},"constructor":null}',
    "many members": lambda b: (
        _open(b) + b",".join(b'"m%d":%d' % (n, n) for n in range(5_000)) + b"}"
    ),
    "deep": lambda b: _open(b) + b'"x":' + b"[" * 40 + b"]" * 40 + b"}",
    "very deep": lambda b: _open(b) + b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep and open": lambda _: b'{"x":' * 50_000,
    "large number": lambda b: _open(b) + b'"x":' + b"9" * 5_000 + b"}",
    "large exponent": lambda b: _open(b) + b'"x":1e999,"y":-1e-999}',
    "not a number": lambda b: _open(b) + b'"x":NaN}',
    "infinite": lambda b: _open(b) + b'"x":-Infinity}',
    "leading zero": lambda b: _open(b) + b'"x":007}',
    "comment": lambda b: b"/* */" + b,
    "comma": lambda b: b.replace(b"}", b",}"),
    "single quotes": lambda b: b.replace(b'"', b"'"),
    "a form": lambda _: b"name=x&tags=y",
    "XML": lambda _: b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "zipped": lambda b: gzip.compress(b, mtime=0),
    "bytes": lambda _: bytes(range(256)),
    "all null": lambda b: (
        b'{"name":null,"tags":null,"controlSets":[null],"scope":{"awsAccounts":null}}'
    ),
}


def _body(wire: Wire, source: random.Random) -> tuple[Wire, str]:
    what = source.choice(sorted(BODIES))
    return replace(wire, body=BODIES[what](wire.body or b"{}")), what


HEADERS: dict[str, Headers] = {
    "no content type": (),
    "XML": ((b"content-type", b"text/xml"),),
    "JSON 1.1": ((b"content-type", b"application/x-amz-json-1.1"),),
    "a form": ((b"content-type", b"application/x-www-form-urlencoded"),),
    "many parts": ((b"content-type", b"multipart/form-data"),),
    "character set": ((b"content-type", b"application/json; charset=utf-16"),),
    "no type at all": ((b"content-type", b"\xff\xfe/;;"),),
    "two types": ((b"content-type", b"application/json"), (b"content-type", b"text/html")),
    "said to be zipped": ((b"content-encoding", b"gzip"),),
    "target": ((b"x-amz-target", b"AuditManager.DeleteAssessment"),),
    "another method": ((b"x-http-method-override", b"DELETE"),),
    "wants XML": ((b"accept", b"application/xml"), (b"accept-encoding", b"br")),
    "expects": ((b"expect", b"100-continue"),),
    "a range": ((b"range", b"bytes=0-1"), (b"if-none-match", b"*")),
    "long": ((b"x-long", b"a" * 60_000),),
    "many": tuple((b"x-%d" % n, b"v") for n in range(500)),
    "bytes": ((b"x-bytes", bytes(range(128, 256))), (b"cookie", b"\xff=;;=")),
    "forwarded": ((b"x-forwarded-for", b"127.0.0.1, ::1"), (b"forwarded", b"for=_x;proto=gopher")),
    "another host": ((b"x-forwarded-host", b"elsewhere\x00"), (b"host", b"elsewhere")),
    "another id": ((b"x-amzn-requestid", b"x\r\ny"), (b"amz-sdk-invocation-id", b"\x00")),
    "another digest": ((b"x-amz-content-sha256", b"0" * 64),),
    "unsigned": ((b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),),
    "streaming": ((b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),),
    "a date": ((b"date", b"yesterday"), (b"x-amz-date", b"20200101T000000Z")),
    "a second signature": ((b"authorization", b"AWS4-HMAC-SHA256 Credential=x"),),
    "another scheme": ((b"authorization", b"Basic eDp5"),),
    "a token": ((b"x-amz-security-token", b"FQoGZXIvYXdzE"),),
}


def _headers(wire: Wire, source: random.Random) -> tuple[Wire, str]:
    what = source.choice(sorted(HEADERS))
    return replace(wire, headers=HEADERS[what]), what


METHODS = (
    "HEAD",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "POST",
    "PUT",
    "GET",
    "DELETE",
    "get",
    "BREW",
    "M" * 99,
)


def _method(wire: Wire, source: random.Random) -> tuple[Wire, str]:
    what = source.choice(METHODS)
    return replace(wire, method=what), what[:10]


def _huge(wire: Wire, source: random.Random) -> Wire:
    """A body of about ten megabytes, in one of the shapes that cost most."""
    size = 10 * MEGABYTE - 1_000
    kinds: dict[str, Callable[[], bytes]] = {
        "text": lambda: b'"name":"' + b"a" * size + b'"',
        "escapes": lambda: b'"name":"' + b"\\u00e9" * (size // 6) + b'"',
        "numbers": lambda: b'"roles":[' + b"1," * (size // 2) + b"1]",
        "objects": lambda: b'"roles":[' + b"{}," * (size // 3) + b"{}]",
        "nulls": lambda: b'"roles":[' + b"null," * (size // 5) + b"null]",
        "members": lambda: b",".join(b'"m%d":{}' % n for n in range(size // 14)),
        "spaces": lambda: b" " * size,
        "brackets": lambda: b'"x":' + b"[" * (size // 2) + b"]" * (size // 2),
    }
    make = kinds[source.choice(sorted(kinds))]
    return replace(wire, body=_open(wire.body or b"{}") + make() + b"}")
