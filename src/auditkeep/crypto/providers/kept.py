"""A key of our own in the key store, wrapped by the ring: what seals the deployment's own secrets.

Access keys' secrets, link keys and webhooks' URLs are many and are needed with every request: each
under the master itself would ask AWS KMS or the HSM as often, and would have to be wrapped anew by
a rotation. So they are sealed under one key, and only that key is wrapped.

Sealed: 0x04 ‖ AES-256-GCM blob under HKDF(kept key, "auditkeep/secrets/1"), whose additional data
is 0x04 ‖ the context as canonical JSON.
"""

import threading
import time
from collections.abc import Callable, Mapping

from auditkeep.crypto.aead import new_key, open_sealed, seal
from auditkeep.crypto.asking import at_hand
from auditkeep.crypto.derive import hkdf
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers import KEPT, KeyProvider, canonical, is_distant, master_of
from auditkeep.errors import DecryptionFailed

NAME = "secrets"
CONTEXT = {"purpose": "auditkeep/secrets"}


class KeptKey:
    """Seals small secrets; unwraps its key at most once in `seconds`. Safe to share."""

    def __init__(
        self,
        masters: KeyProvider,
        store: KeyStore,
        *,
        seconds: float = 300.0,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._masters = masters
        self._store = store
        self._seconds = seconds
        self._ticks = ticks
        self._lock = threading.Lock()
        self._held: tuple[float, bytes] | None = None

    @classmethod
    def create(cls, masters: KeyProvider, store: KeyStore) -> "KeptKey":
        """The kept key of a new deployment; one that is there already stays."""
        if NAME not in store.bucket_ids():
            store.put(NAME, masters.wrap(new_key(), CONTEXT))
        return cls(masters, store)

    @property
    def key_id(self) -> str:
        return self._masters.key_id

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        return KEPT + seal(self._key(), key, KEPT + canonical(context))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        if wrapped[:1] != KEPT:
            raise DecryptionFailed("A sealed secret is cut short or of an unknown kind.")
        return open_sealed(self._key(), wrapped[1:], KEPT + canonical(context))

    def _key(self) -> bytes:
        with self._lock:
            held = self._held
        if held is not None and self._ticks() < held[0]:
            return held[1]
        wrapped = self._store.get(NAME)
        if is_distant(master := master_of(wrapped)):
            at_hand(master, lambda: self._unwrapped(wrapped))
        return self._unwrapped(wrapped)

    def _unwrapped(self, wrapped: bytes) -> bytes:
        key = hkdf(self._masters.unwrap(wrapped, CONTEXT), b"auditkeep/secrets/1")
        with self._lock:
            self._held = self._ticks() + self._seconds, key
        return key

    def __repr__(self) -> str:
        return f"KeptKey({self.key_id})"
