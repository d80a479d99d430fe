"""Hold the documentation to the code.

    python tools/check_docs.py

Every setting and every command has its heading, every relative link leads somewhere, README leads
to every page, the page on architecture names every room, and nothing names a path of one
particular machine. Exit 1 names each fault.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def settings() -> Iterator[str]:
    from auditkeep.settings import Settings

    text = (ROOT / "docs/settings.md").read_text()
    for name in Settings.model_fields:
        if name != "data" and f"`AUDITKEEP_{name.upper()}`" not in text:
            yield f"docs/settings.md does not explain AUDITKEEP_{name.upper()}"


def commands() -> Iterator[str]:
    from auditkeep.cli.main import COMMANDS

    text = (ROOT / "docs/cli.md").read_text()
    for name in COMMANDS:
        if f"## auditkeep {name}" not in text:
            yield f"docs/cli.md has no heading for 'auditkeep {name}'"
    for heading in re.findall(r"^## auditkeep (.+)$", text, re.MULTILINE):
        if heading not in COMMANDS:
            yield f"docs/cli.md describes 'auditkeep {heading}', which does not exist"


def links() -> Iterator[str]:
    for page in pages():
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)} links to {target}, which is not there"


def unlinked() -> Iterator[str]:
    text = (ROOT / "README.md").read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        if f"](docs/{page.name})" not in text:
            yield f"README.md does not lead to docs/{page.name}"


def rooms() -> Iterator[str]:
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition("## Rooms")[2].partition("\n## ")[0]
    for room in sorted((ROOT / "src/auditkeep").iterdir()):
        named = room.suffix == ".py" or (room / "__init__.py").exists()
        if named and room.stem != "__init__" and f"`{room.stem}`" not in table:
            yield f"docs/architecture.md does not say what is in {room.stem}"


def paths() -> Iterator[str]:
    for page in pages():
        for word in re.findall(r"(?:/home/|/root/|/Users/)\S+", page.read_text()):
            yield f"{page.relative_to(ROOT)} names a path of one machine: {word}"


def decisions() -> Iterator[str]:
    index = (ROOT / "docs/adr/README.md").read_text()
    for page in sorted((ROOT / "docs/adr").glob("0*.md")):
        if page.name not in index:
            yield f"docs/adr/README.md does not list {page.name}"


def columns() -> Iterator[str]:
    """Text and bytes in the database are sealed, or the threat model says why they are not."""
    from sqlalchemy import LargeBinary, String

    from auditkeep.db.schema import metadata

    text = (ROOT / "docs/threat-model.md").read_text()
    section = text.partition("## In clear in the database")[2].partition("\n## ")[0]
    listed = re.findall(r"`(\w+\.\w+)`", section)
    clear = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.c
        if isinstance(column.type, String | LargeBinary)
        and column.name not in ("account", "region")
    }
    for name in sorted(clear - set(listed)):
        yield f"docs/threat-model.md does not say why {name} lies in clear: seal it, or list it"
    for name in sorted(set(listed) - clear):
        yield f"docs/threat-model.md lists {name}, which is sealed or not there"
    for name in sorted({n for n in listed if listed.count(n) > 1}):
        yield f"docs/threat-model.md lists {name} twice"


def main() -> int:
    checks = (settings, commands, links, unlinked, rooms, paths, decisions, columns)
    faults = [fault for check in checks for fault in check()]
    for fault in faults:
        print(fault)
    print(f"{len(pages())} pages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
