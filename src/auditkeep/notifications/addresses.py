"""The address book: which mailbox belongs to a principal of the tenant."""

import re
from dataclasses import dataclass

from auditkeep.clock import Instant
from auditkeep.db.schema import mail_addresses
from auditkeep.db.tx import Tx
from auditkeep.errors import SetupError
from auditkeep.ids import principal_of

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
"""What every relay takes without extensions; quoted and non-ASCII mailboxes are not."""
_PRINCIPAL = re.compile(r"arn:[^:\s]+:(?:iam|sts)::[0-9]{12}:[^\s:]+/[^\s:]+")


@dataclass(frozen=True, slots=True)
class Entry:
    principal: str
    address: str
    created_at: Instant


def put(tx: Tx, principal: str, address: str, now: Instant) -> Entry:
    """Set a principal's address, in place of one there may have been; SetupError if malformed."""
    if not _PRINCIPAL.fullmatch(principal):
        raise SetupError(
            f"'{principal}' is no principal: write the ARN of a user or a role, such as "
            f"arn:aws:iam::{tx.tenant.account}:role/Auditor."
        )
    if not _ADDRESS.fullmatch(address):
        raise SetupError(f"'{address}' is no mail address of the form name@example.com.")
    entry = Entry(principal_of(principal), address, now)
    row = {"principal": entry.principal, "address": address, "created_at": now}
    tx.upsert(mail_addresses, [row], replace=["address", "created_at"])
    return entry


def find(tx: Tx, principal: str) -> str | None:
    mine = mail_addresses.c.principal == principal_of(principal)
    found: str | None = tx.scalar(tx.select(mail_addresses.c.address).where(mine))
    return found


def listed(tx: Tx) -> list[Entry]:
    rows = tx.all(tx.select(mail_addresses).order_by(mail_addresses.c.principal))
    return [Entry(r.principal, r.address, Instant(r.created_at)) for r in rows]


def delete(tx: Tx, principal: str) -> None:
    """Forget a principal's address; SetupError when there is none."""
    mine = mail_addresses.c.principal == principal_of(principal)
    if tx.run(tx.delete(mail_addresses).where(mine)) == 0:
        raise SetupError(f"The address book has no entry for {principal}.")
