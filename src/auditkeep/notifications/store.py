"""Notices: written in the transaction of what they tell, read by whom they are for."""

from collections.abc import Iterable

from sqlalchemy import and_, or_

from auditkeep.clock import Instant
from auditkeep.db.schema import notifications
from auditkeep.db.tx import Tx
from auditkeep.ids import new_id, principal_of
from auditkeep.notifications.model import About, Notice


def tell(
    tx: Tx, recipients: Iterable[str], about: About, description: str, *, source: str, now: Instant
) -> None:
    """One notice for each recipient, given by ARN; nobody is told what they did themselves."""
    someone_else = {principal_of(r) for r in recipients} - {principal_of(source)}
    rows = [
        {
            "id": f"{now // 1000}_{new_id()}",
            "recipient": recipient,
            "assessment_id": about.assessment_id,
            "assessment_name": about.assessment_name,
            "set_id": about.set_id,
            "description": description,
            "source": source,
            "created_at": now,
        }
        for recipient in sorted(someone_else)
    ]
    tx.insert(notifications, *rows)


def page(tx: Tx, recipient: str, after: tuple[Instant, str] | None, limit: int) -> list[Notice]:
    """A principal's notices, newest first, from behind `after` on."""
    table = notifications.c
    query = (
        tx.select(notifications)
        .where(table.recipient == principal_of(recipient))
        .order_by(table.created_at.desc(), table.id.desc())
        .limit(limit)
    )
    if after is not None:
        older = and_(table.created_at == after[0], table.id < after[1])
        query = query.where(or_(table.created_at < after[0], older))
    return [
        Notice(
            id=r.id,
            about=About(r.assessment_id, r.assessment_name, r.set_id),
            description=r.description,
            source=r.source,
            created_at=r.created_at,
        )
        for r in tx.all(query)
    ]
