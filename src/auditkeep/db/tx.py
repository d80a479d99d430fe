"""Transactions that know their tenant.

`Tx` builds every statement itself and adds the tenant to it, so that a query without one cannot
be written. `SystemTx` reaches the deployment's own tables. Stores take one and never commit.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    CursorResult,
    Delete,
    Insert,
    Row,
    Select,
    Table,
    Update,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.sql.base import Executable

from auditkeep.db import dialect, schema
from auditkeep.db.connections import Source
from auditkeep.db.prepared import Prepared, PreparedChange, Rows
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant

_log = logging.getLogger("auditkeep.db")


class _Handle:
    """What both kinds of transaction share: running statements and what follows a commit."""

    def __init__(self, source: Source, *, writable: bool) -> None:
        self._source = source
        self._writable = writable
        self._after: list[Callable[[], None]] = []

    @property
    def _connection(self) -> Connection:
        return self._source.connection

    @property
    def writable(self) -> bool:
        return self._writable

    def require_writable(self) -> None:
        """StorageError in a transaction that was opened for reading."""
        if not self._writable:
            raise StorageError("This transaction was opened for reading.")

    @property
    def postgres(self) -> bool:
        return self._source.dialect.name == "postgresql"

    def all(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        return self._connection.execute(statement).all()

    def stream(self, statement: Select[Any]) -> Iterator[Row[Any]]:
        """Rows as they come, for results that must not be held whole."""
        # an option of the statement: the connection would keep it for all that follow
        yield from self._connection.execute(statement.execution_options(stream_results=True))

    def first(self, statement: Select[Any]) -> Row[Any] | None:
        return self._connection.execute(statement).first()

    def scalar(self, statement: Executable) -> Any:
        """The first column of the first row: of a SELECT, or of what a write returns."""
        return self._connection.execute(statement).scalar()

    def run(self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> int:
        """Run a write; the number of rows it touched."""
        self.require_writable()
        result: CursorResult[Any] = (
            self._connection.execute(statement)
            if rows is None
            else self._connection.execute(statement, [dict(r) for r in rows])
        )
        return result.rowcount

    def lock(self, name: str) -> None:
        """Hold `name` until this transaction ends; whoever asks for it too waits."""
        if self.postgres:  # on SQLite every writer is alone already
            dialect.lock(self._connection, name)

    def driver(self) -> Connection:
        """The connection itself, for the lake's bulk paths; they name the tenant themselves."""
        return self._connection

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once this transaction is durable; never when it is not."""
        self._after.append(action)

    def run_after_commit(self) -> None:
        """Run them all: what was committed is answered as done, whatever one of them meets."""
        for action in self._after:
            try:
                action()
            except Exception:  # noqa: BLE001  # nobody above could undo the commit
                _log.exception("What was to follow a commit failed.")


class Tx(_Handle):
    """One tenant's transaction: statements see and write that tenant's rows only."""

    def __init__(self, source: Source, tenant: Tenant, *, writable: bool) -> None:
        super().__init__(source, writable=writable)
        self.tenant = tenant
        self._locked = False

    def mine(self, table: Table) -> Any:
        """The condition that a row of `table` is the tenant's."""
        _require_owned(table)
        return and_(table.c.account == self.tenant.account, table.c.region == self.tenant.region)

    def select(self, *columns: Any) -> Select[Any]:
        """SELECT over columns or tables, held to the tenant in every table it names.

        StorageError where no column names one, as `count()` does not: it would see every tenant.
        """
        statement = select(*columns)
        tables = statement.columns_clause_froms
        if not tables:
            raise StorageError("A tenant's query names the columns that it is about.")
        for table in tables:
            for part in _tables(table):
                statement = statement.where(self.mine(part))
        return statement

    def fetch(self, query: Prepared, **values: Any) -> list[Any]:
        """The tenant's rows that a prepared query finds, as named tuples."""
        owner = {"_account": self.tenant.account, "_region": self.tenant.region}
        return query.run(self._source, {**owner, **values})

    def change(self, statement: PreparedChange, **values: Any) -> int:
        """Run a prepared UPDATE of the tenant's rows; the number of rows it touched."""
        self.require_writable()
        owner = {"_account": self.tenant.account, "_region": self.tenant.region}
        return statement.run(self._source, {**owner, **values})

    def insert(self, table: Table, *rows: Mapping[str, Any]) -> None:
        _require_owned(table)
        self.require_writable()
        if rows:
            owned = [self._owned(r) for r in rows]
            _inserting(table, tuple(owned[0])).run(self._source, owned)

    def upsert(
        self,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        *,
        replace: Sequence[str] = (),
        add: Sequence[str] = (),
        largest: Sequence[str] = (),
        smallest: Sequence[str] = (),
    ) -> None:
        """Insert or merge by primary key, see `dialect.merging`."""
        _require_owned(table)
        self.require_writable()
        if rows:
            owned = [self._owned(r) for r in rows]
            merge = dialect.Merge(tuple(replace), tuple(add), tuple(largest), tuple(smallest))
            _merging(self.postgres, table, merge, tuple(owned[0])).run(self._source, owned)

    def update(self, table: Table) -> Update:
        return update(table).where(self.mine(table))

    def delete(self, table: Table) -> Delete:
        return delete(table).where(self.mine(table))

    def system(self) -> "SystemTx":
        """The same transaction, for the deployment's own tables."""
        tx = SystemTx(self._source, writable=self._writable)
        tx._after = self._after
        return tx

    def lock_tenant(self) -> None:
        """Order appends and other writers of this tenant (PostgreSQL; SQLite has one writer)."""
        if not self._locked:
            self.lock(f"tenant/{self.tenant.account}/{self.tenant.region}")
            self._locked = True

    def _owned(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, "account": self.tenant.account, "region": self.tenant.region}


class SystemTx(_Handle):
    """The deployment's own transaction: keys, jobs, the log; and work over all tenants."""

    def select(self, *columns: Any) -> Select[Any]:
        return select(*columns)

    def insert(self, table: Table, *rows: Mapping[str, Any]) -> None:
        self.require_writable()
        if rows:
            _inserting(table, tuple(rows[0])).run(self._source, rows)

    def inserting(self, table: Table) -> Insert:
        return insert(table)

    def upsert(
        self, table: Table, rows: Sequence[Mapping[str, Any]], *, replace: Sequence[str] = ()
    ) -> None:
        self.require_writable()
        if rows:
            merge = dialect.Merge(tuple(replace))
            _merging(self.postgres, table, merge, tuple(rows[0])).run(self._source, rows)

    def update(self, table: Table) -> Update:
        return update(table)

    def delete(self, table: Table) -> Delete:
        return delete(table)

    def of(self, tenant: Tenant) -> Tx:
        """The same transaction, seen as one tenant's."""
        tx = Tx(self._source, tenant, writable=self._writable)
        tx._after = self._after
        return tx


def _require_owned(table: Table) -> None:
    if table.name not in schema.TENANT_TABLES:
        raise StorageError(f"Table '{table.name}' belongs to the deployment, not to a tenant.")


@cache
def _inserting(table: Table, columns: tuple[str, ...]) -> Rows:
    """Built once: there are few tables, and to build a statement costs more than to run it."""
    return Rows(insert(table), columns)


@cache
def _merging(postgres: bool, table: Table, merge: dialect.Merge, columns: tuple[str, ...]) -> Rows:
    return Rows(dialect.merging(postgres=postgres, table=table, merge=merge), columns)


def _tables(part: Any) -> Iterator[Table]:
    if isinstance(part, Table):
        yield part
    elif hasattr(part, "left"):
        yield from _tables(part.left)
        yield from _tables(part.right)
