"""Whether the master key could be had again if this machine were gone, and what to do if not.

What was escrowed is noted beside the keys: the names of master keys, never a share.
"""

from pathlib import Path

import msgspec

from auditkeep.app.keys import masters
from auditkeep.app.places import Places
from auditkeep.clock import Instant, iso
from auditkeep.crypto import durable, keyfiles
from auditkeep.crypto.escrow import name_of
from auditkeep.crypto.masters import encode
from auditkeep.errors import KeyUnusable
from auditkeep.settings import Settings

EXPLAINED = """\
Everything this deployment keeps is encrypted under its master key, {key}.
If that key is lost, everything is lost: no backup opens without it, and nobody can help.
Make a copy that you keep elsewhere, in shares or sealed:

    auditkeep keys escrow --data {data} --shares 5 --threshold 3 --out FOLDER
    auditkeep keys escrow --data {data} --passphrase-file FILE --out FILE

docs/keys.md tells more. `auditkeep serve` reminds you at each start until that is done."""


class Note(msgspec.Struct, frozen=True):
    """What is known to be escrowed."""

    keys: tuple[str, ...] = ()
    at: str = ""
    how: str = ""


def secret(settings: Settings) -> bytes:
    """The local master key that is in use; KeyUnusable where it is held elsewhere."""
    newest = masters(settings).read()[-1]
    if isinstance(newest, str):
        raise KeyUnusable(
            f"The master key {newest} does not leave where it is: AWS KMS or the HSM has its own "
            "ways of backup. There is nothing to escrow here."
        )
    return newest


def missing(settings: Settings) -> str | None:
    """The local master key that nobody has a copy of, as far as is known; None if there is none."""
    newest = masters(settings).read()[-1]
    if isinstance(newest, str):
        return None
    name = name_of(newest)
    return None if name in _noted(settings).keys else name


def explained(settings: Settings, key: str) -> str:
    """What losing the key means and what to do about it."""
    return EXPLAINED.format(key=key, data=settings.data)


def note(settings: Settings, key: str, how: str, now: Instant) -> None:
    """Remember that a copy was made."""
    told = Note((key, *(k for k in _noted(settings).keys if k != key)), iso(now), how)
    durable.replace(Places.of(settings).escrow, msgspec.json.encode(told))


def write(path: Path, content: bytes) -> None:
    """Put a share or a sealed copy into a file of its own, which must be new."""
    keyfiles.create(path, content)


def restore(settings: Settings, found: bytes) -> Path:
    """Put a recovered master key where it was; KeyUnusable where there is one."""
    source = masters_path(settings)
    keyfiles.create(source, encode([found]))
    return source


def masters_path(settings: Settings) -> Path:
    """The file of the master key; KeyUnusable where it comes from elsewhere."""
    if settings.master_key.get_secret_value():
        raise KeyUnusable("The master key comes from AUDITKEEP_MASTER_KEY: put it back there.")
    return Places.of(settings).master_key


def _noted(settings: Settings) -> Note:
    path = Places.of(settings).escrow
    if not path.exists():
        return Note()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.MsgspecError) as error:
        raise KeyUnusable(f"{path} cannot be read: remove it and escrow again.") from error
