"""The program that draws one PDF: `python -m auditkeep.reports.pdf.render summary|listing MB`.

Reads the model as JSON from standard input, writes the PDF to standard output, and touches neither
disk nor network: its address space is bounded and it may write no file. Content never lies on disk
in clear, and a page that typst cannot draw costs this process, not the server.
"""

import resource
import sys
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import msgspec

from auditkeep.clock import SECOND
from auditkeep.reports.model import Listing, Summary
from auditkeep.reports.pdf import document

OUT_OF_MEMORY = 3
NOT_DRAWN = 4
_STANDARDS = ["a-2a", "ua-1"]
"""Archival with tags (ISO 19005-2 level A), and universally accessible (ISO 14289-1)."""

_MIB = 1024 * 1024


def draw(kind: str, model: bytes) -> bytes:
    """The PDF of a model in JSON; text that the fonts cannot draw is spelled out and drawn again.

    Raises typst.TypstError when the second try fails too.
    """
    import typst  # noqa: PLC0415 - after the limits are set, and never in the server

    value = (
        msgspec.json.decode(model, type=Summary)
        if kind == "summary"
        else msgspec.json.decode(model, type=Listing)
    )
    try:
        return _compile(typst, value, ascii_only=False)
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
    return _compile(typst, value, ascii_only=True)


def _compile(typst: Any, value: Summary | Listing, *, ascii_only: bool) -> bytes:
    template, data = (
        ("summary.typ", document.summary(value, ascii_only=ascii_only))
        if isinstance(value, Summary)
        else ("listing.typ", document.listing(value, ascii_only=ascii_only))
    )
    folder = resources.files(__package__)
    with resources.as_file(folder / template) as path:
        pdf: bytes = typst.compile(
            path,
            root=path.parent,
            sys_inputs={"data": msgspec.json.encode(data).decode()},
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=_STANDARDS,
            timestamp=datetime.fromtimestamp(value.heading.generated_at // SECOND, UTC),
        )
    return pdf


def main() -> int:
    kind, megabytes = sys.argv[1], int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * _MIB, megabytes * _MIB))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the content
    try:
        pdf = draw(kind, sys.stdin.buffer.read())
    except MemoryError:
        return OUT_OF_MEMORY
    except RuntimeError as error:  # what typst.TypstError is; its text names template and reason
        sys.stderr.write(str(error)[:2000])
        return NOT_DRAWN
    sys.stdout.buffer.write(pdf)
    return 0


if __name__ == "__main__":
    sys.exit(main())
