"""Keys that follow from keys: HKDF-SHA256 (RFC 5869) without salt, one purpose per `info`.

A bucket key is never used itself: each object has a key of its own, so that objects share
neither nonces nor fate, and destroying the bucket key destroys them all.
"""

import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_OBJECT = b"auditkeep/object/1"
_BLOCK = 32
"""Bytes of one SHA-256."""


def hkdf(key: bytes, info: bytes, length: int = 32) -> bytes:
    """`length` bytes that follow from `key` for the one purpose that `info` names."""
    if length > _BLOCK:
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key)
    # one block is two HMACs, and every small write derives a key
    extracted = hmac.digest(bytes(_BLOCK), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")[:length]


def object_key(bucket_key: bytes, object_id: str) -> bytes:
    """The AES-256 key of one object of a bucket (docs/formats.md, "Sealed objects")."""
    return hkdf(bucket_key, _OBJECT + object_id.encode())
