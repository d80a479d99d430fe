"""What people say about an assessment: comments, delegations and the change log.

Comments and the change log are only ever added to; they end with their assessment. Who did it is
an IAM ARN in the change log and a person's name elsewhere (spec sections 1.10 and 12, point 17).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, or_

from auditkeep.assessments.model import (
    Action,
    Assessment,
    Change,
    ChangedObject,
    Comment,
    Delegation,
    DelegationStatus,
    Roles,
)
from auditkeep.clock import Instant
from auditkeep.db.schema import change_logs, control_comments, delegations
from auditkeep.db.tx import Tx
from auditkeep.ids import new_id, same_principal

_DELEGATION_COLUMNS = (
    delegations.c.id,
    delegations.c.assessment_id,
    delegations.c.set_id,
    delegations.c.role_arn,
    delegations.c.status,
    delegations.c.comment,
    delegations.c.created_by,
    delegations.c.created_at,
    delegations.c.updated_at,
)


# --- comments --------------------------------------------------------------------------------


def comments(tx: Tx, assessment_id: str, ordinal: int | None = None) -> list[Comment]:
    """Of all controls or of one, oldest first."""
    table = control_comments.c
    query = tx.select(table.ordinal, table.number, table.author, table.body, table.posted_at).where(
        table.assessment_id == assessment_id
    )
    if ordinal is not None:
        query = query.where(table.ordinal == ordinal)
    rows = tx.all(query.order_by(table.ordinal, table.number))
    return [Comment(r.ordinal, r.number, r.author, r.body, r.posted_at) for r in rows]


def add_comment(
    tx: Tx, assessment_id: str, ordinal: int, author: str, body: str, now: Instant
) -> None:
    table = control_comments.c
    last = tx.scalar(
        tx.select(func.max(table.number)).where(
            table.assessment_id == assessment_id, table.ordinal == ordinal
        )
    )
    tx.insert(
        control_comments,
        {
            "assessment_id": assessment_id,
            "ordinal": ordinal,
            "number": (last or 0) + 1,
            "author": author,
            "body": body,
            "posted_at": now,
        },
    )


# --- delegations -----------------------------------------------------------------------------


def delegations_of(tx: Tx, assessment_ids: Sequence[str]) -> list[Delegation]:
    """Of some assessments, newest first."""
    if not assessment_ids:
        return []
    table = delegations.c
    rows = tx.all(
        tx.select(*_DELEGATION_COLUMNS)
        .where(table.assessment_id.in_(assessment_ids))
        .order_by(table.created_at.desc(), table.id.desc())
    )
    return [_delegation(r) for r in rows]


def delegation_page(tx: Tx, after: tuple[Instant, str] | None, limit: int) -> list[Delegation]:
    """Of all assessments, newest first, from behind `after` on."""
    created, key = delegations.c.created_at, delegations.c.id
    query = tx.select(*_DELEGATION_COLUMNS).order_by(created.desc(), key.desc()).limit(limit)
    if after is not None:
        query = query.where(or_(created < after[0], and_(created == after[0], key < after[1])))
    return [_delegation(r) for r in tx.all(query)]


def add_delegation(tx: Tx, delegation: Delegation) -> None:
    tx.insert(
        delegations,
        {
            "id": delegation.id,
            "assessment_id": delegation.assessment_id,
            "set_id": delegation.set_id,
            "role_arn": delegation.role_arn,
            "status": delegation.status,
            "comment": delegation.comment,
            "created_by": delegation.created_by,
            "created_at": delegation.created_at,
            "updated_at": delegation.updated_at,
        },
    )


def set_delegation_status(
    tx: Tx, delegation_ids: Iterable[str], status: DelegationStatus, now: Instant
) -> None:
    chosen = delegations.c.id.in_(list(delegation_ids))
    tx.run(tx.update(delegations).where(chosen).values(status=status, updated_at=now))


def delete_delegation(tx: Tx, delegation_id: str) -> None:
    tx.run(tx.delete(delegations).where(delegations.c.id == delegation_id))


def roles_of(tx: Tx, assessment: Assessment, arn: str) -> Roles:
    """What a principal is in an assessment.

    Delegates of an INACTIVE assessment have lost their access (spec section 2.2).
    """
    if any(same_principal(owner, arn) for owner in assessment.document.owners):
        return Roles(owner=True, delegate_of=frozenset())
    if not assessment.active:
        return Roles(owner=False, delegate_of=frozenset())
    mine = (d for d in delegations_of(tx, [assessment.id]) if same_principal(d.role_arn, arn))
    return Roles(owner=False, delegate_of=frozenset(d.set_id for d in mine))


# --- the change log --------------------------------------------------------------------------


def log_change(
    tx: Tx,
    assessment_id: str,
    object_type: ChangedObject,
    object_name: str,
    action: Action,
    *,
    by: str,
    now: Instant,
    set_id: str | None = None,
    control_id: str | None = None,
) -> None:
    """Write one line; `by` is the IAM ARN of who did it."""
    tx.insert(
        change_logs,
        {
            "id": new_id(),
            "assessment_id": assessment_id,
            "set_id": set_id,
            "control_id": control_id,
            "object_type": object_type,
            "object_name": object_name,
            "action": action,
            "created_at": now,
            "created_by": by,
        },
    )


def change_page(
    tx: Tx,
    assessment_id: str,
    *,
    set_id: str | None,
    control_id: str | None,
    after: tuple[Instant, str] | None,
    limit: int,
) -> list[Change]:
    """Newest first, of one set or control where asked, from behind `after` on."""
    table = change_logs.c
    query = (
        tx.select(
            table.id,
            table.object_type,
            table.object_name,
            table.action,
            table.created_at,
            table.created_by,
            table.set_id,
            table.control_id,
        )
        .where(table.assessment_id == assessment_id)
        .order_by(table.created_at.desc(), table.id.desc())
        .limit(limit)
    )
    if set_id is not None:
        query = query.where(table.set_key == tx.digest(table.set_key, set_id))
    if control_id is not None:
        query = query.where(table.control_id == control_id)
    if after is not None:
        at, key = after
        older = and_(table.created_at == at, table.id < key)
        query = query.where(or_(table.created_at < at, older))
    return [
        Change(
            id=r.id,
            object_type=r.object_type,
            object_name=r.object_name,
            action=r.action,
            created_at=r.created_at,
            created_by=r.created_by,
            set_id=r.set_id,
            control_id=r.control_id,
        )
        for r in tx.all(query)
    ]


def _delegation(row: Row[Any]) -> Delegation:
    return Delegation(
        id=row.id,
        assessment_id=row.assessment_id,
        set_id=row.set_id,
        role_arn=row.role_arn,
        status=row.status,
        comment=row.comment,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
