"""Prepared queries: for the few reads that stand in the path of nearly every request.

SQLAlchemy builds a statement anew for each execution, which costs more than running it. A
`Prepared` is written once, compiled once for each dialect, and run by the driver itself; it is
held to the tenant as every query of a `Tx` is, and can be run through `Tx.fetch` only. Values
that differ are `bindparam`s, given by name when it is run.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, and_, bindparam, select
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from auditkeep.db import schema
from auditkeep.db.connections import Source
from auditkeep.errors import StorageError


class _Compiled:
    """One query in the words of one dialect."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self.fixed: Mapping[str, Any] = compiled.params
        self.order: Sequence[str] | None = compiled.positiontup
        processors = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.selected_columns
        ]
        self.processors = processors if any(processors) else None


class Prepared:
    """SELECT `columns` of the tenant's rows, where all of `conditions` hold."""

    def __init__(
        self, *columns: Any, where: Sequence[Any] = (), order_by: Sequence[Any] = ()
    ) -> None:
        statement = select(*columns)
        for table in statement.columns_clause_froms:
            if not isinstance(table, Table) or table.name not in schema.TENANT_TABLES:
                raise StorageError(f"A prepared query reads tenants' own tables, not '{table}'.")
            statement = statement.where(
                and_(
                    table.c.account == bindparam("_account"), table.c.region == bindparam("_region")
                )
            )
        self._statement = statement.where(*where).order_by(*order_by)
        names = [str(c.key) for c in self._statement.selected_columns]
        self._row: Callable[..., Any] = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024
        self._compiled: dict[str, _Compiled] = {}

    def run(self, source: Source, values: Mapping[str, Any]) -> list[Any]:
        """The rows, as named tuples; DBAPIError as the other queries of a transaction raise it."""
        dialect = source.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            # Two threads may compile it at once; they come to the same.
            compiled = self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        given = {**compiled.fixed, **values}
        names = compiled.order
        parameters = given if names is None else [given[name] for name in names]
        cursor = source.cursor()
        try:
            cursor.execute(compiled.sql, parameters)
            rows = cursor.fetchall()
        except dialect.loaded_dbapi.Error as error:
            raise DBAPIError(compiled.sql, None, error) from error
        finally:
            cursor.close()
        if compiled.processors is None:
            return [self._row(*row) for row in rows]
        return [self._row(*_processed(compiled.processors, row)) for row in rows]


def _processed(processors: Sequence[Any], row: Sequence[Any]) -> list[Any]:
    return [
        value if process is None else process(value)
        for process, value in zip(processors, row, strict=True)
    ]
