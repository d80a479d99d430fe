"""Options that several commands share, and how a command reports."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from auditkeep.clock import Instant

Data = Annotated[Path, Parameter(help="The data directory.")]
Account = Annotated[str, Parameter(help="The twelve-digit account that owns what is touched.")]
Region = Annotated[str, Parameter(help="The region of the tenant.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Report as JSON.")]

DEFAULT_REGION = "us-east-1"


def report(body: dict[str, Any], *, as_json: bool) -> None:
    """Print a result: one JSON document, or a line a member."""
    if as_json:
        json.dump(body, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    _print(body, "")


def _print(body: dict[str, Any], indent: str) -> None:
    width = max((len(k) for k in body), default=0)
    for name, value in body.items():
        if isinstance(value, list):
            print(f"{indent}{name:<{width}}  {len(value)}")
            for line in value[:20]:
                text = line if isinstance(line, str) else " ".join(map(_shown, line.values()))
                print(f"{indent}{'':<{width}}  {text}")
            if len(value) > 20:
                print(f"{indent}{'':<{width}}  and {len(value) - 20} more (--json lists all)")
        elif isinstance(value, dict):
            print(f"{indent}{name}")
            _print(value, f"{indent}  ")
        else:
            print(f"{indent}{name:<{width}}  {_shown(value)}")


def _shown(value: object) -> str:
    """A value as people read it: what there is none of is a dash."""
    return "-" if value is None else str(value)


def checkpoint_text(file: Path | None) -> str | None:
    """What stands in the file of `--checkpoint`; InputError if it cannot be read."""
    from auditkeep.errors import InputError

    try:
        return file.read_text() if file else None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}.") from error


def instant(text: str) -> "Instant":
    """A day or instant as people write it; SetupError for anything else."""
    from auditkeep.clock import parse
    from auditkeep.errors import SetupError

    try:
        return parse(text)
    except ValueError as error:
        raise SetupError(f"'{text}' is no ISO 8601 day or instant.") from error
