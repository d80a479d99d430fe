"""Bearer tokens for those who cannot sign a request, each good for one thing.

`log` opens the log's public files, which tell nothing of any tenant; `events` lets an event bus
bring observations to one tenant, and read nothing. Neither opens the API.

A token is 32 random bytes behind a prefix that secret scanners can know. Only its SHA-256 is kept:
a digest of that many random bytes cannot be turned back, so it needs no salt and no slow hash.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

from auditkeep.access.remembered import Remembered
from auditkeep.clock import Clock, Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import bearer_tokens
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant, new_id

Kind = Literal["log", "events"]

_PREFIXES: dict[Kind, str] = {"log": "aklog_", "events": "akevt_"}
_SIZE = 32
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was made: the only time it is seen."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as it is listed."""

    id: str
    name: str
    tenant: Tenant | None
    """Whom it is bound to; None for a token of the deployment."""
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None

    def state(self, now: Instant) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def create(
    tx: SystemTx,
    kind: Kind,
    name: str,
    now: Instant,
    expires_at: Instant | None = None,
    tenant: Tenant | None = None,
) -> Token:
    """A new token under a name that says whose it is; SetupError for a name that says nothing."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise SetupError(f"Name the token's holder in 1 to {_LONGEST_NAME} printable characters.")
    token = _PREFIXES[kind] + base64.urlsafe_b64encode(secrets.token_bytes(_SIZE)).decode().rstrip(
        "="
    )
    made = Token(new_id(), token)
    tx.insert(
        bearer_tokens,
        {
            "digest": digest(token),
            "id": made.id,
            "kind": kind,
            "account": tenant.account if tenant else None,
            "region": tenant.region if tenant else None,
            "name": name,
            "created_at": now,
            "expires_at": expires_at,
            "revoked_at": None,
        },
    )
    return made


def listed(tx: SystemTx, kind: Kind) -> list[TokenRecord]:
    """Every token of a kind, oldest first; never the token itself."""
    t = bearer_tokens.c
    query = tx.select(bearer_tokens).where(t.kind == kind).order_by(t.created_at, t.id)
    return [_record(row) for row in tx.all(query)]


def revoke(tx: SystemTx, kind: Kind, token_id: str, now: Instant) -> None:
    """Refuse a token from now on; SetupError when there is none. Done twice, the first stays."""
    t = bearer_tokens.c
    mine = (t.id == token_id) & (t.kind == kind)
    if tx.first(tx.select(t.id).where(mine)) is None:
        raise SetupError(f"There is no token with the id '{token_id}'.")
    tx.run(tx.update(bearer_tokens).where(mine, t.revoked_at.is_(None)).values(revoked_at=now))


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Tokens:
    """Says whose a token is, remembering for a few seconds. Safe to share between threads.

    Tokens are found by their digest, so that how long it takes tells nothing about the token.
    """

    def __init__(self, db: Database, clock: Clock, kind: Kind) -> None:
        self._db = db
        self._clock = clock
        self._kind = kind
        self._remembered: Remembered[bytes, TokenRecord] = Remembered(self._look_up)

    def admits(self, token: str) -> bool:
        return self.holder(token) is not None

    def holder(self, token: str) -> TokenRecord | None:
        """Whose it is, if it is good now."""
        now = self._clock.now()
        found = self._remembered.get(digest(token), now)
        return found if found is not None and found.state(now) == "active" else None

    def _look_up(self, wanted: bytes) -> TokenRecord | None:
        t = bearer_tokens.c
        with self._db.system_read() as tx:
            query = tx.select(bearer_tokens).where(t.digest == wanted, t.kind == self._kind)
            row = tx.first(query)
        return None if row is None else _record(row)


def _record(row: Any) -> TokenRecord:
    return TokenRecord(
        row.id,
        row.name,
        None if row.account is None else Tenant(row.account, row.region),
        Instant(row.created_at),
        None if row.expires_at is None else Instant(row.expires_at),
        None if row.revoked_at is None else Instant(row.revoked_at),
    )
