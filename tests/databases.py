"""Databases that have the schema already, copied from one that was migrated once per process.

Migrating is a third of what a test over a new database costs.
"""

import tempfile
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import make_url
from tests.postgres import fresh_database

from auditkeep.db.database import Database

BOTH = ("sqlite", pytest.param("postgres", marks=[pytest.mark.postgres]))
"""For fixtures that are there once on each."""


def url_of(request: pytest.FixtureRequest) -> str:
    """Where a fixture of `BOTH` has its new database: nothing for SQLite, which is the default."""
    if request.param == "sqlite":
        return ""
    return on_postgres(request.getfixturevalue("postgres_url"))


def opened(url: str) -> Database:
    """A database with the schema: what is there, or a new one."""
    database = Database(url)
    path = make_url(url).database
    if database.embedded and path is not None and not Path(path).exists():
        Path(path).write_bytes(_on_sqlite())
    else:
        database.migrate()
    return database


def on_postgres(server: str) -> str:
    """The URL of a new database with the schema on a running server."""
    return fresh_database(server, like=_on_postgres(server))


@cache
def _on_sqlite() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.db"
        database = Database(f"sqlite:///{path}")
        database.migrate()
        database.close()  # which leaves all of it in the one file
        return path.read_bytes()


@cache
def _on_postgres(server: str) -> str:
    url = fresh_database(server)
    database = Database(url)
    database.migrate()
    database.close()
    return str(make_url(url).database)
