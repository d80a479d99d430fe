"""What a request may have looked like before a proxy changed it: guesses, for the error's sentence.

Proxies that are told to put their own path behind the server's name decode what they pass on:
`%2F` becomes a slash, `%3A` a colon, two slashes one; others write their own Host. A guess is used
only to say what went wrong, never to let a request in. Bounded: a request that fails costs a few
milliseconds at most.
"""

from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

from auditkeep.wire.messages import Request

MOST_SEGMENTS = 12
MOST_HOSTS = 6


def paths(request: Request) -> Iterator[bytes]:
    """Paths that may have become this one: encoded as SDKs do, slashes inside a segment, a prefix
    that was cut off.
    """
    segments = request.path.removeprefix(b"/").split(b"/")
    if len(segments) > MOST_SEGMENTS:
        return
    plain = [unquote_to_bytes(s) for s in segments]
    whole = _path(plain)
    if whole != request.path:
        yield whole
    for prefix in list(request.values(b"x-forwarded-prefix"))[:1]:
        cut = b"/" + prefix.strip(b"/ ")
        yield cut + request.path
        yield cut + whole
    for first in range(len(plain)):
        for last in range(first + 1, len(plain)):
            joined = b"/".join(plain[first : last + 1])
            yield _path([*plain[:first], joined, *plain[last + 1 :]])


def hosts(request: Request) -> Iterator[bytes]:
    """Names that the client may have asked for, as proxies tell them, with and without a port."""
    found: list[bytes] = []
    told = [v for n in (b"x-forwarded-host", b"x-original-host") for v in request.values(n)]
    ports = [v.strip() for v in request.values(b"x-forwarded-port")]
    for value in [*(t.split(b",")[0].strip() for t in told), request.header(b"host") or b""]:
        name, _, port = value.rpartition(b":") if value.count(b":") == 1 else (value, b"", b"")
        found += [value, name, *(name + b":" + p for p in ports if p != port)]
    kept = dict.fromkeys(h for h in found if h)
    yield from list(kept)[:MOST_HOSTS]


def _path(segments: list[bytes]) -> bytes:
    return b"/" + b"/".join(quote(s, safe="-._~").encode() for s in segments)


def shown(text: bytes) -> str:
    """A path or a name as a message may repeat it."""
    return "".join(c if c.isprintable() else "?" for c in text[:300].decode("ascii", "replace"))
