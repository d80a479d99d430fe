import os
import time
from collections.abc import Iterator
from pathlib import Path

from auditkeep.lake.s3.copies import GRACE, LONGEST, Copies


def fetch(key: str) -> Iterator[bytes]:
    yield key.encode()
    yield b"!" * 100


def test_an_object_is_fetched_once(tmp_path: Path) -> None:
    asked = []

    def counted(key: str) -> Iterator[bytes]:
        asked.append(key)
        yield from fetch(key)

    copies = Copies(tmp_path, 1 << 20)
    keys = [f"segments/{n}" for n in range(20)]
    paths = copies.near(keys, counted)
    assert [p.read_bytes() for p in paths] == [b"".join(fetch(k)) for k in keys]
    assert copies.near(keys, counted) == paths
    assert sorted(asked) == sorted(keys)
    assert Copies(tmp_path, 1).near(keys, counted) == paths, "another process's copies are not used"
    assert len(asked) == 20


def test_what_was_not_read_for_longest_goes_first_and_what_is_read_stays(tmp_path: Path) -> None:
    copies = Copies(tmp_path, 250)
    paths = copies.near(["a", "b", "c", "d"], fetch)
    now = time.time()
    for age, path in zip((0, GRACE + 30, GRACE + 20, GRACE + 10), paths, strict=True):
        os.utime(path, (now - age, now - age))
    copies.trim(now)
    assert [p.exists() for p in paths] == [True, False, False, True]
    (d,) = copies.near(["d"], fetch)
    Copies(tmp_path, 0).trim(now)
    assert d.exists(), "a copy that was asked for just now went"
    copies.trim(now + LONGEST + 60)
    assert not any(p.exists() for p in paths)


def test_copies_are_forgotten_by_key_and_by_prefix(tmp_path: Path) -> None:
    copies = Copies(tmp_path, 1 << 20)
    paths = copies.near(["x/a", "x/b", "y/c"], fetch)
    copies.forget("x/a")
    copies.forget("x/none")
    assert [p.exists() for p in paths] == [False, True, True]
    copies.clear("x/")
    assert [p.exists() for p in paths] == [False, False, True]
