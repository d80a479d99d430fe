"""Which files may be evidence, and whether one begins as its name says (spec section 3.9).

A check against mistakes, not against malice: a file is kept and handed on, never opened here.
"""

_DOCUMENTS = frozenset({"doc", "docx", "pdf", "ppt", "pptx", "rtf", "xls", "xlsx"})
_IMAGES = frozenset({"jpeg", "jpg", "png", "svg"})
_PACKED = frozenset({"gz", "zip"})
_TEXTS = frozenset({"cer", "csv", "html", "jmx", "json", "md", "out", "txt", "xml", "yaml", "yml"})
ALLOWED = _DOCUMENTS | _IMAGES | _PACKED | _TEXTS
"""Extensions, without the dot and in lower case."""

ENOUGH = 4096
"""Bytes of a file's beginning that are looked at."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)
_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "gz": (b"\x1f\x8b",),
    "zip": _ZIP,
    "docx": _ZIP,
    "pptx": _ZIP,
    "xlsx": _ZIP,
    "doc": _OLE,
    "ppt": _OLE,
    "xls": _OLE,
    "pdf": (b"%PDF-",),
    "jpeg": (b"\xff\xd8\xff",),
    "jpg": (b"\xff\xd8\xff",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "rtf": (b"{\\rtf",),
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_EITHER = frozenset({"cer"})
"""Formats that are binary or text: a certificate is DER or PEM."""


def extension_of(name: str) -> str:
    """The extension in lower case; empty for a name without one."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


def name_fault(name: str) -> str | None:
    """Why a file of this name cannot be evidence, as the end of a sentence; None if it can."""
    extension = extension_of(name)
    if extension in ALLOWED:
        return None
    kinds = ", ".join(sorted(ALLOWED))
    return f"must end in one of these extensions: {kinds}."


def content_fault(name: str, beginning: bytes) -> str | None:
    """Why bytes are not what their name says, as a sentence; None if they may be."""
    extension = extension_of(name)
    if not beginning:
        return "The file is empty."
    expected = _BEGINNINGS.get(extension)
    if expected is not None:
        # Adobe's readers take a PDF that begins within the first kilobyte, and so do people.
        where = beginning[:1024] if extension == "pdf" else beginning[:16]
        found = any(b in where if extension == "pdf" else where.startswith(b) for b in expected)
        return None if found else f"The file does not begin as a .{extension} file does."
    is_text = b"\0" not in beginning[:ENOUGH] or beginning.startswith(_UTF_16)
    if is_text or extension in _EITHER:
        return None
    return f"The file holds binary data, which a .{extension} file does not."
