"""Master keys that are somewhere else, as AWS KMS or an HSM would hold them: asked, and away."""

from collections.abc import Mapping
from pathlib import Path

from auditkeep.crypto.asking import require_free
from auditkeep.crypto.masters import MasterFile
from auditkeep.crypto.providers import HSM, KMS, KeyProvider, framed, unframed
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.crypto.ring import KeyRing
from auditkeep.errors import KeyAway, KeyState


class Distant:
    """A master key elsewhere, and whether it answers."""

    def __init__(self, name: str) -> None:
        self._inner = LocalKeyProvider(bytes(32), "test")
        self._kind = KMS if name.startswith("arn:") else HSM
        self.key_id = name
        self.asked: list[Mapping[str, str]] = []
        self.away = False
        self.state: KeyState = "disabled"

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        self._ask(context)
        return framed(self._kind, self.key_id, self._inner.wrap(key, context))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        self._ask(context)
        return self._inner.unwrap(unframed(self._kind, wrapped)[1], context)

    def _ask(self, context: Mapping[str, str]) -> None:
        require_free(self.key_id)  # as whoever really asks somebody outside
        self.asked.append(context)
        if self.away:
            raise KeyAway(f"The key {self.key_id} is {self.state}.", self.state)


class Ring(KeyRing):
    """The deployment's own key, in the file of a data directory, and named ones of `Distant`."""

    def __init__(self, data: Path) -> None:
        super().__init__(MasterFile(data / "keys" / "master.key"))
        self.distant: dict[str, Distant] = {}

    def _outside(self, name: str) -> KeyProvider:
        return self.distant.setdefault(name, Distant(name))
