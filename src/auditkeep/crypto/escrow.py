"""Copies of the local master key for the day the machine is gone: in shares, or sealed.

- *Shares*: SLIP-0039 (Shamir's scheme over GF(256), each share 33 words with a checksum), so that
  they can be kept on paper, typed in again, and opened with other tools than this one. Fewer than
  the threshold tell nothing.
- *Sealed with a passphrase*: AES-256-GCM under scrypt (RFC 7914; N = 2^17, r = 8, p = 1).
- *Sealed to a public key*: X25519 (RFC 7748) with a key made for this one copy, HKDF-SHA256 over
  the agreed secret and both public keys, AES-256-GCM.

A sealed copy is a JSON document that names the master key, which is bound to it and proven by
opening: what comes out has that name, or is refused.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)

from auditkeep.crypto.aead import KEY_SIZE, new_key, open_sealed, seal
from auditkeep.crypto.derive import hkdf
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.errors import KeyUnusable

MOST_SHARES = 16
"""SLIP-0039's own limit."""
SHORTEST_PASSPHRASE = 12

_HEAD = b"auditkeep/escrow/1\n"
_LOG_N = 17


class Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sealed copy: `salt` is scrypt's, or the public key that was made for it."""

    format: Literal["auditkeep/escrow/1"] = "auditkeep/escrow/1"
    key: str
    how: Literal["scrypt", "x25519"]
    salt: str
    sealed: str


def name_of(secret: bytes) -> str:
    """The key id of a local master key."""
    return LocalKeyProvider(secret, "escrow").key_id


def shares(secret: bytes, threshold: int, count: int) -> list[str]:
    """`count` shares of which any `threshold` give the key again."""
    from shamir_mnemonic import generate_mnemonics  # noqa: PLC0415 - a word list, seldom needed

    if not 2 <= threshold <= count <= MOST_SHARES:
        raise KeyUnusable(
            f"{threshold} of {count} shares cannot be made: at least 2 must be needed, and at most "
            f"{MOST_SHARES} be made."
        )
    (made,) = generate_mnemonics(1, [(threshold, count)], secret, iteration_exponent=0)
    return list(made)


def from_shares(words: Sequence[str]) -> bytes:
    """The key again; KeyUnusable if shares are mistyped, too few or of different keys."""
    from shamir_mnemonic import MnemonicError, combine_mnemonics  # noqa: PLC0415

    try:
        secret: bytes = combine_mnemonics([" ".join(share.lower().split()) for share in words])
    except (MnemonicError, ValueError) as error:
        raise KeyUnusable(f"These shares do not open the master key: {error}") from error
    if len(secret) != KEY_SIZE:
        raise KeyUnusable("These shares hold something else than a master key.")
    return secret


def with_passphrase(secret: bytes, passphrase: str) -> bytes:
    """A copy that a passphrase opens."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise KeyUnusable(
            f"The passphrase is too short: it protects everything there is. Take "
            f"{SHORTEST_PASSPHRASE} characters or more, better six words drawn by dice."
        )
    salt = new_key()
    return _document(secret, "scrypt", salt, _stretched(passphrase, salt))


def to_recipient(secret: bytes, public_pem: bytes) -> bytes:
    """A copy that only the holder of an X25519 private key opens."""
    recipient = _public(public_pem)
    ours = X25519PrivateKey.generate()
    salt = ours.public_key().public_bytes_raw()
    key = _agreed(ours.exchange(recipient), salt, recipient.public_bytes_raw())
    return _document(secret, "x25519", salt, key)


def opened(document: bytes, *, passphrase: str = "", identity_pem: bytes = b"") -> bytes:
    """The key of a sealed copy; KeyUnusable says what it takes, or that it does not open."""
    try:
        found = msgspec.json.decode(document, type=Sealed)
        salt = base64.b64decode(found.salt, validate=True)
        blob = base64.b64decode(found.sealed, validate=True)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise KeyUnusable("This is no sealed copy of a master key, or it was damaged.") from error
    if found.how == "scrypt":
        if not passphrase:
            raise KeyUnusable("This copy is opened with a passphrase: give --passphrase-file.")
        key = _stretched(passphrase, salt)
    else:
        if not identity_pem:
            raise KeyUnusable("This copy is opened with a private key: give --identity.")
        identity = _private(identity_pem)
        try:
            shared = identity.exchange(X25519PublicKey.from_public_bytes(salt))
        except ValueError as error:
            raise KeyUnusable("This sealed copy was damaged.") from error
        key = _agreed(shared, salt, identity.public_key().public_bytes_raw())
    secret = open_sealed(key, blob, _aad(found.key, found.how))
    if name_of(secret) != found.key:
        raise KeyUnusable(f"This copy says that it holds {found.key}, and holds another key.")
    return secret


def _document(secret: bytes, how: Literal["scrypt", "x25519"], salt: bytes, key: bytes) -> bytes:
    name = name_of(secret)
    copy = Sealed(
        key=name,
        how=how,
        salt=base64.b64encode(salt).decode(),
        sealed=base64.b64encode(seal(key, secret, _aad(name, how))).decode(),
    )
    return msgspec.json.format(msgspec.json.encode(copy), indent=2) + b"\n"


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=KEY_SIZE, n=1 << _LOG_N, r=8, p=1).derive(passphrase.encode())


def _agreed(shared: bytes, ours: bytes, theirs: bytes) -> bytes:
    return hkdf(shared, _HEAD + ours + theirs)


def _aad(name: str, how: str) -> bytes:
    return _HEAD + f"{name}\n{how}".encode()


def _public(pem: bytes) -> X25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("The recipient's file does not hold a public key in PEM form.") from error
    if not isinstance(key, X25519PublicKey):
        raise KeyUnusable(
            "The recipient's key is of another kind. Make an X25519 one: openssl genpkey "
            "-algorithm X25519 -out private.pem && openssl pkey -in private.pem -pubout"
        )
    return key


def _private(pem: bytes) -> X25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("The identity's file does not hold a private key in PEM form.") from error
    if not isinstance(key, X25519PrivateKey):
        raise KeyUnusable("The identity's key is of another kind; an X25519 key is needed.")
    return key
