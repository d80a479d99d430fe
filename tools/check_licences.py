"""Check that every installed dependency carries a licence that Auditkeep admits (ADR 0007).

    python tools/check_licences.py

Reads the installed distributions' metadata through pip-licenses; exit 1 names each offender.
"""

import json
import subprocess
import sys
from pathlib import Path

ADMITTED = (
    "Apache",
    "MIT",
    "BSD",
    "ISC",
    "MPL",
    "Mozilla",
    "PSF",
    "Python Software Foundation",
    "Unlicense",
    "0BSD",
    "Zlib",
    "CNRI-Python",
    "PostgreSQL",
)
REFUSED = ("GPL", "AGPL", "SSPL", "BUSL", "Commons Clause")

EXCEPTIONS = {
    "psycopg": "LGPL-3.0, the one LGPL library admitted (ADR 0007)",
    "psycopg-binary": "LGPL-3.0, the compiled half of psycopg (ADR 0007)",
    "docutils": "public domain and BSD; the GPL part is an Emacs mode nobody installs (dev only)",
}


def installed() -> list[dict[str, str]]:
    tool = Path(sys.executable).parent / "pip-licenses"
    output = subprocess.run(
        [str(tool), "--format=json", "--from=all", "--python", sys.executable],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows: list[dict[str, str]] = json.loads(output)
    return rows


def problem(row: dict[str, str]) -> str | None:
    """Why this distribution may not be used, or None."""
    if row["Name"].lower() in EXCEPTIONS:
        return None
    said = [v for k, v in row.items() if k.startswith("License") and v != "UNKNOWN"]
    text = "; ".join(said)
    alternatives = [part for s in said for part in s.replace(" OR ", ";").split(";")]
    if any(
        any(a in part for a in ADMITTED) and not any(r in part for r in REFUSED)
        for part in alternatives
    ):
        return None
    return f"{row['Name']} {row['Version']}: {text or 'no licence named'}"


def main() -> int:
    rows = [r for r in installed() if r["Name"] != "auditkeep"]
    problems = [p for p in map(problem, rows) if p]
    for line in problems:
        print("not admitted:", line)
    print(f"{len(rows)} dependencies, {len(problems)} not admitted")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
