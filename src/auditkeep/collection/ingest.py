"""One file -> ingest units: what is read exactly once (design section 5).

A unit's id follows from the file's content and from all that decides what is read from it (source,
reader, what is of interest, known rules). So the same file under any name is read once, and again
only when there is more to be wanted of it; what was kept before is then a duplicate.

A large file is several units, cut where rows or bytes are enough for a batch. Its last part bears
the file's own id: when that is committed, the whole file is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import msgspec

from auditkeep.db.tx import Tx
from auditkeep.errors import InputError
from auditkeep.lake.append import Unit
from auditkeep.observations import How, Observation
from auditkeep.sources import cloudtrail, config, files, ocsf, prowler, sarif, securityhub
from auditkeep.sources.records import Context, Parsed, Rejected, Tally
from auditkeep.sources.rules import Rules
from auditkeep.sources.window import Blocks

Source = Literal["cloudtrail", "securityhub", "config", "ocsf", "prowler", "sarif"]

MAX_ROWS = 16_384
MAX_BYTES = 32 * 1024 * 1024
"""A part ends with the observation that reaches either."""

PARSERS: Mapping[Source, Callable[[Blocks, Context, Tally], Parsed]] = {
    "cloudtrail": cloudtrail.parse,
    "securityhub": securityhub.parse,
    "config": config.parse,
    "ocsf": ocsf.parse,
    "prowler": prowler.parse,
    "sarif": sarif.parse,
}

_READERS: Mapping[Source, str] = {
    "cloudtrail": cloudtrail.READER,
    "securityhub": securityhub.READER,
    "config": config.READER,
    "ocsf": ocsf.READER,
    "prowler": f"{prowler.READER} {ocsf.READER}",
    "sarif": sarif.READER,
}


@dataclass(slots=True)
class Part:
    """Part of a file, or all of it: one unit, and what was read for it.

    `then` is done in the transaction that appends it.
    """

    unit: Unit
    observations: list[Observation] = field(default_factory=list)
    size: int = 0
    last: bool = False
    how: How = "file"
    then: Callable[[Tx], None] | None = None

    @property
    def full(self) -> bool:
        return len(self.observations) >= MAX_ROWS or self.size >= MAX_BYTES


class Watcher(Protocol):
    """Who follows the reading of a file."""

    def committed(self, unit: str) -> bool:
        """Whether a unit was appended before: then the file is not read."""

    def seen(self, tally: Tally) -> None:
        """Called block by block with what was counted so far, and once at the end."""

    def rejected(self, rejected: Rejected) -> None: ...


def question(source: Source, context: Context, remembered: tuple[int, int] | None = None) -> bytes:
    """A digest of all that decides, beside a file's content, what is read from it; `remembered` is
    the version of the definitions of rules that are, if they may.
    """
    asked: tuple[object, ...] = (
        "auditkeep/question/1",
        source,
        _READERS[source],
        context.reads,
        context.interest.fingerprint,
        context.rules.fingerprint(),
        context.observed_at,
    )
    if remembered is not None and remembered != (0, 0):
        asked = (*asked, remembered)
    return sha256(msgspec.json.encode(asked)).digest()


def unit_id(question_digest: bytes, content: bytes) -> str:
    return sha256(b"auditkeep/file/1" + question_digest + content).hexdigest()


def read_opened(
    name: str,
    file: BinaryIO,
    content: bytes,
    source: Source,
    context: Context,
    asked: bytes,
    watcher: Watcher,
    how: How = "file",
) -> Iterator[Part]:
    """The parts of one file, wherever it lies; nothing if the whole of it was committed before.

    `content` is its SHA-256 as stored. The last part counts only when no InputError follows: that
    says that nothing can be read of the file, or that it was changed while it was read.

    How it came here is no part of its unit's id: by whatever way, it is read once.
    """
    file_id = unit_id(asked, content)
    if watcher.committed(file_id):
        return
    tally = Tally()
    number = 1
    part = Part(Unit(f"{file_id}/part-{number}", source, name), how=how)
    for item in PARSERS[source](_watched(files.blocks(file), watcher, tally), context, tally):
        if isinstance(item, Rejected):
            watcher.rejected(item)
            continue
        if part.full:
            yield part
            number += 1
            part = Part(Unit(f"{file_id}/part-{number}", source, name), how=how)
        part.observations.append(item)
        part.size += len(item.raw)
    watcher.seen(tally)
    part.unit = Unit(file_id, source, name)
    part.last = True
    yield part


def _watched(blocks: Blocks, watcher: Watcher, tally: Tally) -> Blocks:
    for block in blocks:
        watcher.seen(tally)
        yield block


def walk(paths: Sequence[Path]) -> Iterator[Path | tuple[Path, str]]:
    """Files, and the files of folders, in the order of their names; or what cannot be found.

    A link to a folder is followed only if it was named itself.
    """
    for path in paths:
        try:
            folder = path.is_dir()
            entries = sorted(path.iterdir()) if folder else []
        except OSError as error:
            yield path, f"It cannot be read: {error.strerror or error}."
            continue
        if folder:
            yield from walk([e for e in entries if not (e.is_symlink() and e.is_dir())])
        elif path.exists():
            yield path
        else:
            yield path, "There is no such file or folder."


def collect_rules(paths: Sequence[Path], rules: Rules) -> None:
    """Note the Config rules that files define, so that results in any of them find theirs."""
    for path in walk(paths):
        if isinstance(path, Path):
            try:
                config.collect_rules(files.get(path), rules)
            except InputError:
                # it is met again, and reported, when the file is read for its results
                continue
