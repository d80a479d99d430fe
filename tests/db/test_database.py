import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import func, text

from auditkeep.db.database import Database
from auditkeep.db.schema import TENANT_TABLES, meta, metadata, tags, tenants
from auditkeep.errors import Busy, NewerSchema, SetupError, StorageError
from auditkeep.ids import Tenant

ONE = Tenant("111122223333", "us-east-1")
OTHER = Tenant("444455556666", "us-east-1")


def tag(key: str, value: str = "v") -> dict[str, str]:
    return {"arn": "arn:x", "key": key, "value": value}


@pytest.mark.both_databases
def test_migrating_again_changes_nothing(db: Database) -> None:
    with db.write(ONE) as tx:
        tx.insert(tags, tag("a"))
    db.migrate()
    with db.read(ONE) as tx:
        assert len(tx.all(tx.select(tags))) == 1


@pytest.mark.both_databases
def test_a_database_of_a_newer_version_is_refused_and_not_touched(db: Database) -> None:
    with db.system_write() as tx:
        tx.run(text("UPDATE alembic_version SET version_num = '9999'"))
        tx.insert(meta, {"key": "k", "value": "v"})
    with pytest.raises(NewerSchema, match="9999, which is newer"):
        db.migrate()
    with db.system_read() as tx:
        assert tx.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
        assert len(tx.all(tx.select(meta))) == 1


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    path.write_bytes(b"this is not a database, but a note to myself" * 100)
    with pytest.raises(SetupError, match=r"audit\.db cannot be used"):
        Database(f"sqlite:///{path}").migrate()
    assert path.read_bytes().startswith(b"this is not")
    with pytest.raises(SetupError, match="sqlite or postgresql, not 'mysql'"):
        Database("mysql://x/y")


def test_a_password_is_not_shown() -> None:
    database = Database("postgresql://me:s3cret@/nowhere?host=/nonexistent")
    with pytest.raises(SetupError) as caught:
        database.migrate()
    assert "s3cret" not in str(caught.value)


@pytest.mark.both_databases
def test_an_error_rolls_everything_back_and_runs_nothing_after(db: Database) -> None:
    ran: list[str] = []

    def fail() -> None:
        with db.write(ONE) as tx:
            tx.insert(tags, tag("a"))
            tx.system().insert(meta, {"key": "k", "value": "v"})
            tx.after_commit(lambda: ran.append("no"))
            raise StorageError("the caller fails")

    with pytest.raises(StorageError, match="the caller fails"):
        fail()
    with db.read(ONE) as tx:
        assert tx.all(tx.select(tags)) == []
        system = tx.system()
        assert system.all(system.select(meta)) == []
    assert ran == []


@pytest.mark.both_databases
def test_what_follows_a_commit_runs_after_it(db: Database) -> None:
    seen: list[int] = []

    def look() -> None:
        with db.read(ONE) as tx:
            seen.append(len(tx.all(tx.select(tags))))

    with db.write(ONE) as tx:
        tx.insert(tags, tag("a"))
        tx.system().after_commit(look)
        tx.system().of(ONE).after_commit(look)
        assert seen == []
    assert seen == [1, 1]


@pytest.mark.both_databases
def test_a_constraint_that_breaks_is_an_error_of_ours(db: Database) -> None:
    with pytest.raises(StorageError, match="The database refused"), db.write(ONE) as tx:
        tx.insert(tags, tag("a"))
        tx.insert(tags, tag("a"))


@pytest.mark.both_databases
def test_a_reader_keeps_its_snapshot_while_others_write(db: Database) -> None:
    with db.write(ONE) as tx:
        tx.insert(tags, tag("a"))
    with db.read(ONE) as reader:
        assert len(reader.all(reader.select(tags))) == 1
        with db.write(ONE) as writer:
            writer.insert(tags, tag("b"))
        assert len(reader.all(reader.select(tags))) == 1
    with db.read(ONE) as reader:
        assert len(reader.all(reader.select(tags))) == 2


@pytest.mark.both_databases
def test_tenants_are_kept_apart_by_every_statement(db: Database) -> None:
    for tenant in (ONE, OTHER):
        with db.write(tenant) as tx:
            tx.insert(tags, tag("a", tenant.account), tag("b"))
    with db.write(ONE) as tx:
        tx.insert(
            tenants,
            {
                "status": "ACTIVE",
                "kms_key": "",
                "settings": "{}",
                "registered_at": 0,
                "last_batch_no": 0,
            },
        )
        assert tx.run(tx.update(tags).values(arn="b")) == 2
        assert tx.run(tx.update(tags).values(arn="a")) == 2
        assert tx.run(tx.delete(tags).where(tags.c.name == tx.digest(tags.c.name, "b"))) == 1
        tx.upsert(tags, [tag("a", "merged")], replace=["value"])
    with db.read(OTHER) as tx:
        assert {row.value for row in tx.all(tx.select(tags))} == {OTHER.account, "v"}
        both = tx.select(tags, tenants).where(tags.c.arn != tenants.c.status)
        assert tx.all(both) == [], "a join is held to the tenant on both sides"
    with db.read(ONE) as tx, pytest.raises(StorageError, match="belongs to the deployment"):
        tx.select(meta)


def test_a_query_that_names_no_table_is_refused(db: Database) -> None:
    with db.read(ONE) as tx, pytest.raises(StorageError, match="names the columns"):
        tx.select(func.count()).where(tags.c.key == "a")


@pytest.mark.both_databases
def test_a_reader_cannot_write(db: Database) -> None:
    with db.read(ONE) as tx, pytest.raises(StorageError, match="opened for reading"):
        tx.insert(tags, tag("a"))
    with db.read(ONE) as tx, pytest.raises(StorageError, match="opened for reading"):
        tx.upsert(tags, [tag("a")])


@pytest.mark.both_databases
def test_a_tenant_s_lock_orders_its_writers(db: Database) -> None:
    order: list[str] = []
    started = threading.Event()

    def second() -> None:
        started.set()
        with db.write(ONE) as tx:
            tx.lock_tenant()
            order.append("second")

    with db.write(ONE) as tx:
        tx.lock_tenant()
        thread = threading.Thread(target=second)
        thread.start()
        started.wait()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.both_databases
def test_a_hold_is_had_by_one_and_free_again_after(db: Database, tmp_path: Path) -> None:
    hold = db.hold("sequencer", tmp_path / "lock")
    hold.require()
    with pytest.raises(Busy, match="Another process holds the sequencer"):
        db.hold("sequencer", tmp_path / "lock")
    db.hold("another", tmp_path / "another").release()
    hold.release()
    hold.release()
    with pytest.raises(Busy):
        hold.require()
    for _ in range(20):  # who lets go has let go: the next one need not wait
        db.hold("sequencer", tmp_path / "lock").release()


@pytest.mark.postgres
def test_a_hold_whose_connection_was_lost_is_not_held(postgres_url: str, tmp_path: Path) -> None:
    from tests.postgres import fresh_database

    db = Database(fresh_database(postgres_url))
    hold = db.hold("sequencer", tmp_path / "lock")
    with db.system_read() as tx:
        tx.scalar(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks "
                "WHERE locktype = 'advisory' AND pid <> pg_backend_pid() AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
    with pytest.raises(Busy):
        hold.require()
    for _ in range(20):  # who lets go has let go: the next one need not wait
        db.hold("sequencer", tmp_path / "lock").release()
    db.close()


def test_every_owned_table_begins_with_its_owner() -> None:
    for table in metadata.sorted_tables:
        # a token's owner is known once the token is found, which its digest does
        if table.name in TENANT_TABLES - {"bearer_tokens"}:
            assert [c.name for c in table.primary_key.columns][:2] == ["account", "region"]
    assert "meta" not in TENANT_TABLES
    assert "jobs" not in TENANT_TABLES


def test_sqlite_is_as_durable_as_it_can_be(db: Database) -> None:
    with db.system_read() as tx:
        assert tx.scalar(text("PRAGMA journal_mode")) == "wal"
        assert tx.scalar(text("PRAGMA synchronous")) == 2
        assert tx.scalar(text("PRAGMA foreign_keys")) == 1
