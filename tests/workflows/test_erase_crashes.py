"""An erasure that is cut off at any instant is taken up where it stood, and comes to its end."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.lake.making import file_name
from tests.lake.worker import open_lake
from tests.operations.test_erasing import REGION, deregister, furnish
from tests.operations.world import HOME, OTHER, World
from tests.processes import crashed
from tests.workflows.eraser import carry_out

from auditkeep.accounts import erasure
from auditkeep.clock import SystemClock
from auditkeep.db.schema import assessments, buckets, metadata
from auditkeep.errors import KeyUnusable
from auditkeep.ids import Tenant
from auditkeep.lake.audit.run import audit
from auditkeep.lake.blobs import get_blob
from auditkeep.lake.crashpoints import NAMES
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer
from auditkeep.verify.certificate import verify_certificate

ROOT = Path(__file__).parent.parent.parent
GONE, STAYS = Tenant(OTHER, REGION), Tenant(HOME, REGION)

POINTS = (
    *((name, 1) for name in NAMES if name.startswith("erase.")),
    ("erase.some-rows-gone", 4),
    ("destroy.before-commit", 1),
    ("destroy.committed", 1),
    ("destroy.key-destroyed", 2),
    ("destroy.object-deleted", 2),
    ("log.checkpoint-decided", 1),
    ("blob.kept", 1),
)
KEYS_STAY = {"erase.asked", "destroy.before-commit"}


def prepared(folder: Path, url: str = "") -> str:
    """A deployment of two tenants, one of which has asked to be erased: the erasure's id."""
    world = World(folder, url)
    furnish(world, HOME, world.client)
    client = world.account(OTHER)
    furnish(world, OTHER, client)
    deregister(world, client)
    with world.db.read(GONE) as tx:
        found = erasure.newest(tx)
    world.close()
    assert found is not None
    return found.id


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("asked") / "data"
    return folder, prepared(folder)


def crash(data: Path, url: str, erasure_id: str, at: str) -> None:
    crashed("tests.workflows.eraser", data, url, OTHER, erasure_id, at=at)


def unreadable(lake: Lake) -> bool:
    """Whether nothing of the tenant can be opened any more, whatever is left of it."""
    with lake.db.read(GONE) as tx:
        b = buckets.c
        found = tx.all(tx.select(b.id).where(b["class"] != "governance"))
    for row in found:
        try:
            lake.keys.object_key(GONE, row.id, "x")
        except KeyUnusable:
            continue
        return False
    return True


def owned(lake: Lake, tenant: Tenant) -> dict[str, Any]:
    with lake.db.system_read() as tx:
        return {
            table.name: sorted(map(repr, tx.all(tx.select(table).where(_mine(table, tenant)))))
            for table in metadata.sorted_tables
            if "region" in table.c
        }


def _mine(table: Any, tenant: Tenant) -> Any:
    return (table.c.account == tenant.account) & (table.c.region == tenant.region)


def require_erased(lake: Lake, erasure_id: str) -> None:
    with lake.db.read(GONE) as tx:
        found = erasure.get(tx, erasure_id)
        assert found.stage == "done"
        certificate = b"".join(get_blob(tx, lake, found.certificate))
        assert tx.first(tx.select(assessments.c.id)) is None
    assert verify_certificate(certificate, [lake.signer.vkey]).state == "valid"
    assert unreadable(lake)
    objects = [n for n in lake.objects.list("") if f"/{OTHER}/" in n]
    assert objects == [file_name(lake, found.certificate, GONE)]
    with Sequencer(lake) as sequencer:
        sequencer.step()
    assert audit(lake, now=SystemClock().now()).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "time"), POINTS, ids=[f"{n}:{t}" for n, t in POINTS])
def test_an_erasure_goes_on_after_a_crash(
    asked: tuple[Path, str], tmp_path: Path, name: str, time: int
) -> None:
    original, erasure_id = asked
    data = tmp_path / "data"
    shutil.copytree(original, data)
    url = f"sqlite:///{data / 'audit.db'}"
    lake = open_lake(data, url)
    before = owned(lake, STAYS)
    lake.db.close()
    crash(data, url, erasure_id, f"{name}:{time}")
    lake = open_lake(data, url)
    if name not in KEYS_STAY | {"destroy.committed", "destroy.key-destroyed"}:
        assert unreadable(lake), "keys go first"
    assert unreadable(lake) != (name in KEYS_STAY | {"destroy.committed", "destroy.key-destroyed"})
    lake.db.close()
    lake = carry_out(data, url, GONE, erasure_id)
    require_erased(lake, erasure_id)
    assert owned(lake, STAYS) == before
    lake.db.close()


@pytest.mark.slow
@pytest.mark.postgres
def test_an_erasure_goes_on_after_crashes_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    from tests.postgres import fresh_database

    data, url = tmp_path / "data", fresh_database(postgres_url)
    erasure_id = prepared(data, url)
    for name in ("destroy.committed", "erase.some-rows-gone", "erase.before-certificate"):
        crash(data, url, erasure_id, f"{name}:1")
    lake = carry_out(data, url, GONE, erasure_id)
    require_erased(lake, erasure_id)
    lake.db.close()
