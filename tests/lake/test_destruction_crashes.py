"""A destruction that is cut off at any instant either did nothing or is finished by the sweeper."""

from pathlib import Path

import pytest
from tests import processes
from tests.lake import worker
from tests.lake.destroyer import FILES, KLASS
from tests.lake.making import EVERYTHING, TENANT, file_name

from auditkeep.clock import MINUTE, Instant, SystemClock
from auditkeep.db.schema import buckets
from auditkeep.errors import KeyUnusable, ObjectMissing
from auditkeep.lake import append as append_module
from auditkeep.lake import batch as batch_module
from auditkeep.lake.blobs import get_blob
from auditkeep.lake.lake import Lake
from auditkeep.lake.read import observations
from auditkeep.lake.sweep import sweep

ROOT = Path(__file__).parent.parent.parent

BEFORE = "destroy.before-commit:1"
AFTER = (
    "destroy.committed:1",
    "destroy.key-destroyed:1",
    "destroy.object-deleted:1",
    "destroy.object-deleted:3",
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_module, "UNPACKED", append_module.UNPACKED)
    monkeypatch.setattr(batch_module, "MAX_LEAVES", batch_module.MAX_LEAVES)
    worker.make_small()


def crashed(data: Path, url: str, at: str) -> Lake:
    data.mkdir()
    said = processes.crashed("tests.lake.destroyer", data, url, at=at)
    assert said.split() == ["kept"], "nothing was acknowledged"
    return worker.open_lake(data, url)


def bucket_of(lake: Lake, klass: str) -> str:
    with lake.db.read(TENANT) as tx:
        found: str = tx.scalar(tx.select(buckets.c.id).where(buckets.c["class"] == klass))
    return found


def later() -> Instant:
    return Instant(SystemClock().now() + 61 * MINUTE)


def pinned(lake: Lake) -> int:
    with lake.db.read(TENANT) as tx:
        found = observations(tx, lake, [EVERYTHING], limit=1_000)
    assert sum(s.match_key != "pinned:a/1" for s in found) == 12, "facts stay"
    return sum(s.match_key == "pinned:a/1" for s in found)


def objects(lake: Lake) -> set[str]:
    return {n for n in lake.objects.list("") if not n.startswith("log/")}


@pytest.mark.slow
def test_before_its_commit_nothing_is_destroyed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lake = crashed(data, f"sqlite:///{data / 'audit.db'}", BEFORE)
    before = objects(lake)
    assert sweep(lake, TENANT, later()) == []
    assert objects(lake) == before
    assert pinned(lake) == 31
    with lake.db.read(TENANT) as tx:
        for name in FILES:
            assert b"".join(get_blob(tx, lake, name)) == b"a file"
    lake.db.close()


@pytest.mark.slow
@pytest.mark.parametrize("at", AFTER)
def test_after_its_commit_the_sweeper_finishes(tmp_path: Path, at: str) -> None:
    data = tmp_path / "data"
    lake = crashed(data, f"sqlite:///{data / 'audit.db'}", at)
    _require_finished(lake, at)


@pytest.mark.slow
@pytest.mark.postgres
def test_after_its_commit_the_sweeper_finishes_on_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    from tests.postgres import fresh_database

    lake = crashed(tmp_path / "data", fresh_database(postgres_url), AFTER[0])
    _require_finished(lake, AFTER[0])


def _require_finished(lake: Lake, at: str) -> None:
    gone = bucket_of(lake, KLASS)
    has_key = at == "destroy.committed:1"
    assert (gone in lake.keystore.bucket_ids()) == has_key, "what the crash left"
    owner = f"{TENANT.account}/{TENANT.region}"
    orphans = {n for n in objects(lake) if n.startswith(f"blobs/{owner}/manual/")}
    assert pinned(lake) == 0
    swept = sweep(lake, TENANT, later())
    assert orphans <= set(swept)
    assert gone not in lake.keystore.bucket_ids()
    with pytest.raises(KeyUnusable, match="destroyed"):
        lake.keys.object_key(TENANT, gone, "x")
    assert len([n for n in objects(lake) if n.startswith("segments/")]) == 1, "the facts'"
    assert [n for n in objects(lake) if n.startswith("leaves/")] == [
        n for n in objects(lake) if n.startswith(f"leaves/{owner}/1-")
    ]
    assert {n for n in objects(lake) if n.startswith("blobs/")} == {
        file_name(lake, "reports/b/stays.zip")
    }
    with lake.db.read(TENANT) as tx:
        assert b"".join(get_blob(tx, lake, "reports/b/stays.zip")) == b"a report"
        with pytest.raises(ObjectMissing):
            get_blob(tx, lake, FILES[0])
    assert pinned(lake) == 0
    assert sweep(lake, TENANT, later()) == []
    lake.db.close()
