"""Being the only one: what a single process may hold for as long as it lives.

The system lets go when the process ends, however it ends, so nothing is left to clean up.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from auditkeep.errors import Busy, SetupError


class Hold(Protocol):
    """Something held."""

    def require(self) -> None:
        """Busy if it is not held any more: a lost connection may have given it to another."""
        ...

    def release(self) -> None:
        """Let go; may be called again."""
        ...


class FileHold:
    """An exclusive lock (flock) on a file; not inherited, and free again when the process ends."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupError(f"The lock file {path} cannot be made: {error.strerror}.") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise _busy(name) from error

    def require(self) -> None:
        if self._handle is None:
            raise _busy(self._name)

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class ConnectionHold:
    """An advisory lock of PostgreSQL, which lives as long as its connection."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._name = name
        self._connection: Connection | None = None
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        held = connection.execute(
            text("SELECT pg_try_advisory_lock(hashtextextended(:name, 1))"), {"name": name}
        ).scalar()
        if not held:
            connection.close()
            raise _busy(name)
        self._connection = connection

    def require(self) -> None:
        try:
            if self._connection is None:
                raise _busy(self._name)
            self._connection.execute(text("SELECT 1"))
        except DBAPIError as error:
            self.release()
            raise _busy(self._name) from error

    def release(self) -> None:
        if self._connection is not None:
            # Ending a connection lets go of its lock only once the server has noticed.
            with contextlib.suppress(DBAPIError):
                if not self._connection.invalidated:
                    self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
            # Given back to the pool it might keep what could not be unlocked: it is ended.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _busy(name: str) -> Busy:
    return Busy(
        f"Another process holds the {name} of this deployment. Only one may: stop the other one, "
        "or let it do the work."
    )
