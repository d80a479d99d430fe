"""How SQLite finds rows: what an index names more of is not searched for through all of a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select
from tests.databases import opened

from auditkeep.clock import Day
from auditkeep.db import planning
from auditkeep.db.schema import batches, delegations, lens_intervals, metadata, rollups
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant

T = Tenant("111122223333", "us-east-1")


def plan(tx: Tx, statement: Select[Any]) -> str:
    in_full = {"render_postcompile": True}
    query = str(statement.compile(dialect=tx.driver().dialect, compile_kwargs=in_full))
    values = tuple(1 for _ in range(query.count("?")))
    rows = tx.driver().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)
    return " / ".join(row.detail for row in rows)


def rolled(tx: Tx, keys: int) -> Select[Any]:
    t = rollups.c
    chosen = t.match_key.in_([str(n) for n in range(keys)])
    return tx.select(t["items"]).where(chosen, t.day >= Day(1), t.day <= Day(9))


@pytest.mark.parametrize(
    ("statement", "how"),
    [
        (lambda tx: rolled(tx, 1), "INDEX rollups_key (account=? AND region=? AND match_key=?"),
        (lambda tx: rolled(tx, 16), "INDEX rollups_key (account=? AND region=? AND match_key=?"),
        (lambda tx: rolled(tx, 500), "PRIMARY KEY (account=? AND region=? AND day>? AND day<?)"),
        (
            lambda tx: (
                tx.select(batches.c.root)
                .where(batches.c.segment_id.is_(None), batches.c.min_time < 1)
                .order_by(batches.c.batch_no)
            ),
            "INDEX batches_segment (account=? AND region=? AND segment_id=?)",
        ),
        (
            lambda tx: tx.select(batches.c.root).where(batches.c.batch_no.in_([1, 2])),
            "PRIMARY KEY (account=? AND region=? AND batch_no=?)",
        ),
        (
            lambda tx: tx.select(delegations.c.status).where(delegations.c.assessment_id == "1"),
            "INDEX delegations_assessment (account=? AND region=? AND assessment_id=?)",
        ),
        (
            lambda tx: tx.select(lens_intervals.c.match_keys).where(
                lens_intervals.c.assessment_id == "1"
            ),
            "PRIMARY KEY (account=? AND region=? AND assessment_id=?)",
        ),
    ],
    ids=["one key", "some keys", "many keys", "tail", "batch", "delegations", "lenses"],
)
def test_rows_are_found_by_what_names_most_of_them(
    tmp_path: Path, statement: Any, how: str
) -> None:
    db = opened(f"sqlite:///{tmp_path / 'audit.db'}")
    try:
        with db.read(T) as tx:
            assert how in plan(tx, statement(tx))
    finally:
        db.close()


def test_statistics_are_of_tables_and_indexes_that_there_are() -> None:
    for name, indexes in planning.STATISTICS.items():
        table = metadata.tables[name]
        columns = {str(i.name): len(i.columns) for i in table.indexes}
        columns[name] = len(table.primary_key.columns)
        assert {index: len(shared) for index, shared in indexes.items()} == columns
        for shared in indexes.values():
            assert list(shared) == sorted(shared, reverse=True)
