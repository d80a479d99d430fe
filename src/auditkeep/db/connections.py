"""Where a transaction's statements go: a pooled connection, or a thread's own one.

Nearly every request touches a row or two. To borrow a connection from SQLAlchemy's pool, begin, end
and give it back costs several times what those statements do, so on SQLite each thread keeps one
connection for its transactions, begun and ended by the driver itself; SQLAlchemy comes in only when
a statement of its own is run.

Invariants: a transaction sees one state of the database; one that a thread begins inside of another
of its own gets a pooled connection; a connection that met the unexpected is not used again.
"""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from auditkeep.db import dialect as dialects
from auditkeep.errors import AuditkeepError


class Source(Protocol):
    """A connection inside its transaction: SQLAlchemy's, and beneath it the driver's."""

    @property
    def connection(self) -> Connection: ...

    @property
    def dialect(self) -> Dialect: ...

    def cursor(self) -> Any: ...


class Borrowed:
    """A connection of the pool, begun by SQLAlchemy."""

    __slots__ = ("connection", "dialect")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect: Dialect = connection.dialect

    def cursor(self) -> Any:
        return self.connection.connection.cursor()


class Own:
    """A thread's own connection, in and out of transactions."""

    __slots__ = ("__weakref__", "_connection", "_driver", "_engine", "_held", "dialect", "open")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: PoolProxiedConnection = engine.raw_connection()
        self._driver: Any = self._held.driver_connection
        self._connection: Connection | None = None
        self.dialect: Dialect = engine.dialect
        self.open = False

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            connection = Connection(self._engine, self._held)
            self._connection = connection.execution_options(**dialects.BEGUN)
        return self._connection

    def cursor(self) -> Any:
        return self._driver.cursor()

    def begin(self, *, write: bool) -> None:
        self._run("BEGIN IMMEDIATE" if write else "BEGIN")
        self.open = True

    def end(self, *, commit: bool) -> None:
        self._connection = None
        self.open = False
        self._run("COMMIT" if commit else "ROLLBACK")

    def discard(self) -> None:
        """Close the connection for good, whatever state it is in."""
        self._connection = None
        self.open = False
        self._held.invalidate()

    def _run(self, statement: str) -> None:
        try:
            self._driver.execute(statement)
        except self.dialect.loaded_dbapi.Error as error:
            raise DBAPIError(statement, None, error) from error


class OwnConnections:
    """Each thread's own connection. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        self._all: weakref.WeakSet[Own] = weakref.WeakSet()
        self._lock = threading.Lock()

    def idle(self) -> Own | None:
        """The calling thread's connection; None while a transaction of it is open."""
        own: Own | None = getattr(self._own, "connection", None)
        if own is None:
            own = self._own.connection = Own(self._engine)
            with self._lock:
                self._all.add(own)
        return None if own.open else own

    def discard(self, own: Own) -> None:
        """Never use this connection of the calling thread again."""
        self._own.connection = None
        with self._lock:
            self._all.discard(own)
        own.discard()

    def close(self) -> None:
        """Close every thread's connection; whoever reads afterwards gets a new one."""
        self._own = threading.local()
        with self._lock:
            for own in self._all:
                own.discard()
            self._all.clear()


class Turns:
    """Writers of this process, one at a time: on SQLite they would else poll for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def mine(self) -> Iterator[None]:
        """Contended when others write for too long, or the caller itself writes already."""
        if not self._lock.acquire(timeout=dialects.BUSY_TIMEOUT_MS / 1000):
            raise dialects.stayed_busy()
        try:
            yield
        finally:
            self._lock.release()


@contextmanager
def transaction(engine: Engine, owned: OwnConnections | None, *, write: bool) -> Iterator[Source]:
    """Commit at the end, roll back on any exception; drivers' errors become ours."""
    own = None if owned is None else owned.idle()
    try:
        if owned is None or own is None:
            with engine.connect() as connection:
                prepared = dialects.begin(connection, write=write)
                with prepared.begin():
                    yield Borrowed(prepared)
            return
        own.begin(write=write)
        try:
            yield own
            own.end(commit=True)
        except AuditkeepError:
            own.end(commit=False)
            raise
        except BaseException:
            # a result that the traceback keeps open would hold later snapshots back in this time
            owned.discard(own)
            raise
    except DBAPIError as error:
        raise dialects.explain(error) from error


@contextmanager
def glancing(engine: Engine, owned: OwnConnections | None) -> Iterator[Source]:
    """For a single prepared query: each call to SQLite lets other threads in, so none is wasted."""
    own = None if owned is None else owned.idle()
    if own is None:
        with transaction(engine, owned, write=False) as source:
            yield source
        return
    try:
        yield own
    except DBAPIError as error:
        raise dialects.explain(error) from error
