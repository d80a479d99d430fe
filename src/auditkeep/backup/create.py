"""Making a backup of database and objects beside a server that goes on working.

    1. objects that rows name now are copied, so that little is left to do later
    2. one snapshot: all rows, and which objects they name
    3. objects that are still missing are copied; what a row named and is gone was replaced or
       destroyed since, and then another snapshot is taken, which does not name it
    4. the manifest, signed: only now is there a backup

Invariants: every object that the snapshot names is in the backup, and is the one that its row
meant; no key is in it; what is cut off anywhere has no manifest, and the next run goes on with the
objects that it copied.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from auditkeep import __version__
from auditkeep.backup import format as fmt
from auditkeep.backup.dump import dump
from auditkeep.backup.format import KIND, POINTS, LogState, Manifest, Part, TableRows
from auditkeep.backup.pool import Copier, Kept, by_key, put_list, read_list
from auditkeep.clock import Clock, iso
from auditkeep.db import schema
from auditkeep.errors import InputError, ObjectExists, SetupError, StorageError
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake
from auditkeep.lake.named import Named, all_named
from auditkeep.lake.objects import ObjectStore
from auditkeep.lake.sequencer import newest_row
from auditkeep.tlog.merkle import EMPTY_ROOT

PLACE = "auditkeep-backup"
"""The object that says what a place is, and of which deployment."""
TRIES = 10
"""Snapshots taken before giving up: each is shorter than the one before, for less is left."""


class Progress(Protocol):
    """Told what is being done, and how far it is."""

    def __call__(self, doing: str, count: int, size: int = 0, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Created:
    """A backup that is whole."""

    manifest: Manifest
    copied: int
    copied_bytes: int
    snapshots: int
    forgotten: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.manifest.tables)


class _Place(msgspec.Struct, frozen=True):
    kind: str
    log: str


def create(
    lake: Lake, store: ObjectStore, clock: Clock, progress: Progress, *, keep: int | None = None
) -> Created:
    """Make a backup; with `keep`, only so many stay in the place, the newest ones.

    Busy while another backup of this deployment is being made; SetupError for the place of another
    deployment; StorageError where an object that rows name is missing or damaged, or where no
    snapshot held long enough. Nothing that looks like a backup is left by any of them.
    """
    hold = lake.db.hold("backup", lake.data / "backup.lock")
    try:
        claim(lake, store, KIND)
        for begun in list(fmt.unfinished(store, POINTS)):
            fmt.forget(store, POINTS, begun)
        store.tidy("objects/")  # halves of copies that were cut off
        made = _Maker(lake, store, clock, progress).whole()
        if keep is None:
            return made
        return replace(made, forgotten=prune(store, keep))
    finally:
        hold.release()


def claim(lake: Lake, store: ObjectStore, kind: str) -> None:
    """Make a place this deployment's own; SetupError if it is another's, or for something else."""
    ours = _Place(kind, lake.former[0].vkey if lake.former else lake.signer.vkey)
    with suppress(ObjectExists):
        store.put(PLACE, msgspec.json.encode(ours))
        return
    try:
        there = msgspec.json.decode(store.get(PLACE), type=_Place)
    except msgspec.MsgspecError as error:
        raise InputError(f"'{PLACE}' in this place cannot be read: it was damaged.") from error
    if there.kind != kind:
        raise SetupError(
            "Backups of data and backups of keys lie apart, in two places: who gets hold of one "
            "must not have the other. Name another place."
        )
    if there.log != ours.log:
        raise SetupError(
            f"This place holds backups of another deployment, whose log is {there.log}. Name "
            "another place."
        )


def prune(store: ObjectStore, keep: int) -> tuple[str, ...]:
    """Leave only the newest backups, and the objects that one of them names; those that went."""
    gone = fmt.ids(store, POINTS)[: -max(keep, 1)]
    if not gone:
        return ()
    for id_ in gone:
        fmt.forget(store, POINTS, id_)
    named: set[str] = set()
    for id_ in fmt.ids(store, POINTS):
        manifest = fmt.read(store, POINTS, Manifest, id_)
        named |= by_key(read_list(store, manifest.objects)).keys()
    for name in list(store.list("objects/")):
        if name not in named:
            store.delete(name)
    return tuple(gone)


@dataclass
class _Maker:
    lake: Lake
    store: ObjectStore
    clock: Clock
    progress: Progress
    snapshots: int = field(default=0, init=False)

    def whole(self) -> Created:
        self.progress("looking at what is there already", 0)
        known = self._known()
        copying = "copying objects"
        copier = Copier(
            self.lake.objects, self.store, known, lambda n, size: self.progress(copying, n, size)
        )
        self.progress(copying, 0)
        copier.copy(self._named_now())
        for _ in range(TRIES):
            snapshot = self._snapshot()
            self.progress(copying, copier.copied, copier.copied_bytes)
            kept, missing = copier.copy(snapshot.named)
            if self._holds(copier, missing):
                manifest = self._finish(snapshot, kept)
                return Created(manifest, copier.copied, copier.copied_bytes, self.snapshots)
            fmt.forget(self.store, POINTS, snapshot.id)
        raise StorageError(
            f"After {TRIES} snapshots, files were still being replaced faster than they could be "
            "copied. Nothing was made; what was copied stays. Try again at a quieter time."
        )

    def _known(self) -> dict[str, Kept]:
        """What the newest backup of the place says of objects."""
        before = fmt.ids(self.store, POINTS)
        if not before:
            return {}
        try:
            manifest = fmt.read(self.store, POINTS, Manifest, before[-1])
            return by_key(read_list(self.store, manifest.objects))
        except InputError:
            return {}  # damaged: objects are looked at themselves, and verify names it

    def _named_now(self) -> list[Named]:
        with self.lake.db.system_read() as tx:
            return list(all_named(tx))

    def _snapshot(self) -> "_Snapshot":
        self.snapshots += 1
        now = self.clock.now()
        id_ = fmt.new_id(now)
        lake = self.lake
        with lake.db.system_read() as tx:
            tables, parts = dump(
                tx,
                self.store,
                f"{POINTS}/{id_}/database",
                lambda n: self.progress("reading the database", n),
            )
            named = list(all_named(tx))
            newest = newest_row(tx, signed=True)
            b = schema.buckets.c
            alive = tx.select(b.provider_key).where(b.destroyed_at.is_(None)).distinct()
            masters = sorted(row.provider_key for row in tx.all(alive))
            database = "postgresql" if tx.postgres else "sqlite"
        reach("backup.snapshot")
        return _Snapshot(
            id=id_,
            taken_at=iso(now),
            tables=tables,
            parts=parts,
            named=named,
            masters=tuple(masters),
            database=database,
            log=LogState(
                key=lake.signer.vkey,
                size=newest.size if newest is not None else 0,
                root=(newest.root if newest is not None else EMPTY_ROOT).hex(),
                checkpoint=(newest.note or "") if newest is not None else "",
                former=tuple(log.note for log in lake.former),
            ),
        )

    def _holds(self, copier: Copier, missing: list[Named]) -> bool:
        """Whether the backup has what the snapshot meant; StorageError if it never can."""
        fresh, copier.fresh = copier.fresh, []
        if not missing and not fresh:
            return True
        now = set(self._named_now())
        # a file that was replaced while it was copied may be the one that came after
        doubtful = [k for k in fresh if Named(k.name, k.mark) not in now and _is_file(k)]
        for one in doubtful:
            copier.drop(one)
        still = [one for one in missing if one in now and not self.lake.objects.exists(one.name)]
        if still:
            raise StorageError(
                f"The object '{still[0].name}', which the database names, is missing"
                + (f", and {len(still) - 1} more" if len(still) > 1 else "")
                + ". Without it a backup is not whole, and none was made. `auditkeep log audit` "
                "says what stood in it; an earlier backup may have it."
            )
        return not missing and not doubtful

    def _finish(self, snapshot: "_Snapshot", kept: Iterable[Kept]) -> Manifest:
        self.progress("signing", 0)
        own = list(kept)
        manifest = Manifest(
            id=snapshot.id,
            taken_at=snapshot.taken_at,
            software=f"auditkeep/{__version__}",
            schema=schema.VERSION,
            database=snapshot.database,
            master_keys=snapshot.masters,
            log=snapshot.log,
            tables=snapshot.tables,
            parts=snapshot.parts,
            objects=put_list(self.store, f"{POINTS}/{snapshot.id}/objects", own),
            object_count=len(own),
            object_bytes=sum(one.size for one in own),
        )
        reach("backup.before-manifest")
        data = fmt.signed(manifest, self.lake.signer)
        self.store.put(fmt.manifest_name(POINTS, snapshot.id), data)
        return fmt.parse(data, Manifest, snapshot.id)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What one state of the database gave."""

    id: str
    taken_at: str
    tables: tuple[TableRows, ...]
    parts: tuple[Part, ...]
    named: list[Named]
    masters: tuple[str, ...]
    database: str
    log: LogState


def _is_file(kept: Kept) -> bool:
    return kept.name.startswith("blobs/")
