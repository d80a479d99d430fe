"""Accounts that are asked otherwise than the settings say: where, by which role, or not at all.

An account without a row is asked as the settings say. Changing a row makes the tenant's plan anew.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from auditkeep.db.schema import collection_accounts
from auditkeep.db.tx import Tx
from auditkeep.errors import SetupError
from auditkeep.evidence import lens
from auditkeep.ids import is_account

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ROLE = re.compile(r"[\w+=,.@/-]{1,512}|arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How one origin account is asked; None: as the settings say."""

    account: str
    regions: tuple[str, ...] | None = None
    role: str | None = None
    external_id: str | None = None
    paused: bool = False
    """Nothing is asked of it until somebody says so; what is missed is a gap."""

    def require_usable(self) -> None:
        """SetupError names the first member that cannot be used."""
        if not is_account(self.account):
            raise SetupError(f"An account is twelve digits, which '{self.account}' is not.")
        require_regions(self.regions or ())
        if self.role is not None and not _ROLE.fullmatch(self.role):
            raise SetupError(f"'{self.role}' is neither a role's name nor its ARN.")
        if self.external_id is not None and not _EXTERNAL_ID.fullmatch(self.external_id):
            raise SetupError("An external id has 2 to 1224 letters, digits and +=,.@:/- only.")


def require_regions(regions: Sequence[str]) -> None:
    for region in regions:
        if not _REGION.fullmatch(region):
            raise SetupError(f"'{region}' is no region, as us-east-1 is one.")


def listed(tx: Tx) -> list[Asked]:
    table = collection_accounts.c
    return [
        Asked(
            account=row.origin_account,
            regions=None
            if row.regions is None
            else msgspec.json.decode(row.regions, type=tuple[str, ...]),
            role=row.role,
            external_id=row.external_id,
            paused=row.paused,
        )
        for row in tx.all(tx.select(collection_accounts).order_by(table.origin_account))
    ]


def find(tx: Tx, account: str) -> Asked:
    """How an account is asked; without a row of its own, as the settings say."""
    return next((a for a in listed(tx) if a.account == account), Asked(account=account))


def put(tx: Tx, asked: Asked) -> None:
    """Keep how an account is asked from now on, instead of what was kept before."""
    asked.require_usable()
    regions = None if asked.regions is None else sorted(set(asked.regions))
    row = {
        "origin_account": asked.account,
        "regions": None if regions is None else msgspec.json.encode(regions).decode(),
        "role": asked.role,
        "external_id": asked.external_id,
        "paused": asked.paused,
    }
    replaced = ["regions", "role", "external_id", "paused"]
    tx.upsert(collection_accounts, [row], replace=replaced)
    lens.changed(tx)


def remove(tx: Tx, account: str) -> bool:
    """Ask an account as the settings say; whether anything else was said before."""
    gone = tx.run(
        tx.delete(collection_accounts).where(collection_accounts.c.origin_account == account)
    )
    if gone:
        lens.changed(tx)
    return gone > 0
