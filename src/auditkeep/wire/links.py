"""Presigned URLs of our own: whoever holds one may do one thing, for a while, without a key.

They stand where AWS Audit Manager hands out presigned S3 URLs (evidence uploads, reports). A link
binds the HTTP method, the path, the tenant and the time it ends under an HMAC-SHA256:

    BASE/PATH?X-Auditkeep-Tenant=ACCOUNT/REGION&X-Auditkeep-Expires=SECONDS&X-Auditkeep-Signature=HEX

The *decoded* path is signed, so that a proxy which re-encodes it does no harm. `operations.files`
makes and serves them; nothing here knows what lies behind a path.
"""

import hashlib
import hmac
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

from auditkeep.clock import SECOND, Instant
from auditkeep.errors import AccessDenied
from auditkeep.ids import Tenant

TENANT = "X-Auditkeep-Tenant"
EXPIRES = "X-Auditkeep-Expires"
SIGNATURE = "X-Auditkeep-Signature"


class Links:
    """Makes and checks links; `secret` is at least 16 random bytes, `ttl` microseconds."""

    def __init__(self, secret: bytes, ttl: int) -> None:
        if len(secret) < 16:
            raise ValueError("a link secret has at least 16 bytes")
        self._secret = secret
        self._ttl = ttl

    def make(
        self, base_url: str, path: str, now: Instant, *, tenant: Tenant, method: str = "GET"
    ) -> str:
        """A URL that allows `method` on `path` (decoded, beginning with `/`) until now + ttl."""
        expires = str((now + self._ttl) // SECOND)
        owner = f"{tenant.account}/{tenant.region}"
        query = urlencode(
            {
                TENANT: owner,
                EXPIRES: expires,
                SIGNATURE: self._sign(method, path, owner, expires).hex(),
            },
            safe="/",
            quote_via=quote,
        )
        return f"{base_url}{quote(path, safe='/')}?{query}"

    def check(self, method: str, path: bytes, query: bytes, now: Instant) -> tuple[str, Tenant]:
        """The decoded path and the tenant of a link as it came back.

        AccessDenied when it is not ours, was changed, or has ended; which of its parts is wrong
        is not told, except that a link which was ours has ended.
        """
        refused = AccessDenied("This link is not valid: it was changed or never given out.")
        try:
            decoded = unquote_to_bytes(path).decode()
            members = parse_qsl(
                query.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=8
            )
        except ValueError as error:  # UnicodeDecodeError is one, too
            raise refused from error
        found = dict(members)
        if len(members) != 3 or set(found) != {TENANT, EXPIRES, SIGNATURE}:
            raise refused
        owner, expires = found[TENANT], found[EXPIRES]
        given = found[SIGNATURE].encode()
        signature = self._sign(method, decoded, owner, expires).hex().encode()
        if not hmac.compare_digest(given, signature):
            raise refused
        if now >= int(expires) * SECOND:
            raise AccessDenied("This link has ended. Ask for a new one.")
        account, _, region = owner.partition("/")
        return decoded, Tenant(account, region)

    def _sign(self, method: str, path: str, tenant: str, expires: str) -> bytes:
        parts = ("auditkeep/link/1", method, path, tenant, expires)
        text = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
        return hmac.new(self._secret, text, hashlib.sha256).digest()
