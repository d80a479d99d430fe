import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.s3 import S3Server

from auditkeep.clock import MINUTE, SystemClock
from auditkeep.errors import ObjectExists, ObjectMissing, StorageError
from auditkeep.lake.objects import Entry, LocalObjects, ObjectStore
from auditkeep.lake.s3.copies import Copies
from auditkeep.lake.s3.store import S3Objects


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.server)])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Either store: what is here holds for both."""
    if request.param == "local":
        return LocalObjects(tmp_path / "objects")
    server: S3Server = request.getfixturevalue("s3")
    return S3Objects(server.place(), Copies(tmp_path / "near", 1 << 30), SystemClock())


def test_an_object_is_put_once_and_read_back(objects: ObjectStore) -> None:
    objects.put("a/b/c", b"data")
    objects.put("a/stream", iter([b"da", b"", b"ta"]))
    assert objects.get("a/b/c") == objects.get("a/stream") == b"data"
    assert objects.size("a/b/c") == 4
    assert objects.exists("a/b/c")
    (near,) = objects.near(["a/b/c"])
    assert near.read_bytes() == b"data"
    (listed,) = objects.entries("a/b/")
    assert listed == Entry("a/b/c", 4, objects.modified("a/b/c"))
    assert abs(objects.modified("a/b/c") - SystemClock().now()) < MINUTE
    with objects.open("a/b/c") as stream:
        assert stream.read(2) == b"da"
    with pytest.raises(ObjectExists):
        objects.put("a/b/c", b"other")
    objects.replace("a/b/c", b"other")
    assert objects.get("a/b/c") == b"other"


def test_what_is_not_there_is_said_so(objects: ObjectStore) -> None:
    objects.put("a", b"")
    for key in ("none", "a/below", "no/such/folder"):
        assert not objects.exists(key)
        for read in (objects.get, objects.open, objects.size, objects.modified):
            with pytest.raises(ObjectMissing, match=key):
                read(key)
        with pytest.raises(ObjectMissing, match=key):
            objects.near(["a", key])
        objects.delete(key)
    assert list(objects.list("none/")) == []
    assert list(objects.entries("none/")) == []


def test_keys_are_listed_by_prefix(objects: ObjectStore) -> None:
    for key in ("a/1", "a/12", "a/2/x", "b/1"):
        objects.put(key, b"")
    assert sorted(objects.list("")) == ["a/1", "a/12", "a/2/x", "b/1"]
    assert sorted(objects.list("a/")) == ["a/1", "a/12", "a/2/x"]
    assert sorted(objects.list("a/1")) == ["a/1", "a/12"]
    objects.delete("a/1")
    assert sorted(objects.list("a/1")) == ["a/12"]


@pytest.mark.parametrize(
    "key",
    [
        *["", "/", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a/\0", ".new-1"],
        *["x" * 256, "a/" * 600 + "b", "é" * 128, "half\ud800"],
    ],
)
def test_a_key_that_is_no_plain_path_is_refused(objects: ObjectStore, key: str) -> None:
    with pytest.raises(StorageError):
        objects.put(key, b"")
    with pytest.raises(StorageError):
        objects.get(key)


@given(st.text(max_size=30))
def test_no_key_leads_outside_the_folder(key: str) -> None:
    objects = LocalObjects(Path("/srv/objects"))
    try:
        path = str(objects.path(key))
    except StorageError:
        return
    assert os.path.normpath(path) == path
    assert path.startswith("/srv/objects/")


def test_a_stream_that_fails_leaves_nothing(objects: ObjectStore, tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"some"
        raise StorageError("broke off")

    with pytest.raises(StorageError, match="broke off"):
        objects.put("a/b", parts())
    assert list(objects.list("")) == []
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_of_many_writers_of_a_key_one_wins(objects: ObjectStore) -> None:
    def put(number: int) -> bool:
        try:
            objects.put("a/b", b"%d" % number)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(24)))
    assert won.count(True) == 1
    assert objects.get("a/b") == b"%d" % won.index(True)


def test_what_was_deleted_may_be_put_again(objects: ObjectStore) -> None:
    objects.put("a/b", b"first")
    assert objects.near(["a/b"])[0].read_bytes() == b"first"
    objects.delete("a/b")
    objects.tidy("a/")
    assert objects.purge("a/", SystemClock().now()) is None
    assert not objects.exists("a/b")
    with pytest.raises(ObjectMissing):
        objects.near(["a/b"])
    objects.put("a/b", b"second")
    assert objects.near(["a/b"])[0].read_bytes() == objects.get("a/b") == b"second"


def test_what_a_crash_left_of_a_write_is_no_object(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    objects.put("a/1", b"")
    (tmp_path / "a" / ".new-0123").write_bytes(b"left by a crash")
    assert list(objects.list("a/")) == ["a/1"]
    objects.tidy("a/")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["1"]
