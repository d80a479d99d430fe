"""Every row of the database as plain values, and back: what a backup is made of.

Rows are read and written as they lie there: what is sealed stays sealed, and no key is asked for.
Both databases give the same values for the same rows, so that what one gave the other takes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Boolean, Table, column, select

from auditkeep.db import dialect
from auditkeep.db.schema import log_entries, meta, metadata
from auditkeep.db.tx import SystemTx

AT_ONCE = 1_000
"""Rows in memory."""


def tables() -> list[Table]:
    """Every table, in an order that does not change."""
    return sorted(metadata.sorted_tables, key=lambda table: str(table.name))


def columns(table: Table) -> list[str]:
    return [str(c.name) for c in table.c]


def rows(tx: SystemTx, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """All rows of a table, some at a time; those of the log in the order they were appended in."""
    # columns without a type: neither opened nor converted
    named: list[Any] = [column(name) for name in columns(table)]
    query = select(*named).select_from(table)
    if table is log_entries:
        query = query.order_by(column("position"))
    flags = [at for at, c in enumerate(table.c) if isinstance(c.type, Boolean)]
    found = tx.driver().execute(query.execution_options(yield_per=AT_ONCE))
    for part in found.partitions():
        yield [_plain(row, flags) for row in part]


def load(tx: SystemTx, table: Table, names: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
    """Put rows back, into tables that are empty."""
    tx.run(tx.inserting(table), [dict(zip(names, row, strict=True)) for row in values])


def loaded(tx: SystemTx) -> None:
    """After all rows: numbers that the database gives go on behind those that are there."""
    if tx.postgres:
        for table in tables():
            counter = table.autoincrement_column
            if counter is not None:
                dialect.go_on_counting(tx.driver(), str(table.name), str(counter.name))


def is_empty(tx: SystemTx) -> bool:
    """Whether nothing was ever kept in this database."""
    return tx.first(tx.select(meta.c.key).limit(1)) is None


def _plain(row: Any, flags: Sequence[int]) -> tuple[Any, ...]:
    values = list(row)
    for at in flags:  # SQLite has numbers for them
        values[at] = None if values[at] is None else bool(values[at])
    return tuple(values)
