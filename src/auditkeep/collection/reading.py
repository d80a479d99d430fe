"""From one file to the observations in it, in batches that fit into memory."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from auditkeep.errors import InputError
from auditkeep.lake.append import Unit
from auditkeep.observations import Observation
from auditkeep.sources import cloudtrail, config, files, securityhub
from auditkeep.sources.records import Context, Parsed, Rejected, Tally

Parse = Callable[[Iterator[bytes], Context, Tally], Parsed]

PARSERS = MappingProxyType(
    {"cloudtrail": cloudtrail.parse, "config": config.parse, "securityhub": securityhub.parse}
)
"""The sources that can be read from files, by the name the command line gives them."""

BATCH_ROWS = 16_384
BATCH_BYTES = 32 << 20
"""A batch is handed on when it has so many observations, or so many bytes of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a file's observations. The last part of a file is the unit that says: all of it."""

    unit: Unit
    observations: list[Observation]
    last: bool


def unit_id(source: str, path: Path) -> str:
    """A file's ingest unit: the same content for the same source is the same unit, whatever it is
    called. InputError if the file cannot be read.
    """
    return sha256(source.encode() + b"\0" + files.content_hash(path)).hexdigest()


def parts(
    source: str,
    path: Path,
    whole: str,
    context: Context,
    tally: Tally,
    reject: Callable[[Rejected], None],
) -> Iterator[Part]:
    """Parse a file; what cannot be read goes to `reject`, the rest comes in parts."""
    waiting: list[Observation] = []
    size = number = 0
    for item in _parsed(source, path, context, tally):
        if isinstance(item, Rejected):
            reject(item)
            continue
        if waiting and (len(waiting) >= BATCH_ROWS or size + len(item.raw) > BATCH_BYTES):
            number += 1
            yield Part(Unit(f"{whole}/{number}", source, str(path)), waiting, last=False)
            waiting, size = [], 0
        waiting.append(item)
        size += len(item.raw)
    yield Part(Unit(whole, source, str(path)), waiting, last=True)


def _parsed(source: str, path: Path, context: Context, tally: Tally) -> Parsed:
    """The parser's results; a file that breaks off is rejected from there on."""
    try:
        yield from PARSERS[source](files.get(path), context, tally)
    except InputError as error:
        yield Rejected("", str(error))


def found_in(paths: list[Path]) -> Iterator[Path]:
    """Every file that the paths name or hold, folders in order of name; links are not followed.

    InputError for a path where nothing is.
    """
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders.sort()
                yield from (Path(folder) / name for name in sorted(names))
        elif path.exists():
            yield path
        else:
            raise InputError(f"There is nothing at {path}.")
