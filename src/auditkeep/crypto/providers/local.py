"""A master key in a file on this machine: the embedded default.

File: two lines, `auditkeep/master-key/1` and 32 random bytes in base64. Wrapped key:
0x01 ‖ fingerprint(8) ‖ AES-256-GCM blob under HKDF(master, "auditkeep/wrap/1"), whose additional
data is 0x01 ‖ fingerprint ‖ the context as canonical JSON. The fingerprint, HKDF(master,
"auditkeep/master-key-id/1") cut to 8 bytes, tells a wrong master key from changed bytes.
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

import msgspec

from auditkeep.crypto import keyfiles
from auditkeep.crypto.aead import KEY_SIZE, new_key, open_sealed, seal
from auditkeep.crypto.derive import hkdf
from auditkeep.errors import DecryptionFailed, KeyUnusable

_HEAD = b"auditkeep/master-key/1\n"
_VERSION = b"\x01"
_FINGERPRINT_SIZE = 8


class LocalKeyProvider:
    """Wraps and unwraps with a key read from a file; keeps only what it derives from it."""

    def __init__(self, master: bytes, source: str) -> None:
        self._fingerprint = hkdf(master, b"auditkeep/master-key-id/1", _FINGERPRINT_SIZE)
        self._wrapping_key = hkdf(master, b"auditkeep/wrap/1")
        self._source = source

    @classmethod
    def create(cls, path: Path) -> "LocalKeyProvider":
        """A new master key in a new file of mode 0600; KeyUnusable if the file exists."""
        keyfiles.create(path, _HEAD + base64.b64encode(new_key()) + b"\n")
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "LocalKeyProvider":
        """The master key of a file; KeyUnusable if missing, garbled or open to other users."""
        content = keyfiles.read(path)
        problem = f"{path} is not an Auditkeep master key file, or it was damaged."
        if not content.startswith(_HEAD):
            raise KeyUnusable(problem)
        try:
            master = base64.b64decode(content[len(_HEAD) :].strip(), validate=True)
        except binascii.Error as error:
            raise KeyUnusable(problem) from error
        if len(master) != KEY_SIZE:
            raise KeyUnusable(problem)
        return cls(master, str(path))

    @property
    def key_id(self) -> str:
        return f"local:{self._fingerprint.hex()}"

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        head = _VERSION + self._fingerprint
        return head + seal(self._wrapping_key, key, head + _canonical(context))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        head = wrapped[: 1 + _FINGERPRINT_SIZE]
        if len(head) < 1 + _FINGERPRINT_SIZE or head[:1] != _VERSION:
            raise DecryptionFailed("A wrapped key is cut short or of an unknown kind.")
        if head[1:] != self._fingerprint:
            raise KeyUnusable(
                f"A key was wrapped by the master key local:{head[1:].hex()}, but {self._source} "
                f"holds {self.key_id}. Put the right master key file in its place."
            )
        return open_sealed(self._wrapping_key, wrapped[len(head) :], head + _canonical(context))

    def __repr__(self) -> str:
        return f"LocalKeyProvider({self.key_id})"


def _canonical(context: Mapping[str, str]) -> bytes:
    return msgspec.json.encode(dict(context), order="sorted")
