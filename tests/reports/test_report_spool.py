"""Content set aside: in order, from anywhere, and never in clear."""

import io
import os
import random
import zipfile
from pathlib import Path

import pytest

from auditkeep.errors import DecryptionFailed
from auditkeep.reports import spool as spools
from auditkeep.reports.spool import Spool


@pytest.fixture
def parts() -> list[bytes]:
    chosen = random.Random(7)
    return [chosen.randbytes(size) for size in (0, 1, 5_000, 0, 70_000, 3, 0)]


def test_parts_come_back_in_order(parts: list[bytes]) -> None:
    with Spool() as spool:
        for part in parts:
            spool.append(part)
        assert list(spool) == parts
        assert spool.stream().read() == b"".join(parts)


def test_it_is_read_from_anywhere_as_a_file_is(parts: list[bytes]) -> None:
    whole = io.BytesIO(b"".join(parts))
    chosen = random.Random(8)
    with Spool() as spool:
        for part in parts:
            spool.append(part)
        with spool.anywhere() as file:
            for _ in range(200):
                at, size = chosen.randrange(80_000), chosen.randrange(9_000)
                assert (file.seek(at), whole.seek(at)) == (at, at)
                assert file.read(size) == whole.read(size)
                assert file.tell() == whole.tell()
            assert file.seek(-10, io.SEEK_END) == whole.seek(-10, io.SEEK_END)
            assert file.read() == whole.read()


def test_nothing_is_nowhere() -> None:
    with Spool() as spool, spool.anywhere() as file:
        assert (file.seek(0, io.SEEK_END), file.read()) == (0, b"")


def test_a_zip_is_read_from_it() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "a" * 10_000)
        archive.writestr("b.txt", "b")
    with Spool() as spool:
        for at in range(0, len(packed.getvalue()), 999):
            spool.append(packed.getvalue()[at : at + 999])
        with zipfile.ZipFile(spool.anywhere()) as found:
            assert found.testzip() is None
            assert found.read("b.txt") == b"b"


def test_what_lies_on_disk_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "_IN_MEMORY", 10)
    with Spool() as spool:
        spool.append(b"canary" * 1_000)
        spool._file.flush()
        on_disk = os.pread(spool._file.fileno(), 1 << 20, 0)
        assert len(on_disk) > 6_000
        assert b"canary" not in on_disk
        os.pwrite(spool._file.fileno(), b"another byte", 4_000)
        with pytest.raises(DecryptionFailed):
            list(spool)
