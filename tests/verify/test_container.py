"""A zip in which two programs could see different things is refused, whatever it holds."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from auditkeep.errors import ProofError
from auditkeep.verify.container import Container

FILES = {"a/one": b"first " * 100, "a/two": b"", "a/three": b"\x00" * 70_000}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.zip"


class Pipe(io.RawIOBase):
    """Cannot seek or tell, so that sizes follow the bytes."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self.file.write(bytes(data))  # type: ignore[call-overload]

    def close(self) -> None:
        self.file.close()


def written(path: Path, *, streamed: bool = False, zip64: bool = False) -> bytearray:
    target = Pipe(path) if streamed else path.open("w+b")
    with target, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(data)
    return bytearray(path.read_bytes())


def problems(path: Path, data: bytearray | None = None) -> list[str]:
    if data is not None:
        path.write_bytes(data)
    with Container(path) as container:
        return container.problems


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("zip64", [False, True])
def test_every_honest_way_of_writing_is_read(path: Path, streamed: bool, zip64: bool) -> None:
    written(path, streamed=streamed, zip64=zip64)
    with Container(path) as container:
        assert container.problems == []
        assert container.names == tuple(FILES)
        assert {name: b"".join(container.blocks(name)) for name in FILES} == FILES
        assert container.total_size == sum(map(len, FILES.values()))


def test_an_empty_zip_holds_nothing(path: Path) -> None:
    with zipfile.ZipFile(path, "w"):
        pass
    with Container(path) as container:
        assert container.problems == []
        assert container.names == ()


def test_more_files_than_16_bits_count(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(65_540):
            archive.writestr(f"{n}", b"")
    assert problems(path) == []


def with_extra(path: Path, extra: bytes) -> list[str]:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("name")
        info.extra = extra
        archive.writestr(info, b"content")
    return problems(path)


def test_a_second_name_in_an_extra_field(path: Path) -> None:
    """Info-ZIP would unpack the file under this name, Python under the other."""
    name = struct.pack("<BI", 1, 0) + b"another"
    (problem,) = with_extra(path, struct.pack("<HH", 0x7075, len(name)) + name)
    assert "says more about 'name' than its size" in problem


@pytest.mark.parametrize("extra", [b"\x00", struct.pack("<HH", 1, 0) + b"more"])
def test_an_extra_field_that_is_none(path: Path, extra: bytes) -> None:
    try:
        found = with_extra(path, extra)
    except ProofError as error:  # some versions of Python refuse it first
        found = [str(error)]
    assert len(found) == 1


def test_a_comment_on_a_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("name")
        info.comment = b"trust me"
        archive.writestr(info, b"content")
    assert any("comment on 'name'" in problem for problem in problems(path))


@pytest.mark.parametrize("zip64", [False, True])
def test_a_descriptor_that_tells_other_sizes(path: Path, zip64: bool) -> None:
    data = written(path, streamed=True, zip64=zip64)
    at = data.index(b"PK\x07\x08")
    for changed in range(4, 24 if zip64 else 16):
        other = bytearray(data)
        other[at + changed] ^= 1
        (problem,) = problems(path, other)
        assert "bytes after 'a/one'" in problem


@pytest.mark.parametrize("streamed", [False, True])
def test_a_local_header_that_tells_another_story(path: Path, streamed: bool) -> None:
    data = written(path, streamed=streamed)
    for at in [0, 6, 8, 14, 18, 22, 26, 28, 30]:  # magic, flags, method, sums, lengths, name
        other = bytearray(data)
        other[at] ^= 1
        assert problems(path, other), at


def test_local_zip64_sizes_that_are_not_the_directory_s(path: Path) -> None:
    data = written(path, zip64=True)
    at = data.index(b"a/one") + len("a/one") + 4
    for changed in range(16):
        other = bytearray(data)
        other[at + changed] ^= 1
        assert "contradicts itself about 'a/one'" in problems(path, other)[0]


def test_two_members_that_share_bytes(path: Path) -> None:
    data = written(path)
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    second = data.index(b"a/two", start) - 46
    struct.pack_into("<I", data, second + 42, 0)  # now it begins where the first one does
    found = " ".join(problems(path, data))
    assert "contradicts itself about 'a/two'" in found


@pytest.mark.parametrize("at", [-14, -12, -10, -6])
def test_an_end_that_counts_or_points_elsewhere(path: Path, at: int) -> None:
    data = written(path)
    data[at] ^= 1
    try:
        found = problems(path, data)
    except ProofError as error:
        found = [str(error)]
    assert found


def test_the_end_of_a_zip64_must_not_point_to_a_second_directory(path: Path) -> None:
    """Readers that know zip64 would follow one record, others the other."""
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(65_540):
            archive.writestr(f"{n}", b"")
    data = bytearray(path.read_bytes())
    for at, value in [(-14, 3), (-12, 3), (-10, 100), (-6, 0)]:
        other = bytearray(data)
        struct.pack_into("<H" if at < -10 else "<I", other, len(other) + at, value)
        assert problems(path, other) == ["The zip holds bytes that belong to none of its files."]


def test_encrypted_members_are_refused(path: Path) -> None:
    data = written(path)
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    data[6] |= 1
    data[start + 8] |= 1
    path.write_bytes(data)
    with Container(path) as container, pytest.raises(ProofError, match="encrypted inside"):
        list(container.blocks("a/one"))


def test_what_is_read_whole_has_a_limit(path: Path) -> None:
    written(path)
    with Container(path) as container:
        assert container.read("a/one", 600) == FILES["a/one"]
        with pytest.raises(ProofError, match="larger than the 599"):
            container.read("a/one", 599)


def test_lines_across_blocks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditkeep.verify.container._BLOCK", 3)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lines", b"one\n\nthree\n" * 50)
        archive.writestr("cut", b"one\ntwo")
    with Container(path) as container:
        assert list(container.lines("lines", 5)) == [b"one", b"", b"three"] * 50
        with pytest.raises(ProofError, match="more than 4 bytes"):
            list(container.lines("lines", 4))
        with pytest.raises(ProofError, match="last line does not end"):
            list(container.lines("cut", 10))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/Record.json", "a/record.json"),
        ("A/record.json", "a/record.json"),
        ("a/stra\u00dfe", "a/STRASSE"),
        ("a/caf\u00e9", "a/cafe\u0301"),
        ("a/name.", "a/name"),
        ("a/folder /x", "a/folder/x"),
    ],
)
def test_names_that_are_one_file_elsewhere_are_told(path: Path, one: str, other: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(one, b"1")
        archive.writestr(other, b"2")
    (problem,) = problems(path)
    assert "one file on systems that do not tell such names apart" in problem
    assert repr(one) in problem
    assert repr(other) in problem


@pytest.mark.parametrize("turned", [False, True])
def test_a_file_in_the_place_of_a_folder_is_told(path: Path, turned: bool) -> None:
    names = ["a/Control", "a/control/day/item"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in reversed(names) if turned else names:
            archive.writestr(name, b"1")
    (problem,) = problems(path)
    assert "'a/Control' as a file" in problem


def test_folders_that_share_a_beginning_are_not_one(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a/b/c", "a/bc", "a/b-/c", "ab/c"):
            archive.writestr(name, b"1")
    assert problems(path) == []
