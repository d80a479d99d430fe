"""Secret key files: made once with mode 0600, refused when others may read them.

Every message names the file and what to type; none shows a byte of its content.
"""

import os
import stat
from pathlib import Path

from auditkeep.crypto.durable import write_new
from auditkeep.errors import KeyUnusable, ObjectExists

MAX_SIZE = 64 * 1024
"""Far above any key: what is larger is not a key file and is not read into memory."""


def create(path: Path, content: bytes) -> None:
    """Write a new secret file; KeyUnusable if there is one already, for it may be in use."""
    try:
        write_new(path, content, mode=0o600)
    except ObjectExists as error:
        raise KeyUnusable(
            f"The key file {path} exists already; what it protects would be lost if it were "
            "replaced. Move it away if you really want a new key."
        ) from error


def read(path: Path, *, closed_to: int = 0o077) -> bytes:
    """The content of a secret file that only its owner may read; KeyUnusable otherwise.

    `closed_to` are the permissions that must not be there.
    """
    try:
        # O_NONBLOCK: what turns out to be a pipe must not make a server wait for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise KeyUnusable(
            f"The key file {path} is missing. Restore it from its backup, or point the setting "
            "to where it is."
        ) from error
    except OSError as error:
        raise KeyUnusable(f"The key file {path} cannot be opened: {error.strerror}.") from error
    try:
        _require_private(path, os.fstat(handle), closed_to)
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise KeyUnusable(f"The key file {path} cannot be read: {error.strerror}.") from error
    finally:
        os.close(handle)
    if len(content) > MAX_SIZE:
        raise KeyUnusable(f"{path} is too large to be a key file.")
    return content


def _require_private(path: Path, state: os.stat_result, closed_to: int) -> None:
    """Asked of what was opened, not of the name, so that nobody can swap it in between."""
    if not stat.S_ISREG(state.st_mode):
        raise KeyUnusable(f"{path} is not a file, so it cannot be a key file.")
    if state.st_mode & closed_to:
        raise KeyUnusable(
            f"The key file {path} is open to other users (mode {state.st_mode & 0o777:04o}). "
            f"Close it with: chmod 600 {path}"
        )
