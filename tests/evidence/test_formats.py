"""Which files may be evidence."""

from __future__ import annotations

import io
import zipfile

import pytest

from auditkeep.evidence.formats import ALLOWED, content_fault, extension_of, name_fault


def _zip() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a", "b")
    return held.getvalue()


@pytest.mark.parametrize("extension", sorted(ALLOWED))
def test_each_format_of_the_specification_may_be_evidence(extension: str) -> None:
    assert name_fault(f"file.{extension}") is None
    assert name_fault(f"FILE.{extension.upper()}") is None
    assert len(ALLOWED) == 25


@pytest.mark.parametrize("name", ["a", "a.", ".pdf", "a.exe", "a.pdf.exe", "a.tar"])
def test_other_names_may_not(name: str) -> None:
    fault = name_fault(name)
    assert fault is not None
    assert "pdf" in fault


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", b"%PDF-1.7\n"),
        ("a.pdf", b"\r\n%PDF-1.4"),
        ("a.docx", _zip()),
        ("a.xlsx", _zip()),
        ("a.zip", _zip()),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(8)),
        ("a.PNG", b"\x89PNG\r\n\x1a\n"),
        ("a.jpg", b"\xff\xd8\xff\xe0"),
        ("a.gz", b"\x1f\x8b\x08"),
        ("a.txt", "schön".encode()),
        ("a.csv", "a,b".encode("utf-16")),
        ("a.cer", b"-----BEGIN CERTIFICATE-----"),
        ("a.cer", b"0\x82\x00\x01"),
    ],
)
def test_a_file_that_begins_as_its_name_says_is_taken(name: str, content: bytes) -> None:
    assert content_fault(name, content) is None


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.pdf", _zip(), "does not begin as a .pdf"),
        ("a.docx", b"%PDF-1.7", "does not begin as a .docx"),
        ("a.png", b"GIF89a", "does not begin as a .png"),
        ("a.json", b"\x00\x01", "binary"),
        ("a.txt", b"", "empty"),
    ],
)
def test_a_file_that_does_not_is_refused(name: str, content: bytes, fault: str) -> None:
    found = content_fault(name, content)
    assert found is not None
    assert fault in found


def test_extensions_are_read_from_the_end() -> None:
    assert [extension_of(n) for n in ("a.tar.GZ", "a", "a.", ".b")] == ["gz", "", "", ""]
