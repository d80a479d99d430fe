"""Continuation tokens: where the last page ended, readable and makeable by this server only.

A token is standard base64 (the model allows no URL-safe alphabet) of `mac(16) ‖ JSON of the last
key`. The MAC binds it to a *scope*: operation, tenant and filters. A token of another list, another
tenant or another filter, or one that was changed, is refused as a bad `nextToken` (spec 10.1).

A list is read by its sort key, never by offset: ask the store for `size(max_results) + 1` rows
after `read(…)`, and hand them to `page`.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from auditkeep.errors import AuditkeepError, InvalidRequest
from auditkeep.ids import Tenant

Row = TypeVar("Row")
Key = tuple[int | str, ...]
"""The sort key of a page's last row: what the next page begins after."""

DEFAULT_SIZE = 100
"""Rows of a page when the client does not say (the model allows 1 to 1000)."""

LONGEST = 1000
"""Characters a token may have (shape `Token`)."""

_MAC = 16
_LABEL = b"auditkeep/page/1"


def scope(operation: str, tenant: Tenant, *filters: str | None) -> str:
    """What a token is good for: one list of one tenant under one set of filters."""
    return json.dumps([operation, tenant.account, tenant.region, *filters], separators=(",", ":"))


def size(max_results: int | None) -> int:
    return DEFAULT_SIZE if max_results is None else max_results


def make(last_key: Key, secret: bytes, scope: str) -> str:
    """The token that continues after `last_key`."""
    body = json.dumps(last_key, separators=(",", ":"), ensure_ascii=False).encode()
    token = base64.b64encode(_mac(body, secret, scope) + body).decode("ascii")
    if len(token) > LONGEST:
        raise AuditkeepError(f"The key of this page does not fit a token of {LONGEST} characters.")
    return token


def read(token: str | None, secret: bytes, scope: str) -> Key | None:
    """The key a token continues after; None on the first page; InvalidRequest on `nextToken`."""
    if token is None:
        return None
    try:
        raw = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        raise _refused() from None
    mac, body = raw[:_MAC], raw[_MAC:]
    if not hmac.compare_digest(mac, _mac(body, secret, scope)):
        raise _refused()
    return tuple(json.loads(body))


def page(
    rows: Sequence[Row],
    max_results: int | None,
    key: Callable[[Row], Key],
    secret: bytes,
    scope: str,
) -> tuple[Sequence[Row], str | None]:
    """One page of `rows`, which hold one more than a page when there is more, and its token."""
    limit = size(max_results)
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], make(key(rows[limit - 1]), secret, scope)


def _mac(body: bytes, secret: bytes, scope: str) -> bytes:
    bound = hashlib.sha256(scope.encode()).digest()
    return hmac.digest(secret, _LABEL + bound + body, "sha256")[:_MAC]


def _refused() -> InvalidRequest:
    return InvalidRequest.of_field(
        "nextToken",
        "is not one this server gave for this list. Leave it out to begin at the first page.",
    )
