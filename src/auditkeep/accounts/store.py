"""The tenant's own row: registration, key and settings."""

import msgspec

from auditkeep.accounts.model import OWN_KEY, Account, AccountStatus, TenantSettings
from auditkeep.clock import Instant
from auditkeep.db import schema
from auditkeep.db.prepared import Prepared
from auditkeep.db.tx import Tx
from auditkeep.errors import AccessDenied

_TABLE = schema.tenants
_OWN = Prepared(_TABLE.c.status, _TABLE.c.kms_key, _TABLE.c.settings)


def find(tx: Tx) -> Account | None:
    """The tenant, or None when it never registered."""
    rows = tx.fetch(_OWN)
    if not rows:
        return None
    row = rows[0]
    settings = msgspec.json.decode(row.settings or "{}", type=TenantSettings)
    return Account(status=row.status, kms_key=row.kms_key, settings=settings)


def status(tx: Tx) -> AccountStatus:
    account = find(tx)
    return "ACTIVE" if account is not None and account.status == "ACTIVE" else "INACTIVE"


def require_active(tx: Tx) -> Account:
    """The registered tenant; AccessDenied tells whoever has not registered yet what to do."""
    account = find(tx)
    if account is None or account.status != "ACTIVE":
        raise AccessDenied(
            f"Account {tx.tenant.account} is not registered in {tx.tenant.region}. Complete the "
            "setup with RegisterAccount first (aws auditmanager register-account)."
        )
    return account


def register(tx: Tx, kms_key: str | None, now: Instant) -> None:
    """Open the tenant, or open it again; a key that is named replaces the one before."""
    row = {
        "status": "ACTIVE",
        "kms_key": kms_key or OWN_KEY,
        "registered_at": now,
        "last_batch_no": 0,
    }
    # A tenant that was here before keeps its settings and, above all, its batch numbers.
    replace = ["status"] if kms_key is None else ["status", "kms_key"]
    tx.upsert(_TABLE, [row], replace=replace)


def deregister(tx: Tx) -> None:
    tx.run(tx.update(_TABLE).values(status="INACTIVE"))


def forget_settings(tx: Tx) -> None:
    """Leave nothing of what the tenant has set, when it is erased."""
    tx.run(
        tx.update(_TABLE).values(settings=None, kms_key=OWN_KEY, keeps="library", keeps_since=None)
    )


def save_settings(tx: Tx, settings: TenantSettings, kms_key: str) -> None:
    tx.set(_TABLE, {}, {"settings": _json(settings), "kms_key": kms_key})


def _json(settings: TenantSettings) -> str:
    return msgspec.json.encode(settings).decode()
