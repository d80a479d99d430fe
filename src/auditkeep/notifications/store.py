"""Notices: written in the transaction of what they tell, read by whom they are for."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, and_, or_

from auditkeep.clock import Instant
from auditkeep.db.schema import notifications
from auditkeep.db.tx import Tx
from auditkeep.ids import new_id, principal_of
from auditkeep.notifications.model import About, Notice, Telling


def tell(tx: Tx, recipients: Iterable[str], telling: Telling) -> list[str]:
    """One notice for each recipient, given by ARN; the notices' ids.

    Nobody is told what they did themselves.
    """
    someone_else = {principal_of(r) for r in recipients} - {principal_of(telling.source)}
    rows = [
        {
            "id": f"{telling.at // 1000}_{new_id()}",
            "recipient": recipient,
            "assessment_id": telling.about.assessment_id,
            "assessment_name": telling.about.assessment_name,
            "set_id": telling.about.set_id,
            "kind": telling.kind,
            "description": telling.description,
            "source": telling.source,
            "created_at": telling.at,
        }
        for recipient in sorted(someone_else)
    ]
    tx.insert(notifications, *rows)
    return [str(row["id"]) for row in rows]


def find(tx: Tx, notice_id: str) -> Notice | None:
    row = tx.first(tx.select(notifications).where(notifications.c.id == notice_id))
    return None if row is None else _notice(row)


def page(tx: Tx, recipient: str, after: tuple[Instant, str] | None, limit: int) -> list[Notice]:
    """A principal's notices, newest first, from behind `after` on."""
    table = notifications.c
    query = (
        tx.select(notifications)
        .where(table.recipient_key == tx.digest(table.recipient_key, principal_of(recipient)))
        .order_by(table.created_at.desc(), table.id.desc())
        .limit(limit)
    )
    if after is not None:
        older = and_(table.created_at == after[0], table.id < after[1])
        query = query.where(or_(table.created_at < after[0], older))
    return [_notice(r) for r in tx.all(query)]


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        id=row.id,
        recipient=row.recipient,
        kind=row.kind,
        about=About(row.assessment_id, row.assessment_name, row.set_id),
        description=row.description,
        source=row.source,
        created_at=row.created_at,
    )
