"""Who holds the master key: one small protocol, so that it may live outside this process.

`local` keeps it in a file. AWS KMS and PKCS#11 fit the same four members: neither ever gives
the master key out, both take an encryption context or can bind one.
"""

from collections.abc import Mapping
from typing import Protocol


class KeyProvider(Protocol):
    """Wraps the keys of buckets under a master key that it alone knows."""

    @property
    def key_id(self) -> str:
        """Names the master key, never reveals it: `local:<16 hex>`, a KMS key's ARN, …"""
        ...

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """The key sealed and bound to the context, which must be given again to unwrap."""
        ...

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The key again; KeyUnusable or DecryptionFailed if this is not its master or context."""
        ...
