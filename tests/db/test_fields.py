"""Sealed columns: text to stores, ciphertext in the database, and each value in its own row only."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import StatementError

from auditkeep.crypto.fields import OVERHEAD, is_sealed
from auditkeep.db.database import Database
from auditkeep.db.fields import Sealed, binding, opening
from auditkeep.db.prepared import Prepared, PreparedChange
from auditkeep.db.schema import (
    assessments,
    change_logs,
    control_comments,
    delegations,
    metadata,
    outgoing,
    policies,
    reports,
    tags,
    tenants,
)
from auditkeep.db.tx import Tx
from auditkeep.errors import DecryptionFailed, StorageError
from auditkeep.ids import Tenant

OTHER = Tenant("999988887777", "us-east-1")
SECRET = "the words of a customer"


def put(tx: Tx, number: int, body: str = SECRET) -> None:
    row = {"assessment_id": "a", "ordinal": 1, "number": number, "posted_at": 0}
    tx.insert(control_comments, {**row, "author": "Jane", "body": body})


def raw(tx: Tx, *columns: Any) -> list[tuple[Any, ...]]:
    """As it lies in the database."""
    return [tuple(row) for row in tx.driver().execute(select(*columns)).all()]


@pytest.mark.both_databases
def test_stores_see_text_and_the_database_has_ciphertext(db: Database, tenant: Tenant) -> None:
    table = control_comments.c
    with db.write(tenant) as tx:
        put(tx, 1)
        put(tx, 2)
        ((author, first), (_, second)) = raw(tx, table.author, table.body)
        assert is_sealed(author)
        assert is_sealed(first)
        assert first != second, "equal texts do not look alike"
        assert len(first) == len(SECRET) + OVERHEAD
    with db.read(tenant) as tx:
        rows = tx.all(tx.select(table.number, table.body).order_by(table.number))
        assert [(r.number, r.body) for r in rows] == [(1, SECRET), (2, SECRET)]
        assert rows[0]._mapping["body"] == SECRET
        assert [len(r) for r in rows] == [2, 2], "what was read beside is not shown"
        assert tx.scalar(tx.select(table.body).where(table.number == 2)) == SECRET
        assert tx.scalar(tx.select(table.body).where(table.number == 3)) is None
        one = tx.first(tx.select(control_comments).where(table.number == 1))
        assert one is not None
        assert (one.author, one.body, one.account) == ("Jane", SECRET, tenant.account)
        assert [r.body for r in tx.stream(tx.select(table.body))] == [SECRET, SECRET]
        prepared = Prepared(table.body, table.number, where=[table.number == 2])
        assert tx.fetch(prepared) == [(SECRET, 2)]
        labelled = tx.first(
            tx.select(table.body.label("said"), table.number, table.number.label("n"))
        )
        assert labelled is not None
        assert labelled.said == SECRET


@pytest.mark.both_databases
@pytest.mark.parametrize("place", ["another row", "another column", "another tenant"])
def test_a_value_that_is_moved_does_not_open(db: Database, tenant: Tenant, place: str) -> None:
    table = control_comments.c
    with db.write(tenant) as tx:
        put(tx, 1)
        put(tx, 2, "other words")
        ((author, body),) = (
            tx.driver().execute(select(table.author, table.body).where(table.number == 1)).all()
        )
    owner = OTHER if place == "another tenant" else tenant
    with db.write(owner) as tx:
        if owner is OTHER:
            put(tx, 2)
        moved = author if place == "another column" else body
        where = update(control_comments).where(table.account == owner.account)
        number = 1 if place == "another column" else 2
        tx.driver().execute(where.where(table.number == number).values(body=moved))
    with db.read(owner) as tx, pytest.raises(DecryptionFailed):
        tx.all(tx.select(table.body))


@pytest.mark.both_databases
def test_text_that_somebody_wrote_by_hand_is_not_taken_for_a_field(
    db: Database, tenant: Tenant
) -> None:
    with db.write(tenant) as tx:
        put(tx, 1)
        written = "x'" + b"made up".hex() + "'" if not tx.postgres else "decode('6d61', 'hex')"
        tx.driver().exec_driver_sql(f"UPDATE control_comments SET body = {written}")
    with db.read(tenant) as tx, pytest.raises(DecryptionFailed, match="wrote it by hand"):
        tx.all(tx.select(control_comments.c.body))


@pytest.mark.both_databases
def test_a_row_is_changed_by_its_whole_key(db: Database, tenant: Tenant) -> None:
    key = {"assessment_id": "a", "ordinal": 1, "number": 1}
    for owner in (tenant, OTHER):
        with db.write(owner) as tx:
            put(tx, 1)
    with db.write(tenant) as tx:
        assert tx.set(control_comments, key, {"body": "changed", "posted_at": 7}) == 1
        assert tx.set(control_comments, {**key, "number": 9}, {"body": "changed"}) == 0
        with pytest.raises(StorageError, match="whole key"):
            tx.set(control_comments, {"assessment_id": "a"}, {"body": "changed"})
        row = tx.first(tx.select(control_comments))
        assert row is not None
        assert (row.body, row.author, row.posted_at) == ("changed", "Jane", 7)
    with db.read(OTHER) as tx:
        assert tx.scalar(tx.select(control_comments.c.body)) == SECRET


@pytest.mark.both_databases
def test_text_cannot_be_written_or_looked_for_in_clear(db: Database, tenant: Tenant) -> None:
    with db.write(tenant) as tx:
        put(tx, 1)
    refused = pytest.raises(StatementError, match="sealed column")
    with refused, db.write(tenant) as tx:
        tx.run(tx.update(control_comments).values(body="clear"))
    with refused, db.read(tenant) as tx:
        tx.all(tx.select(control_comments.c.number).where(control_comments.c.body == SECRET))
    with pytest.raises(StorageError, match=r"Tx\.set"):
        PreparedChange(control_comments, where=[], values={"body": "clear"})
    with db.read(tenant) as tx, pytest.raises(StorageError, match="cannot be computed"):
        tx.select(func.max(control_comments.c.body))


@pytest.mark.both_databases
def test_what_is_looked_for_has_a_digest_of_its_tenants_own(db: Database, tenant: Tenant) -> None:
    name = tags.c.name
    for owner in (tenant, OTHER):
        with db.write(owner) as tx:
            tx.insert(tags, {"arn": "a", "key": "team", "value": "x"})
            tx.upsert(tags, [{"arn": "a", "key": "team", "value": "y"}], replace=["key", "value"])
    with db.read(tenant) as tx:
        found = tx.all(tx.select(tags.c.key, tags.c.value).where(name == tx.digest(name, "team")))
        assert [tuple(r) for r in found] == [("team", "y")]
        assert tx.all(tx.select(tags.c.key).where(name == tx.digest(name, "Team"))) == []
        assert len({bytes(row[0]) for row in raw(tx, name)}) == 2, "tenants' digests differ"


def test_nothing_is_found_for_a_tenant_without_any(db: Database, tenant: Tenant) -> None:
    with db.read(tenant) as tx:
        found = tx.select(tags.c.key).where(tags.c.name == tx.digest(tags.c.name, "team"))
        assert tx.all(found) == []


@pytest.mark.both_databases
def test_nothing_stays_nothing(db: Database, tenant: Tenant) -> None:
    row = {"assessment_id": "a", "role_arn": "r", "status": "s", "created_by": "me"}
    times = {"created_at": 0, "updated_at": 0}
    change = {"assessment_id": "a", "object_type": "o", "object_name": "n", "action": "x"}
    with db.write(tenant) as tx:
        tx.insert(delegations, {**row, **times, "id": "1", "set_id": "s", "comment": None})
        tx.insert(
            change_logs,
            {**change, "id": "1", "set_id": None, "created_by": "me", "created_at": 0},
            {**change, "id": "2", "set_id": "s", "created_by": "me", "created_at": 0},
        )
        assert tx.scalar(tx.select(delegations.c.comment)) is None
        keys = dict(raw(tx, change_logs.c.id, change_logs.c.set_key))
        assert keys["1"] is None
        assert keys["2"] is not None
        changes = tx.all(tx.select(change_logs.c.set_id).order_by(change_logs.c.id))
        assert [r.set_id for r in changes] == [None, "s"]
        tx.run(tx.update(delegations).values(comment=None))


@pytest.mark.both_databases
def test_a_join_opens_each_tables_own(db: Database, tenant: Tenant) -> None:
    row = {"status": "ACTIVE", "created_at": 0}
    with db.write(tenant) as tx:
        tx.insert(reports, {**row, "id": "r", "assessment_id": "a", "name": "R", "document": "{}"})
        more = {"updated_at": 0, "version": 1, "next_ordinal": 1, "document": "[]"}
        tx.insert(assessments, {**row, **more, "id": "a", "name": "A", "dormant": False})
    with db.read(tenant) as tx:
        both = tx.select(reports.c.name.label("report"), assessments.c.name, reports.c.document)
        found = tx.all(both.where(reports.c.assessment_id == assessments.c.id))
        assert [tuple(r) for r in found] == [("R", "A", "{}")]


@pytest.mark.both_databases
def test_the_deployment_reads_every_tenants_and_has_its_own(db: Database, tenant: Tenant) -> None:
    for owner in (tenant, OTHER):
        with db.write(owner) as tx:
            tx.insert(outgoing, {"id": "1", "document": owner.account, "created_at": 0})
    with db.system_write() as system:
        rows = system.all(system.select(outgoing.c.document).order_by(outgoing.c.account))
        assert [r.document for r in rows] == [tenant.account, OTHER.account]
        policy = {"account": tenant.account, "name": "p"}
        system.insert(policies, {**policy, "document": "one"})
        system.upsert(policies, [{**policy, "document": "two"}], replace=["document"])
        assert system.scalar(system.select(policies.c.document)) == "two"
        assert system.set(policies, policy, {"document": "three"}) == 1
        assert system.scalar(system.select(policies.c.document)) == "three"
        with pytest.raises(StorageError, match="through their tenant's own"):
            system.insert(outgoing, {"id": "2", "document": "x", "created_at": 0})


def test_a_database_without_keys_gives_nothing_away(
    db: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.write(tenant) as tx:
        put(tx, 1)
    monkeypatch.setattr(db, "_sealer", None)
    with db.read(tenant) as tx:
        assert tx.scalar(tx.select(control_comments.c.number)) == 1
        with pytest.raises(StorageError, match="without the keys"):
            tx.all(tx.select(control_comments.c.body))


def test_no_key_of_a_row_is_sealed_and_every_digest_stands_for_a_sealed_column() -> None:
    bound = [b for b in map(binding, metadata.sorted_tables) if b is not None]
    assert len(bound) > 15
    for one in bound:
        table = metadata.tables[one.table]
        assert all(isinstance(table.c[of].type, Sealed) for _, of in one.digests)
    assert binding(tenants) is not None
    assert opening([control_comments.c.number], owned=True) is None
