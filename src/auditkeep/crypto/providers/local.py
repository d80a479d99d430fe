"""A master key in a file on this machine: the embedded default.

The key is 32 random bytes from `masters`. Wrapped key: 0x01 ‖ fingerprint(8) ‖ AES-256-GCM blob
under HKDF(master, "auditkeep/wrap/1"), whose additional data is 0x01 ‖ fingerprint ‖ the context as
canonical JSON. The fingerprint, HKDF(master, "auditkeep/master-key-id/1") cut to 8 bytes, tells a
wrong master key from changed bytes.
"""

from collections.abc import Mapping
from pathlib import Path

from auditkeep.crypto import keyfiles
from auditkeep.crypto.aead import new_key, open_sealed, seal
from auditkeep.crypto.derive import hkdf
from auditkeep.crypto.masters import encode, parse
from auditkeep.crypto.providers import FINGERPRINT_SIZE, LOCAL, canonical
from auditkeep.errors import DecryptionFailed, KeyUnusable


class LocalKeyProvider:
    """Wraps and unwraps with a key read from a file; keeps only what it derives from it."""

    def __init__(self, master: bytes, source: str) -> None:
        self._fingerprint = hkdf(master, b"auditkeep/master-key-id/1", FINGERPRINT_SIZE)
        self._wrapping_key = hkdf(master, b"auditkeep/wrap/1")
        self._source = source

    @classmethod
    def create(cls, path: Path) -> "LocalKeyProvider":
        """A new master key in a new file of mode 0600; KeyUnusable if the file exists."""
        keyfiles.create(path, encode([new_key()]))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "LocalKeyProvider":
        """The newest key of a file; KeyUnusable if missing, garbled or open to other users."""
        held = [one for one in parse(keyfiles.read(path), str(path)) if isinstance(one, bytes)]
        if not held:
            raise KeyUnusable(f"{path} names keys that are held elsewhere, and holds none itself.")
        return cls(held[-1], str(path))

    @property
    def key_id(self) -> str:
        return f"local:{self._fingerprint.hex()}"

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        head = LOCAL + self._fingerprint
        return head + seal(self._wrapping_key, key, head + canonical(context))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        head = wrapped[: 1 + FINGERPRINT_SIZE]
        if len(head) < 1 + FINGERPRINT_SIZE or head[:1] != LOCAL:
            raise DecryptionFailed("A wrapped key is cut short or of an unknown kind.")
        if head[1:] != self._fingerprint:
            raise KeyUnusable(
                f"A key was wrapped by the master key local:{head[1:].hex()}, but {self._source} "
                f"holds {self.key_id}. Put the right master key file in its place."
            )
        return open_sealed(self._wrapping_key, wrapped[len(head) :], head + canonical(context))

    def __repr__(self) -> str:
        return f"LocalKeyProvider({self.key_id})"
