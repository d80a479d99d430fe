"""Prepared statements: for the few that stand in the path of nearly every request.

SQLAlchemy builds a statement anew for each execution, which costs more than running it. These are
written once, compiled once for each dialect, and run by the driver itself; they are held to the
tenant as every statement of a `Tx` is, and can be run through `Tx.fetch` and `Tx.change` only.
Values that differ are `bindparam`s, given by name when it is run.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Insert, Table, and_, bindparam, select, update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from auditkeep.db import schema
from auditkeep.db.connections import Source
from auditkeep.db.fields import Open, Sealed, opening
from auditkeep.errors import StorageError


class _Compiled:
    """One statement in the words of one dialect."""

    def __init__(self, statement: Any, columns: Sequence[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self.fixed: Mapping[str, Any] = compiled.params
        self.order: Sequence[str] | None = compiled.positiontup
        processors = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        self.processors = processors if any(processors) else None

    def run(
        self, source: Source, values: Mapping[str, Any], *, rows: bool
    ) -> tuple[Sequence[Any], int]:
        """Its rows, if it has any, and how many it touched; DBAPIError as SQLAlchemy raises it."""
        given = {**self.fixed, **values}
        parameters = given if self.order is None else [given[name] for name in self.order]
        cursor = source.cursor()
        try:
            cursor.execute(self.sql, parameters)
            return cursor.fetchall() if rows else (), cursor.rowcount
        except source.dialect.loaded_dbapi.Error as error:
            raise DBAPIError(self.sql, None, error) from error
        finally:
            cursor.close()


class _Prepared:
    """A statement, and what it came to in each dialect that it was run in."""

    def __init__(self, statement: Any, columns: Sequence[Any]) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def _in(self, dialect: Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            # Two threads may compile it at once; they come to the same.
            compiled = _Compiled(self._statement, self._columns, dialect)
            self._compiled[dialect.name] = compiled
        return compiled


class Rows:
    """An INSERT of rows that name the same columns, compiled once for each dialect.

    The rows carry their owner; whoever makes the statement sees to that.
    """

    def __init__(self, statement: Insert, columns: Sequence[str]) -> None:
        self._statement = statement
        self._columns = list(columns)
        self._compiled: dict[str, tuple[str, Sequence[str] | None] | None] = {}

    def run(self, source: Source, rows: Sequence[Mapping[str, Any]]) -> None:
        dialect = source.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._in(dialect)
        compiled = self._compiled[dialect.name]
        if compiled is None:
            source.connection.execute(self._statement, [dict(row) for row in rows])
            return
        sql, order = compiled
        given: list[Any] = (
            [dict(row) for row in rows]
            if order is None
            else [[row[name] for name in order] for row in rows]
        )
        cursor = source.cursor()
        try:
            if len(given) == 1:
                cursor.execute(sql, given[0])
            else:
                cursor.executemany(sql, given)
        except dialect.loaded_dbapi.Error as error:
            raise DBAPIError(sql, None, error) from error
        finally:
            cursor.close()

    def _in(self, dialect: Dialect) -> tuple[str, Sequence[str] | None] | None:
        """SQL and the order of its parameters; None where SQLAlchemy has to fill something in."""
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
        if compiled.insert_prefetch or set(compiled.params) - set(self._columns):
            return None
        return str(compiled), compiled.positiontup


class Prepared(_Prepared):
    """SELECT `columns` of the tenant's rows where all conditions hold, up to `limit` if limited."""

    def __init__(
        self,
        *columns: Any,
        where: Sequence[Any] = (),
        order_by: Sequence[Any] = (),
        limited: bool = False,
    ) -> None:
        self._opening = opening(columns, owned=True)
        hidden = () if self._opening is None else self._opening.hidden
        statement = select(*columns, *hidden)
        for table in statement.columns_clause_froms:
            statement = statement.where(_owned(table))
        statement = statement.where(*where).order_by(*order_by)
        if limited:
            statement = statement.limit(bindparam("limit"))
        selected = list(statement.selected_columns)
        shown = selected[: len(selected) - len(hidden)]
        names = [str(c.key) for c in shown]
        self._row: Callable[..., Any] = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024
        super().__init__(statement, selected)

    def run(
        self, source: Source, values: Mapping[str, Any], owner: tuple[object, ...], open_: Open
    ) -> list[Any]:
        """The rows of `owner`, as named tuples; `open_` opens what is sealed in them."""
        compiled = self._in(source.dialect)
        rows, _ = compiled.run(source, values, rows=True)
        if compiled.processors is not None:
            rows = [_processed(compiled.processors, row) for row in rows]
        if self._opening is not None:
            rows = [self._opening.row(row, owner, open_) for row in rows]
        return [self._row(*row) for row in rows]


class PreparedChange(_Prepared):
    """UPDATE the tenant's rows where all conditions hold; `values` are columns' new expressions."""

    def __init__(self, table: Table, *, where: Sequence[Any], values: Mapping[str, Any]) -> None:
        if any(isinstance(table.c[name].type, Sealed) for name in values):
            raise StorageError("What is sealed is changed by `Tx.set`, which knows its row.")
        super().__init__(update(table).where(_owned(table), *where).values(**values), ())

    def run(self, source: Source, values: Mapping[str, Any]) -> int:
        """How many rows there were."""
        return self._in(source.dialect).run(source, values, rows=False)[1]


def _owned(table: Any) -> ColumnElement[bool]:
    if not isinstance(table, Table) or table.name not in schema.TENANT_TABLES:
        raise StorageError(f"A prepared statement is about tenants' own tables, not '{table}'.")
    mine: ColumnElement[bool] = and_(
        table.c.account == bindparam("_account"), table.c.region == bindparam("_region")
    )
    return mine


def _processed(processors: Sequence[Any], row: Sequence[Any]) -> list[Any]:
    return [
        value if process is None else process(value)
        for process, value in zip(processors, row, strict=True)
    ]
