"""Tokens for reading the log's tiles: what an auditor's program shows instead of a signature.

A token is 32 random bytes behind a prefix that secret scanners can know. Only its SHA-256 is kept:
a digest of that many random bytes cannot be turned back, so it needs no salt and no slow hash. It
opens the log's public files and nothing else: not the API, not one tenant's data.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

from auditkeep.access.remembered import Remembered
from auditkeep.clock import Clock, Instant
from auditkeep.db.database import Database
from auditkeep.db.schema import log_tokens
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError
from auditkeep.ids import new_id

PREFIX = "aklog_"
_SIZE = 32
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class LogToken:
    """A token as it was made: the only time it is seen."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as it is listed."""

    id: str
    name: str
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None

    def state(self, now: Instant) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def create(tx: SystemTx, name: str, now: Instant, expires_at: Instant | None = None) -> LogToken:
    """A new token under a name that says whose it is; SetupError for a name that says nothing."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise SetupError(f"Name the token's holder in 1 to {_LONGEST_NAME} printable characters.")
    token = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(_SIZE)).decode().rstrip("=")
    made = LogToken(new_id(), token)
    tx.insert(
        log_tokens,
        {
            "digest": digest(token),
            "id": made.id,
            "name": name,
            "created_at": now,
            "expires_at": expires_at,
            "revoked_at": None,
        },
    )
    return made


def listed(tx: SystemTx) -> list[TokenRecord]:
    """Every token, oldest first; never the token itself."""
    order = (log_tokens.c.created_at, log_tokens.c.id)
    return [_record(row) for row in tx.all(tx.select(log_tokens).order_by(*order))]


def revoke(tx: SystemTx, token_id: str, now: Instant) -> None:
    """Refuse a token from now on; SetupError when there is none. Done twice, the first stays."""
    mine = log_tokens.c.id == token_id
    if tx.first(tx.select(log_tokens.c.id).where(mine)) is None:
        raise SetupError(f"There is no token with the id '{token_id}'.")
    in_use = log_tokens.c.revoked_at.is_(None)
    tx.run(tx.update(log_tokens).where(mine, in_use).values(revoked_at=now))


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class LogTokens:
    """Says whether a token is good, remembering for a few seconds. Safe to share between threads.

    Tokens are found by their digest, so that how long it takes tells nothing about the token.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._remembered: Remembered[bytes, TokenRecord] = Remembered(self._look_up)

    def admits(self, token: str) -> bool:
        now = self._clock.now()
        found = self._remembered.get(digest(token), now)
        return found is not None and found.state(now) == "active"

    def _look_up(self, wanted: bytes) -> TokenRecord | None:
        with self._db.system_read() as tx:
            row = tx.first(tx.select(log_tokens).where(log_tokens.c.digest == wanted))
        return None if row is None else _record(row)


def _record(row: Any) -> TokenRecord:
    return TokenRecord(
        row.id,
        row.name,
        Instant(row.created_at),
        None if row.expires_at is None else Instant(row.expires_at),
        None if row.revoked_at is None else Instant(row.revoked_at),
    )
