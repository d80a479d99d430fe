"""Retention that is cut off at any instant has destroyed a whole class or nothing of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.lake.worker import open_lake
from tests.operations.test_keeping import END_OF_MAY, furnished
from tests.operations.world import World
from tests.workflows.expirer import HERE, run

from auditkeep.clock import DAY, MINUTE, Instant, SystemClock
from auditkeep.db.schema import batches, buckets
from auditkeep.errors import KeyUnusable
from auditkeep.lake.audit.run import audit
from auditkeep.lake.batch import DESTROYED
from auditkeep.lake.crashpoints import EXIT_CODE
from auditkeep.lake.lake import Lake
from auditkeep.lake.sequencer import Sequencer
from auditkeep.lake.sweep import sweep

ROOT = Path(__file__).parent.parent.parent
NOW = Instant(END_OF_MAY + 731 * DAY)
POINTS = (
    ("expire.chosen", 1),
    ("destroy.before-commit", 1),
    ("destroy.committed", 1),
    ("destroy.key-destroyed", 1),
    ("destroy.object-deleted", 1),
    ("expire.done", 1),
    ("destroy.before-commit", 2),
    ("destroy.committed", 2),
    ("expire.done", 2),
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(tmp_path_factory.mktemp("kept") / "data")
    furnished(world)
    world.close()
    return world.deps.lake.data


def crash(data: Path, url: str, at: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.workflows.expirer", str(data), url, str(NOW)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src", "AUDITKEEP_CRASH_AT": at},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_CODE, f"{at} was not reached: {done.stderr}"


def require_whole(lake: Lake) -> None:
    """Each bucket is there with its batches, or marked with none of them left."""
    with lake.db.read(HERE) as tx:
        for bucket in tx.all(tx.select(buckets)):
            mine = tx.all(tx.select(batches).where(batches.c.bucket_id == bucket.id))
            gone = [row for row in mine if row.segment_id == DESTROYED]
            assert len(gone) == (0 if bucket.destroyed_at is None else len(mine))


def require_expired(lake: Lake) -> None:
    sweep(lake, HERE, Instant(SystemClock().now() + 61 * MINUTE))
    require_whole(lake)
    with lake.db.read(HERE) as tx:
        found = tx.all(tx.select(buckets))
    for bucket in found:
        expected = bucket._mapping["class"].split("/")[0] in {"facts", "manual"}
        assert (bucket.destroyed_at is not None) == expected
        if expected:
            with pytest.raises(KeyUnusable):
                lake.keys.object_key(HERE, bucket.id, "x")
    objects = {n.split("/")[0] for n in lake.objects.list("") if not n.startswith("log/")}
    assert objects == {"blobs"}, "of the report, which is kept"
    with Sequencer(lake) as sequencer:
        sequencer.step()
    assert audit(lake, now=SystemClock().now()).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "time"), POINTS, ids=[f"{n}:{t}" for n, t in POINTS])
def test_retention_goes_on_after_a_crash(kept: Path, tmp_path: Path, name: str, time: int) -> None:
    data = tmp_path / "data"
    shutil.copytree(kept, data)
    url = f"sqlite:///{data / 'audit.db'}"
    crash(data, url, f"{name}:{time}")
    lake = open_lake(data, url)
    require_whole(lake)
    lake.db.close()
    run(data, url, NOW)
    lake = open_lake(data, url)
    require_expired(lake)
    lake.db.close()
    assert run(data, url, NOW).gone == ()


@pytest.mark.slow
@pytest.mark.postgres
def test_retention_goes_on_after_crashes_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    from tests.postgres import fresh_database

    data, url = tmp_path / "data", fresh_database(postgres_url)
    world = World(data, url)
    furnished(world)
    world.close()
    for name in ("destroy.before-commit", "destroy.committed"):
        crash(data, url, f"{name}:1")
    run(data, url, NOW)
    lake = open_lake(data, url)
    require_expired(lake)
    lake.db.close()
