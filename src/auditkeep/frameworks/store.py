"""Controls and frameworks of one tenant, over what is shipped; one document each.

Shipped ones come from the shelf and are the same for every tenant; custom ones are rows. Lists
run newest first, ids breaking ties, and continue after a key of (created_at, id).
"""

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

import msgspec
from sqlalchemy import Table, and_, func, or_

from auditkeep.clock import Instant
from auditkeep.db import schema
from auditkeep.db.tx import Tx
from auditkeep.errors import NotFound
from auditkeep.frameworks.model import (
    Control,
    ControlSet,
    ControlType,
    Framework,
    FrameworkType,
    Shelf,
)

Thing = TypeVar("Thing", Control, Framework)
After = tuple[Instant, str] | None
"""The (created_at, id) a list continues after; None begins it."""


def get_control(tx: Tx, library: Shelf, control_id: str) -> Control:
    """A shipped or custom control; NotFound when this tenant can see none of that id."""
    found = get_controls(tx, library, {control_id})
    if control_id not in found:
        raise NotFound("control", control_id)
    return found[control_id]


def get_controls(tx: Tx, library: Shelf, ids: Collection[str]) -> dict[str, Control]:
    """Those of the controls that exist, by id."""
    shipped = {i: library.controls[i] for i in ids if i in library.controls}
    table = schema.controls
    wanted = [i for i in ids if i not in shipped]
    if not wanted:
        return shipped
    rows = tx.all(tx.select(table.c.document).where(table.c.id.in_(wanted)))
    own = (msgspec.json.decode(row.document, type=Control) for row in rows)
    return shipped | {c.id: c for c in own}


def list_controls(
    tx: Tx,
    library: Shelf,
    kind: ControlType,
    *,
    after: After = None,
    limit: int,
    keep: Callable[[Control], bool] | None = None,
) -> list[Control]:
    """The controls of one kind; with `keep`, those it admits."""
    if kind != "Custom":
        of_kind = (c for c in library.controls.values() if c.type == kind)
        return _shipped(filter(keep, of_kind) if keep else of_kind, after, limit)
    if keep is None:
        return _own(tx, schema.controls, Control, after, limit)
    return [c for c in _own(tx, schema.controls, Control, after, None) if keep(c)][:limit]


def count_controls(tx: Tx) -> int:
    return _count(tx, schema.controls)


def save_control(tx: Tx, control: Control) -> None:
    _save(tx, schema.controls, control)


def delete_control(tx: Tx, control_id: str) -> None:
    """Forget a custom control and take it out of every framework; sets may become empty."""
    tx.run(tx.delete(schema.controls).where(schema.controls.c.id == control_id))
    for framework in _own(tx, schema.frameworks, Framework, None, None):
        if control_id in framework.control_ids():
            sets = tuple(_without(s, control_id) for s in framework.sets)
            save_framework(tx, msgspec.structs.replace(framework, sets=sets))


def get_framework(tx: Tx, library: Shelf, framework_id: str) -> Framework:
    """A shipped or custom framework; NotFound when this tenant can see none of that id."""
    if framework_id in library.frameworks:
        return library.frameworks[framework_id]
    table = schema.frameworks
    row = tx.first(tx.select(table.c.document).where(table.c.id == framework_id))
    if row is None:
        raise NotFound("assessmentFramework", framework_id)
    return msgspec.json.decode(row.document, type=Framework)


def list_frameworks(
    tx: Tx, library: Shelf, kind: FrameworkType, *, after: After = None, limit: int
) -> list[Framework]:
    if kind != "Custom":
        return _shipped((f for f in library.frameworks.values() if f.type == kind), after, limit)
    return _own(tx, schema.frameworks, Framework, after, limit)


def count_frameworks(tx: Tx) -> int:
    return _count(tx, schema.frameworks)


def save_framework(tx: Tx, framework: Framework) -> None:
    _save(tx, schema.frameworks, framework)


def delete_framework(tx: Tx, framework_id: str) -> None:
    """Forget a custom framework; its controls stay, and so do assessments made from it."""
    tx.run(tx.delete(schema.frameworks).where(schema.frameworks.c.id == framework_id))


def _shipped(things: Iterable[Thing], after: After, limit: int) -> list[Thing]:
    ordered = sorted(things, key=lambda t: (-t.created_at, t.id))
    if after is not None:
        ordered = [t for t in ordered if (-t.created_at, t.id) > (-after[0], after[1])]
    return ordered[:limit]


def _own(tx: Tx, table: Table, kind: type[Thing], after: After, limit: int | None) -> list[Thing]:
    statement = tx.select(table.c.document).order_by(table.c.created_at.desc(), table.c.id)
    if after is not None:
        at, last = after
        later = and_(table.c.created_at == at, table.c.id > last)
        statement = statement.where(or_(table.c.created_at < at, later))
    rows = tx.all(statement.limit(limit))
    return [msgspec.json.decode(row.document, type=kind) for row in rows]


def _count(tx: Tx, table: Table) -> int:
    return int(tx.scalar(tx.select(func.count(table.c.id))))


def _save(tx: Tx, table: Table, thing: Control | Framework) -> None:
    row = {
        "id": thing.id,
        "name": thing.name,
        "document": msgspec.json.encode(thing).decode(),
        "created_at": thing.created_at,
        "updated_at": thing.updated_at,
    }
    tx.upsert(table, [row], replace=["name", "document", "updated_at"])


def _without(one: ControlSet, control_id: str) -> ControlSet:
    left = tuple(c for c in one.control_ids if c != control_id)
    return msgspec.structs.replace(one, control_ids=left)
