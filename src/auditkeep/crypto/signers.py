"""The keys that sign, by their files: each holds a private key, or names one held elsewhere.

    auditkeep/signing-key/1
    <ARN of AWS KMS, or pkcs11: URI>
    <its public half, SPKI (DER) in base64>

The public half stands in the file: checking, and everything that names the key, asks nobody; and
what signs is held to it. A signature that it does not verify is refused, so that a key which was
exchanged behind its name signs nothing here.

Invariant: a key of another kind, or a weak one, is refused when it is named and when it is opened.
"""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from auditkeep.crypto import keyfiles
from auditkeep.crypto.providers.signing import Held, Kind, made_if_missing
from auditkeep.crypto.signing import (
    LOG,
    MAX_RSA_BITS,
    REPORTS,
    RSA_BITS,
    DigestKey,
    NoteKey,
    ReportKey,
    SigningKey,
    fingerprint,
    verify_ed25519,
    verify_rsa,
)
from auditkeep.crypto.uses import Note, unheard
from auditkeep.errors import AuditkeepError, KeyUnusable, ProofError

Find = Callable[[str, Kind], Held]
"""How a key that is held elsewhere is reached by its name."""

_HEAD = b"auditkeep/signing-key/1\n"
_LINES = 2
_TRIAL = b"auditkeep/signing-trial/1\n"
"""What a key signs to show that it can: the text of no note, and of no digest."""


class _Distant:
    """A signing key that is held elsewhere: checks what it signs, and tells of each use."""

    def __init__(
        self, held: Held, purpose: str, check: Callable[[bytes, bytes], None], note: Note
    ) -> None:
        self._held = held
        self._purpose = purpose
        self._check = check
        self._note = note
        self._refused = ""
        self.key_id = held.key_id

    def sign(self, data: bytes) -> bytes:
        try:
            signature = self._held.sign(data)
        except AuditkeepError as error:
            # the log asks every second: that it is refused still is no news
            if self._refused != str(error):
                self._note("Sign", self.key_id, {"purpose": self._purpose}, type(error).__name__)
            self._refused = str(error)
            raise
        self._refused = ""
        self._note("Sign", self.key_id, {"purpose": self._purpose})
        try:
            self._check(data, signature)
        except ProofError as error:
            raise KeyUnusable(
                f"The key {self.key_id} is not the one that this deployment was given: what it "
                "signs does not verify. Nothing was signed."
            ) from error
        return signature

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key_id})"


class DistantLogKey(_Distant):
    """The log's key, held elsewhere."""

    def __init__(self, held: Held, public_der: bytes, note: Note = unheard) -> None:
        self.public = _ed25519(public_der, held.key_id)
        super().__init__(
            held, LOG, lambda data, signed: verify_ed25519(self.public, data, signed), note
        )


class DistantReportKey(_Distant):
    """The reports' key, held elsewhere."""

    def __init__(self, held: Held, public_der: bytes, note: Note = unheard) -> None:
        _require_rsa(public_der, held.key_id)
        self.public_der = public_der
        super().__init__(
            held, REPORTS, lambda data, signed: verify_rsa(public_der, data, signed), note
        )

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public_der)


def open_log_key(path: Path, find: Find, note: Note = unheard) -> NoteKey:
    """The log's key by its file. KeyUnusable if it is none, or cannot be reached from here."""
    named = _named(path)
    if named is None:
        return SigningKey.open(path, note)
    return DistantLogKey(find(named[0], "ed25519"), named[1], note)


def open_report_key(path: Path, find: Find, note: Note = unheard) -> DigestKey:
    """The reports' key by its file; as the other."""
    named = _named(path)
    if named is None:
        return ReportKey.open(path, note)
    return DistantReportKey(find(named[0], "rsa"), named[1], note)


def log_key_file(name: str, find: Find, note: Note = unheard) -> bytes:
    """What names a key of the log that is held elsewhere, which must sign first.

    An HSM that has no such key makes one. KeyUnusable if it cannot be the log's.
    """
    held = find(name, "ed25519")
    public = made_if_missing(held)
    require_signing(DistantLogKey(held, public, note))
    return _encoded(name, public)


def report_key_file(name: str, find: Find, note: Note = unheard) -> bytes:
    """The same for a key of reports."""
    held = find(name, "rsa")
    public = made_if_missing(held)
    require_signing(DistantReportKey(held, public, note))
    return _encoded(name, public)


def require_signing(key: NoteKey | DigestKey) -> None:
    """KeyUnusable, saying why, unless a key that is held elsewhere signs now."""
    if isinstance(key, _Distant):
        key.sign(_TRIAL)


def name_of(path: Path) -> str:
    """What the key of a file is called: where it is held, or `file`."""
    named = _named(path)
    return "file" if named is None else named[0]


def _named(path: Path) -> tuple[str, bytes] | None:
    """Name and public half of a key held elsewhere; None for a file that holds one itself."""
    content = keyfiles.read(path)
    if not content.startswith(_HEAD):
        return None
    problem = f"{path} names no signing key, or it was damaged."
    lines = content[len(_HEAD) :].split()
    if len(lines) != _LINES:
        raise KeyUnusable(problem)
    try:
        return lines[0].decode("ascii"), base64.b64decode(lines[1], validate=True)
    except (UnicodeDecodeError, binascii.Error) as error:
        raise KeyUnusable(problem) from error


def _encoded(name: str, public_der: bytes) -> bytes:
    return _HEAD + name.encode("ascii") + b"\n" + base64.b64encode(public_der) + b"\n"


def _ed25519(public_der: bytes, name: str) -> bytes:
    key = _loaded(public_der)
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(f"The key {name} is of another kind; an Ed25519 key is needed.")
    return key.public_bytes_raw()


def _require_rsa(public_der: bytes, name: str) -> None:
    key = _loaded(public_der)
    if not isinstance(key, RSAPublicKey) or not RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise KeyUnusable(
            f"The key {name} is of another kind; an RSA key of {RSA_BITS} to {MAX_RSA_BITS} bits "
            "is needed."
        )


def _loaded(public_der: bytes) -> object:
    try:
        return load_der_public_key(public_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("The public half of a signing key cannot be read.") from error
