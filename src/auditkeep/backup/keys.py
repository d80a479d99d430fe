"""Backups of the key store: apart from data, and never for longer than certificates say.

What is in one: wrapped keys, as they lie in the key store, and the key files beside it (the log's
and the reports' key), sealed under a key made for this one backup, which the deployment's master
key wraps. The master key is in none: without it a backup of keys opens nothing.

A certificate of destruction says "destroyed live at T, out of backups by T + N days". So a backup
of keys is kept for N days at most: N as it was when the backup was made, or as it is now if that is
less. `prune` takes away what would be older before a day has passed, for it is run once a day.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from auditkeep import __version__
from auditkeep.backup import format as fmt
from auditkeep.backup.create import claim
from auditkeep.backup.format import KEY_KIND, KEYS, KeyManifest
from auditkeep.clock import DAY, MINUTE, Clock, Instant, iso
from auditkeep.crypto import durable, keyfiles
from auditkeep.crypto.aead import new_key, open_sealed, seal
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers import KeyProvider, master_of
from auditkeep.errors import InputError, KeyDestroyed, KeyUnusable, SetupError
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake
from auditkeep.lake.objects import ObjectStore

UNTIL_NEXT = 26 * 60 * MINUTE
"""Backups are made each night, one a little later than the other."""
_CONTEXT = {"purpose": "auditkeep/key-backup"}


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of it, as msgpack."""

    buckets: dict[str, bytes]
    """Wrapped keys by the id of their bucket."""
    own: dict[str, bytes]
    """The deployment's own, wrapped as well."""
    files: dict[str, bytes]
    """Key files, sealed."""
    key: bytes
    """What they are sealed under, wrapped."""


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """What of the key directory is backed up."""

    buckets: KeyStore
    own: KeyStore
    files: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class KeysCreated:
    """A backup of keys, and those that were taken away for their age."""

    manifest: KeyManifest
    pruned: tuple[str, ...]


def create(
    lake: Lake, places: KeyPlaces, store: ObjectStore, clock: Clock, days: int
) -> KeysCreated:
    """Back the key store up, and take away what has become too old.

    Make the backup of data first: then this one has every key that it needs. SetupError where the
    settings allow no backup of keys, or the place is not one for them.
    """
    if days == 0:
        raise SetupError(
            "AUDITKEEP_KEY_BACKUP_DAYS=0 promises that no backup of the key store exists: "
            "certificates of destruction say so. Set it to the days that you may keep one."
        )
    hold = lake.db.hold("backup", lake.data / "backup.lock")
    try:
        claim(lake, store, KEY_KIND)
        now = clock.now()
        id_ = fmt.new_id(now)
        content = _content(lake.provider, places, id_)
        wrapped = [*content.buckets.values(), *content.own.values(), content.key]
        name = f"{KEYS}/{id_}/keys"
        data = msgspec.msgpack.encode(content)
        manifest = KeyManifest(
            id=id_,
            taken_at=iso(now),
            days=days,
            software=f"auditkeep/{__version__}",
            master_keys=tuple(sorted({master_of(one) for one in wrapped})),
            log_key=lake.signer.vkey,
            count=len(content.buckets),
            keys=fmt.part(name, data),
        )
        store.put(name, data)
        reach("backup.keys-kept")
        store.put(fmt.manifest_name(KEYS, id_), fmt.signed(manifest, lake.signer))
        return KeysCreated(manifest, prune(store, clock.now(), days))
    finally:
        hold.release()


def prune(store: ObjectStore, now: Instant, days: int) -> tuple[str, ...]:
    """Take away backups of keys that are too old, or will be before tomorrow's run; their ids.

    What was never finished goes too. The newest stays until it is too old itself.
    """
    complete = fmt.ids(store, KEYS)
    gone = []
    for id_ in fmt.ids(store, KEYS, whole=False):
        until = now if id_ == (complete or [""])[-1] else now + UNTIL_NEXT
        if id_ not in complete or ends_at(store, id_, days) <= until:
            fmt.forget(store, KEYS, id_)
            gone.append(id_)
    store.tidy(f"{KEYS}/")
    return tuple(gone)


def ends_at(store: ObjectStore, id_: str, days: int) -> Instant:
    """Until when a backup of keys may be kept where `days` is the promise of today."""
    ends = Instant(fmt.taken_at(id_) + days * DAY)
    with suppress(InputError):  # damaged: today's promise holds all the same
        ends = min(ends, fmt.read(store, KEYS, KeyManifest, id_).ends_at)
    return ends


def require_young(manifest: KeyManifest, now: Instant) -> None:
    """KeyUnusable for a backup of keys that had to be gone by now."""
    if manifest.ends_at <= now:
        raise KeyUnusable(
            f"The backup of keys {manifest.id} had to be gone by {iso(manifest.ends_at)}: "
            f"certificates of destruction state that none is kept for longer than {manifest.days} "
            "days, and with it what was destroyed since may open again. Take a newer one, or the "
            "key store that is left. If there is no other, --outdated-keys takes it, and the "
            "activity log says so."
        )


def read(store: ObjectStore, manifest: KeyManifest) -> Content:
    """What a backup of keys holds; InputError if it is not what was put."""
    data = fmt.get(store, manifest.keys)
    try:
        return msgspec.msgpack.decode(data, type=Content)
    except msgspec.MsgspecError as error:
        raise InputError(f"'{manifest.keys.name}' holds no keys: {error}.") from error


def put_back(
    content: Content, id_: str, provider: KeyProvider, places: KeyPlaces, wanted: set[str]
) -> None:
    """Key files and the keys of `wanted` buckets, back into a key directory; others stay out.

    KeyUnusable if the master key there is not the one; then nothing is written. Run again after it
    was cut off, it passes over what is there.
    """
    key = provider.unwrap(content.key, _CONTEXT)
    opened = {
        name: open_sealed(key, sealed, _aad(id_, name)) for name, sealed in content.files.items()
    }
    for name, file in opened.items():
        path = places.files.get(name)
        if path is None:
            raise InputError(
                f"The backup holds a key file '{name}' that this version does not know."
            )
        _put(path, file)
    for store, kept in ((places.own, content.own), (places.buckets, content.buckets)):
        there = set(store.bucket_ids())
        for name, wrapped in kept.items():
            if name not in there and (store is places.own or name in wanted):
                store.put(name, wrapped)


def _put(path: Path, content: bytes) -> None:
    if not path.exists():
        durable.write_new(path, content, mode=0o600)
    elif path.read_bytes() != content:
        raise KeyUnusable(f"{path} is there already, and is another one than in the backup.")


def _content(provider: KeyProvider, places: KeyPlaces, id_: str) -> Content:
    key = new_key()
    return Content(
        buckets=_wrapped(places.buckets),
        own=_wrapped(places.own),
        files={
            name: seal(key, keyfiles.read(path), _aad(id_, name))
            for name, path in places.files.items()
            if path.exists()
        },
        key=provider.wrap(key, _CONTEXT),
    )


def _wrapped(store: KeyStore) -> dict[str, bytes]:
    found = {}
    for bucket_id in store.bucket_ids():
        with suppress(KeyDestroyed):  # since the list was read; one that cannot be read is told
            found[bucket_id] = store.get(bucket_id)
    return found


def _aad(id_: str, name: str) -> bytes:
    return f"{KEY_KIND}\n{id_}\n{name}".encode()
