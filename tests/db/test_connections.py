"""A thread's snapshots: one state each, whoever runs the statements, and never an old one."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from sqlalchemy import bindparam
from tests.threads import at_once

from auditkeep.db.database import Database
from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import tags
from auditkeep.db.tx import Tx
from auditkeep.errors import Contended, NotFound, StorageError
from auditkeep.ids import Tenant

_VALUES = Prepared(tags.c.key, where=[tags.c.arn == bindparam("arn")])


def put(db: Database, tenant: Tenant, key: str) -> None:
    with db.write(tenant) as tx:
        tx.insert(tags, {"arn": "a", "key": key, "value": ""})


def prepared(tx: Tx) -> set[str]:
    return {r.key for r in tx.fetch(_VALUES, arn="a")}


def built(tx: Tx) -> set[str]:
    return {r.key for r in tx.all(tx.select(tags.c.key))}


@pytest.mark.both_databases
def test_prepared_and_built_statements_of_one_reading_see_the_same_state(
    db: Database, tenant: Tenant
) -> None:
    put(db, tenant, "before")
    with db.read(tenant) as tx:
        assert prepared(tx) == {"before"}
        thread = threading.Thread(target=put, args=(db, tenant, "meanwhile"))
        thread.start()
        thread.join()
        assert built(tx) == {"before"}
        assert prepared(tx) == {"before"}
    with db.read(tenant) as tx:
        assert built(tx) == prepared(tx) == {"before", "meanwhile"}


@pytest.mark.both_databases
def test_a_reading_inside_of_another_has_a_state_of_its_own(db: Database, tenant: Tenant) -> None:
    with db.read(tenant) as outer:
        assert prepared(outer) == set()
        put(db, tenant, "new")
        with db.read(tenant) as inner:
            assert prepared(inner) == {"new"}
            assert built(inner) == {"new"}
        assert built(outer) == set()
    with db.read(tenant) as tx:
        assert built(tx) == {"new"}


@pytest.mark.both_databases
@pytest.mark.parametrize("error", [NotFound("assessment", "x"), RuntimeError("a defect")])
def test_a_reading_that_failed_holds_no_later_one_back(
    db: Database, tenant: Tenant, error: Exception
) -> None:
    for key in ("one", "two"):
        put(db, tenant, key)
    kept: list[object] = []
    with pytest.raises(type(error)), db.read(tenant) as tx:
        rows = tx.stream(tx.select(tags.c.key))
        next(rows)
        if isinstance(error, RuntimeError):
            kept.append(rows)  # as a traceback does that somebody holds on to
        else:
            del rows
        raise error
    put(db, tenant, "three")
    with db.read(tenant) as tx:
        assert built(tx) == {"one", "two", "three"}


def test_what_the_driver_refuses_is_a_sentence_of_ours(db: Database, tenant: Tenant) -> None:
    with pytest.raises(StorageError, match="refused"), db.read(tenant) as tx:
        cursor = tx._source.cursor()
        cursor.execute("DROP TABLE tags")
        tx.fetch(_VALUES, arn="a")
    with db.read(tenant) as tx:
        assert prepared(tx) == set()


def test_a_database_that_was_closed_can_be_read_again(db: Database, tenant: Tenant) -> None:
    put(db, tenant, "one")
    with db.read(tenant) as tx:
        assert prepared(tx) == {"one"}
    db.close()
    with db.read(tenant) as tx:
        assert prepared(tx) == {"one"}


def test_writers_take_turns_and_one_that_writes_already_is_told(
    db: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once([partial(put, db, tenant, str(n)) for n in range(20)])
    with db.read(tenant) as tx:
        assert len(prepared(tx)) == 20
    monkeypatch.setattr("auditkeep.db.dialect.BUSY_TIMEOUT_MS", 10)
    with db.write(tenant), pytest.raises(Contended, match="busy"), db.write(tenant):
        pass
    put(db, tenant, "afterwards")
