"""The address book: which mailbox belongs to a principal of the tenant."""

import re
from dataclasses import dataclass

from sqlalchemy import ColumnElement

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
    tx.upsert(mail_addresses, [row], replace=["principal", "address", "created_at"])
    return entry


def find(tx: Tx, principal: str) -> str | None:
    found: str | None = tx.scalar(tx.select(mail_addresses.c.address).where(_of(tx, principal)))
    return found


def listed(tx: Tx) -> list[Entry]:
    columns = (mail_addresses.c.principal, mail_addresses.c.address, mail_addresses.c.created_at)
    found = [
        Entry(r.principal, r.address, Instant(r.created_at)) for r in tx.all(tx.select(*columns))
    ]
    return sorted(found, key=lambda entry: entry.principal)


def delete(tx: Tx, principal: str) -> None:
    """Forget a principal's address; SetupError when there is none."""
    if tx.run(tx.delete(mail_addresses).where(_of(tx, principal))) == 0:
        raise SetupError(f"The address book has no entry for {principal}.")


def _of(tx: Tx, principal: str) -> ColumnElement[bool]:
    column = mail_addresses.c.principal_key
    return column == tx.digest(column, principal_of(principal))
