"""The organisation's accounts, as AWS Organizations last told them (spec sections 3.8 and 8.4).

Only where the setting `organizations` says `aws`: otherwise nobody can tell which accounts belong
together, any account may be named, and whoever has a key here is a member.

    never read          only the tenant's own account may be in scope
    read                the delegated administrator's scopes may hold every member; anybody else's
                        hold their own account
    account left        it leaves every scope, with a line in the change log (spec 12, point 3)
    account came back   it is a member again, and in no scope until somebody puts it there

The list is kept in the database, so that no request waits for AWS.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from auditkeep.accounts import organisation
from auditkeep.clock import Instant
from auditkeep.db import schema
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import InputError, InvalidRequest, SetupError

_TABLE = schema.organisation_members


@dataclass(frozen=True, slots=True)
class Member:
    """One account of the organisation; name and address are what AWS Organizations has."""

    account: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """What AWS Organizations says of itself, and the accounts in it that are active."""

    id: str
    manager: str
    all_features: bool
    members: tuple[Member, ...]


def listed(tx: Tx | SystemTx) -> list[Member]:
    """The members, by account; empty until they were read."""
    columns = (_TABLE.c.account, _TABLE.c.name, _TABLE.c.email)
    system = tx.system() if isinstance(tx, Tx) else tx
    rows = system.all(system.select(*columns).order_by(_TABLE.c.account))
    return [Member(r.account, r.name, r.email) for r in rows]


def joined(tx: Tx | SystemTx) -> dict[str, Instant]:
    """When each member was seen first, by account."""
    system = tx.system() if isinstance(tx, Tx) else tx
    rows = system.all(system.select(_TABLE.c.account, _TABLE.c.joined_at))
    return {r.account: Instant(r.joined_at) for r in rows}


def replace(tx: SystemTx, found: Organisation, now: Instant) -> frozenset[str]:
    """Keep what was read; the accounts that were members until now.

    SetupError for an organisation that cannot delegate, InputError for a list without the account
    that manages it, which every whole list has: nothing is changed by them.
    """
    if not found.all_features:
        raise SetupError(
            f"The organisation {found.id} has consolidated billing only. Enable all its features "
            "in AWS Organizations: it cannot delegate its administration otherwise."
        )
    if found.manager not in {m.account for m in found.members}:
        raise InputError(
            f"The list of accounts lacks {found.manager}, which manages the organisation: it is "
            "not whole, and nobody is taken for having left."
        )
    tx.lock("organisation")
    before = frozenset(m.account for m in listed(tx))
    gone = before - {m.account for m in found.members}
    tx.run(tx.delete(_TABLE).where(_TABLE.c.account.in_(sorted(gone))))
    tx.upsert(
        _TABLE,
        [
            {"account": m.account, "name": m.name, "email": m.email, "joined_at": now}
            for m in found.members
        ],
        replace=["name", "email"],
    )
    organisation.remember(tx, found.id, found.manager)
    return gone


def require(tx: Tx, accounts: Collection[str]) -> None:
    """InvalidRequest for an account that this tenant may not have in a scope."""
    own = tx.tenant.account
    others = sorted(set(accounts) - {own})
    if not others:
        return
    if organisation.administrator(tx) != own:
        raise InvalidRequest.of_field(
            "scope",
            f"names {_some(others)}, but only the delegated administrator of the organisation can "
            f"assess other accounts. Account {own} can assess itself.",
        )
    known = {m.account for m in listed(tx)}
    strangers = [a for a in others if a not in known]
    if strangers:
        raise InvalidRequest.of_field(
            "scope", f"names {_some(strangers)}, which the organisation does not have."
        )


def require_member(tx: Tx, account: str) -> None:
    """InvalidRequest unless the organisation has the account, which is to administer it."""
    if account not in {m.account for m in listed(tx)}:
        raise InvalidRequest.of_field(
            "adminAccountId", f"is {account}, which is no member of the organisation."
        )


def _some(accounts: Sequence[str]) -> str:
    shown = ", ".join(accounts[:3])
    more = f" and {len(accounts) - 3} more" if len(accounts) > 3 else ""
    return f"the accounts {shown}{more}" if len(accounts) > 1 else f"the account {shown}"
