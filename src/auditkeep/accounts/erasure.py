"""Erasing a tenant: everything it had is destroyed, and what is left proves that (spec 2.1, 9.2).

    stage      what is done in it                                        next
    keys       the keys of all its buckets, and what lies under them     rows
    rows       its rows, table by table                                  objects
    objects    whatever no row refers to any more                        log
    log        the log takes the destruction in; the certificate         done

Begun by DeregisterAccount with the policy ALL, carried out by `workflows.erase`. A tenant is
ERASING until it is done and ERASED after that; both are answered as INACTIVE, and only who is
ERASED may register again. Its former life is gone then, but for its quotas and the numbers of its
batches.
"""

from typing import Final, Literal

import msgspec

from auditkeep.accounts.model import Account
from auditkeep.clock import MINUTE, Instant, iso
from auditkeep.db.schema import erasures, tenants
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import InvalidRequest, StorageError
from auditkeep.ids import Tenant

JOB: Final = "erase"

Stage = Literal["keys", "rows", "objects", "log", "done"]


class Gone(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How much an erasure has destroyed so far."""

    keys: int = 0
    batches: int = 0
    observations: int = 0
    files: int = 0
    rows: int = 0
    objects: int = 0


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure; `authority` is the id of the governance record of who asked for it."""

    id: str
    asked_at: Instant
    deadline: Instant
    authority: str
    stage: Stage = "keys"
    gone: Gone = Gone()
    destroyed_at: Instant | None = None
    ended_at: Instant | None = None

    @property
    def certificate(self) -> str:
        """The stored file that holds its certificate, once it is done."""
        return f"certificates/{self.id}.json"

    def is_late(self, now: Instant) -> bool:
        return (self.ended_at or now) > self.deadline


def begin(tx: Tx, erasure_id: str, authority: str, now: Instant, minutes: int) -> Erasure:
    """Note that the tenant's erasure was asked for; from now on it is ERASING."""
    deadline = Instant(now + minutes * MINUTE)
    erasure = Erasure(id=erasure_id, asked_at=now, deadline=deadline, authority=authority)
    tx.insert(erasures, _row(erasure))
    tx.run(tx.update(tenants).values(status="ERASING"))
    return erasure


def find(tx: Tx, erasure_id: str) -> Erasure | None:
    row = tx.first(tx.select(erasures).where(erasures.c.id == erasure_id))
    return None if row is None else _erasure(row)


def get(tx: Tx, erasure_id: str) -> Erasure:
    found = find(tx, erasure_id)
    if found is None:
        raise StorageError(f"The erasure {erasure_id} is not known here.")
    return found


def newest(tx: Tx) -> Erasure | None:
    """The tenant's last erasure, under way or done."""
    row = tx.first(tx.select(erasures).order_by(erasures.c.asked_at.desc()).limit(1))
    return None if row is None else _erasure(row)


def listed(tx: SystemTx) -> list[tuple[Tenant, Erasure]]:
    """Every erasure of the deployment, oldest first."""
    rows = tx.all(tx.select(erasures).order_by(erasures.c.asked_at, erasures.c.id))
    return [(Tenant(r.account, r.region), _erasure(r)) for r in rows]


def save(tx: Tx, erasure: Erasure) -> None:
    tx.run(tx.update(erasures).where(erasures.c.id == erasure.id).values(**_row(erasure)))


def end(tx: Tx, erasure: Erasure) -> None:
    """It is done: the tenant is nobody any more, and may register as anybody may."""
    save(tx, erasure)
    tx.run(tx.update(tenants).values(status="ERASED"))


def require_none(tx: Tx, account: Account | None) -> None:
    """InvalidRequest while what the tenant had is still being destroyed."""
    if account is None or account.status != "ERASING":
        return
    found = newest(tx)
    assert found is not None
    raise InvalidRequest(
        f"Account {tx.tenant.account} was deregistered from {tx.tenant.region} at "
        f"{iso(found.asked_at)} with all its data, which is still being destroyed (stage: "
        f"{found.stage}; to be done by {iso(found.deadline)}). Register it again after that."
    )


def _row(erasure: Erasure) -> dict[str, object]:
    row = {name: getattr(erasure, name) for name in Erasure.__struct_fields__}
    row["gone"] = msgspec.json.encode(erasure.gone).decode()
    return row


def _erasure(row: object) -> Erasure:
    told = {name: getattr(row, name) for name in Erasure.__struct_fields__}
    told["gone"] = msgspec.json.decode(told["gone"], type=Gone)
    return Erasure(**told)
