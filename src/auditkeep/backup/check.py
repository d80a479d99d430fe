"""Whether a backup is whole, without restoring it and without any secret.

    manifest     written as manifests are, signed by the log's key
    database     each part's size and hash, the rows of each table, their number and their columns
    objects      each that a row names is in the list, each of the list is there, byte for byte
    log          its entries are numbered without a gap and give the root of the signed checkpoint

Every fault names the file it is in. What nobody could tell without a key that was known beforehand
is a doubt: a backup that anybody could have made.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from auditkeep.backup import dump, keys, pool
from auditkeep.backup import format as fmt
from auditkeep.backup.create import Progress
from auditkeep.backup.format import KEYS, POINTS, KeyManifest, Manifest
from auditkeep.backup.pool import Kept
from auditkeep.clock import Instant, iso
from auditkeep.db import export
from auditkeep.errors import AuditkeepError, ObjectMissing, ProofError, StorageError
from auditkeep.ids import Tenant
from auditkeep.lake import named
from auditkeep.lake.audit.log import Frontier
from auditkeep.lake.batch import DESTROYED
from auditkeep.lake.named import Named
from auditkeep.lake.objects import ObjectStore
from auditkeep.tlog.checkpoint import open_checkpoint
from auditkeep.tlog.epoch import follow
from auditkeep.tlog.merkle import leaf_hash
from auditkeep.tlog.note import Verifier

MOST = 1_000
"""Sentences kept; beyond them faults are counted only."""


@dataclass
class Findings:
    """What is wrong, and what cannot be told."""

    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    more: int = 0

    def problem(self, sentence: str) -> None:
        if len(self.problems) < MOST:
            self.problems.append(sentence)
        else:
            self.more += 1

    @property
    def state(self) -> str:
        if self.problems:
            return "not whole"
        return "cannot tell" if self.doubts else "whole"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as the backup's database has it."""

    tenant: Tenant
    klass: str
    destroyed: bool


@dataclass
class Checked(Findings):
    """The answer about one backup of data."""

    manifest: Manifest | None = None
    buckets: dict[str, Bucket] = field(default_factory=dict)
    objects: dict[str, Kept] = field(default_factory=dict)


@dataclass
class KeysChecked(Findings):
    """The answer about one backup of keys."""

    manifest: KeyManifest | None = None


def check(store: ObjectStore, id_: str, known: Sequence[Verifier], progress: Progress) -> Checked:
    """Check a backup of data; `known` are keys of logs that somebody vouched for."""
    found = Checked()
    try:
        manifest = found.manifest = fmt.read(store, POINTS, Manifest, id_)
        _check_key(manifest, manifest.log.former, known, found)
        _check_checkpoint(manifest)
    except AuditkeepError as error:
        found.problem(str(error))
        return found
    try:
        found.objects = pool.read_list(store, manifest.objects)
    except AuditkeepError as error:
        found.problem(str(error))
    _Rows(store, manifest, found, progress).check()
    _check_objects(store, manifest, found, progress)
    return found


def check_keys(
    store: ObjectStore, id_: str, known: Sequence[Verifier], days: int, now: Instant
) -> KeysChecked:
    """Check a backup of keys: that it is whole, and no older than may be."""
    found = KeysChecked()
    try:
        manifest = found.manifest = fmt.read(store, KEYS, KeyManifest, id_)
        _check_key(manifest, (), known, found)
        content = keys.read(store, manifest)
    except AuditkeepError as error:
        found.problem(str(error))
        return found
    if len(content.buckets) != manifest.count:
        found.problem(f"'{manifest.keys.name}' holds another number of keys than its manifest.")
    for old in fmt.ids(store, KEYS, whole=False):
        if (ends := keys.ends_at(store, old, days)) <= now:
            found.problem(
                f"The backup of keys '{old}' is older than certificates of destruction say that "
                f"any is: it had to be gone by {iso(ends)}. `auditkeep "
                "backup prune` takes it away."
            )
    return found


def _check_key(
    manifest: Manifest | KeyManifest,
    former: Sequence[str],
    known: Sequence[Verifier],
    found: Findings,
) -> None:
    """The signature, and whether the key that made it is one that somebody vouched for."""
    own = fmt.key_of(manifest)
    where = f"The manifest of {manifest.id}"
    try:
        fmt.require_signed(manifest, [own])
    except ProofError as error:
        found.problem(f"{where} is not signed by the key it names: {error}")
        return
    # an epoch has the key of the log before it under another name
    trusted = [*known, *(epoch.verifier for epoch in follow(former, known))]
    if any(one.public == own.public for one in trusted):
        return
    if known:
        found.problem(
            f"{where} is signed by another key (fingerprint {own.fingerprint}) than those that are "
            "known: it is of another deployment, or somebody made it."
        )
    else:
        found.doubts.append(
            f"{where} is signed by a key that nobody vouched for (fingerprint {own.fingerprint}). "
            "Name the log's key with --key or --data, or pin it (`auditkeep pin`)."
        )


def _check_checkpoint(manifest: Manifest) -> None:
    """ProofError unless the checkpoint is the log's own; KeyUnusable for what is no key."""
    log = manifest.log
    if not log.checkpoint:
        if log.size:
            raise ProofError("The manifest names entries of the log and no checkpoint of them.")
        return
    signed = open_checkpoint(log.checkpoint, [fmt.key_of(manifest)])
    if (signed.size, signed.root.hex()) != (log.size, log.root):
        raise ProofError("The manifest names another checkpoint than it holds.")


def _check_objects(
    store: ObjectStore, manifest: Manifest, found: Checked, progress: Progress
) -> None:
    """Every object of the list, byte for byte."""
    kept = list(found.objects.values())
    if (len(kept), sum(k.size for k in kept)) != (manifest.object_count, manifest.object_bytes):
        found.problem(f"'{manifest.objects.name}' does not list what the manifest counts.")

    def look(one: Kept) -> str | None:
        return _fault(store, one)

    size = 0
    with ThreadPoolExecutor(pool.THREADS) as threads:
        for number, (one, fault) in enumerate(zip(kept, threads.map(look, kept), strict=True), 1):
            if fault is not None:
                found.problem(fault)
            size += one.size
            progress("checking objects", number, size)


def _fault(store: ObjectStore, one: Kept) -> str | None:
    try:
        there = pool.hashed(store, one.key)
    except ObjectMissing:
        return f"'{one.key}' (the object '{one.name}') is missing from the backup."
    except StorageError as error:
        return f"'{one.key}' (the object '{one.name}') could not be read: {error}"
    if there != (one.size, one.sha256) or not pool.is_marked(one):
        return f"'{one.key}' (the object '{one.name}') was changed or cut short."
    return None


class _Rows:
    """One walk through the rows of a backup."""

    def __init__(
        self, store: ObjectStore, manifest: Manifest, found: Checked, progress: Progress
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._found = found
        self._progress = progress
        self._counts: dict[str, int] = {}
        self._at = {t.name: {name: n for n, name in enumerate(t.columns)} for t in manifest.tables}
        self._named: list[Named] = []
        self._in_buckets: set[str] = set()
        self._log = Frontier()
        self._early: dict[int, bytes] = {}

    def check(self) -> None:
        whole = self._check_columns()
        for part in self._manifest.parts:
            try:
                for table, rows in dump.blocks(part.name, fmt.get(self._store, part)):
                    self._take(table, rows)
            except AuditkeepError as error:
                self._found.problem(str(error))
                whole = False
            except (LookupError, TypeError, ValueError):
                self._found.problem(f"'{part.name}' holds rows that are none of this database.")
                whole = False
        if whole:  # else what is missing was named, and what follows from it need not be
            self._close()

    def _check_columns(self) -> bool:
        ours = {str(t.name): tuple(export.columns(t)) for t in export.tables()}
        theirs = {t.name: t.columns for t in self._manifest.tables}
        if ours == theirs:
            return True
        self._found.problem(
            f"The backup's database has other tables than this version ({self._manifest.software}, "
            f"schema {self._manifest.schema}): use the version that made it."
        )
        return False

    def _take(self, table: str, rows: list[list[Any]]) -> None:
        columns = self._at[table]
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(table)
            self._row(table, {name: row[at] for name, at in columns.items()})
        self._counts[table] = self._counts.get(table, 0) + len(rows)
        self._progress("checking the database", sum(self._counts.values()))

    def _row(self, table: str, row: dict[str, Any]) -> None:
        if table == "log_entries":
            self._entry(row["log_index"], row["entry"])
        elif table == "buckets":
            owner = Tenant(row["account"], row["region"])
            gone = row["destroyed_at"] is not None
            self._found.buckets[row["id"]] = Bucket(owner, row["class"], gone)
        elif table in ("segments", "blobs", "batches"):
            self._refer(table, Tenant(row["account"], row["region"]), row)

    def _refer(self, table: str, owner: Tenant, row: dict[str, Any]) -> None:
        self._in_buckets.add(row["bucket_id"])
        if table == "segments":
            self._named.append(named.of_segment(owner, row["id"], row["sha256"]))
        elif table == "blobs":
            told = (row["id"], row["bucket_id"], row["created_at"], row["sha256"], row["attempt"])
            self._named.append(named.of_blob(owner, *told))
        elif row["leaves"] is None and row["segment_id"] != DESTROYED:
            self._named.append(named.of_leaves(owner, row["batch_no"], row["root"]))

    def _entry(self, index: int | None, entry: bytes) -> None:
        """Entries come nearly in the order of their indexes; those that wait for one are passed."""
        if index is None or index >= self._manifest.log.size:
            return
        self._early[index] = entry
        while (following := self._early.pop(self._log.size, None)) is not None:
            self._log.add(leaf_hash(following))

    def _close(self) -> None:
        found, manifest = self._found, self._manifest
        for table in manifest.tables:
            there = self._counts.get(table.name, 0)
            if there != table.rows:
                found.problem(
                    f"The table '{table.name}' has {there} rows, the manifest says {table.rows}."
                )
        for bucket_id in sorted(self._in_buckets - found.buckets.keys()):
            found.problem(f"Rows of the database are of a bucket {bucket_id} that is not there.")
        for one in self._named:
            listed = found.objects.get(one.name)
            if listed is None or listed.mark != one.mark:
                found.problem(
                    f"The object '{one.name}', which the database names, is not in the backup."
                )
        if self._log.size != manifest.log.size or self._early:
            found.problem(f"Entry {self._log.size} of the log is missing from the database.")
        elif self._log.root().hex() != manifest.log.root:
            found.problem(
                "The entries of the log in the database do not give the root of the checkpoint "
                "that was signed: one of them was changed."
            )
