"""A quick signer that takes any bytes for a path: clients' own signers tidy what they are given.

AWS Signature Version 4, header form, as botocore signs for every service but S3.
"""

import hashlib
import hmac
from functools import lru_cache
from urllib.parse import quote

from auditkeep.access.credentials import AccessKey
from auditkeep.clock import Instant, to_datetime
from auditkeep.wire.messages import Headers

HOST = b"127.0.0.1:8080"


@lru_cache(maxsize=256)
def _key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signed(
    method: str,
    path: bytes,
    query: bytes,
    body: bytes,
    *,
    key: AccessKey,
    now: Instant,
    region: str = "us-east-1",
    service: str = "auditmanager",
    host: bytes = HOST,
) -> Headers:
    """The headers that prove who sends this request."""
    stamp = to_datetime(now).strftime("%Y%m%dT%H%M%SZ")
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    tail = b"/" if kept and path.endswith(b"/") else b""
    uri = quote(b"/" + b"/".join(kept) + tail, safe="/~").encode()
    pairs = sorted(part.partition(b"=")[::2] for part in query.split(b"&")) if query else []
    canonical = b"\n".join(
        (
            method.encode(),
            uri,
            b"&".join(b"=".join(pair) for pair in pairs),
            b"host:" + host + b"\nx-amz-date:" + stamp.encode() + b"\n",
            b"host;x-amz-date",
            hashlib.sha256(body).hexdigest().encode(),
        )
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
    secret = _key(key.secret_access_key, stamp[:8], region, service)
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    credential = f"{key.access_key_id}/{scope}"
    return (
        (b"host", host),
        (b"x-amz-date", stamp.encode()),
        (
            b"authorization",
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, "
            f"Signature={signature}".encode(),
        ),
    )
