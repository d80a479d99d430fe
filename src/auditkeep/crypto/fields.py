"""Sealed fields: single values of the database, each bound to its place (docs/adr/0021).

A sealed field is 0x01 ‖ bucket(16) ‖ nonce(12) ‖ ciphertext ‖ tag(16): AES-256-GCM (NIST
SP 800-38D) under the key that the bucket has for the table. The bucket is the one whose key opens
it, so that a value says itself how it is read; sixteen zero bytes stand for the deployment's own.
The associated data is the canonical JSON list ["auditkeep/field/1", table, column, key…]: a value
that is moved to another column, row or tenant does not open.

Whoever must look for a value keeps a digest beside it: HMAC-SHA256 (RFC 2104) under a key of the
tenant, cut to 16 bytes, which tells equal values from different ones and nothing else.
"""

import hmac

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditkeep.crypto.aead import KEY_SIZE, NONCE_SIZE, TAG_SIZE
from auditkeep.errors import DecryptionFailed, KeyUnusable

REF_SIZE = 16
DEPLOYMENT = bytes(REF_SIZE)
"""In place of a bucket: what no tenant owns."""
DIGEST_SIZE = 16
"""128 bits: two of a tenant's values never meet."""

_VERSION = b"\x01"
_NONCE = 1 + REF_SIZE
_TEXT = _NONCE + NONCE_SIZE
OVERHEAD = _TEXT + TAG_SIZE

Key = tuple[object, ...]
"""What names a row: texts, numbers and bytes."""

_encode = msgspec.json.Encoder().encode


class FieldCipher:
    """Seals and opens fields of one table under one bucket."""

    __slots__ = ("_aes", "_head")

    def __init__(self, key: bytes, ref: bytes) -> None:
        if len(key) != KEY_SIZE or len(ref) != REF_SIZE:
            raise KeyUnusable("A key for fields has 32 bytes, and the bucket it belongs to 16.")
        self._aes = AESGCM(key)
        self._head = _VERSION + ref

    def seal(self, text: str, nonce: bytes, bound: bytes) -> bytes:
        """A sealed field; no nonce may ever come twice under one key."""
        return self._head + nonce + self._aes.encrypt(nonce, text.encode(), bound)

    def open(self, field: bytes, bound: bytes) -> str:
        """What was sealed; DecryptionFailed if key, bytes or place are not those of sealing."""
        try:
            return self._aes.decrypt(field[_NONCE:_TEXT], field[_TEXT:], bound).decode()
        except (InvalidTag, ValueError) as error:
            raise DecryptionFailed(
                "A sealed field does not open: it was changed, moved to another row or column, "
                "or sealed with another key."
            ) from error


def ref_of(field: bytes) -> bytes:
    """Which bucket a field was sealed under; DecryptionFailed for what is no sealed field."""
    if len(field) < OVERHEAD or field[:1] != _VERSION:
        raise DecryptionFailed("A field that must be sealed is not: somebody wrote it by hand.")
    return field[1:_NONCE]


def is_sealed(value: object) -> bool:
    """Whether a value has the form of a sealed field."""
    return isinstance(value, bytes) and len(value) >= OVERHEAD and value[:1] == _VERSION


def bound_to(table: str, column: str, key: Key) -> bytes:
    """The associated data of a field: its place."""
    return _encode(("auditkeep/field/1", table, column, *key))


def digest(key: bytes, table: str, column: str, text: str) -> bytes:
    """What stands for a value where it is looked for; the same text elsewhere has another one."""
    named = _encode(("auditkeep/digest/1", table, column, text))
    return hmac.digest(key, named, "sha256")[:DIGEST_SIZE]
