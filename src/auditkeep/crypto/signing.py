"""Signatures: Ed25519 (RFC 8032) for the log, RSA-3072 PKCS#1 v1.5 SHA-256 (RFC 8017) for reports.

Reports are signed with RSA because auditors check them by hand with what every machine has, and
because `SHA256withRSA` is what the digest files of this field carry. The log's key is a file of its
own: whoever holds the reports' key cannot rewrite the log.

Secret keys stay inside: no attribute, repr or message shows one. Keys may be files, or be held
elsewhere (`crypto.signers`): `NoteKey` and `DigestKey` are all that is asked of either.
"""

import hashlib
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from auditkeep.crypto import keyfiles
from auditkeep.crypto.uses import Note, unheard
from auditkeep.errors import KeyUnusable, ProofError

RSA_BITS = 3072
"""128-bit security (NIST SP 800-57 part 1, table 2)."""

LOG = "auditkeep/log"
REPORTS = "auditkeep/reports"
"""What the record of a signature says that it was for."""

MAX_RSA_BITS = 8192
"""A larger key in an archive would only make the verifier work for whoever sent it."""


class NoteKey(Protocol):
    """An Ed25519 key that can sign, wherever it lives."""

    @property
    def public(self) -> bytes: ...

    def sign(self, data: bytes) -> bytes: ...


class DigestKey(Protocol):
    """An RSA key that signs the digests of reports, wherever it lives."""

    @property
    def public_der(self) -> bytes: ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key's SPKI in hex: `publicKeyFingerprint` of a digest."""
        ...

    def sign(self, data: bytes) -> bytes: ...


class SigningKey:
    """An Ed25519 key in a PKCS#8 PEM file: the log's key."""

    def __init__(self, key: ed25519.Ed25519PrivateKey, note: Note = unheard) -> None:
        self._key = key
        self._note = note
        self.public = key.public_key().public_bytes_raw()

    @classmethod
    def create(cls, path: Path) -> "SigningKey":
        """A new key in a new file of mode 0600; KeyUnusable if the file exists."""
        keyfiles.create(path, _pem(ed25519.Ed25519PrivateKey.generate()))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, note: Note = unheard) -> "SigningKey":
        """The key of a file; KeyUnusable if missing, garbled or open to other users.

        `note` is told of each signature.
        """
        key = _load(path)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise KeyUnusable(f"{path} holds a key of another kind; an Ed25519 key is needed.")
        return cls(key, note)

    def sign(self, data: bytes) -> bytes:
        signature = self._key.sign(data)
        self._note("Sign", f"log:{self.public.hex()[:16]}", {"purpose": LOG})
        return signature

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


class ReportKey:
    """An RSA-3072 key in a PKCS#8 PEM file: signs the digests of reports."""

    def __init__(self, key: rsa.RSAPrivateKey, note: Note = unheard) -> None:
        self._key = key
        self._note = note
        self.public_der = key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    @classmethod
    def create(cls, path: Path) -> "ReportKey":
        """A new key in a new file of mode 0600; KeyUnusable if the file exists."""
        keyfiles.create(path, _pem(rsa.generate_private_key(65537, RSA_BITS)))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, note: Note = unheard) -> "ReportKey":
        """The key of a file; KeyUnusable if missing, garbled, weak or open to other users.

        `note` is told of each signature.
        """
        key = _load(path)
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < RSA_BITS:
            raise KeyUnusable(
                f"{path} holds a key of another kind; an RSA key of at least {RSA_BITS} bits "
                "is needed."
            )
        return cls(key, note)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key's SPKI in hex: `publicKeyFingerprint` of a digest."""
        return fingerprint(self.public_der)

    def sign(self, data: bytes) -> bytes:
        """SHA256withRSA, the same bytes for the same data."""
        signature = self._key.sign(data, padding.PKCS1v15(), SHA256())
        self._note("Sign", f"report:{self.fingerprint[:16]}", {"purpose": REPORTS})
        return signature

    def __repr__(self) -> str:
        return f"ReportKey(fingerprint={self.fingerprint})"


def fingerprint(public_der: bytes) -> str:
    """SHA-256 of a public key's SPKI, in hex."""
    return hashlib.sha256(public_der).hexdigest()


def verify_ed25519(public: bytes, data: bytes, signature: bytes) -> None:
    """ProofError unless `signature` is that of `data` by the holder of the 32-byte key."""
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError) as error:
        raise ProofError("The Ed25519 signature does not hold.") from error


def verify_rsa(public_der: bytes, data: bytes, signature: bytes) -> None:
    """ProofError unless `signature` is SHA256withRSA of `data` by this key of 3072 bits or more."""
    try:
        key = load_der_public_key(public_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProofError("The report's public key cannot be read.") from error
    if not isinstance(key, rsa.RSAPublicKey) or not RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise ProofError(
            f"The report's public key is not an RSA key of {RSA_BITS} to {MAX_RSA_BITS} bits."
        )
    try:
        key.verify(signature, data, padding.PKCS1v15(), SHA256())
    except InvalidSignature as error:
        raise ProofError("The RSA signature does not hold.") from error


def _pem(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load(path: Path) -> object:
    content = keyfiles.read(path)
    try:
        return load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(
            f"{path} does not hold a private key in PEM form, or it was damaged."
        ) from error
