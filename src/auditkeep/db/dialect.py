"""The one place where SQLite and PostgreSQL differ.

SQLite: WAL, `synchronous=FULL`, writers begin with BEGIN IMMEDIATE, so that a write transaction
never has to upgrade and fail. PostgreSQL: REPEATABLE READ for reads (one snapshot), READ
COMMITTED for writes, which order themselves by locking the tenant's row.
"""

import sqlite3
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Insert, Select, Table, create_engine, event, func, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from auditkeep.errors import AuditkeepError, Contended, SetupError, StorageError, StorageFull

_UNDONE = frozenset({"40001", "40P01"})
"""PostgreSQL's states of a transaction that could not be put in order, or stood in a deadlock."""
BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another one before it gives up."""


BEGUN = {"auditkeep_begun": True}
"""Execution options of a connection on which the driver itself has begun."""


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///PATH` or `postgresql+psycopg://…`; SetupError for any other."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url)
    if backend == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_size=12)
    raise SetupError(f"The database must be sqlite or postgresql, not '{backend}'.")


def _sqlite(url: str) -> Engine:
    engine = create_engine(
        url,
        pool_size=12,
        max_overflow=-1,  # threads that read keep a connection each
        connect_args={
            "check_same_thread": False,
            "isolation_level": None,
            "timeout": BUSY_TIMEOUT_MS / 1000,
        },
    )

    @event.listens_for(engine, "connect")
    def _configure(dbapi_connection: Any, _record: object) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-16000")
        # 16 MiB of log between checkpoints: an ingest writes the same pages again and again.
        cursor.execute("PRAGMA wal_autocheckpoint=4000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("auditkeep_begun"):
            return
        write = options.get("auditkeep_write", False)
        statement = "BEGIN IMMEDIATE" if write else "BEGIN"
        try:  # the driver's own call: every request passes here
            connection.connection.cursor().execute(statement)
        except sqlite3.Error as error:
            raise DBAPIError(statement, None, error) from error

    return engine


def begin(connection: Connection, *, write: bool) -> Connection:
    """Set what the coming transaction is for, before its first statement."""
    if connection.dialect.name == "postgresql":
        level = "READ COMMITTED" if write else "REPEATABLE READ"
        return connection.execution_options(isolation_level=level)
    return connection.execution_options(auditkeep_write=write)


def lock(connection: Connection, name: str) -> None:
    """Hold `name` to the end of the transaction, on PostgreSQL."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
    )


def go_on_counting(connection: Connection, table: str, column: str) -> None:
    """Have a column's own numbers begin behind the largest there is, on PostgreSQL."""
    connection.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), "
            f"coalesce(max({column}), 0) + 1, false) FROM {table}"
        )
    )


def skip_locked(statement: Select[Any]) -> Select[Any]:
    """Lock the rows found, passing over those that others hold; SQLite has one writer anyway."""
    return statement.with_for_update(skip_locked=True)


class Merge(NamedTuple):
    """What becomes of a row whose key exists: columns replaced, added to, kept at their extreme.

    Without any column named it stays as it is.
    """

    replace: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    largest: tuple[str, ...] = ()
    smallest: tuple[str, ...] = ()


def merging(*, postgres: bool, table: Table, merge: Merge) -> Insert:
    """INSERT by primary key that merges with the rows there are."""
    insert = postgresql.insert(table) if postgres else sqlite.insert(table)
    greatest, least = (func.greatest, func.least) if postgres else (func.max, func.min)
    new = insert.excluded
    changes: dict[str, Any] = {c: new[c] for c in merge.replace}
    changes |= {c: table.c[c] + new[c] for c in merge.add}
    changes |= {c: greatest(table.c[c], new[c]) for c in merge.largest}
    changes |= {c: least(table.c[c], new[c]) for c in merge.smallest}
    key = [c.name for c in table.primary_key.columns]
    if changes:
        return insert.on_conflict_do_update(index_elements=key, set_=changes)
    return insert.on_conflict_do_nothing(index_elements=key)


def explain(error: DBAPIError) -> AuditkeepError:
    """A driver's exception as ours; told apart: a full disk, and what may be tried again."""
    words = str(error.orig).lower()
    if "disk is full" in words or "no space left" in words or "could not extend file" in words:
        return StorageFull("The disk that holds the database is full; nothing was written.")
    if getattr(error.orig, "sqlstate", None) in _UNDONE:
        return Contended("Two changes waited for each other, and the database undid this one.")
    if "locked" in words or "busy" in words:
        return stayed_busy()
    return StorageError(f"The database refused: {error.orig}")


def stayed_busy() -> Contended:
    """Of a writer that has waited for others as long as one may."""
    return Contended("The database stayed busy for too long; try again.", again=False)
