"""Share requests, kept as one row on each side, and changed on both in one transaction.

The only store that reaches into another tenant's rows; it writes nothing there but its own table.
Whoever changes a request holds `lock`, because two tenants may do so at the same time; a tenant's
own lock, where one is needed too, is taken before it. Lists run newest first by (created_at, id).
"""

from typing import Any, Final

import msgspec
from sqlalchemy import Row, and_, or_

from auditkeep.clock import Instant
from auditkeep.db import schema
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import NotFound
from auditkeep.frameworks.sharing_model import ShareRequest, Side, Snapshot, Subject
from auditkeep.frameworks.store import After
from auditkeep.ids import Tenant

_TABLE = schema.framework_shares
SIDES: Final[tuple[Side, ...]] = ("SENT", "RECEIVED")
_COLUMNS = [c for c in _TABLE.c if c.name not in {"account", "region", "snapshot"}]


def lock(tx: Tx, request_id: str) -> None:
    """Keep the other side from answering until this transaction ends."""
    tx.lock(f"framework-share/{request_id}")


def get(tx: Tx, request_id: str, side: Side) -> ShareRequest:
    """This side's record; NotFound where it has none of that id, or it is the other side's."""
    wanted = (_TABLE.c.id == request_id, _TABLE.c.side == side)
    row = tx.first(tx.select(*_COLUMNS).where(*wanted))
    if row is None:
        raise NotFound("assessmentFrameworkShareRequest", request_id)
    return _request(row)


def get_snapshot(tx: Tx, request_id: str) -> Snapshot:
    """What a received request offers; NotFound once it can no longer be accepted."""
    text = tx.scalar(tx.select(_TABLE.c.snapshot).where(_TABLE.c.id == request_id))
    if text is None:
        raise NotFound("assessmentFrameworkShareRequest", request_id)
    return msgspec.json.decode(text, type=Snapshot)


def page(tx: Tx, side: Side, after: After, limit: int) -> list[ShareRequest]:
    statement = (
        tx.select(*_COLUMNS)
        .where(_TABLE.c.side == side)
        .order_by(_TABLE.c.created_at.desc(), _TABLE.c.id)
    )
    if after is not None:
        at, last = after
        later = and_(_TABLE.c.created_at == at, _TABLE.c.id > last)
        statement = statement.where(or_(_TABLE.c.created_at < at, later))
    return [_request(row) for row in tx.all(statement.limit(limit))]


def sent_of(tx: Tx, framework_id: str, destination: Tenant | None = None) -> list[ShareRequest]:
    """Every request this tenant has sent for a framework, or only those to one tenant."""
    statement = tx.select(*_COLUMNS).where(
        _TABLE.c.side == "SENT", _TABLE.c.framework_id == framework_id
    )
    if destination is not None:
        statement = statement.where(
            _TABLE.c.destination_account == destination.account,
            _TABLE.c.destination_region == destination.region,
        )
    return [_request(row) for row in tx.all(statement.order_by(_TABLE.c.id))]


def open_of(tx: Tx, side: Side) -> list[ShareRequest]:
    """This side's requests that nobody has answered, expired ones too, in the order of ids."""
    wanted = (_TABLE.c.side == side, _TABLE.c.status == "ACTIVE")
    return [_request(r) for r in tx.all(tx.select(*_COLUMNS).where(*wanted).order_by(_TABLE.c.id))]


def recipients(tx: Tx, now: Instant) -> frozenset[str]:
    """The accounts that have a request of this tenant to answer."""
    statement = tx.select(_TABLE.c.destination_account).where(
        _TABLE.c.side == "SENT", _TABLE.c.status == "ACTIVE", _TABLE.c.expires_at > now
    )
    return frozenset(row.destination_account for row in tx.all(statement.distinct()))


def send(tx: Tx, request: ShareRequest, snapshot: Snapshot) -> None:
    """Put a request, or one that is renewed, on both sides."""
    _save(tx, request, None)
    offered = msgspec.json.encode(snapshot).decode()
    _save(_seen_by(tx, request.destination), _received(request), offered)


def fail(tx: Tx, request: ShareRequest) -> None:
    """Keep a request that could not be delivered; one that it renews cannot be accepted now."""
    _save(tx, request, None)
    _settle(_seen_by(tx, request.destination), request)


def settle(tx: Tx, request: ShareRequest) -> None:
    """Write an answer down on both sides; what was offered is not kept any longer."""
    for tenant in (request.source, request.destination):
        _settle(_seen_by(tx, tenant), request)


def delete(tx: Tx, request_id: str) -> None:
    """Forget this side's record; the other side's stays."""
    tx.run(tx.delete(_TABLE).where(_TABLE.c.id == request_id))


def drop_snapshots(tx: SystemTx, before: Instant) -> int:
    """Forget what requests offered that ended, unanswered, before a moment; how many."""
    old = (_TABLE.c.expires_at < before, _TABLE.c.snapshot.is_not(None))
    return tx.run(tx.update(_TABLE).where(*old).values(snapshot=None))


def _seen_by(tx: Tx, tenant: Tenant) -> Tx:
    return tx.system().of(tenant)


def _received(request: ShareRequest) -> ShareRequest:
    return msgspec.structs.replace(request, side="RECEIVED")


def _settle(tx: Tx, request: ShareRequest) -> None:
    # A record that this side has deleted stays deleted: nothing is inserted.
    tx.run(
        tx.update(_TABLE)
        .where(_TABLE.c.id == request.id)
        .values(status=request.status, updated_at=request.updated_at, snapshot=None)
    )


def _save(tx: Tx, request: ShareRequest, snapshot: str | None) -> None:
    row = {
        "id": request.id,
        "side": request.side,
        "framework_id": request.framework_id,
        "source_account": request.source.account,
        "source_region": request.source.region,
        "destination_account": request.destination.account,
        "destination_region": request.destination.region,
        "status": request.status,
        "comment": request.comment,
        "document": msgspec.json.encode(request.subject).decode(),
        "snapshot": snapshot,
        "created_at": request.created_at,
        "updated_at": request.updated_at,
        "expires_at": request.expires_at,
    }
    renewed = ["status", "comment", "document", "snapshot", "updated_at", "expires_at"]
    tx.upsert(_TABLE, [row], replace=renewed)


def _request(row: Row[Any]) -> ShareRequest:
    return ShareRequest(
        id=row.id,
        side=row.side,
        framework_id=row.framework_id,
        source=Tenant(row.source_account, row.source_region),
        destination=Tenant(row.destination_account, row.destination_region),
        status=row.status,
        comment=row.comment,
        subject=msgspec.json.decode(row.document, type=Subject),
        created_at=row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
    )
