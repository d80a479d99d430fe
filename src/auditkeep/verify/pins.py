"""Log keys that the person at this machine has decided to trust, kept in their own config folder.

File: `$XDG_CONFIG_HOME/auditkeep/log-keys` (`~/.config` without it), one vkey to a line; lines that
begin with # are notes. It holds public keys only, and is written for this person alone to change.
"""

import os
from pathlib import Path

from auditkeep.crypto.durable import replace
from auditkeep.errors import KeyUnusable
from auditkeep.tlog.note import Verifier


def pins_file() -> Path:
    """Where this person's pinned keys are kept (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # The rules say to ignore a relative path: it would mean another file in every folder.
    folder = Path(base) if base.startswith("/") else Path.home() / ".config"
    return folder / "auditkeep" / "log-keys"


def pinned(file: Path | None = None) -> tuple[str, ...]:
    """The pinned vkeys; none if there is no such file. KeyUnusable names a line that is none."""
    file = file or pins_file()
    vkeys = []
    for number, line in enumerate(_text(file).splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                vkeys.append(Verifier.parse(line).vkey)
            except KeyUnusable as error:
                raise KeyUnusable(f"Line {number} of {file}: {error}") from error
    return tuple(vkeys)


def add(vkey: str, file: Path | None = None) -> Path:
    """Trust a log key from now on, and say where that is kept. KeyUnusable if it is no key."""
    file = file or pins_file()
    verifier = Verifier.parse(vkey)
    if verifier.vkey not in pinned(file):
        text = _text(file)
        if text and not text.endswith("\n"):
            text += "\n"
        replace(file, f"{text}{verifier.vkey}\n".encode())
    return file


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnusable(f"The pinned log keys in {file} cannot be read: {error}.") from error
