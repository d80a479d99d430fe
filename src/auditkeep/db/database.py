"""Opening the database: engine, schema version, and transactions to hand out.

Who has one that may write is waited for by others, and so asks nobody for a key (`crypto.asking`).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from auditkeep.crypto.asking import patient, with_keys
from auditkeep.db import dialect
from auditkeep.db.connections import OwnConnections, Turns, glancing, transaction
from auditkeep.db.hold import ConnectionHold, FileHold, Hold
from auditkeep.db.tx import Fields, Sealer, SystemTx, Tx
from auditkeep.errors import NewerSchema, SetupError
from auditkeep.ids import Tenant

T = TypeVar("T")


class Database:
    """One database and the transactions over it. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = dialect.open_engine(url)
        embedded = self._engine.dialect.name == "sqlite"
        self._owned = OwnConnections(self._engine) if embedded else None
        self._turn: Callable[[], AbstractContextManager[None]] = (
            Turns().mine if embedded else nullcontext
        )
        self._sealer: Sealer | None = None

    def seal_with(self, sealer: Sealer) -> None:
        """Seal and open fields with these keys from now on; without any, none can be read."""
        self._sealer = sealer

    def migrate(self) -> None:
        """Bring the schema up to this version's; NewerSchema when it is ahead of us already."""
        config = _alembic()
        known = {r.revision for r in ScriptDirectory.from_config(config).walk_revisions()}
        try:
            with self._engine.connect() as connection:
                current = MigrationContext.configure(connection).get_current_revision()
                if current is not None and current not in known:
                    raise NewerSchema(
                        f"This database has schema version {current}, which is newer than this "
                        "Auditkeep understands. Install the newer version; nothing was changed."
                    )
                connection.rollback()
                config.attributes["connection"] = connection.execution_options(auditkeep_write=True)
                command.upgrade(config, "head")
                connection.commit()
        except DBAPIError as error:
            raise SetupError(
                f"The database at {self._engine.url.render_as_string()} cannot be used: "
                f"{error.orig}"
            ) from error

    def is_new(self) -> bool:
        """Whether no version of this software ever put its tables here."""
        with self._engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision() is None

    @contextmanager
    def read(self, tenant: Tenant) -> Iterator[Tx]:
        """One consistent snapshot of one tenant."""
        with transaction(self._engine, self._owned, write=False) as source:
            yield Tx(source, tenant, Fields(self._sealer), writable=False)

    @property
    def embedded(self) -> bool:
        """Whether the database is in this process, so that a glance at it waits for no network."""
        return self._owned is not None

    @contextmanager
    def glance(self, tenant: Tenant) -> Iterator[Tx]:
        """For one prepared query alone, which needs no transaction to see one state."""
        with glancing(self._engine, self._owned) as source:
            yield Tx(source, tenant, Fields(self._sealer), writable=False)

    @contextmanager
    def write(self, tenant: Tenant) -> Iterator[Tx]:
        """Commits at the end of the block; what `after_commit` was given runs then."""
        with (
            patient(),
            self._turn(),
            transaction(self._engine, self._owned, write=True) as source,
        ):
            tx = Tx(source, tenant, Fields(self._sealer), writable=True)
            yield tx
        tx.run_after_commit()

    def change(self, tenant: Tenant, work: Callable[[Tx], T]) -> T:
        """Do `work` in a transaction that may write; in another one, if it needs a distant key."""

        def done() -> T:
            with self.write(tenant) as tx:
                return work(tx)

        return with_keys(done)

    def system_change(self, work: Callable[[SystemTx], T]) -> T:
        """The same for what belongs to the deployment."""

        def done() -> T:
            with self.system_write() as tx:
                return work(tx)

        return with_keys(done)

    @contextmanager
    def system_read(self) -> Iterator[SystemTx]:
        with transaction(self._engine, self._owned, write=False) as source:
            yield SystemTx(source, Fields(self._sealer), writable=False)

    @contextmanager
    def system_write(self) -> Iterator[SystemTx]:
        with (
            patient(),
            self._turn(),
            transaction(self._engine, self._owned, write=True) as source,
        ):
            tx = SystemTx(source, Fields(self._sealer), writable=True)
            yield tx
        tx.run_after_commit()

    def hold(self, name: str, file: Path) -> Hold:
        """Be the only process that holds `name`, until released or ended; Busy if another is.

        On SQLite by a lock on `file`, on PostgreSQL by an advisory lock of a connection of its own.
        """
        if self._engine.dialect.name == "postgresql":
            return ConnectionHold(self._engine, name)
        return FileHold(file, name)

    def close(self) -> None:
        if self._owned is not None:
            self._owned.close()
        self._engine.dispose()


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
