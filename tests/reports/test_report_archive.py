"""The zip as a stream, and what waits for it: small in memory, exact, readable by others."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.clock import parse
from auditkeep.errors import DecryptionFailed
from auditkeep.reports.archive import Archive
from auditkeep.reports.spool import Spool
from auditkeep.verify.container import Container

MADE = parse("2026-05-01T15:07:09Z")


def pack(files: dict[str, bytes | list[bytes]]) -> tuple[bytes, Archive]:
    archive = Archive(MADE)
    parts = [chunk for name, data in files.items() for chunk in archive.add(name, data)]
    return b"".join([*parts, *archive.end()]), archive


def test_what_went_in_comes_out_and_is_listed() -> None:
    packed, archive = pack({"a/b.json": b"{}", "c.bin": [b"x" * 400_000, b"y"], "empty": b""})
    opened = zipfile.ZipFile(io.BytesIO(packed))
    assert opened.namelist() == ["a/b.json", "c.bin", "empty"]
    assert opened.testzip() is None
    for listed in archive.files:
        content = opened.read(listed.file_name)
        assert hashlib.sha256(content).hexdigest() == listed.file_hash_value
        assert len(content) == listed.size


def test_the_same_files_give_the_same_zip() -> None:
    files: dict[str, bytes | list[bytes]] = {"a": b"1", "b": [b"2", b"3"]}
    assert pack(files)[0] == pack(files)[0]


def test_the_verifiers_reader_finds_nothing_to_object_to(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    path.write_bytes(pack({"a": b"1", "b": [b"2" * 10_000, b"3"], "c": b""})[0])
    with Container(path) as container:
        assert container.problems == []
        assert [b"".join(container.blocks(n)) for n in container.names] == [
            b"1",
            b"2" * 10_000 + b"3",
            b"",
        ]


def test_a_large_file_passes_in_chunks() -> None:
    archive = Archive(MADE)
    noise = hashlib.shake_256(b"noise").digest(1 << 20)
    chunks = list(archive.add("large", (noise for _ in range(8))))
    assert len(chunks) >= 8
    assert max(map(len, chunks)) < 2 << 20


def test_the_digest_itself_is_not_listed() -> None:
    archive = Archive(MADE)
    list(archive.add("digest.txt", b"{}", listed=False))
    assert archive.files == []


@given(st.lists(st.binary(max_size=5000), max_size=20))
def test_a_spool_gives_back_what_it_was_given(parts: list[bytes]) -> None:
    with Spool() as spool:
        for part in parts:
            spool.append(part)
        assert list(spool) == parts
        assert list(spool) == parts


def test_a_spool_keeps_nothing_in_clear_and_notices_change() -> None:
    with Spool() as spool:
        spool.append(b"arn:aws:iam::111122223333:user/alice")
        spool._file.seek(0)
        kept = spool._file.read()
        assert b"alice" not in kept
        spool._file.seek(len(kept) - 1)
        spool._file.write(bytes([kept[-1] ^ 1]))
        with pytest.raises(DecryptionFailed):
            list(spool)
