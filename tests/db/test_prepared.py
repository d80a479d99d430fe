"""Prepared queries give what ordinary ones give, to their own tenant only, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam

from auditkeep.db.database import Database
from auditkeep.db.prepared import Prepared, PreparedChange
from auditkeep.db.schema import (
    assessment_controls,
    meta,
    observation_ids,
    quotas,
    tags,
)
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant

OTHER = Tenant("999988887777", "us-east-1")
ELSEWHERE = Tenant("111122223333", "eu-west-1")
_QUOTAS = Prepared(
    quotas.c.name, quotas.c.value, where=[quotas.c.name < bindparam("end")],
    order_by=[quotas.c.name.desc()],
)  # fmt: skip


@pytest.mark.both_databases
def test_a_prepared_query_sees_its_tenants_rows_in_order(db: Database, tenant: Tenant) -> None:
    for owner in (tenant, OTHER, ELSEWHERE):
        with db.write(owner) as tx:
            rows = [{"name": k, "value": int(owner.account)} for k in ("x", "y")]
            tx.insert(quotas, *rows, {"name": "z", "value": 0})
            assert [(r.name, r.value) for r in tx.fetch(_QUOTAS, end="z")] == [
                ("y", int(owner.account)),
                ("x", int(owner.account)),
            ]
    with db.read(tenant) as tx:
        assert len(tx.fetch(_QUOTAS, end="z")) == 2
        assert tx.fetch(_QUOTAS, end="a") == []


@pytest.mark.both_databases
def test_values_come_back_in_their_own_types(db: Database, tenant: Tenant) -> None:
    flags = Prepared(assessment_controls.c.removed, assessment_controls.c.ordinal)
    ids = Prepared(observation_ids.c.id)
    with db.write(tenant) as tx:
        control = {"assessment_id": "a", "ordinal": 2**40, "set_id": "", "control_id": ""}
        rest = {"position": 0, "status": "", "document": "", "removed": True}
        tx.insert(assessment_controls, {**control, **rest})
        tx.insert(observation_ids, {"id": b"\0" * 16, "content": b"", "batch_no": 1})
        (row,) = tx.fetch(flags)
        assert (row.removed, row.ordinal) == (True, 2**40)
        assert isinstance(row.removed, bool)
        assert tx.fetch(ids)[0].id == b"\0" * 16


@pytest.mark.both_databases
def test_a_driver_that_refuses_is_answered_in_our_words(db: Database, tenant: Tenant) -> None:
    with pytest.raises(StorageError, match="refused"), db.write(tenant) as tx:
        tx.driver().exec_driver_sql("DROP TABLE tags")
        tx.fetch(Prepared(tags.c.key, tags.c.value))


def test_a_query_over_the_deployments_own_tables_cannot_be_prepared() -> None:
    with pytest.raises(StorageError, match="tenants' own tables"):
        Prepared(meta.c.value)


_CHANGED = PreparedChange(
    quotas, where=[quotas.c.name < bindparam("end")], values={"value": bindparam("new")}
)


@pytest.mark.both_databases
def test_a_prepared_change_touches_its_tenants_rows_only(db: Database, tenant: Tenant) -> None:
    for owner in (tenant, OTHER):
        with db.write(owner) as tx:
            tx.insert(quotas, *({"name": k, "value": 1} for k in ("x", "y")))
    with db.write(tenant) as tx:
        assert tx.change(_CHANGED, end="z", new=2) == 2
        assert tx.change(_CHANGED, end="a", new=2) == 0
    for owner, value in ((tenant, 2), (OTHER, 1)):
        with db.read(owner) as tx:
            assert {r.value for r in tx.fetch(_QUOTAS, end="z")} == {value}
            with pytest.raises(StorageError, match="for reading"):
                tx.change(_CHANGED, end="z", new=3)


@pytest.mark.both_databases
def test_a_limited_query_gives_no_more_rows(db: Database, tenant: Tenant) -> None:
    limited = Prepared(quotas.c.name, order_by=[quotas.c.name], limited=True)
    with db.write(tenant) as tx:
        tx.insert(quotas, *({"name": k, "value": 1} for k in "cab"))
        assert [r.name for r in tx.fetch(limited, limit=2)] == ["a", "b"]
