"""Session credentials: made when a role is taken, good for minutes or hours, revocable at once.

A session is a row: an access key id (`ASIA…`), a sealed secret, and the digest of a random token
that must come with every request. It grants what its role grants *now*, narrowed by the policy it
was made with; without its role it is nothing. See ADR 0011 for why it is no sealed token.

Rows stay for a while after their end, so that clients learn that they are too late rather than
unknown. Functions take the deployment's transaction.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_

from auditkeep.access import policy
from auditkeep.access.principals import Principal
from auditkeep.access.roles import Role
from auditkeep.clock import DAY, SECOND, Instant
from auditkeep.crypto.providers import KeyProvider
from auditkeep.db.schema import proofs_used, roles, sessions
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError, TokenRefused

PREFIX = "ASIA"
REMEMBERED_FOR = 7 * DAY
"""How long an ended session is told from one that never was."""
POLICY_NAME = "of the session"

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Issued:
    """Session credentials as they were made: the only time secret and token are seen."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: Instant
    arn: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What whoever takes a role asks for."""

    name: str
    seconds: int
    origin: str
    """Who they are: an ARN, or an issuer and its subject."""
    policy: str | None = None
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A session as the dispatcher needs it; whether its time is over is for the caller to say."""

    principal: Principal
    secret: str = field(repr=False)
    token_digest: bytes = field(repr=False)
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as it is listed."""

    access_key_id: str
    account: str
    role: str
    name: str
    origin: str
    issued_at: Instant
    expires_at: Instant
    revoked_at: Instant | None


def issue(tx: SystemTx, provider: KeyProvider, role: Role, wanted: Wanted, now: Instant) -> Issued:
    """New credentials of a role; whether they may be had was decided before."""
    key_id = PREFIX + base64.b32encode(secrets.token_bytes(10)).decode()
    secret = base64.b64encode(secrets.token_bytes(30)).decode()
    token = base64.b64encode(secrets.token_bytes(96)).decode()
    expires_at = Instant(now + wanted.seconds * SECOND)
    row = {
        "access_key_id": key_id,
        "account": role.account,
        "role": role.name,
        "role_id": role.id,
        "name": wanted.name,
        "secret": provider.wrap(secret.encode(), _context(key_id)),
        "token_digest": digest(token),
        "policy": wanted.policy,
        "tags": msgspec.json.encode(wanted.tags).decode(),
        "origin": wanted.origin,
        "issued_at": now,
        "expires_at": expires_at,
        "revoked_at": None,
    }
    tx.insert(sessions, row)
    tx.run(tx.delete(sessions).where(sessions.c.expires_at < now - REMEMBERED_FOR))
    return Issued(
        key_id, secret, token, expires_at, _arn(role.account, role.name, wanted.name),
        f"{role.id}:{wanted.name}",
    )  # fmt: skip


def find(tx: SystemTx, provider: KeyProvider, access_key_id: str) -> Found | None:
    """A session that was not revoked and whose role still stands."""
    of_role = and_(
        roles.c.account == sessions.c.account,
        roles.c.name == sessions.c.role,
        roles.c.id == sessions.c.role_id,
    )
    columns = (*sessions.c, roles.c.policies.label("granted"))
    mine = (sessions.c.access_key_id == access_key_id, sessions.c.revoked_at.is_(None), of_role)
    row = tx.first(tx.select(*columns).where(*mine))
    if row is None:
        return None
    narrowed = () if row.policy is None else (policy.read(POLICY_NAME, row.policy),)
    principal = Principal(
        account=row.account,
        user=row.name,
        arn=_arn(row.account, row.role, row.name),
        policies=msgspec.json.decode(row.granted, type=tuple[str, ...]),
        access_key_id=row.access_key_id,
        user_id=f"{row.role_id}:{row.name}",
        tags=msgspec.json.decode(row.tags, type=Tags),
        session=row.name,
        role=row.role,
        issued_at=Instant(row.issued_at),
        limits=narrowed,
    )
    secret = provider.unwrap(row.secret, _context(access_key_id)).decode()
    return Found(principal, secret, bytes(row.token_digest), Instant(row.expires_at))


def listed(tx: SystemTx, now: Instant, *, ended: bool = False) -> list[SessionRecord]:
    """Sessions that are in use, newest first, and with `ended` those that are over."""
    columns = [c for c in sessions.c if c.name not in ("secret", "token_digest", "policy", "tags")]
    query = tx.select(*columns)
    if not ended:
        query = query.where(sessions.c.expires_at > now, sessions.c.revoked_at.is_(None))
    order = (sessions.c.issued_at.desc(), sessions.c.access_key_id)
    return [_record(row) for row in tx.all(query.order_by(*order))]


def revoke(
    tx: SystemTx,
    now: Instant,
    *,
    access_key_id: str | None = None,
    role: tuple[str, str] | None = None,
    origin: str | None = None,
) -> int:
    """End sessions from now on: one, those of a role (account, name), or of who took them.

    How many were ended. SetupError when nothing says which.
    """
    which: list[ColumnElement[bool]] = []
    if access_key_id is not None:
        which.append(sessions.c.access_key_id == access_key_id)
    if role is not None:
        which += [sessions.c.account == role[0], sessions.c.role == role[1]]
    if origin is not None:
        which.append(_taken_by(tx, origin))
    if not which:
        raise SetupError("Say which sessions: one's key id, a role, or who took them.")
    running = (sessions.c.expires_at > now, sessions.c.revoked_at.is_(None))
    return tx.run(tx.update(sessions).where(*which, *running).values(revoked_at=now))


def _taken_by(tx: SystemTx, origin: str) -> ColumnElement[bool]:
    rows = tx.all(tx.select(sessions.c.access_key_id, sessions.c.origin))
    return sessions.c.access_key_id.in_([r.access_key_id for r in rows if r.origin == origin])


def use_once(tx: SystemTx, proof: bytes, now: Instant, forget_at: Instant) -> None:
    """TokenRefused when `proof`, a digest, was used before; it is remembered until `forget_at`."""
    tx.lock("sts/proofs")
    tx.run(tx.delete(proofs_used).where(proofs_used.c.forget_at < now))
    if tx.first(tx.select(proofs_used.c.digest).where(proofs_used.c.digest == proof)) is not None:
        raise TokenRefused("This proof was used before; make a new one.")
    tx.insert(proofs_used, {"digest": proof, "forget_at": forget_at})


def digest(token: str) -> bytes:
    """What is kept of a session token: it is random, so a plain digest tells nothing of it."""
    return hashlib.sha256(token.encode()).digest()


def _record(row: Any) -> SessionRecord:
    return SessionRecord(
        row.access_key_id,
        row.account,
        row.role,
        row.name,
        row.origin,
        Instant(row.issued_at),
        Instant(row.expires_at),
        None if row.revoked_at is None else Instant(row.revoked_at),
    )


def _arn(account: str, role: str, name: str) -> str:
    return f"arn:aws:sts::{account}:assumed-role/{role}/{name}"


def _context(access_key_id: str) -> dict[str, str]:
    return {"session": access_key_id}
