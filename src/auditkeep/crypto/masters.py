"""The list of a deployment's master keys, newest last: a file, a credential or a setting.

    auditkeep/master-key/1
    <32 random bytes in base64>                      a local master key
    arn:aws:kms:REGION:ACCOUNT:key/ID                one that AWS KMS holds
    pkcs11:token=NAME;object=LABEL                   one that an HSM holds

What is new is wrapped under the last; the others open what was wrapped before. There is one line
but for the length of a rotation, which adds the new one first and takes the old ones away last: a
process that reads the list again whenever the file changed can never lack a key it needs.

A file is refused while others may read it. A credential (systemd) or the environment cannot be
written by us: whoever put it there changes it, between two starts.
"""

import base64
import binascii
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from auditkeep.crypto import keyfiles
from auditkeep.crypto.aead import KEY_SIZE
from auditkeep.crypto.durable import replace_all
from auditkeep.errors import KeyUnusable

CREDENTIAL = "auditkeep.master-key"
"""The name of the credential: `LoadCredentialEncrypted=auditkeep.master-key:…`."""

_HEAD = b"auditkeep/master-key/1\n"
_OUTSIDE = re.compile(r"arn:[^\s]+|pkcs11:[^\s]+")

Master = bytes | str
"""A local master key itself, or the name of one that is held elsewhere."""


class Masters(Protocol):
    """Where the list of master keys comes from."""

    @property
    def source(self) -> str:
        """What an error calls it; never shows a byte of it."""
        ...

    def stamp(self) -> object:
        """Differs whenever the list may have changed; cheap enough to ask before each use."""
        ...

    def read(self) -> tuple[Master, ...]:
        """The list, newest last; KeyUnusable if missing, garbled or open to others."""
        ...

    def write(self, masters: Sequence[Master]) -> None:
        """Put another list in its place, durably; KeyUnusable where that is not ours to do."""
        ...


class MasterFile:
    """A file of mode 0600, in a directory apart from the data."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.source = str(path)

    def stamp(self) -> object:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - in the path of every new bucket
        except OSError:
            return None  # `read` says what is wrong
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode

    def read(self) -> tuple[Master, ...]:
        return parse(keyfiles.read(self._path), self.source)

    def write(self, masters: Sequence[Master]) -> None:
        # of one that was cut off, which holds keys too, the next puts away what is left
        replace_all(self._path.parent, {self._path.name: encode(masters)}, mode=0o600)


class MasterGiven:
    """A list that was handed to the process: by systemd, or in the environment."""

    def __init__(self, content: bytes, source: str) -> None:
        self.source = source
        self._masters = parse(content if content.startswith(_HEAD) else _HEAD + content, source)

    @classmethod
    def of_credential(cls, path: Path) -> "MasterGiven":
        """A credential of the service; its directory is closed to others, so a group may show."""
        return cls(keyfiles.read(path, closed_to=0o007), f"the credential {path.name}")

    def stamp(self) -> object:
        return ()

    def read(self) -> tuple[Master, ...]:
        return self._masters

    def write(self, masters: Sequence[Master]) -> None:  # noqa: ARG002 - there is nowhere to put it
        raise KeyUnusable(
            f"The master key comes from {self.source}, which only you can change. Add the new key "
            "there as its last line ('auditkeep keys new' prints one), start the server anew, and "
            "rotate again; docs/keys.md has the steps."
        )


def parse(content: bytes, source: str) -> tuple[Master, ...]:
    """A list of master keys from its bytes; KeyUnusable, showing none of them, if it is none."""
    problem = f"{source} is not an Auditkeep master key file, or it was damaged."
    lines = content[len(_HEAD) :].split()
    if not content.startswith(_HEAD) or not lines:
        raise KeyUnusable(problem)
    found: list[Master] = []
    for line in lines:
        text = line.decode("ascii", errors="replace")
        if _OUTSIDE.fullmatch(text):
            found.append(text)
            continue
        try:
            secret = base64.b64decode(line, validate=True)
        except binascii.Error as error:
            raise KeyUnusable(problem) from error
        if len(secret) != KEY_SIZE:
            raise KeyUnusable(problem)
        found.append(secret)
    return tuple(found)


def encode(masters: Sequence[Master]) -> bytes:
    """A list of master keys as bytes."""
    lines = [base64.b64encode(m) if isinstance(m, bytes) else m.encode("ascii") for m in masters]
    return _HEAD + b"".join(line + b"\n" for line in lines)
