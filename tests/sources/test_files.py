"""Files: compression by content, damage told in a sentence, memory bounded whatever is claimed."""

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditkeep.errors import InputError
from auditkeep.sources import files, gzipped
from auditkeep.sources.gzipped import BLOCK

TEXT = b'{"Records":[' + b",".join(b'{"n":%d}' % n for n in range(100_000)) + b"]}"


@pytest.mark.parametrize("name", ["plain.json", "misleading.gz"])
def test_plain_text_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TEXT)
    assert b"".join(files.get(tmp_path / name)) == TEXT


@pytest.mark.parametrize("name", ["packed.json.gz", "packed.json"])
def test_gzip_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(TEXT))
    assert b"".join(files.get(tmp_path / name)) == TEXT


def test_what_is_not_small_comes_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"a" * 1_000_000
    (tmp_path / "x").write_bytes(text)
    (tmp_path / "x.gz").write_bytes(gzip.compress(text))
    assert max(map(len, files.get(tmp_path / "x"))) == BLOCK
    assert list(files.get(tmp_path / "x.gz")) == [text]
    for limit in ("LONGEST", "SMALL"):
        monkeypatch.setattr(gzipped, limit, 900)
        assert max(map(len, files.get(tmp_path / "x.gz"))) == BLOCK
        monkeypatch.undo()


@given(st.lists(st.binary(max_size=2_000), min_size=1, max_size=4), st.binary(max_size=3))
@example([b"one", b"two"], b"")  # the last length is also the first's
@example([b"one", b"one"], b"")
@example([b"", b"two"], b"\0")
def test_members_follow_each_other(parts: list[bytes], padding: bytes) -> None:
    packed = b"".join(map(gzip.compress, parts)) + b"\0" * len(padding)
    text = b"".join(parts).removeprefix(b"\xef\xbb\xbf")
    assert b"".join(files.blocks(io.BytesIO(packed))) == text


def test_a_text_may_hold_what_looks_like_another_member() -> None:
    text = b"\x1f\x8b\x08\0" * 100
    packed = gzip.compress(text, 0)
    assert packed.count(b"\x1f\x8b\x08\0") > 1
    assert b"".join(files.blocks(io.BytesIO(packed))) == text


def test_a_mark_at_the_beginning_is_left_out(tmp_path: Path) -> None:
    for content in (b"\xef\xbb\xbf[]", gzip.compress(b"\xef\xbb\xbf[]")):
        (tmp_path / "x").write_bytes(content)
        assert b"".join(files.get(tmp_path / "x")) == b"[]"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: b[:-20], "ends early"),
        (lambda b: b[:200] + bytes([b[200] ^ 255]) + b[201:], "damaged"),
        (lambda b: b[:-8] + b"\0\0\0\0" + b[-4:], "damaged"),
        (lambda b: b + b"something else", "not gzip"),
    ],
)
def test_damage_is_named_after_what_could_be_read(
    tmp_path: Path, change: object, reason: str
) -> None:
    assert callable(change)
    (tmp_path / "x").write_bytes(change(gzip.compress(TEXT)))
    blocks: list[bytes | bytearray] = []
    with pytest.raises(InputError, match=reason):
        blocks.extend(files.get(tmp_path / "x"))


def test_what_cannot_be_opened_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        list(files.get(tmp_path / "missing"))
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDWR)
    with pytest.raises(InputError, match="not a regular file"):
        list(files.get(tmp_path / "pipe"))
    os.close(descriptor)


def test_a_large_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "IN_MEMORY", 10)
    path = tmp_path / "x"
    path.write_bytes(TEXT)
    with pytest.raises(InputError, match="changed while it was read"), files.opened(path) as (f, _):
        f.read(10)
        with path.open("ab") as other:
            other.write(b" ")


_BOMB = """
import resource, sys, gzip, io
from auditkeep.ids import Tenant
from auditkeep.mapping.interest import Interest
from auditkeep.sources import cloudtrail, files
from auditkeep.sources.records import Context, Tally
from auditkeep.sources.secrets import Cutter

before, filling, size = eval(sys.argv[1]), eval(sys.argv[2]), int(sys.argv[3])
packed = io.BytesIO()
with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as target:
    target.write(before)
    for _ in range(size):
        target.write(filling * (2**20 // len(filling)))
packed.seek(0)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
context = Context(Tenant("111122223333", "us-east-1"), Interest.everything(), Cutter(b"k"))
count = sum(1 for _ in cloudtrail.parse(files.blocks(packed), context, Tally()))
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""


@pytest.mark.parametrize(
    ("before", "filling", "megabytes"),
    [
        (b"", b"\0", 1024),
        (b"", b" ", 512),
        (b'{"Records":[', b" ", 512),
        (b'{"Records":[{"eventName":"', b"a", 512),
        (b'{"Records":[{"a":[', b'"\\\\",', 100),
        (b"[", b"[", 20),
        (b"{}\n", b"x", 512),
        (b"{}\n", b"\n", 512),
    ],
)
def test_a_bomb_takes_a_bounded_amount_of_memory(
    before: bytes, filling: bytes, megabytes: int
) -> None:
    command = [sys.executable, "-c", _BOMB, repr(before), repr(filling), str(megabytes)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "src"}
    )
    rejections, grown = map(int, done.stdout.split())
    assert rejections >= 1
    assert grown < 40
