"""Retention that is cut off at any instant has destroyed what it chose of a class, or nothing."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import func
from tests.lake.worker import open_lake
from tests.operations.test_keeping import END_OF_MAY, furnished
from tests.operations.world import World
from tests.processes import crashed
from tests.workflows.expirer import HERE, run

from auditkeep.clock import DAY, MINUTE, Instant, SystemClock
from auditkeep.db.schema import batches, blobs, buckets
from auditkeep.errors import KeyUnusable
from auditkeep.lake import holds, retention
from auditkeep.lake.audit.run import audit
from auditkeep.lake.batch import DESTROYED
from auditkeep.lake.blobs import get_stored, put_blob
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


CUTS = (
    ("cut.copied", 1),
    ("cut.before-commit", 1),
    ("cut.file-kept", 1),
    ("destroy.key-destroyed", 2),
)
"""Facts, manual evidence with its file and a report: of each, a hold keeps the later part."""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(tmp_path_factory.mktemp("held") / "data")
    half_held(world)
    world.close()
    return world.deps.lake.data


def half_held(world: World) -> None:
    """Twice the same in one month, two days apart, and a hold on the second time."""
    made = furnished(world)
    first = world.clock.now()
    world.clock.advance(2 * DAY)
    now = world.clock.now()
    world.observe(*(Instant(now + n) for n in range(3)))
    lake = world.deps.lake
    with world.db.write(HERE) as tx:
        put_blob(tx, lake, f"manual/{made.id}", f"manual/{made.id}/g", b"later", now)
        put_blob(tx, lake, "reports", "reports/b/s.zip", b"later", now)
        asked = holds.Asked("arn:x", "r", "case", now)
        after = Instant(first + DAY)
        holds.place(tx, lake, asked, assessment_id=None, first=after, last=None)
        days = holds.Asked("arn:x", "r", "", now)
        retention.put(tx, lake, "reports", 731, days)
    with Sequencer(lake) as sequencer:
        sequencer.step(now)


def require_cut(lake: Lake) -> None:
    """What the hold keeps is there, once, under other keys; what it does not is gone for good."""
    with lake.db.read(HERE) as tx:
        b = buckets.c
        found = tx.all(tx.select(buckets).where(b["class"] != "governance"))
        cut = {row.id: row for row in found if row.successor is not None}
        left = tx.scalar(tx.select(func.sum(batches.c.rows)).where(
            batches.c.bucket_id.in_([row.successor for row in cut.values()])
        ))  # fmt: skip
        files = [row.id for row in tx.all(tx.select(blobs.c.id).order_by(blobs.c.created_at))]
        contents = {b"".join(get_stored(tx, lake, name)) for name in files}
    assert {row._mapping["class"].split("/")[0] for row in cut.values()} == {
        "facts", "manual", "reports"
    }  # fmt: skip
    assert (left, contents) == (3, {b"later"})
    for row in cut.values():
        assert row.destroyed_at is not None
        with pytest.raises(KeyUnusable):
            lake.keys.object_key(HERE, row.id, "x")
        assert lake.keys.object_key(HERE, row.successor, "x")
    with Sequencer(lake) as sequencer:
        sequencer.step()
    assert audit(lake, now=NOW).problems == ()


def require_half_or_all(lake: Lake) -> None:
    """At any instant: every observation and file is there that is not marked destroyed, and opens."""
    with lake.db.read(HERE) as tx:
        for row in tx.all(tx.select(blobs.c.id)):
            assert b"".join(get_stored(tx, lake, row.id))
    with Sequencer(lake) as sequencer:
        sequencer.step()
    found = audit(lake, now=NOW)
    assert found.problems == ()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "time"), CUTS, ids=[f"{n}:{t}" for n, t in CUTS])
def test_cutting_down_goes_on_after_a_crash(
    held: Path, tmp_path: Path, name: str, time: int
) -> None:
    data = tmp_path / "data"
    shutil.copytree(held, data)
    url = f"sqlite:///{data / 'audit.db'}"
    crash(data, url, f"{name}:{time}")
    lake = open_lake(data, url)
    require_half_or_all(lake)
    lake.db.close()
    run(data, url, NOW)
    lake = open_lake(data, url)
    sweep(lake, HERE, Instant(SystemClock().now() + 2 * DAY))
    require_cut(lake)
    lake.db.close()
    assert run(data, url, NOW).gone == ()


@pytest.mark.slow
@pytest.mark.postgres
def test_cutting_down_goes_on_after_crashes_on_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    from tests.postgres import fresh_database

    data, url = tmp_path / "data", fresh_database(postgres_url)
    world = World(data, url)
    half_held(world)
    world.close()
    for name in ("cut.begun", "cut.segment-kept", "destroy.committed"):
        crash(data, url, f"{name}:1")
    run(data, url, NOW)
    lake = open_lake(data, url)
    sweep(lake, HERE, Instant(SystemClock().now() + 2 * DAY))
    require_cut(lake)
    lake.db.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(tmp_path_factory.mktemp("kept") / "data")
    furnished(world)
    world.close()
    return world.deps.lake.data


def crash(data: Path, url: str, at: str) -> None:
    crashed("tests.workflows.expirer", data, url, NOW, at=at)


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
    assert audit(lake, now=NOW).problems == ()


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
