"""Keys of a trail's bucket: read exactly, or not at all."""

import pytest

from auditkeep.clock import day_of, parse
from auditkeep.sources.trail_layout import (
    DIGESTS,
    LOGS,
    Place,
    aimed,
    owner_prefix,
    read_key,
)

PLACE = Place("", "", "111122223333", "eu-west-1")
LOG = "111122223333_CloudTrail_eu-west-1_20260401T0020Z_l2pGqVS53QcGdAkp.json.gz"


def test_a_log_file_says_whose_it_is_and_when_it_was_delivered() -> None:
    found = read_key(f"AWSLogs/111122223333/CloudTrail/eu-west-1/2026/04/01/{LOG}")
    assert found is not None
    assert (found.kind, found.place, found.name) == (LOGS, PLACE, LOG)
    assert found.at == parse("2026-04-01T00:20:00Z")


def test_prefixes_and_an_organisations_folder_are_part_of_the_place() -> None:
    found = read_key(f"a/b/AWSLogs/o-abc123def4/111122223333/CloudTrail/eu-west-1/2026/04/01/{LOG}")
    assert found is not None
    assert found.place == Place("a/b/", "o-abc123def4", "111122223333", "eu-west-1")
    assert found.key == found.place.day_folder(LOGS, day_of(found.at)) + LOG


@pytest.mark.parametrize(
    ("name", "trail", "home", "backfill"),
    [
        ("main_us-east-1_20260401T010131Z.json.gz", "main", "us-east-1", False),
        ("my_odd_name-1_us-gov-west-1_20260401T010131Z.json.gz", "my_odd_name-1", "us-gov-west-1", False),
        ("t_eu-west-1_x_us-east-2_20260401T010131Z_backfill.json.gz", "t_eu-west-1_x", "us-east-2", True),
    ],
)  # fmt: skip
def test_a_digest_names_its_trail_and_the_trails_home(
    name: str, trail: str, home: str, *, backfill: bool
) -> None:
    folder = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/04/01"
    found = read_key(f"{folder}/111122223333_CloudTrail-Digest_eu-west-1_{name}")
    assert found is not None
    assert (found.kind, found.trail, found.home, found.backfill) == (DIGESTS, trail, home, backfill)
    assert found.at == parse("2026-04-01T01:01:31Z")


@pytest.mark.parametrize(
    "key",
    [
        "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/04/01/",
        f"AWSLogs/111122223333/CloudTrail-Insight/eu-west-1/2026/04/01/{LOG}",
        f"AWSLogs/1111/CloudTrail/eu-west-1/2026/04/01/{LOG}",
        f"MyAWSLogs/111122223333/CloudTrail/eu-west-1/2026/04/01/{LOG}",
        f"AWSLogs/111122223333/CloudTrail/eu-west-1/2026/4/1/{LOG}",
        "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/04/01/other.json.gz",
        f"AWSLogs/111122223333/CloudTrail/eu-west-1/2026/04/01/{LOG.replace('0401T', '1301T')}",
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/04/01/x.json.gz",
    ],
)
def test_other_objects_are_nobodys(key: str) -> None:
    assert read_key(key) is None


def test_prefixes_are_taken_as_people_write_them() -> None:
    assert [owner_prefix(p) for p in ("", "/", "a", "a/", "/a/b")] == ["", "", "a/", "a/", "a/b/"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("AWSLogs", ("", "", "", None)),
        ("a/AWSLogs/o-abcde12345/", ("a/", "", "", None)),
        ("AWSLogs/111122223333/CloudTrail", ("", "111122223333", "", None)),
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026", ("", "111122223333", "eu-west-1", 365)),
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2024/02/", ("", "111122223333", "eu-west-1", 29)),
        ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/04/30", ("", "111122223333", "eu-west-1", 1)),
    ],
)  # fmt: skip
def test_a_path_into_a_trail_points_at_a_part_of_it(
    path: str, told: tuple[str, str, str, int | None]
) -> None:
    aim = aimed(path)
    assert aim is not None
    assert (aim.prefix, aim.account, aim.region) == told[:3]
    if told[3] is None:
        assert aim.start == 0
    else:
        assert day_of(aim.end) - day_of(aim.start) + 1 == told[3]


@pytest.mark.parametrize(
    "path", ["", "logs/", "AWSLogs/1/x", "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/13"]
)
def test_other_paths_point_at_no_trail(path: str) -> None:
    assert aimed(path) is None
