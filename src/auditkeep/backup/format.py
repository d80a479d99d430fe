"""What a backup says of itself: docs/formats.md, "Backups".

    points/<id>/database/<number>     rows of all tables, of one snapshot
    points/<id>/objects               which objects belong to it, with size and hash
    points/<id>/manifest              what there is, signed: put last
    objects/<2 hex>/<64 hex>          objects, of all points of this place together

    keys/<id>/keys                    wrapped keys of the key store, in a place of their own
    keys/<id>/manifest

A manifest is the canonical JSON of its object; the log's key signs a note of the SHA-256 of the
same without `signature`. Whoever has the log's public key can check a backup, without any secret,
on whatever machine it is kept.

Invariants: what has no manifest is no backup; nothing is ever put in place of something else.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeVar

import msgspec

from auditkeep.clock import DAY, SECOND, Instant
from auditkeep.errors import InputError, KeyUnusable, ObjectMissing, ProofError
from auditkeep.lake.objects import ObjectStore
from auditkeep.tlog.note import Signer, Verifier, open_note, sign

KIND: Final = "auditkeep/backup/1"
KEY_KIND: Final = "auditkeep/key-backup/1"
POINTS: Final = "points"
KEYS: Final = "keys"
MANIFEST: Final = "manifest"

_ID = re.compile(r"(\d{8}T\d{6})\.(\d{6})Z-[0-9a-f]{8}")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One object of a backup, by its key in the place."""

    name: str
    size: int
    sha256: str


class TableRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many rows a table had, and what their values are."""

    name: str
    columns: tuple[str, ...]
    rows: int


class LogState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log at the snapshot: its newest signed checkpoint, and the notes of former logs."""

    key: str
    size: int
    root: str
    checkpoint: str
    former: tuple[str, ...]


class Manifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True
):
    """A backup of database and objects."""

    kind: Literal["auditkeep/backup/1"] = KIND
    id: str
    taken_at: str
    software: str
    schema: str
    database: str
    master_keys: tuple[str, ...]
    """Names of what the keys of this backup's buckets are wrapped under."""
    log: LogState
    tables: tuple[TableRows, ...]
    parts: tuple[Part, ...]
    objects: Part
    object_count: int
    object_bytes: int
    signature: str = ""

    @property
    def log_key(self) -> str:
        return self.log.key


class KeyManifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True
):
    """A backup of the key store; `days` is the longest that it is kept."""

    kind: Literal["auditkeep/key-backup/1"] = KEY_KIND
    id: str
    taken_at: str
    days: int
    software: str
    master_keys: tuple[str, ...]
    log_key: str
    count: int
    keys: Part
    signature: str = ""

    @property
    def ends_at(self) -> Instant:
        """When it has to be gone, by its own days."""
        return Instant(taken_at(self.id) + self.days * DAY)


M = TypeVar("M", Manifest, KeyManifest)


def new_id(now: Instant) -> str:
    """The id of a backup: ids sort as the times they were taken at."""
    seconds, micros = divmod(now, SECOND)
    at = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{at}.{micros:06d}Z-{os.urandom(4).hex()}"


def taken_at(id_: str) -> Instant:
    """When a backup was taken, from its id; InputError if it is none."""
    match = _ID.fullmatch(id_)
    if match is None:
        raise InputError(f"'{id_}' is not the id of a backup; `auditkeep backup list` shows them.")
    at = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return Instant(int(at.timestamp()) * SECOND + int(match[2]))


def signed(manifest: M, signer: Signer) -> bytes:
    """The bytes of a manifest, signed by the log's key."""
    note = sign(_note_text(manifest), [signer])
    return msgspec.json.encode(msgspec.structs.replace(manifest, signature=note), order="sorted")


def parse(data: bytes, kind: type[M], where: str) -> M:
    """A manifest from its bytes, its signature unchecked; InputError if it is none."""
    try:
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"'{where}' is not a manifest that this version can read: {error}.") from (
            error
        )
    if msgspec.json.encode(found, order="sorted") != data:
        raise InputError(f"'{where}' was changed: it is not written as manifests are.")
    return found


def require_signed(manifest: Manifest | KeyManifest, keys: Sequence[Verifier]) -> None:
    """ProofError unless one of the keys has signed exactly this manifest."""
    note = open_note(manifest.signature, keys)
    if note.body != _note_text(manifest):
        raise ProofError("What is signed is another manifest.")


def key_of(manifest: Manifest | KeyManifest) -> Verifier:
    """The key that a manifest says it is signed by; InputError if that is none."""
    try:
        return Verifier.parse(manifest.log_key)
    except KeyUnusable as error:
        raise InputError(f"The manifest of {manifest.id} names no key of a log: {error}") from error


def part(name: str, data: bytes) -> Part:
    return Part(name, len(data), hashlib.sha256(data).hexdigest())


def get(store: ObjectStore, told: Part) -> bytes:
    """The bytes of a part; InputError names it if it is not what the manifest says."""
    try:
        data = store.get(told.name)
    except ObjectMissing as error:
        raise InputError(f"'{told.name}' is missing from the backup.") from error
    if part(told.name, data) != told:
        raise InputError(f"'{told.name}' was changed or cut short: its hash is not the manifest's.")
    return data


def ids(store: ObjectStore, folder: str, *, whole: bool = True) -> list[str]:
    """The backups in a place, oldest first; with those that were never finished unless `whole`."""
    names = [name.split("/") for name in store.list(f"{folder}/")]
    return sorted(
        {
            name[1]
            for name in names
            if len(name) > 2 and _ID.fullmatch(name[1]) and (not whole or name[2:] == [MANIFEST])
        }
    )


def manifest_name(folder: str, id_: str) -> str:
    return f"{folder}/{id_}/{MANIFEST}"


def read(store: ObjectStore, folder: str, kind: type[M], id_: str) -> M:
    """A backup's manifest, its signature unchecked; InputError if it has none."""
    name = manifest_name(folder, id_)
    try:
        data = store.get(name)
    except ObjectMissing as error:
        raise InputError(f"There is no backup '{id_}' here, or it was never finished.") from error
    found = parse(data, kind, name)
    if found.id != id_:
        raise InputError(f"'{name}' is the manifest of another backup, {found.id}.")
    return found


def newest(store: ObjectStore, folder: str) -> str:
    """The id of the newest whole backup; InputError if there is none."""
    found = ids(store, folder)
    if not found:
        raise InputError("There is no whole backup here.")
    return found[-1]


def forget(store: ObjectStore, folder: str, id_: str) -> None:
    """Take a backup away: its manifest first, so that what is left is none."""
    store.delete(manifest_name(folder, id_))
    for name in list(store.list(f"{folder}/{id_}/")):
        store.delete(name)
    store.tidy(f"{folder}/{id_}/")


def unfinished(store: ObjectStore, folder: str) -> Iterator[str]:
    """What was begun and never finished."""
    complete = set(ids(store, folder))
    return (one for one in ids(store, folder, whole=False) if one not in complete)


def _note_text(manifest: Manifest | KeyManifest) -> str:
    unsigned = msgspec.structs.replace(manifest, signature="")
    digest = hashlib.sha256(msgspec.json.encode(unsigned, order="sorted")).hexdigest()
    return f"{manifest.kind}\n{key_of(manifest).name}\n{digest}\n"
