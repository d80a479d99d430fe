"""Transactions that know their tenant.

`Tx` builds every statement itself and adds the tenant to it, so that a query without one cannot
be written. `SystemTx` reaches the deployment's own tables. Stores take one and never commit.

What is sealed (`db.fields`) is sealed and opened here: stores see text. Rows are therefore written
by `insert` and `upsert`, and a row that is there by `set`, which names its whole key.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import (
    Column,
    ColumnElement,
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
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.base import Executable

from auditkeep.crypto.aead import new_nonce
from auditkeep.crypto.fields import DEPLOYMENT, DIGEST_SIZE, FieldCipher, bound_to, digest, ref_of
from auditkeep.db import dialect, schema
from auditkeep.db.connections import Source
from auditkeep.db.fields import Binding, Opening, binding, opening
from auditkeep.db.prepared import Prepared, PreparedChange, Rows
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant

_log = logging.getLogger("auditkeep.db")
_OPENING = "auditkeep_opening"
"""The execution option of a query that says how its rows are opened."""


class FieldKeys(NamedTuple):
    """What a tenant's fields are written with."""

    ref: bytes
    """Of the bucket that seals what is written now."""
    digests: bytes
    """The key of digests, which stays the same for as long as the tenant has any."""


class Sealer(Protocol):
    """Who knows the keys of sealed fields. Safe to share between threads."""

    def keys(self, tx: "Tx", *, make: bool) -> FieldKeys | None:
        """The tenant's keys; None when it has none yet, and none are to be made."""
        ...

    def veil(self, tenant: Tenant, text: str) -> str:
        """A name that stands for `text`, and that nobody can make without the key."""
        ...

    def cipher(self, tenant: Tenant | None, ref: bytes, table: str) -> FieldCipher:
        """The cipher of a tenant's table, or of a table of the deployment's own.

        KeyUnusable when its key is destroyed, out of reach, or not ours.
        """
        ...


class Fields:
    """Sealed fields in one transaction: each key is asked for once."""

    __slots__ = ("_ciphers", "_keys", "_sealer")

    def __init__(self, sealer: Sealer | None) -> None:
        self._sealer = sealer
        self._keys: dict[Tenant, FieldKeys] = {}
        self._ciphers: dict[tuple[bytes, str], FieldCipher] = {}

    def keys(self, tx: "Tx", *, make: bool) -> FieldKeys | None:
        known = self._keys.get(tx.tenant)
        if known is None:
            known = self._held().keys(tx, make=make)
            if known is not None:
                self._keys[tx.tenant] = known
        return known

    def cipher(self, tenant: Tenant | None, ref: bytes, table: str) -> FieldCipher:
        known = self._ciphers.get((ref, table))
        if known is None:
            known = self._ciphers[ref, table] = self._held().cipher(tenant, ref, table)
        return known

    def open(self, table: str, column: str, key: tuple[object, ...], field: bytes) -> str:
        """The text of a sealed field that stands in the row of `key`."""
        ref = ref_of(field)
        tenant = None
        if ref != DEPLOYMENT:
            account, region, *_ = key
            tenant = Tenant(str(account), str(region))
        return self.cipher(tenant, ref, table).open(field, bound_to(table, column, key))

    def veil(self, tenant: Tenant, text: str) -> str:
        return self._held().veil(tenant, text)

    def forget(self) -> None:
        """Ask for all keys anew: some were destroyed, or are about to be."""
        self._keys.clear()
        self._ciphers.clear()

    def _held(self) -> Sealer:
        if self._sealer is None:
            raise StorageError("This database was opened without the keys of its sealed fields.")
        return self._sealer


class _Handle:
    """What both kinds of transaction share: running statements and what follows a commit."""

    def __init__(self, source: Source, fields: Fields, *, writable: bool) -> None:
        self._source = source
        self._fields = fields
        self._writable = writable
        self._after: list[Callable[[], None]] = []
        self._owner: tuple[object, ...] = ()

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
        found = self._connection.execute(statement).all()
        plan = statement.get_execution_options().get(_OPENING)
        return found if plan is None else self._opened(plan, found).all()

    def stream(self, statement: Select[Any]) -> Iterator[Row[Any]]:
        """Rows as they come, for results that must not be held whole."""
        # an option of the statement: the connection would keep it for all that follow
        found = self._connection.execute(statement.execution_options(stream_results=True))
        plan = statement.get_execution_options().get(_OPENING)
        yield from found if plan is None else self._opened(plan, found)

    def first(self, statement: Select[Any]) -> Row[Any] | None:
        found = self._connection.execute(statement).first()
        plan = statement.get_execution_options().get(_OPENING)
        return found if plan is None or found is None else self._opened(plan, [found]).one()

    def scalar(self, statement: Executable) -> Any:
        """The first column of the first row: of a SELECT, or of what a write returns."""
        if isinstance(statement, Select) and _OPENING in statement.get_execution_options():
            row = self.first(statement)
            return None if row is None else row[0]
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

    def _opened(self, plan: Opening, rows: Iterable[Row[Any]]) -> IteratorResult[Any]:
        """The rows of a query with what is sealed in them in clear."""
        owner, open_ = self._owner, self._fields.open
        clear = (tuple(plan.row(row, owner, open_)) for row in rows)
        return IteratorResult(SimpleResultMetaData(plan.names), clear)

    def forget_field_keys(self) -> None:
        """Say that keys of sealed fields are being destroyed in this transaction."""
        self._fields.forget()

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

    def __init__(
        self, source: Source, tenant: Tenant, fields: Fields | None = None, *, writable: bool
    ) -> None:
        super().__init__(source, fields or Fields(None), writable=writable)
        self.tenant = tenant
        self._owner = (tenant.account, tenant.region)
        self._locked = False

    def mine(self, table: Table) -> Any:
        """The condition that a row of `table` is the tenant's."""
        return _mine(table, self.tenant)

    def select(self, *columns: Any) -> Select[Any]:
        """SELECT over columns or tables, held to the tenant in every table it names.

        StorageError where no column names one, as `count()` does not: it would see every tenant.
        """
        statement = _selecting(columns, owned=True)
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
        return query.run(self._source, {**owner, **values}, self._owner, self._fields.open)

    def change(self, statement: PreparedChange, **values: Any) -> int:
        """Run a prepared UPDATE of the tenant's rows; the number of rows it touched."""
        self.require_writable()
        owner = {"_account": self.tenant.account, "_region": self.tenant.region}
        return statement.run(self._source, {**owner, **values})

    def insert(self, table: Table, *rows: Mapping[str, Any]) -> None:
        _require_owned(table)
        self.require_writable()
        if rows:
            owned = self._written(table, rows)
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
            owned = self._written(table, rows)
            merge = dialect.Merge(tuple(replace), tuple(add), tuple(largest), tuple(smallest))
            _merging(self.postgres, table, merge, tuple(owned[0])).run(self._source, owned)

    def update(self, table: Table) -> Update:
        return update(table).where(self.mine(table))

    def set(self, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Give the one row of `key`, its whole key, new values; how many rows there were."""
        owned = {"account": self.tenant.account, "region": self.tenant.region, **key}
        _require_whole(table, owned)
        change = self.update(table).where(*_equal(table, key))
        return self.run(change.values(**self._sealed(table, owned, values)))

    def digest(self, column: Column[Any], text: str) -> bytes:
        """What a digest column holds for `text`: to look for it by."""
        keys = self._fields.keys(self, make=False)
        if keys is None:  # a tenant that has written nothing yet: nothing is found
            return bytes(DIGEST_SIZE)
        return digest(keys.digests, str(column.table.name), str(column.name), text)

    def veiled(self, text: str) -> str:
        """A name for what bears people's words, where only its like is ever looked for."""
        return self._fields.veil(self.tenant, text)

    def delete(self, table: Table) -> Delete:
        return delete(table).where(self.mine(table))

    def system(self) -> "SystemTx":
        """The same transaction, for the deployment's own tables."""
        tx = SystemTx(self._source, self._fields, writable=self._writable)
        tx._after = self._after
        return tx

    def field_bucket(self) -> bytes:
        """Names the bucket, under the deployment's own key, that seals this tenant's fields now."""
        keys = self._fields.keys(self, make=True)
        if keys is None:
            raise StorageError("There is no key to seal this tenant's fields with.")
        return keys.ref

    def require_field_keys(self) -> None:
        """KeyNotAtHand, or whatever else keeps from sealing fields of this tenant, now."""
        keys = self._fields.keys(self, make=True)
        if keys is not None:
            self._fields.cipher(self.tenant, keys.ref, schema.tenants.name)

    def lock_tenant(self) -> None:
        """Order appends and other writers of this tenant (PostgreSQL; SQLite has one writer)."""
        if not self._locked:
            self.lock(f"tenant/{self.tenant.account}/{self.tenant.region}")
            self._locked = True

    def _written(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows as they are kept: the tenant's, and sealed."""
        account, region = self.tenant.account, self.tenant.region
        owned = [{**row, "account": account, "region": region} for row in rows]
        bound = binding(table)
        if bound is None:
            return owned
        return [self._sealed(table, row, row) for row in owned]

    def _sealed(
        self, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """`values` of the row of `key`, as they are kept."""
        bound = binding(table)
        if bound is None:
            return dict(values)
        empty = {name: None for name, of in bound.digests if of in values}
        if all(values.get(name) is None for name in bound.sealed):
            return {**values, **empty}
        keys = self._fields.keys(self, make=True)
        if keys is None:
            raise StorageError("There is no key to seal this tenant's fields with.")
        digests = {
            name: digest(keys.digests, bound.table, name, values[of])
            for name, of in bound.digests
            if values.get(of) is not None
        }
        cipher = self._fields.cipher(self.tenant, keys.ref, bound.table)
        return _seal(cipher, bound, {**key, **digests}, {**values, **empty, **digests})


class SystemTx(_Handle):
    """The deployment's own transaction: keys, jobs, the log; and work over all tenants."""

    def select(self, *columns: Any) -> Select[Any]:
        return _selecting(columns, owned=False)

    def insert(self, table: Table, *rows: Mapping[str, Any]) -> None:
        self.require_writable()
        if rows:
            kept = [self._sealed(table, row, row) for row in rows]
            _inserting(table, tuple(kept[0])).run(self._source, kept)

    def inserting(self, table: Table) -> Insert:
        return insert(table)

    def set(self, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Give the one row of `key`, its whole key, new values; how many rows there were."""
        _require_whole(table, key)
        change = update(table).where(*_equal(table, key))
        return self.run(change.values(**self._sealed(table, key, values)))

    def upsert(
        self, table: Table, rows: Sequence[Mapping[str, Any]], *, replace: Sequence[str] = ()
    ) -> None:
        self.require_writable()
        if rows:
            kept = [self._sealed(table, row, row) for row in rows]
            merge = dialect.Merge(tuple(replace))
            _merging(self.postgres, table, merge, tuple(kept[0])).run(self._source, kept)

    def update(self, table: Table) -> Update:
        return update(table)

    def delete(self, table: Table) -> Delete:
        return delete(table)

    def of(self, tenant: Tenant) -> Tx:
        """The same transaction, seen as one tenant's."""
        tx = Tx(self._source, tenant, self._fields, writable=self._writable)
        tx._after = self._after
        return tx

    def _sealed(
        self, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        bound = binding(table)
        if bound is None:
            return values
        if table.name in schema.TENANT_TABLES or bound.digests:
            raise StorageError(f"Rows of '{table.name}' are written through their tenant's own.")
        return _seal(self._fields.cipher(None, DEPLOYMENT, bound.table), bound, key, values)


def _selecting(columns: Sequence[Any], *, owned: bool) -> Select[Any]:
    plan = opening(columns, owned=owned)
    if plan is None:
        return select(*columns)
    return select(*columns, *plan.hidden).execution_options(**{_OPENING: plan})


def _require_whole(table: Table, key: Mapping[str, Any]) -> None:
    if not {c.name for c in table.primary_key.columns} <= key.keys():
        raise StorageError(f"A row of '{table.name}' is set by its whole key.")


def _equal(table: Table, key: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]


def _seal(
    cipher: FieldCipher, bound: Binding, key: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    row = tuple(key[name] for name in bound.key)
    kept = dict(values)
    for name in bound.sealed & values.keys():
        text = values[name]
        if text is not None:
            place = bound_to(bound.table, name, row)
            kept[name] = cipher.seal(text, new_nonce(), place)
    return kept


def _require_owned(table: Table) -> None:
    if table.name not in schema.TENANT_TABLES:
        raise StorageError(f"Table '{table.name}' belongs to the deployment, not to a tenant.")


@lru_cache(maxsize=4096)
def _mine(table: Table, tenant: Tenant) -> ColumnElement[bool]:
    """Built once for a tenant who asks again: it is in every statement."""
    _require_owned(table)
    return and_(table.c.account == tenant.account, table.c.region == tenant.region)


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
