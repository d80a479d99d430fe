"""Access keys of our own: made, found, listed, disabled.

An access key looks like AWS's (`AKIA` and 16 characters of base32; a secret of 40), so that every
AWS client takes it. The secret must be known again to check a signature; it is kept sealed under
the deployment's master key, bound to its access key id, and shown once, when it is made.

Functions take the deployment's transaction; `Credentials` answers the dispatcher, for these keys
and for those of sessions (`access.sessions`).
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from auditkeep.access import policies, sessions
from auditkeep.access.principals import Principal
from auditkeep.access.remembered import Remembered
from auditkeep.clock import Instant
from auditkeep.crypto.providers import KeyProvider
from auditkeep.db.database import Database
from auditkeep.db.schema import access_keys
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError
from auditkeep.ids import is_account

_USER = re.compile(r"[A-Za-z0-9+=,.@_-]{1,64}")
"""IAM's rule for user names."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key as it was made: the only time its secret is seen."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    account: str
    user: str
    arn: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is listed."""

    access_key_id: str
    account: str
    user: str
    policies: tuple[str, ...]
    created_at: Instant
    disabled_at: Instant | None


@dataclass(frozen=True, slots=True)
class Known:
    """Whoever holds a key that is in use, and what to check their requests with."""

    principal: Principal
    secret: str = field(repr=False)
    token_digest: bytes | None = field(default=None, repr=False)
    """Of the token that must come along; None for keys that last."""
    expires_at: Instant | None = None


def create(
    tx: SystemTx,
    provider: KeyProvider,
    account: str,
    user: str,
    policy_names: Sequence[str],
    now: Instant,
) -> AccessKey:
    """A new access key; SetupError when account, user or a policy is not acceptable."""
    if not is_account(account):
        raise SetupError(f"An account is twelve digits, which '{account}' is not.")
    if not _USER.fullmatch(user):
        raise SetupError(
            f"'{user}' is no user name: 1 to 64 letters, digits and any of + = , . @ _ - are."
        )
    if not policy_names:
        raise SetupError("A user without any policy may do nothing: name at least one.")
    for name in policy_names:
        policies.require(tx, account, name)
    key_id = "AKIA" + base64.b32encode(secrets.token_bytes(10)).decode()
    secret = base64.b64encode(secrets.token_bytes(30)).decode()
    row = {
        "access_key_id": key_id,
        "account": account,
        "user_name": user,
        "secret": provider.wrap(secret.encode(), _context(key_id)),
        "policies": msgspec.json.encode(list(dict.fromkeys(policy_names))).decode(),
        "created_at": now,
        "disabled_at": None,
    }
    tx.insert(access_keys, row)
    return AccessKey(key_id, secret, account, user, _arn(account, user))


def find(tx: SystemTx, provider: KeyProvider, access_key_id: str) -> Known | None:
    """The holder of a key that is in use; None for any other."""
    row = tx.first(tx.select(access_keys).where(access_keys.c.access_key_id == access_key_id))
    if row is None or row.disabled_at is not None:
        return None
    principal = Principal(
        account=row.account,
        user=row.user_name,
        arn=_arn(row.account, row.user_name),
        policies=msgspec.json.decode(row.policies, type=tuple[str, ...]),
        access_key_id=row.access_key_id,
        user_id=_user_id(row.account, row.user_name),
    )
    return Known(principal, provider.unwrap(row.secret, _context(access_key_id)).decode())


def has_user(tx: SystemTx, account: str, user: str) -> bool:
    """Whether a user of that name holds a key that is in use."""
    keys = access_keys.c
    mine = (keys.account == account, keys.user_name == user, keys.disabled_at.is_(None))
    return tx.first(tx.select(keys.access_key_id).where(*mine).limit(1)) is not None


def listed(tx: SystemTx) -> list[KeyRecord]:
    """Every key, oldest first; never a secret."""
    columns = [c for c in access_keys.c if c.name != "secret"]
    order = (access_keys.c.created_at, access_keys.c.access_key_id)
    return [
        KeyRecord(
            row.access_key_id,
            row.account,
            row.user_name,
            msgspec.json.decode(row.policies, type=tuple[str, ...]),
            Instant(row.created_at),
            None if row.disabled_at is None else Instant(row.disabled_at),
        )
        for row in tx.all(tx.select(*columns).order_by(*order))
    ]


def disable(tx: SystemTx, access_key_id: str, now: Instant) -> None:
    """Refuse a key from now on; SetupError when there is none. Done twice, the first time stays."""
    key = access_keys.c.access_key_id == access_key_id
    if tx.first(tx.select(access_keys.c.access_key_id).where(key)) is None:
        raise SetupError(f"There is no access key with the id '{access_key_id}'.")
    in_use = access_keys.c.disabled_at.is_(None)
    tx.run(tx.update(access_keys).where(key, in_use).values(disabled_at=now))


class Credentials:
    """Finds the holders of keys for the dispatcher, remembering each for a few seconds."""

    def __init__(self, db: Database, provider: KeyProvider) -> None:
        self._db = db
        self._provider = provider
        self._remembered = Remembered(self._look_up)

    def find(self, access_key_id: str, now: Instant) -> Known | None:
        return self._remembered.get(access_key_id, now)

    def peek(self, access_key_id: str, now: Instant) -> Known | None:
        """The same, of those that were found a moment ago."""
        return self._remembered.peek(access_key_id, now)

    def _look_up(self, access_key_id: str) -> Known | None:
        with self._db.system_read() as tx:
            if not access_key_id.startswith(sessions.PREFIX):
                return find(tx, self._provider, access_key_id)
            found = sessions.find(tx, self._provider, access_key_id)
        if found is None:
            return None
        return Known(found.principal, found.secret, found.token_digest, found.expires_at)


def _arn(account: str, user: str) -> str:
    return f"arn:aws:iam::{account}:user/{user}"


def _user_id(account: str, user: str) -> str:
    """The same unique id for a user, whichever of their keys they use; looks like IAM's."""
    digest = hashlib.sha256(f"auditkeep/user/{account}/{user}".encode()).digest()
    return "AIDA" + base64.b32encode(digest).decode()[:17]


def _context(access_key_id: str) -> dict[str, str]:
    return {"access_key": access_key_id}
