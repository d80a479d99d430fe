"""Public keys of those who sign notes, as people write them down (C2SP signed-note, "vkey").

    <name>+<key id, 8 hex>+base64(algorithm(1) ‖ public key(32))

The key id is the first four bytes of SHA-256(name ‖ 0x0A ‖ algorithm ‖ public key). The algorithm
says what a key may sign: 0x01 notes (`tlog.note`), 0x04 cosignatures (`tlog.cosignature`).

Invariant: a key that was parsed is written again exactly as it was read.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Self

from auditkeep.errors import KeyUnusable

ID_SIZE = 4
_KEY_SIZE = 32
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class PublicKey:
    """A named Ed25519 key; whoever derives from it says what it may sign."""

    name: str
    public: bytes

    algorithm: ClassVar[bytes]
    kind: ClassVar[str]
    """What people call such a key."""
    form: ClassVar[str] = "it must read name+8 hex digits+base64, on one line."

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """A vkey's parts, checked against each other; KeyUnusable if it is none."""
        problem = f"{vkey[:100]!r} is not a {cls.kind}: {cls.form}"
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            blob = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise KeyUnusable(problem) from error
        if not _NAME.fullmatch(name) or len(blob) != 1 + _KEY_SIZE or blob[:1] != cls.algorithm:
            raise KeyUnusable(problem)
        key = cls(name, blob[1:])
        if key.vkey != f"{name}+{key_id}+{encoded}":
            raise KeyUnusable(
                f"The {cls.kind} {vkey[:100]!r} contradicts itself: its parts do not belong "
                "together, so it was mistyped or changed."
            )
        return key

    @classmethod
    def require_name(cls, name: str) -> None:
        """KeyUnusable for what cannot name a key."""
        if not _NAME.fullmatch(name):
            raise KeyUnusable(
                f"{name!r} cannot name a {cls.kind}: no spaces, plus signs or control characters."
            )

    @property
    def key_id(self) -> bytes:
        material = self.name.encode() + b"\n" + self.algorithm + self.public
        return hashlib.sha256(material).digest()[:ID_SIZE]

    @property
    def vkey(self) -> str:
        encoded = base64.b64encode(self.algorithm + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key as people compare it: eight groups of eight hex digits."""
        digest = hashlib.sha256(self.public).hexdigest()
        return " ".join(digest[i : i + 8] for i in range(0, len(digest), 8))
