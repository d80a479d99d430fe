import hashlib
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.lake.making import NOW, TENANT, file_name, register

from auditkeep.clock import MINUTE, Instant, SystemClock
from auditkeep.db.database import Database
from auditkeep.errors import DecryptionFailed, ObjectExists, ObjectMissing, StorageError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import blobs
from auditkeep.lake.blobs import CHUNK, Blob, delete_blob, get_blob, put_blob
from auditkeep.lake.lake import Lake
from auditkeep.lake.sweep import sweep


class Dribble(io.BytesIO):
    """A stream that gives less than it is asked for, as sockets do."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(-1 if size is None or size < 0 else min(size, 7_001))


def put(lake: Lake, object_id: str, data: bytes | io.BytesIO) -> Blob:
    with lake.db.write(TENANT) as tx:
        return put_blob(tx, lake, "manual/a", object_id, data, NOW)


def got(lake: Lake, object_id: str, tenant: Tenant = TENANT) -> bytes:
    with lake.db.read(tenant) as tx:
        return b"".join(get_blob(tx, lake, object_id))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
@pytest.mark.parametrize("stream", [bytes, io.BytesIO, Dribble])
def test_a_file_comes_back_as_it_was(
    lake: Lake, size: int, stream: type[bytes] | type[io.BytesIO]
) -> None:
    data = (b"0123456789abcde" * (size // 15 + 1))[:size]
    blob = put(lake, "file", stream(data))
    assert (blob.size, blob.sha256) == (size, hashlib.sha256(data).digest())
    assert got(lake, "file") == data
    if size > 20:
        assert data[:20] not in lake.objects.get(file_name(lake, "file"))


@pytest.mark.both_databases
def test_a_file_is_found_by_its_owner_only(lake: Lake, db: Database) -> None:
    put(lake, "file", b"mine")
    other = Tenant("444455556666", "us-east-1")
    register(db, other)
    with pytest.raises(ObjectMissing):
        got(lake, "file", other)
    # Even a copy under the other's name does not open: the bucket is not theirs.
    lake.objects.put(file_name(lake, "file", other), lake.objects.get(file_name(lake, "file")))
    with pytest.raises(StorageError, match="not there, or was destroyed"):
        got(lake, "file", other)


def test_a_name_is_used_once(lake: Lake) -> None:
    put(lake, "file", b"first")
    with pytest.raises(ObjectExists):
        put(lake, "file", b"second")
    assert got(lake, "file") == b"first"
    for _ in range(2):
        with lake.db.write(TENANT) as tx:
            delete_blob(tx, lake, "file")
    with pytest.raises(ObjectMissing):
        got(lake, "file")


def test_a_file_whose_attempt_was_rolled_back_is_put_again_or_swept(lake: Lake) -> None:
    for name in ("again", "never"):
        with pytest.raises(KeyError), lake.db.write(TENANT) as tx:
            put_blob(tx, lake, "manual/a", name, b"first", NOW)
            raise KeyError
    put(lake, "again", b"second")
    assert got(lake, "again") == b"second"
    now = SystemClock().now()
    assert sweep(lake, TENANT, Instant(now + 59 * MINUTE)) == []
    assert sweep(lake, TENANT, Instant(now + 61 * MINUTE)) == [file_name(lake, "never")]
    assert got(lake, "again") == b"second"


def test_a_deletion_that_is_rolled_back_deletes_nothing(lake: Lake) -> None:
    put(lake, "file", b"first")
    with pytest.raises(KeyError), lake.db.write(TENANT) as tx:
        delete_blob(tx, lake, "file")
        raise KeyError
    assert got(lake, "file") == b"first"


def test_a_source_that_fails_leaves_nothing(lake: Lake) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise StorageError("the upload broke off")

    with pytest.raises(StorageError, match="broke off"):
        put(lake, "file", Broken())
    assert list(lake.objects.list("")) == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(size=st.integers(0, 50), at=st.integers(0, 10_000), how=st.sampled_from(["flip", "cut"]))
@example(size=32, at=53 + 4 + 16 + 28, how="cut")
def test_any_change_to_a_stored_file_is_noticed(
    lake: Lake, size: int, at: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "CHUNK", 16)
    name = new_id()
    put(lake, name, b"x" * size)
    stored = bytearray(lake.objects.get(file_name(lake, name)))
    at %= len(stored)
    if how == "flip":
        stored[at] ^= 1
    else:
        del stored[at:]
    lake.objects.replace(file_name(lake, name), bytes(stored))
    with pytest.raises((DecryptionFailed, StorageError)):
        got(lake, name)


def test_chunks_cannot_change_places_or_be_left_out(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "CHUNK", 16)
    put(lake, "file", bytes(range(48)))
    name = file_name(lake, "file")
    stored = lake.objects.get(name)
    head, each = 53, 4 + 16 + 28
    chunks = [stored[n : n + each] for n in range(head, len(stored), each)]
    assert len(chunks) == 3
    for order in ([1, 0, 2], [0, 2], [0, 1], [0, 0, 1, 2], [0, 1, 2, 2]):
        lake.objects.replace(name, stored[:head] + b"".join(chunks[n] for n in order))
        with pytest.raises(DecryptionFailed):
            got(lake, "file")
