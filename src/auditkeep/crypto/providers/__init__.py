"""Who holds the master key: one small protocol, so that it may live outside this process.

`local` keeps it in a file, `kms` leaves it in AWS KMS, `hsm` in a PKCS#11 token. `crypto.ring` is
all of a deployment's together. A wrapped key begins with what names its master (`framed`), so that
every one can be opened without asking a database:

    0x01 ‖ fingerprint(8) ‖ …                       a local master key
    0x02 ‖ length(2) ‖ ARN ‖ …                      a key in AWS KMS
    0x03 ‖ length(2) ‖ pkcs11: URI ‖ …              a key in an HSM
    0x04 ‖ …                                        a key of our own in the key store (`kept`)
"""

import struct
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from auditkeep.errors import DecryptionFailed

LOCAL: Final = b"\x01"
KMS: Final = b"\x02"
HSM: Final = b"\x03"
KEPT: Final = b"\x04"

FINGERPRINT_SIZE: Final = 8
LONGEST_NAME: Final = 2048
"""Bytes: AWS's longest ARN."""

_LENGTH = struct.Struct(">H")


class KeyProvider(Protocol):
    """Wraps the keys of buckets under a master key that it alone knows."""

    @property
    def key_id(self) -> str:
        """Names the master key, never reveals it: `local:<16 hex>`, an ARN, a `pkcs11:` URI."""
        ...

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """The key sealed and bound to the context, which must be given again to unwrap."""
        ...

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The key again; KeyUnusable or DecryptionFailed if this is not its master or context.

        KeyAway if the master cannot be used now, as a disabled key of AWS KMS.
        """
        ...


def framed(kind: bytes, name: str, body: bytes) -> bytes:
    """What a distant master wrapped, with the master's name in front."""
    encoded = name.encode()
    return kind + _LENGTH.pack(len(encoded)) + encoded + body


def unframed(kind: bytes, wrapped: bytes) -> tuple[str, bytes]:
    """The master's name and what it wrapped; DecryptionFailed for anything else."""
    start = 1 + _LENGTH.size
    if wrapped[:1] != kind or len(wrapped) < start:
        raise _unknown()
    (length,) = _LENGTH.unpack_from(wrapped, 1)
    name = wrapped[start : start + length]
    if len(name) < length or length > LONGEST_NAME or not name.isascii():
        raise _unknown()
    return name.decode("ascii"), wrapped[start + length :]


def master_of(wrapped: bytes) -> str:
    """The key id of the master that wrapped a key; DecryptionFailed if no such key is known."""
    kind = wrapped[:1]
    if kind == LOCAL and len(wrapped) > FINGERPRINT_SIZE:
        return f"local:{wrapped[1 : 1 + FINGERPRINT_SIZE].hex()}"
    if kind in (KMS, HSM):
        return unframed(kind, wrapped)[0]
    raise _unknown()


def is_distant(key_id: str) -> bool:
    """Whether using this master means asking somebody outside of this process."""
    return not key_id.startswith("local:")


def canonical(context: Mapping[str, str]) -> bytes:
    """A context as the bytes that a wrapped key is bound to."""
    return msgspec.json.encode(dict(context), order="sorted")


def _unknown() -> DecryptionFailed:
    return DecryptionFailed("A wrapped key is cut short or of an unknown kind.")
