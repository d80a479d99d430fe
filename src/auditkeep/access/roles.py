"""Roles: what whoever takes one may do, who may, and for how long.

A role belongs to an account of the deployment and attaches identity policies of that account.
Changing it changes what its running sessions may do, within seconds; deleting it ends them, for a
role of the same name made later has another id. Functions take the deployment's transaction.
"""

import base64
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from auditkeep.access import policies, trust
from auditkeep.access.trust import Trust
from auditkeep.clock import Instant
from auditkeep.db import schema
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError
from auditkeep.ids import is_account

SHORTEST, LONGEST = 900, 43_200
"""Seconds of a session: AWS's limits for roles."""
USUAL = 3600

_NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{1,64}")
_ARN = re.compile(r"arn:aws:iam::([0-9]{12}):role/([A-Za-z0-9+=,.@_-]{1,64})")


@dataclass(frozen=True, slots=True)
class Role:
    account: str
    name: str
    id: str
    policies: tuple[str, ...]
    trust: Trust
    longest: int
    """Seconds a session may last."""
    created_at: Instant

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.name}"


def put(
    tx: SystemTx,
    account: str,
    name: str,
    policy_names: Sequence[str],
    trusted: Trust,
    longest: int,
    now: Instant,
) -> Role:
    """Keep a role, in place of an earlier one of that name; SetupError for what cannot be one."""
    if not is_account(account):
        raise SetupError(f"An account is twelve digits, which '{account}' is not.")
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"'{name}' is no role name: 1 to 64 letters, digits and any of + = , . @ _ - are."
        )
    if not policy_names:
        raise SetupError("A role without any policy may do nothing: name at least one.")
    if not SHORTEST <= longest <= LONGEST:
        raise SetupError(f"A role's sessions may last from {SHORTEST} to {LONGEST} seconds.")
    for policy in policy_names:
        policies.require(tx, account, policy)
    trust.check(trusted)
    row = {
        "account": account,
        "name": name,
        "id": "AROA" + base64.b32encode(secrets.token_bytes(10)).decode(),
        "policies": msgspec.json.encode(list(dict.fromkeys(policy_names))).decode(),
        "trust": msgspec.json.encode(trusted).decode(),
        "longest": longest,
        "created_at": now,
    }
    tx.upsert(schema.roles, [row], replace=["policies", "trust", "longest"])
    kept = find(tx, account, name)
    if kept is None:
        raise SetupError(f"The role {name} was deleted by somebody else at this moment.")
    return kept


def find(tx: SystemTx, account: str, name: str) -> Role | None:
    t = schema.roles.c
    row = tx.first(tx.select(schema.roles).where(t.account == account, t.name == name))
    return None if row is None else _role(row)


def find_arn(tx: SystemTx, arn: str) -> Role | None:
    """The role of an ARN; None where there is none, also for what is no role's ARN."""
    named = _ARN.fullmatch(arn)
    return None if named is None else find(tx, named[1], named[2])


def listed(tx: SystemTx) -> list[Role]:
    """Every role, by account and name."""
    t = schema.roles.c
    return [_role(r) for r in tx.all(tx.select(schema.roles).order_by(t.account, t.name))]


def delete(tx: SystemTx, account: str, name: str, now: Instant) -> None:
    """Take a role away, and end its sessions; SetupError when there is none."""
    t, s = schema.roles.c, schema.sessions.c
    if not tx.run(tx.delete(schema.roles).where(t.account == account, t.name == name)):
        raise SetupError(f"Account {account} has no role '{name}'.")
    running = (s.account == account, s.role == name, s.revoked_at.is_(None))
    tx.run(tx.update(schema.sessions).where(*running).values(revoked_at=now))


def _role(row: Any) -> Role:
    return Role(
        row.account,
        row.name,
        row.id,
        msgspec.json.decode(row.policies, type=tuple[str, ...]),
        msgspec.json.decode(row.trust, type=Trust),
        row.longest,
        Instant(row.created_at),
    )
