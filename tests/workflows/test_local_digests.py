"""A trail's folder on disk: verified with public keys that the operator names."""

import gzip
import json
from pathlib import Path

import pytest
from tests.lake.making import register
from tests.sources.trail_making import BEGIN, HOUR, Trail, event, public_keys
from tests.workflows.trail_house import House

from auditkeep.clock import FixedClock, from_datetime
from auditkeep.db.database import Database
from auditkeep.errors import InputError
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.sources import digests
from auditkeep.workflows.ingest import Counts, ingest

KEYS = digests.read_keys([json.dumps(public_keys()).encode()])


class Folder(House):
    """The same reading of what was kept, without a cloud."""

    def __init__(self, lake: Lake, tenant: Tenant) -> None:
        self.lake, self.tenant = lake, tenant

    def ingest(self, *paths: Path, keys: digests.Keys | None = KEYS) -> Counts:
        return ingest(
            self.lake, self.tenant, "cloudtrail", paths, Interest.everything(), principal="a",
            keys=keys, clock=FixedClock(from_datetime(BEGIN + 100 * HOUR)),
        )  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where a trail is downloaded to."""
    return tmp_path / "copy"


@pytest.fixture
def folder(db: Database, lake: Lake, tenant: Tenant) -> Folder:
    register(db, tenant)
    return Folder(lake, tenant)


def newest(trail: Trail) -> str:
    return max(k for k in trail.objects if "CloudTrail-Digest" in k)


def with_metadata(trail: Trail, path: Path) -> None:
    """As `aws s3api head-object` prints it."""
    key = newest(trail)
    said = {"ContentLength": 1, "Metadata": trail.objects[key].metadata}
    (path / f"{key}.metadata.json").write_text(json.dumps(said))


def test_all_but_the_newest_digest_is_checked_from_the_files_alone(
    folder: Folder, copy: Path
) -> None:
    trail = Trail(prefix="logs/")
    trail.hours(3)
    counts = folder.ingest(trail.write(copy))
    assert (counts.files, counts.verified_files, counts.rejections) == (3, 2, 0)
    assert counts.findings == {"DigestVerified": 2, "DigestUnsigned": 1}
    assert list(folder.events().values()).count("verified-log") == 4
    assert folder.events()["020"] == "file"


def test_with_its_metadata_beside_it_the_newest_is_checked_as_well(
    folder: Folder, copy: Path
) -> None:
    trail = Trail()
    trail.hours(3)
    with_metadata(trail, trail.write(copy))
    counts = folder.ingest(copy)
    assert counts.findings == {"DigestVerified": 3}
    assert set(folder.events().values()) == {"verified-log"}
    # again: nothing new, nothing twice
    assert folder.ingest(copy).observations == 0
    assert folder.findings() == [("DigestVerified", "PASSED")] * 3


def test_what_was_changed_or_taken_away_is_found(folder: Folder, copy: Path) -> None:
    trail = Trail()
    trail.hours(4)
    logs = sorted(k for k in trail.objects if "/CloudTrail/" in k)
    trail.objects[logs[0]].body = gzip.compress(json.dumps({"Records": [event(0)]}).encode())
    del trail.objects[logs[1]]
    trail.write(copy)
    digest = sorted(k for k in trail.objects if "CloudTrail-Digest" in k)[2]
    text = gzip.decompress((copy / digest).read_bytes())
    (copy / digest).write_bytes(gzip.compress(text.replace(b'"SHA-256"', b'"SHA-512"')))
    counts = folder.ingest(copy)
    assert counts.findings == {
        "DigestVerified": 2,
        "LogFileChanged": 1,
        "LogFileMissing": 1,
        "DigestInvalid": 1,
        "DigestUnsigned": 1,
    }
    assert set(folder.events().values()) == {"file"}


def test_a_file_that_was_renamed_to_another_hour_proves_nothing(folder: Folder, copy: Path) -> None:
    trail = Trail()
    keys = trail.hours(3)
    trail.objects[keys[1]] = trail.objects[keys[0]]
    counts = folder.ingest(trail.write(copy))
    assert counts.findings["DigestMoved"] == 1


def test_without_keys_nothing_is_claimed(folder: Folder, copy: Path) -> None:
    trail = Trail()
    trail.hours(2)
    counts = folder.ingest(trail.write(copy), keys=None)
    assert counts.verified_files == 0
    assert set(folder.events().values()) == {"file"}
    assert {r.reason for r in counts.rejected} == {
        "it is a CloudTrail digest, which holds no events"
    }


def test_other_keys_verify_nothing(folder: Folder, copy: Path) -> None:
    trail = Trail()
    trail.hours(2)
    keys = digests.read_keys([json.dumps(public_keys("other")).encode()])
    counts = folder.ingest(trail.write(copy), keys=keys)
    assert counts.findings == {"DigestKeyUnknown": 1, "DigestUnsigned": 1}


def test_metadata_that_is_none_is_told(folder: Folder, copy: Path) -> None:
    trail = Trail()
    trail.hours(1)
    trail.write(copy)
    (copy / f"{newest(trail)}.metadata.json").write_text("no")
    with pytest.raises(InputError, match="head-object"):
        folder.ingest(copy)
