"""Fixtures all rooms share: a database, a tenant, a clock, and the corpus of real files."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.loaders
import botocore.session
import pytest
from tests import databases
from tests.s3 import ACCESS_KEY, SECRET, S3Server, running_s3

from auditkeep.clock import FixedClock, parse
from auditkeep.db.database import Database
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake

if TYPE_CHECKING:
    from tests.operations.world import World

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _models_read_once() -> Iterator[None]:
    """All of boto's sessions share what they read from model files, which costs more than the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.loaders.create_loader))
        yield


def missing(reason: str) -> None:
    """Skip for want of something outside; fail instead where everything must be there (CI)."""
    if os.environ.get("AUDITKEEP_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL for the whole session, on a free port of this machine."""
    from tests.postgres import running_postgres

    with running_postgres() as url:
        yield url


def seal_fields(database: Database, folder: Path) -> None:
    """Give a database keys for its sealed fields; a lake over it brings its own."""
    from auditkeep.clock import SystemClock
    from auditkeep.crypto.keystore import KeyStore
    from auditkeep.crypto.providers.local import LocalKeyProvider
    from auditkeep.lake.buckets import BucketKeys
    from auditkeep.lake.fields import SealedFields

    provider = LocalKeyProvider(b"m" * 32, "the tests' master key")
    keys = BucketKeys(provider, KeyStore(folder / "keys-of-fields"))
    database.seal_with(SealedFields(keys, b"d" * 32, SystemClock()))


@pytest.fixture
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database: SQLite, and PostgreSQL too for tests marked `both_databases`."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'audit.db'}"
    else:
        url = databases.on_postgres(request.getfixturevalue("postgres_url"))
    database = databases.opened(url)
    seal_fields(database, tmp_path)
    yield database
    database.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--keys-elsewhere",
        action="store_true",
        help="Run every test as if all master keys were held elsewhere, where asking takes long.",
    )


@pytest.fixture(autouse=True)
def _keys_elsewhere(request: pytest.FixtureRequest) -> None:
    """For tests marked `keys_elsewhere`: nobody asks for a key whom others wait for."""
    asked = request.config.getoption("--keys-elsewhere")
    if asked or request.node.get_closest_marker("keys_elsewhere"):
        from tests.elsewhere import put_keys_elsewhere

        put_keys_elsewhere(request.getfixturevalue("monkeypatch"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "db" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_databases"):
        metafunc.parametrize("db", databases.BOTH, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `server` may talk to this machine, and to nothing else.

    Files with tests marked `slow` come first: one of them last would keep one worker waiting.
    """
    for item in items:
        if item.get_closest_marker("server"):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1", "::1"]))
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def tenant() -> Tenant:
    return Tenant("111122223333", "us-east-1")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(parse("2026-05-01T12:00:00Z"))


@pytest.fixture
def world_with(tmp_path: Path) -> "Iterator[Callable[..., World]]":
    """Make a deployment of other settings."""
    from tests.operations.world import World

    made: list[World] = []

    def make(**settings: Any) -> World:
        made.append(World(tmp_path / str(len(made)), **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real input files that lies beside the checkout."""
    folder = ROOT.parent / "shared" / "corpus"
    if not folder.is_dir():
        missing("the corpus of real files is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """S3 with one empty bucket, and its credentials in the environment. Needs the mark `server`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3_server.behave()
    s3_server.bucket()
    return s3_server


@pytest.fixture
def lake(db: Database, tmp_path: Path) -> Lake:
    """A lake over `db`, with keys and objects of its own below `tmp_path`."""
    from tests.lakes import new_lake

    return new_lake(db, tmp_path)
