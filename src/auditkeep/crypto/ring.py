"""All master keys of a deployment together: its own, and those that tenants have named.

- *Its own* are the list of `masters`, read again whenever that changed: the last one wraps what is
  new, and all of them open. So a server that runs picks up a new version without being told.
- A *named* one is a key of AWS KMS or an HSM, reached by its name, which a wrapped key carries.

Every use is noted, let or not. Provider and list are asked without a lock being held.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditkeep.crypto.aead import new_key
from auditkeep.crypto.masters import Master, Masters
from auditkeep.crypto.providers import KeyProvider, master_of
from auditkeep.crypto.providers.hsm import Hsm
from auditkeep.crypto.providers.kms import Kms, KmsKey
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.crypto.uses import Note, unheard
from auditkeep.errors import AuditkeepError, KeyAway, KeyUnusable

_RECENT_SECONDS = 1.0

_OWN_AWAY = (
    "The master key of this deployment cannot be used now, for which its operator has to see. "
    "Nothing was done, and nothing needs repair."
)

OWN = "DEFAULT"
"""What a tenant that has named no key of its own has: the deployment's."""


@dataclass(frozen=True, slots=True)
class _Read:
    """The list of masters as it was read, and a provider for each."""

    stamp: object
    providers: tuple[KeyProvider, ...]


class KeyRing:
    """Wraps under the deployment's newest master key or a named one, unwraps under any it holds.

    A `KeyProvider` itself: the deployment's own. Safe to share between threads.
    """

    def __init__(
        self,
        masters: Masters,
        *,
        kms: Kms | None = None,
        hsm: Hsm | None = None,
        note: Note = unheard,
    ) -> None:
        self.masters = masters
        self.kms = kms
        self.hsm = hsm
        self._note = note
        self._read = self._reading()
        self._looked = time.monotonic()

    @property
    def key_id(self) -> str:
        """The master key that what is new is wrapped with."""
        return self.own()[-1].key_id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The deployment's own master keys, newest last."""
        return tuple(provider.key_id for provider in self.own())

    @property
    def recent_ids(self) -> tuple[str, ...]:
        """The same as of a second ago at most, without asking the system each time: that would let
        all other threads in. For finding what is there, never for making something new.
        """
        now = time.monotonic()
        if now - self._looked >= _RECENT_SECONDS:
            self.own()
            self._looked = now
        return tuple(provider.key_id for provider in self._read.providers)

    def own(self) -> tuple[KeyProvider, ...]:
        """The deployment's own master keys as they are now, newest last."""
        read = self._read
        if read.stamp != self.masters.stamp():
            read = self._read = self._reading()
        return read.providers

    def named(self, name: str) -> KeyProvider:
        """A master key by its name, which OWN is too; KeyUnusable where it cannot be reached."""
        if name == OWN:
            return self.own()[-1]
        for provider in self.own():
            if provider.key_id == name:
                return provider
        return self._outside(name)

    def wrap(self, key: bytes, context: Mapping[str, str], name: str = OWN) -> bytes:
        provider = self.named(name)
        try:
            wrapped = provider.wrap(key, context)
        except AuditkeepError as error:
            self._note("Encrypt", provider.key_id, context, type(error).__name__)
            raise
        self._note("Encrypt", provider.key_id, context)
        return wrapped

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        provider = self._of(wrapped)
        try:
            key = provider.unwrap(wrapped, context)
        except AuditkeepError as error:
            self._note("Decrypt", provider.key_id, context, type(error).__name__)
            raise
        self._note("Decrypt", provider.key_id, context)
        return key

    def prove(self, name: str) -> None:
        """Have a key held elsewhere wrap and open something; made first, if an HSM has none.

        KeyUnusable if it cannot be the deployment's master key.
        """
        key, bound = new_key(), {"purpose": "auditkeep/trial"}
        try:
            wrapped = self.wrap(key, bound, name)
        except KeyAway as error:
            if error.state != "gone" or self.hsm is None or not name.startswith("pkcs11:"):
                raise
            self.hsm.make(name)
            wrapped = self.wrap(key, bound, name)
        if self.unwrap(wrapped, bound) != key:
            raise KeyUnusable(f"The key {name} does not give back what it wrapped.")

    def grant(self, name: str, context: Mapping[str, str], grant: str) -> None:
        """Make sure that a tenant's key can be used, and go on to be; KeyUnusable if it cannot.

        The key is tried: wrapped under and opened again.
        """
        provider = self._outside(name)
        if isinstance(provider, KmsKey):
            provider.require_fit()
            if provider.grant(context, grant) is not None:
                self._note("CreateGrant", name, context)
        trial = {**context, "bucket": "trial"}
        key = new_key()
        if self.unwrap(self.wrap(key, trial, name), trial) != key:
            raise KeyUnusable(f"The key {name} does not give back what it wrapped.")

    def _of(self, wrapped: bytes) -> KeyProvider:
        master = master_of(wrapped)
        own = self.own()
        for provider in own:
            if provider.key_id == master:
                return provider
        if master.startswith("local:"):
            raise KeyAway(
                f"A key was wrapped by the master key {master}, but {self.masters.source} holds "
                f"{self.key_id}. Put the right key in its place.",
                "unreachable",
                _OWN_AWAY,
            )
        return self._outside(master)

    def _outside(self, name: str) -> KeyProvider:
        if name.startswith("pkcs11:"):
            if self.hsm is not None:
                return self.hsm.key(name)
            raise KeyAway(f"The key {name} is in an HSM, and this deployment has none.", "denied")
        if self.kms is None:
            raise KeyAway(
                f"The key {name} is in AWS KMS, which this deployment may not ask. Its operator "
                "lets it with AUDITKEEP_KMS=aws.",
                "denied",
            )
        return self.kms.key(name)

    def _reading(self) -> _Read:
        stamp = self.masters.stamp()  # before: what changes in between is read again next time
        try:
            return _Read(stamp, tuple(map(self._provider, self.masters.read())))
        except KeyAway:
            raise
        except KeyUnusable as error:
            raise KeyAway(str(error), "unreachable", _OWN_AWAY) from error

    def _provider(self, master: Master) -> KeyProvider:
        if isinstance(master, bytes):
            return LocalKeyProvider(master, self.masters.source)
        return self._outside(master)


class _Single:
    """One provider in place of a list."""

    def __init__(self, provider: KeyProvider) -> None:
        self.source = provider.key_id
        self.provider = provider

    def stamp(self) -> object:
        return ()

    def read(self) -> tuple[Master, ...]:
        return (self.source,)

    def write(self, masters: Sequence[Master]) -> None:  # noqa: ARG002
        raise KeyUnusable(f"There is no list of master keys that {self.source} stands in.")


class SingleRing(KeyRing):
    """A ring of one provider, whatever it is: what a lake without a deployment around it has."""

    def __init__(self, provider: KeyProvider) -> None:
        self._single = provider
        super().__init__(_Single(provider))

    def _provider(self, master: Master) -> KeyProvider:  # noqa: ARG002
        return self._single
