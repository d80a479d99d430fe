"""The deployment's keys as its settings name them: where the list of masters is, and who is asked.

The first of these that is there: `AUDITKEEP_MASTER_KEY`, the systemd credential
`auditkeep.master-key`, the file `master.key`.
"""

import os
from pathlib import Path

from auditkeep.app.places import Places
from auditkeep.crypto import keyfiles
from auditkeep.crypto.aead import new_key
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.masters import CREDENTIAL, MasterFile, MasterGiven, Masters, encode
from auditkeep.crypto.providers.hsm import Hsm
from auditkeep.crypto.providers.kept import KeptKey
from auditkeep.crypto.providers.kms import Kms
from auditkeep.crypto.providers.signing import held
from auditkeep.crypto.ring import KeyRing
from auditkeep.crypto.signers import Find
from auditkeep.crypto.uses import Note
from auditkeep.errors import KeyUnusable
from auditkeep.settings import Settings


def masters(settings: Settings) -> Masters:
    """The list of master keys; KeyUnusable if what is given is none."""
    given = settings.master_key.get_secret_value()
    if given:
        return MasterGiven(given.encode(), "AUDITKEEP_MASTER_KEY")
    credential = _credential()
    if credential is not None:
        return MasterGiven.of_credential(credential)
    return MasterFile(Places.of(settings).master_key)


def create(settings: Settings, name: str) -> None:
    """The list of a new deployment, unless it is there: a new key, or the one held elsewhere."""
    path = Places.of(settings).master_key
    if not isinstance(masters(settings), MasterFile):
        if name:
            raise KeyUnusable(
                "A master key is given by the environment already: name none, or take it away."
            )
        return
    if path.exists():
        return
    keyfiles.create(path, encode([name or new_key()]))


def ring(settings: Settings, note: Note) -> KeyRing:
    """All keys of the deployment."""
    return KeyRing(masters(settings), kms=_kms(settings), hsm=_hsm(settings), note=note)


def finder(settings: Settings) -> Find:
    """How keys that sign elsewhere are reached: apart from those that wrap, so that a tenant's key
    which answers slowly keeps nobody from signing.
    """
    kms, hsm = _kms(settings), _hsm(settings)
    return lambda name, kind: held(name, kind, kms=kms, hsm=hsm)


def _kms(settings: Settings) -> Kms | None:
    if settings.kms != "aws":
        return None
    return Kms(
        endpoint_url=settings.kms_endpoint_url,
        replicas=settings.replica_regions,
        seconds=settings.kms_timeout_seconds,
    )


def _hsm(settings: Settings) -> Hsm | None:
    module = settings.pkcs11_module
    return Hsm(module, lambda: pin(settings)) if module else None


def kept(settings: Settings, of: KeyRing) -> KeptKey:
    """What seals the deployment's small secrets."""
    store = KeyStore(Places.of(settings).own_keys)
    return KeptKey(of, store, seconds=settings.key_cache_seconds)


def pin(settings: Settings) -> str:
    """The HSM's PIN, read anew each time it is needed."""
    if settings.pkcs11_pin_file is None:
        return settings.pkcs11_pin.get_secret_value()
    return keyfiles.read(settings.pkcs11_pin_file).decode().strip()


def _credential() -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, CREDENTIAL) if folder else None
    return path if path is not None and path.exists() else None
