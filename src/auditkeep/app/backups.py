"""Backups as the operator's commands ask for them: where everything lies, and in which order.

The order is the point. A backup of keys is made after the one of data, so that it has every key
that the data needs; a restore brings keys first, then objects, then rows, then the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from auditkeep.app import keys
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.places import Places
from auditkeep.app.stores import store_of
from auditkeep.backup import check as checks
from auditkeep.backup import create as creating
from auditkeep.backup import format as fmt
from auditkeep.backup import keys as key_backups
from auditkeep.backup import restore as restoring
from auditkeep.backup.check import Checked, KeysChecked
from auditkeep.backup.create import Progress
from auditkeep.backup.format import KEYS, POINTS, KeyManifest, Manifest
from auditkeep.backup.keys import KeyPlaces
from auditkeep.clock import Clock, Instant, iso
from auditkeep.crypto import durable
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.uses import Uses
from auditkeep.db import schema
from auditkeep.db.database import Database
from auditkeep.errors import InputError, KeyUnusable, SetupError, StorageError
from auditkeep.lake.lake import Restored
from auditkeep.lake.objects import LocalObjects, ObjectStore
from auditkeep.lake.recovery import Recovered
from auditkeep.settings import Settings
from auditkeep.tlog.note import Verifier

MARK = "restore.json"
"""In a data directory while a restore into it is not over: from which backup."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a restore was asked for."""

    source: Path
    point: str = ""
    keys: Path | None = None
    keys_point: str = ""
    outdated_keys: bool = False
    """Take a backup of keys although it had to be gone by now."""
    keep_objects: bool = False
    drill: bool = False
    newest: str | None = None
    """The text of the newest checkpoint that was published."""
    vkeys: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    """Keys that count only where they are of this log."""


class _Mark(msgspec.Struct, frozen=True):
    backup: str


@dataclass(frozen=True, slots=True)
class _Keys:
    """The backup of keys that a restore takes; none where the key store itself is left."""

    id: str
    content: key_backups.Content | None
    missing: list[str]
    """Buckets whose keys are gone for good."""


def place(path: Path) -> ObjectStore:
    """A place for backups; SetupError for what can be none."""
    if path.exists() and not path.is_dir():
        raise SetupError(f"{path} is not a folder: backups are kept in one.")
    return LocalObjects(path.absolute())


def create(
    parts: Parts, to: Path, keys_to: Path | None, keep: int | None, progress: Progress
) -> dict[str, Any]:
    """A backup of data, and one of keys where a place for it is named."""
    settings = parts.settings
    keys_to = keys_to or settings.key_backups
    _require_apart(settings, to, keys_to)
    if keep is not None and keep < 1:
        raise SetupError("--keep takes how many backups stay: 1 or more.")
    told = {"to": str(to), "keys": str(keys_to or "")}
    parts.db.system_change(lambda tx: parts.note(tx, "CreateBackup", told))
    made = creating.create(parts.lake, place(to), parts.clock, progress, keep=keep)
    manifest = made.manifest
    body: dict[str, Any] = {
        "id": manifest.id,
        "takenAt": manifest.taken_at,
        "to": str(to),
        "rows": made.rows,
        "databaseBytes": sum(one.size for one in manifest.parts),
        "objects": manifest.object_count,
        "objectBytes": manifest.object_bytes,
        "copied": made.copied,
        "copiedBytes": made.copied_bytes,
        "snapshots": made.snapshots,
        "logEntries": manifest.log.size,
        "forgotten": list(made.forgotten),
    }
    if keys_to is None:
        return body
    progress("backing keys up", 0)
    days = settings.key_backup_days
    done = key_backups.create(parts.lake, _key_places(settings), place(keys_to), parts.clock, days)
    return body | {
        "keysId": done.manifest.id,
        "keysTo": str(keys_to),
        "keys": done.manifest.count,
        "keysGoneBy": iso(done.manifest.ends_at),
        "masterKeys": list(done.manifest.master_keys),
        "keysPruned": list(done.pruned),
    }


def prune_keys(db: Database, settings: Settings, keys_at: Path, now: Instant) -> list[str]:
    """Take away backups of keys that are too old; Busy while one is being made."""
    hold = db.hold("backup", settings.data / "backup.lock")
    try:
        return list(key_backups.prune(place(keys_at), now, settings.key_backup_days))
    finally:
        hold.release()


def prune_keys_of(settings: Settings, keys_at: Path, now: Instant) -> list[str]:
    """The same by a process that has not opened the deployment."""
    db = Database(settings.database)
    try:
        return prune_keys(db, settings, keys_at, now)
    finally:
        db.close()


def listed(source: Path | None, keys_at: Path | None) -> dict[str, Any]:
    """Backups of data and of keys in two places, oldest first; what is not readable says so."""
    found: dict[str, Any] = {}
    if source is not None:
        store = place(source)
        found["backups"] = [_shown(store, id_) for id_ in fmt.ids(store, POINTS)]
    if keys_at is not None:
        store = place(keys_at)
        found["keys"] = [_shown_keys(store, id_) for id_ in fmt.ids(store, KEYS)]
    return found


def verify(
    source: Path,
    point: str,
    keys_at: Path | None,
    vkeys: Sequence[str],
    pinned: Sequence[str],
    days: int,
    now: Instant,
    progress: Progress,
) -> dict[str, Any]:
    """Check a backup of data, and the newest one of keys where their place is named."""
    store = place(source)
    id_ = point or fmt.newest(store, POINTS)
    known = _known(store, id_, vkeys, pinned)
    found = checks.check(store, id_, known, progress)
    both: list[Checked | KeysChecked] = [found]
    body: dict[str, Any] = {"id": id_}
    if keys_at is not None:
        key_store = place(keys_at)
        keys_id = fmt.newest(key_store, KEYS)
        both.append(checks.check_keys(key_store, keys_id, known, days, now))
        body["keysId"] = keys_id
    body["problems"] = [sentence for one in both for sentence in one.problems]
    body["doubts"] = [sentence for one in both for sentence in one.doubts]
    body["state"] = _state(both)
    if more := sum(one.more for one in both):
        body["moreProblems"] = more
    if found.manifest is not None:
        told = found.manifest
        body |= {
            "takenAt": told.taken_at,
            "software": told.software,
            "rows": sum(table.rows for table in told.tables),
            "objects": told.object_count,
            "objectBytes": told.object_bytes,
            "logEntries": told.log.size,
            "logKey": told.log.key,
            "masterKeys": list(told.master_keys),
        }
    return body


def restore(settings: Settings, clock: Clock, wanted: Wanted, progress: Progress) -> dict[str, Any]:
    """Put a backup back; see `Wanted`.

    SetupError where the target is not empty or the backup is of another version; StorageError where
    the backup does not pass its check; KeyUnusable for keys that are not those of the backup.
    Interrupted, it is begun again with the same backup.
    """
    store = place(wanted.source)
    id_ = wanted.point or fmt.newest(store, POINTS)
    _require_version(fmt.read(store, POINTS, Manifest, id_))
    if not _is_marked(settings, id_):  # what is there is not of this restore, cut off before
        _require_empty(settings, wanted)
        _require_no_objects(settings, wanted, clock)
        _require_no_deployment(settings)
    keys.ring(settings, Uses(clock).note)  # the master key has to be there first
    known = _known(store, id_, wanted.vkeys, wanted.pinned)
    found = checks.check(store, id_, known, progress)
    if found.problems or found.manifest is None:
        raise StorageError(
            f"The backup {id_} is not whole, and nothing was restored: {found.problems[0]}"
            + (f" And {len(found.problems) - 1} more." if len(found.problems) > 1 else "")
            + " `auditkeep backup verify` names all."
        )
    return _Restore(settings, clock, wanted, progress, store, found, found.manifest).whole()


@dataclass(frozen=True, slots=True)
class _Restore:
    settings: Settings
    clock: Clock
    wanted: Wanted
    progress: Progress
    store: ObjectStore
    found: Checked
    manifest: Manifest

    def whole(self) -> dict[str, Any]:
        settings, manifest = self.settings, self.manifest
        chosen = self._choose_keys()
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = settings.data / MARK
        resumed = _is_marked(settings, manifest.id)
        durable.replace(mark, msgspec.json.encode(_Mark(manifest.id)))
        self._put_keys(chosen)
        objects = store_of(settings, self.clock)
        count = restoring.put_objects(
            self.store, objects, self.found.objects.values(), self.progress
        )
        self._put_rows(resumed=resumed)
        recovered = self._put_log(chosen.id)
        mark.unlink()
        body: dict[str, Any] = {
            "restored": manifest.id,
            "takenAt": manifest.taken_at,
            "rows": sum(table.rows for table in manifest.tables),
            "objects": count,
            "stayDestroyed": [self._named(bucket_id) for bucket_id in chosen.missing],
        }
        if recovered is None:
            return body | {"log": "held: this is a drill; `auditkeep log recover` lets it go on"}
        told = recovered.summary()
        return body | {"log": told["log"], "logDone": told["done"], "lost": told["lost"]}

    def _choose_keys(self) -> _Keys:
        """The keys that go with this backup, before anything is put."""
        buckets = self.found.buckets
        if self.wanted.keys is None:
            held = set(_key_places(self.settings).buckets.bucket_ids())
            return _Keys("", None, restoring.require_keys(buckets, held, older=False))
        store = place(self.wanted.keys)
        id_ = self.wanted.keys_point or fmt.newest(store, KEYS)
        manifest = fmt.read(store, KEYS, KeyManifest, id_)
        _require_same_log(self.manifest, manifest)
        fmt.require_signed(manifest, [fmt.key_of(manifest)])
        if not self.wanted.outdated_keys:
            key_backups.require_young(manifest, self.clock.now())
        content = key_backups.read(store, manifest)
        older = fmt.taken_at(id_) < fmt.taken_at(self.manifest.id)
        missing = restoring.require_keys(buckets, set(content.buckets), older=older)
        return _Keys(id_, content, missing)

    def _put_keys(self, chosen: _Keys) -> None:
        """Keys back, unless they are here; none of a bucket that was destroyed."""
        buckets = self.found.buckets
        places = _key_places(self.settings)
        ring = keys.ring(self.settings, Uses(self.clock).note)
        alive = {name for name, one in buckets.items() if not one.destroyed}
        if chosen.content is not None:
            key_backups.put_back(chosen.content, chosen.id, ring, places, alive)
        else:
            for bucket_id in sorted(set(places.buckets.bucket_ids()) & buckets.keys() - alive):
                places.buckets.destroy(bucket_id)  # the backup is newer than this key store
        restoring.require_opens(places.own, ring)

    def _put_rows(self, *, resumed: bool) -> None:
        manifest = self.manifest
        mark = Restored(manifest.id, manifest.taken_at, manifest.log.size, self.wanted.keep_objects)
        ring = keys.ring(self.settings, Uses(self.clock).note)
        db = Database(self.settings.database)
        try:
            db.migrate()
            restoring.put_rows(db, self.store, manifest, mark, ring, self.progress, resumed=resumed)
        finally:
            db.close()

    def _put_log(self, keys_id: str) -> Recovered | None:
        """The log's files, and, but for a drill, what lets it go on."""
        parts = open_parts(self.settings, self.clock)  # refuses keys that are not this backup's
        try:
            if parts.lake.restored is not None:
                restoring.put_log(parts.lake, kept_objects=self.wanted.keep_objects)
            if self.wanted.drill:
                return None
            who = "the operator (auditkeep backup restore)"
            done = parts.recover_log(who, self.wanted.newest)
            told = {"backup": self.manifest.id, "keys": keys_id}
            told["keysOutdated"] = "true" if self.wanted.outdated_keys else "false"
            parts.db.system_change(lambda tx: parts.note(tx, "RestoreBackup", told))
        finally:
            parts.db.close()
        return done

    def _named(self, bucket_id: str) -> dict[str, str]:
        one = self.found.buckets[bucket_id]
        return {
            "bucket": bucket_id,
            "class": one.klass,
            "account": one.tenant.account,
            "region": one.tenant.region,
        }


def _known(
    store: ObjectStore, id_: str, vkeys: Sequence[str], pinned: Sequence[str]
) -> list[Verifier]:
    """Keys that the backup's must be among: those that were given, and pinned ones of its log."""
    known = [Verifier.parse(vkey) for vkey in vkeys]
    try:
        name = fmt.key_of(fmt.read(store, POINTS, Manifest, id_)).name
    except InputError:
        return known  # the check says what is wrong
    own = (Verifier.parse(vkey) for vkey in pinned)
    return known + [one for one in own if name == one.name or name.startswith(f"{one.name}/epoch-")]


def _state(both: Sequence[Checked | KeysChecked]) -> str:
    states = {one.state for one in both}
    return next(s for s in ("not whole", "cannot tell", "whole") if s in states)


def _key_places(settings: Settings) -> KeyPlaces:
    places = Places.of(settings)
    files = (places.log_key, places.report_key, places.escrow)
    return KeyPlaces(
        KeyStore(places.bucket_keys), KeyStore(places.own_keys), {path.name: path for path in files}
    )


def _require_apart(settings: Settings, to: Path, keys_to: Path | None) -> None:
    """SetupError where one place lies in another: what is lost or stolen together is no backup."""
    own = {"the data directory": settings.data, "the key directory": settings.keys_dir}
    new = {"--to": to} | ({} if keys_to is None else {"--keys": keys_to})
    for word, path in new.items():
        for name, other in own.items():
            if path.resolve().is_relative_to(other.resolve()):
                raise SetupError(f"{word} lies in {name}: keep backups on another disk.")
    if keys_to is not None and (
        to.resolve().is_relative_to(keys_to.resolve())
        or keys_to.resolve().is_relative_to(to.resolve())
    ):
        raise SetupError(
            "--keys and --to lie in each other: a backup of data is nobody's to read because the "
            "keys are elsewhere. Name two places."
        )


def _require_version(manifest: Manifest) -> None:
    if manifest.schema != schema.VERSION:
        raise SetupError(
            f"This backup was made by {manifest.software} with schema {manifest.schema}, this "
            f"version has {schema.VERSION}. Restore it with the version that made it, then update."
        )


def _require_same_log(data: Manifest, of_keys: KeyManifest) -> None:
    if fmt.key_of(data).public != fmt.key_of(of_keys).public:
        raise KeyUnusable(
            "The backup of keys is of another deployment than the backup of data: another key "
            "has signed it. If the log's key was changed between the two, name a backup of keys "
            "from before the change with --keys-point."
        )


def _require_empty(settings: Settings, wanted: Wanted) -> None:
    """SetupError where something would be mixed with what is restored."""
    data, key_dir = settings.data, settings.keys_dir
    free = {key_dir.name} if key_dir.parent == data else set()
    if wanted.keep_objects:
        free.add(settings.objects_dir.name)
    inside = {p.name for p in data.iterdir()} - free if data.exists() else set()
    if inside:
        raise SetupError(
            f"{data} is not empty ('{min(inside)}'): a restore replaces nothing. Name a directory "
            "that is new; the master key alone may lie in its key directory."
        )
    places = Places.of(settings)
    there = {p.name for p in key_dir.iterdir()} if key_dir.exists() else set()
    if wanted.keys is None:
        if not places.own_keys.is_dir():
            raise SetupError(
                f"There is no key store in {key_dir}: name its backup with --keys, or point "
                "AUDITKEEP_KEYS to the one that is left."
            )
    elif there - {places.master_key.name, places.escrow.name}:
        raise SetupError(
            f"There is a key store in {key_dir} already, which is newer than any backup of it. "
            "Leave --keys out to go on with it; what was destroyed stays so."
        )


def _require_no_objects(settings: Settings, wanted: Wanted, clock: Clock) -> None:
    """SetupError where a bucket of S3 holds objects that nobody said are to be gone on with."""
    if not settings.objects or wanted.keep_objects:
        return
    if next(iter(store_of(settings, clock).list("")), None) is not None:
        raise SetupError(
            f"There are objects at {settings.objects} already. If they are this deployment's, "
            "which survived, say --keep-objects; else name another place."
        )


def _require_no_deployment(settings: Settings) -> None:
    """SetupError where a database of its own holds a deployment; asked before anything is put."""
    if not settings.database_url:
        return
    db = Database(settings.database)
    try:
        if not db.is_new():
            with db.system_read() as tx:
                restoring.require_no_rows(tx)
    finally:
        db.close()


def _is_marked(settings: Settings, id_: str) -> bool:
    """Whether a restore of this backup was cut off here."""
    try:
        told = msgspec.json.decode((settings.data / MARK).read_bytes(), type=_Mark)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return False
    return told.backup == id_


def _shown(store: ObjectStore, id_: str) -> dict[str, Any]:
    try:
        told = fmt.read(store, POINTS, Manifest, id_)
    except InputError as error:
        return {"id": id_, "problem": str(error)}
    return {
        "id": id_,
        "takenAt": told.taken_at,
        "rows": sum(table.rows for table in told.tables),
        "objects": told.object_count,
        "logEntries": told.log.size,
        "software": told.software,
    }


def _shown_keys(store: ObjectStore, id_: str) -> dict[str, Any]:
    try:
        told = fmt.read(store, KEYS, KeyManifest, id_)
    except InputError as error:
        return {"id": id_, "problem": str(error)}
    gone_by = iso(told.ends_at)
    return {"id": id_, "takenAt": told.taken_at, "keys": told.count, "goneBy": gone_by}
