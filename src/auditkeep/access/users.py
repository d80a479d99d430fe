"""Users: those whom access keys were made for, and the policies that their keys carry.

A user has no row of their own; their name stands on their keys. What is attached to a user is
attached to each of their keys that is in use, and counts in a running server within seconds.
Functions take the deployment's transaction.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from auditkeep.access import policies
from auditkeep.db.schema import access_keys
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError


def keys_of(tx: SystemTx, user: str, account: str | None = None) -> list[tuple[str, str]]:
    """Account and id of each of a user's keys in use, oldest first."""
    return [(row.account, row.access_key_id) for row in _in_use(tx, user, account)]


def attach(tx: SystemTx, account: str, user: str, name: str) -> int:
    """Let a user's keys carry a policy; how many did not yet.

    SetupError when there is no such policy, or no key of that user in use.
    """
    policies.lock(tx, account)
    policies.require(tx, account, name)
    return _change(tx, account, user, lambda carried: (*carried, name), without=name)


def detach(tx: SystemTx, account: str, user: str, name: str) -> int:
    """Take a policy off a user's keys; how many carried it. SetupError when none did."""
    policies.lock(tx, account)
    taken = _change(
        tx, account, user, lambda carried: tuple(c for c in carried if c != name), holding=name
    )
    if not taken:
        raise SetupError(f"No key of {user} in account {account} carries the policy {name}.")
    return taken


def _change(
    tx: SystemTx,
    account: str,
    user: str,
    change: Callable[[tuple[str, ...]], tuple[str, ...]],
    *,
    without: str | None = None,
    holding: str | None = None,
) -> int:
    """Rewrite what each key carries, of those that carry `holding`, or do not carry `without`."""
    found = _in_use(tx, user, account)
    if not found:
        raise SetupError(
            f"Account {account} has no user '{user}' with a key in use; "
            "'auditkeep keys list' shows them all."
        )
    changed = 0
    for row in found:
        carried = policies.names_in(row.policies)
        if without in carried or (holding is not None and holding not in carried):
            continue
        text = msgspec.json.encode(change(carried)).decode()
        this = access_keys.c.access_key_id == row.access_key_id
        changed += tx.run(tx.update(access_keys).where(this).values(policies=text))
    return changed


def _in_use(tx: SystemTx, user: str, account: str | None) -> Sequence[Any]:
    t = access_keys.c
    wanted = [t.user_name == user, t.disabled_at.is_(None)]
    if account is not None:
        wanted.append(t.account == account)
    columns = (t.access_key_id, t.account, t.policies)
    order = (t.account, t.created_at, t.access_key_id)
    return tx.all(tx.select(*columns).where(*wanted).order_by(*order))
