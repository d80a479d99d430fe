"""Assessments, their control sets and controls: the queries.

Every function takes the caller's transaction and never commits. Whoever changes any part of an
assessment calls `touch`, or `save`, in the same transaction: `version` is what answers built from
an assessment are cached under. Whatever raises it, makes an assessment or deletes one also raises
the tenant's `assessments_version`, for answers over all of them.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, and_, bindparam, func, or_

from auditkeep.assessments.model import (
    AssessedControl,
    Assessment,
    AssessmentStatus,
    ControlCopy,
    ControlSet,
    ControlStatus,
    Document,
    SetStatus,
)
from auditkeep.clock import Instant
from auditkeep.db.prepared import Prepared, PreparedChange
from auditkeep.db.schema import (
    assessment_control_sets,
    assessment_controls,
    assessments,
    change_logs,
    control_comments,
    delegations,
    reports,
    tenants,
)
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import NotFound
from auditkeep.ids import Tenant

_COLUMNS = (
    assessments.c.id,
    assessments.c.name,
    assessments.c.status,
    assessments.c.document,
    assessments.c.created_at,
    assessments.c.updated_at,
    assessments.c.version,
    assessments.c.next_ordinal,
    assessments.c.dormant,
    assessments.c.frozen_at_batch,
)
_CONTROL_COLUMNS = (
    assessment_controls.c.ordinal,
    assessment_controls.c.set_id,
    assessment_controls.c.control_id,
    assessment_controls.c.position,
    assessment_controls.c.status,
    assessment_controls.c.removed,
    assessment_controls.c.document,
)
_PARTS = (
    assessment_control_sets,
    assessment_controls,
    control_comments,
    delegations,
    change_logs,
    reports,
)


_BY_ID = Prepared(*_COLUMNS, where=[assessments.c.id == bindparam("id")])
_STANDING_COLUMNS = (
    assessments.c.id,
    assessments.c.status,
    assessments.c.updated_at,
    assessments.c.version,
    assessments.c.next_ordinal,
    assessments.c.frozen_at_batch,
)
_STANDING = Prepared(*_STANDING_COLUMNS, where=[assessments.c.id == bindparam("id")])
_STANDING_ON = Prepared(
    *_STANDING_COLUMNS,
    where=[or_(assessments.c.status == "ACTIVE", assessments.c.updated_at >= bindparam("since"))],
)
_WITH_LAST_BATCH = Prepared(
    *_COLUMNS, tenants.c.last_evidence_batch, where=[assessments.c.id == bindparam("id")]
)


_GLANCE = Prepared(
    tenants.c.status,
    tenants.c.last_evidence_batch,
    assessments.c.version,
    where=[assessments.c.id == bindparam("id")],
)
_ONE_TOUCHED = [assessments.c.id == bindparam("touched")]
_TOUCHED = PreparedChange(
    assessments, where=_ONE_TOUCHED, values={"version": assessments.c.version + 1}
)
_CHANGED = PreparedChange(
    assessments,
    where=_ONE_TOUCHED,
    values={"version": assessments.c.version + 1, "updated_at": bindparam("now")},
)


_ANY_CHANGED = PreparedChange(
    tenants, where=[], values={"assessments_version": tenants.c.assessments_version + 1}
)
_STATE = Prepared(tenants.c.assessments_version, tenants.c.last_evidence_batch)


def _paged(*, by_status: bool, continued: bool) -> Prepared:
    table = assessments.c
    where: list[Any] = [table.status == bindparam("status")] if by_status else []
    if continued:
        created: Any = bindparam("created")
        key: Any = bindparam("id")
        tied = and_(table.created_at == created, table.id < key)
        where.append(or_(table.created_at < created, tied))
    return Prepared(
        table.id,
        table.version,
        table.created_at,
        where=where,
        order_by=[table.created_at.desc(), table.id.desc()],
        limited=True,
    )


_PAGES = {
    (by_status, continued): _paged(by_status=by_status, continued=continued)
    for by_status in (False, True)
    for continued in (False, True)
}


class Standing(msgspec.Struct, frozen=True, gc=False):
    """An assessment without its document: cheap to read for many at once."""

    id: str
    active: bool
    updated_at: Instant
    version: int
    next_ordinal: int
    frozen_at_batch: int | None


def insert(
    tx: Tx,
    assessment: Assessment,
    sets: Sequence[ControlSet],
    controls: Sequence[AssessedControl],
) -> None:
    """A new assessment with its sets and controls; it keeps the key that the tenant has now."""
    kms_key = tx.scalar(tx.select(tenants.c.kms_key))
    tx.change(_ANY_CHANGED)
    tx.insert(assessments, {"id": assessment.id, "kms_key": kms_key, **_changeable(assessment)})
    tx.insert(
        assessment_control_sets,
        *(
            {
                "assessment_id": assessment.id,
                "set_id": s.id,
                "position": s.position,
                "status": s.status,
            }
            for s in sets
        ),
    )
    tx.insert(
        assessment_controls,
        *(
            {
                "assessment_id": assessment.id,
                "ordinal": c.ordinal,
                "set_id": c.set_id,
                "control_id": c.control_id,
                "position": c.position,
                "status": c.status,
                "document": _json(c.copy),
                "removed": c.removed,
            }
            for c in controls
        ),
    )


def get(tx: Tx, assessment_id: str) -> Assessment:
    """NotFound for an id this tenant has no assessment of, whoever else may have one."""
    rows = tx.fetch(_BY_ID, id=assessment_id)
    if not rows:
        raise NotFound("assessment", assessment_id)
    return _assessment(rows[0])


def get_with_last_batch(tx: Tx, assessment_id: str) -> tuple[Assessment, int]:
    """`get`, and how far the tenant's evidence has come: all that its answer depends on."""
    rows = tx.fetch(_WITH_LAST_BATCH, id=assessment_id)
    if not rows:
        raise NotFound("assessment", assessment_id)
    return _assessment(rows[0]), rows[0].last_evidence_batch


def glance(tx: Tx, assessment_id: str) -> Any:
    """`status` of the tenant, `version`, `last_evidence_batch`; None where there is none."""
    rows = tx.fetch(_GLANCE, id=assessment_id)
    return rows[0] if rows else None


def active(tx: Tx) -> list[Assessment]:
    rows = tx.all(tx.select(*_COLUMNS).where(assessments.c.status == "ACTIVE"))
    return [_assessment(r) for r in rows]


def assessing(tx: Tx, accounts: Collection[str]) -> str | None:
    """One of some accounts that, as a tenant of its own in this region, collects for itself."""
    table = assessments.c
    query = (
        tx.system()
        .select(func.min(table.account))
        .where(
            table.account.in_(sorted(accounts)),
            table.region == tx.tenant.region,
            table.status == "ACTIVE",
            table.dormant.is_(False),
        )
    )
    found: str | None = tx.system().scalar(query)
    return found


def collecting(tx: SystemTx) -> list[Tenant]:
    """Every tenant that has an ACTIVE assessment."""
    table = assessments.c
    query = tx.select(table.account, table.region).where(table.status == "ACTIVE").distinct()
    return sorted(Tenant(r.account, r.region) for r in tx.all(query))


def standing(tx: Tx, assessment_id: str) -> Standing:
    """NotFound for an id this tenant has no assessment of."""
    rows = tx.fetch(_STANDING, id=assessment_id)
    if not rows:
        raise NotFound("assessment", assessment_id)
    return _standing(rows[0])


def standing_on(tx: Tx, since: Instant) -> list[Standing]:
    """The assessments that are ACTIVE, and those that ended at `since` or later (spec 7)."""
    return [_standing(row) for row in tx.fetch(_STANDING_ON, since=since)]


class State(NamedTuple):
    """With the day, all that answers over the assessments of a tenant depend on."""

    version: int
    """Of its assessments: the same while none is made, changed or deleted."""
    last_batch: int


def state(tx: Tx) -> State:
    rows = tx.fetch(_STATE)
    return State(*rows[0]) if rows else State(0, 0)


class Head(NamedTuple):
    """An assessment by what changes when it does."""

    id: str
    version: int
    created_at: Instant


def page(
    tx: Tx,
    status: AssessmentStatus | None,
    after: tuple[Instant, str] | None,
    limit: int,
) -> list[Head]:
    """Newest first, ids breaking ties, from behind `after` on."""
    values: dict[str, object] = {"limit": limit}
    if status is not None:
        values["status"] = status
    if after is not None:
        values["created"], values["id"] = after
    rows = tx.fetch(_PAGES[status is not None, after is not None], **values)
    return [Head(*row) for row in rows]


def some(tx: Tx, assessment_ids: Collection[str]) -> list[Assessment]:
    """Those of the assessments that there are, in no order."""
    rows = tx.all(tx.select(*_COLUMNS).where(assessments.c.id.in_(assessment_ids)))
    return [_assessment(r) for r in rows]


def names(tx: Tx, assessment_ids: Collection[str]) -> dict[str, str]:
    rows = tx.all(
        tx.select(assessments.c.id, assessments.c.name).where(assessments.c.id.in_(assessment_ids))
    )
    return {r.id: r.name for r in rows}


def count_active(tx: Tx) -> int:
    return int(
        tx.scalar(tx.select(func.count(assessments.c.id)).where(assessments.c.status == "ACTIVE"))
    )


def count_controls_of(tx: Tx, assessment_ids: Sequence[str]) -> dict[str, int]:
    """Controls of some assessments, those removed from the library left out."""
    table = assessment_controls.c
    query = tx.select(table.assessment_id, func.count(table.ordinal)).where(
        table.assessment_id.in_(assessment_ids), table.removed.is_(False)
    )
    return dict(tuple(row) for row in tx.all(query.group_by(table.assessment_id)))


def save(tx: Tx, assessment: Assessment) -> Assessment:
    """Write an assessment that was read in this transaction; returned with its new version."""
    saved = msgspec.structs.replace(assessment, version=assessment.version + 1)
    risen = {"version": assessments.c.version + 1}
    tx.set(assessments, {"id": assessment.id}, _changeable(saved) | risen)
    tx.change(_ANY_CHANGED)
    return saved


def touch(tx: Tx, assessment_id: str, now: Instant | None = None) -> None:
    """Say that a part has changed; with `now` also that people will care when."""
    if now is None:
        tx.change(_TOUCHED, touched=assessment_id)
    else:
        tx.change(_CHANGED, touched=assessment_id, now=now)
    tx.change(_ANY_CHANGED)


def delete(tx: Tx, assessment_id: str) -> None:
    """Forget an assessment and everything about it that this room and its reports keep."""
    for table in _PARTS:
        tx.run(tx.delete(table).where(table.c.assessment_id == assessment_id))
    tx.run(tx.delete(assessments).where(assessments.c.id == assessment_id))
    tx.change(_ANY_CHANGED)


# --- control sets ----------------------------------------------------------------------------


def sets(tx: Tx, assessment_id: str) -> list[ControlSet]:
    table = assessment_control_sets.c
    query = tx.select(table.set_id, table.position, table.status)
    rows = tx.all(query.where(table.assessment_id == assessment_id).order_by(table.position))
    return [ControlSet(r.set_id, r.position, r.status) for r in rows]


def get_set(tx: Tx, assessment_id: str, set_id: str) -> ControlSet:
    for one in sets(tx, assessment_id):
        if one.id == set_id:
            return one
    raise NotFound("control set", set_id)


def set_set_status(
    tx: Tx, assessment_id: str, status: SetStatus, set_id: str | None = None
) -> None:
    """Give one set a status, or all of them."""
    table = assessment_control_sets
    change = tx.update(table).where(table.c.assessment_id == assessment_id)
    if set_id is not None:
        change = change.where(table.c.set_key == tx.digest(table.c.set_key, set_id))
    tx.run(change.values(status=status))


# --- controls --------------------------------------------------------------------------------


def controls(tx: Tx, assessment_id: str) -> list[AssessedControl]:
    """All controls, in the order of sets and positions that the framework had."""
    table = assessment_controls.c
    rows = tx.all(tx.select(*_CONTROL_COLUMNS).where(table.assessment_id == assessment_id))
    return sorted((_control(r) for r in rows), key=lambda c: c.ordinal)


def get_control(tx: Tx, assessment_id: str, set_id: str, control_id: str) -> AssessedControl:
    table = assessment_controls.c
    rows = tx.all(
        tx.select(*_CONTROL_COLUMNS).where(
            table.assessment_id == assessment_id, table.control_id == control_id
        )
    )
    for row in rows:
        if row.set_id == set_id:
            return _control(row)
    raise NotFound("control", control_id)


def require_control(tx: Tx, assessment_id: str, control_id: str, set_id: str | None = None) -> None:
    """NotFound unless the assessment has the control, in that set or in any."""
    table = assessment_controls.c
    query = tx.select(table.set_id).where(
        table.assessment_id == assessment_id, table.control_id == control_id
    )
    if not any(set_id in (None, row.set_id) for row in tx.all(query)):
        raise NotFound("control", control_id)


def find_by_ordinal(tx: Tx, assessment_id: str, ordinal: int) -> AssessedControl | None:
    table = assessment_controls.c
    row = tx.first(
        tx.select(*_CONTROL_COLUMNS).where(
            table.assessment_id == assessment_id, table.ordinal == ordinal
        )
    )
    return None if row is None else _control(row)


def set_control_status(
    tx: Tx, assessment_id: str, ordinals: Iterable[int], status: ControlStatus
) -> None:
    table = assessment_controls
    tx.run(
        tx.update(table)
        .where(table.c.assessment_id == assessment_id, table.c.ordinal.in_(list(ordinals)))
        .values(status=status)
    )


def has_control(tx: Tx, assessment_id: str, control_id: str) -> bool:
    """Whether an assessment was made with a control of the library, removed since or not."""
    table = assessment_controls.c
    query = tx.select(table.ordinal).where(
        table.assessment_id == assessment_id, table.control_id == control_id
    )
    return tx.first(query.limit(1)) is not None


def uses_of(tx: Tx, control_id: str) -> dict[str, list[AssessedControl]]:
    """Where ACTIVE assessments use a control of the library, by assessment id."""
    table = assessment_controls.c
    rows = tx.all(
        tx.select(assessment_controls.c.assessment_id, *_CONTROL_COLUMNS)
        .where(
            table.control_id == control_id,
            table.removed.is_(False),
            table.assessment_id.in_(
                tx.select(assessments.c.id).where(assessments.c.status == "ACTIVE")
            ),
        )
        .order_by(table.assessment_id, table.ordinal)
    )
    found: dict[str, list[AssessedControl]] = {}
    for row in rows:
        found.setdefault(row.assessment_id, []).append(_control(row))
    return found


def rewrite_control(tx: Tx, assessment_id: str, ordinals: Iterable[int], copy: ControlCopy) -> None:
    """What an assessment's controls say from now on: their library control was edited."""
    document = _json(copy)
    for ordinal in ordinals:
        key = {"assessment_id": assessment_id, "ordinal": ordinal}
        tx.set(assessment_controls, key, {"document": document})


def mark_removed(tx: Tx, assessment_id: str, ordinals: Iterable[int]) -> None:
    """Their library control was deleted; what was collected stays readable (spec 12, point 26)."""
    table = assessment_controls
    tx.run(
        tx.update(table)
        .where(table.c.assessment_id == assessment_id, table.c.ordinal.in_(list(ordinals)))
        .values(removed=True)
    )


def _assessment(row: Row[Any]) -> Assessment:
    return Assessment(
        id=row.id,
        name=row.name,
        status=row.status,
        document=msgspec.json.decode(row.document, type=Document),
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
        next_ordinal=row.next_ordinal,
        dormant=row.dormant,
        frozen_at_batch=row.frozen_at_batch,
    )


def _changeable(assessment: Assessment) -> dict[str, Any]:
    return {
        "name": assessment.name,
        "status": assessment.status,
        "document": _json(assessment.document),
        "created_at": assessment.created_at,
        "updated_at": assessment.updated_at,
        "version": assessment.version,
        "next_ordinal": assessment.next_ordinal,
        "dormant": assessment.dormant,
        "frozen_at_batch": assessment.frozen_at_batch,
    }


def _control(row: Row[Any]) -> AssessedControl:
    return AssessedControl(
        ordinal=row.ordinal,
        set_id=row.set_id,
        control_id=row.control_id,
        position=row.position,
        status=row.status,
        removed=row.removed,
        copy=msgspec.json.decode(row.document, type=ControlCopy),
    )


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()


def _standing(row: Any) -> Standing:
    return Standing(
        id=row.id,
        active=row.status == "ACTIVE",
        updated_at=Instant(row.updated_at),
        version=row.version,
        next_ordinal=row.next_ordinal,
        frozen_at_batch=row.frozen_at_batch,
    )
