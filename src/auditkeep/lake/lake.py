"""The lake's parts in one frozen bundle, built once by the composition root and handed on."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from auditkeep.clock import Clock, SystemClock
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers import KeyProvider
from auditkeep.crypto.ring import KeyRing
from auditkeep.crypto.uses import Uses
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.db.tx import SystemTx
from auditkeep.errors import KeyUnusable
from auditkeep.lake.buckets import CACHED_SECONDS, BucketKeys
from auditkeep.lake.columns import ColumnsCache
from auditkeep.lake.fields import SealedFields, deployment_secret
from auditkeep.lake.keeping import Keeper, Nobody
from auditkeep.lake.metering import Meter, Unmetered
from auditkeep.lake.objects import ObjectStore
from auditkeep.tlog.note import Signer, Verifier

EPOCHS = "log_epochs"
"""The row of `meta` that lists former logs."""
RESTORED = "restored"
"""The row of `meta` that a restore leaves, until the log was recovered."""


class Restored(msgspec.Struct, frozen=True):
    """From which backup the database came, and how far its log went.

    `kept`: the objects are those that were there before, so that the published checkpoint among
    them tells how far the log had gone since.
    """

    backup: str
    taken_at: str
    size: int
    kept: bool


class FormerLog(msgspec.Struct, frozen=True):
    """A log that ended: its key, and the note by which it names the one that follows."""

    vkey: str
    note: str


@dataclass(frozen=True, slots=True)
class Lake:
    """What every function of this room works with. Safe to share between threads."""

    db: Database
    objects: ObjectStore
    provider: KeyProvider
    """The deployment's own master key, or all its keys (`KeyRing`): wraps the keys of buckets."""
    secrets: KeyProvider
    """Seals the deployment's small secrets, such as those of access keys."""
    uses: Uses
    """What is to be told of each use of a master key or a signing key."""
    keystore: KeyStore
    signer: Signer
    """The log's key; its name is the log's origin."""
    data: Path
    """The data directory, for lock files."""
    keys: BucketKeys
    tail: ColumnsCache
    appended: threading.Event
    """Set after each append that has something for the log; the sequencer's thread waits for it."""
    meter: Meter = field(default_factory=Unmetered)
    """Says which new observations are seen by a lens."""
    keeper: Keeper = field(default_factory=Nobody)
    """Says which are kept where only what is seen is."""
    former: tuple[FormerLog, ...] = ()
    """The logs before this one, oldest first; see `epochs`."""
    restored: Restored | None = None
    """Set after a restore: nothing is appended until the log was recovered; see `recovery`."""

    @property
    def origin(self) -> str:
        return self.signer.name

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """The keys that checkpoints of this log and of those before it are signed by."""
        return (self.signer.verifier, *(Verifier.parse(log.vkey) for log in self.former))

    def renamed(self, signer: Signer, former: tuple[FormerLog, ...]) -> "Lake":
        """The same lake whose log goes on under another name."""
        return replace(self, signer=signer, former=former)

    @classmethod
    def open(
        cls,
        *,
        db: Database,
        data: Path,
        objects: ObjectStore,
        provider: KeyProvider,
        keystore: KeyStore,
        signer: Signer,
        meter: Meter | None = None,
        keeper: Keeper | None = None,
        clock: Clock | None = None,
        secrets: KeyProvider | None = None,
        uses: Uses | None = None,
        key_seconds: float = CACHED_SECONDS,
    ) -> "Lake":
        """The lake over a migrated database, whose sealed fields can be read from now on.

        The first opening notes which master key and log key belong to this deployment; later ones
        with other keys raise KeyUnusable and change nothing.
        """
        with db.system_read() as tx:
            known = _identity(tx)
            told = tx.scalar(tx.select(meta.c.value).where(meta.c.key == EPOCHS))
            back = tx.scalar(tx.select(meta.c.value).where(meta.c.key == RESTORED))
        former = msgspec.json.decode(told or "[]", type=tuple[FormerLog, ...])
        ours = {"master_key": provider.key_id, "log_key": signer.vkey}
        held = provider.key_ids if isinstance(provider, KeyRing) else (provider.key_id,)
        for name, value in ours.items():
            if name == "master_key" and known.get(name) in held:
                continue  # one of several, for the length of a rotation
            if known.get(name, value) != value:
                raise KeyUnusable(
                    f"This data belongs to the {name.replace('_', ' ')} {known[name]}, but "
                    f"{value} was given. Put the right key in place; nothing was changed."
                )
        if missing := {name: value for name, value in ours.items() if name not in known}:
            with db.system_write() as tx:
                tx.upsert(meta, [{"key": k, "value": v} for k, v in missing.items()])
        keys = BucketKeys(provider, keystore, seconds=key_seconds)
        db.seal_with(
            SealedFields(keys, deployment_secret(db, secrets or provider), clock or SystemClock())
        )
        return cls(
            db=db,
            objects=objects,
            provider=provider,
            secrets=secrets or provider,
            uses=uses or Uses(SystemClock()),
            keystore=keystore,
            signer=signer,
            data=data,
            keys=keys,
            tail=ColumnsCache(),
            appended=threading.Event(),
            meter=meter or Unmetered(),
            keeper=keeper or Nobody(),
            former=former,
            restored=None if back is None else msgspec.json.decode(back, type=Restored),
        )


def _identity(tx: SystemTx) -> dict[str, str]:
    rows = tx.all(tx.select(meta.c.key, meta.c.value))
    return {row.key: row.value for row in rows if row.key in {"master_key", "log_key"}}
