"""Manual evidence: what people say or hand in for one control (spec sections 3.9 and 10.5).

Each item becomes a pinned observation, seen by its control alone and at once. Its raw bytes are a
descriptor in canonical JSON: who handed it in, in which form, and the text or the file's name,
size, SHA-256 and place. A file is copied when it is imported, under the class that is destroyed
with its assessment, so that what was imported no longer depends on where it came from.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

import msgspec

from auditkeep import __version__
from auditkeep.clock import MINUTE, Instant, day_of
from auditkeep.db.schema import uploads
from auditkeep.db.tx import Tx
from auditkeep.errors import ObjectMissing, StorageError
from auditkeep.evidence.formats import ENOUGH, content_fault, name_fault
from auditkeep.evidence.ids import manual_class, pinned_key
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.append import Appended, Unit, append
from auditkeep.lake.blobs import delete_blob, discard_blob, get_blob, put_blob
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored
from auditkeep.lake.read import rollups
from auditkeep.observations import Observation, Provenance

UPLOAD_KEPT = 24 * 60 * MINUTE
"""How long an uploaded file waits to be imported."""

STOCK = "stock"
"""The key class of files that an operator has put in a bucket of this deployment."""

_NAME_LENGTH = 300
_TIDIED = 20
"""Forgotten uploads that are cleared away whenever somebody asks for a new one."""


class Text(msgspec.Struct, frozen=True):
    """An answer in words."""

    text: str


class Uploaded(msgspec.Struct, frozen=True):
    """A file under the name that GetEvidenceFileUploadUrl gave it."""

    name: str


class Stocked(msgspec.Struct, frozen=True):
    """A file of a bucket: the URL it was named by, and the object that stands for it here."""

    url: str
    object_id: str


@dataclass(frozen=True, slots=True)
class Brought:
    """A file of a bucket elsewhere: the URL it was named by, and how what was read of it opens."""

    url: str
    open: Callable[[], BinaryIO]


Offer = Text | Uploaded | Stocked | Brought


class File(msgspec.Struct, frozen=True):
    """A manual item's file: `object_id` is its copy's, `sha256` in hex."""

    name: str
    object_id: str
    sha256: str
    size: int


class Refused(msgspec.Struct, frozen=True):
    """Why one item was not imported: an HTTP status and a sentence."""

    code: Literal["400", "403", "404", "429", "503"]
    message: str


Outside = Refused | Callable[[], BinaryIO]
"""What became of reading a file from elsewhere: how to open it, or why it could not be had."""


class _Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The raw bytes of a manual observation; members sorted by name, so that it is canonical."""

    file_name: str | None = msgspec.field(name="fileName", default=None)
    form: Literal["text", "file", "s3"]
    object: str | None = None
    path: str | None = None
    sha256: str | None = None
    size: int | None = None
    text: str | None = None
    uploader: str


@dataclass(frozen=True, slots=True)
class Pin:
    """Where manual evidence belongs, who brings it, in which request, and when."""

    assessment_id: str
    ordinal: int
    uploader: str
    request_id: str
    now: Instant


def import_all(
    tx: Tx, lake: Lake, pin: Pin, offers: Sequence[Offer], *, largest: int, daily: int
) -> list[Refused | None]:
    """Keep what can be kept, in one batch; for each offer None, or why it was refused.

    `largest` is the size in bytes that a file may have, `daily` how many items one control takes in
    one day.
    """
    tx.lock_tenant()  # or two requests at once could each find room for the last item of the day
    room = daily - _today(tx, pin)
    outcomes: list[Refused | None] = []
    kept: list[Observation] = []
    for number, offer in enumerate(offers):
        descriptor: _Descriptor | Refused = Refused(
            "429", f"This control has its {daily} manual items of today already."
        )
        if len(kept) < room:
            descriptor = _described(tx, lake, pin, offer, largest)
        if isinstance(descriptor, Refused):
            outcomes.append(descriptor)
        else:
            outcomes.append(None)
            kept.append(_observation(tx.tenant, pin, descriptor, number))
    if kept:
        done = append(
            tx,
            lake,
            unit=Unit(new_id(), "manual"),
            klass=manual_class(pin.assessment_id),
            observations=kept,
            provenance=Provenance(
                how="uploaded",
                collector="BatchImportEvidenceToAssessmentControl",
                run=pin.request_id,
                software=f"auditkeep/{__version__}",
            ),
            now=pin.now,
        )
        _take_back(lake, tx, kept, outcomes, done)
    return outcomes


def _take_back(
    lake: Lake,
    tx: Tx,
    kept: Sequence[Observation],
    outcomes: list[Refused | None],
    done: Appended,
) -> None:
    """Answer with what the lake would not keep, instead of saying that it was imported."""
    by_position = {o.position: o for o in kept}
    if (
        done.new + len(done.refused) != len(kept)
        or not dict(done.refused).keys() <= by_position.keys()
    ):
        # Every item has an id of its own: none can have been there before.
        raise StorageError("Not all manual evidence of this request could be kept; try again.")
    for position, reason in done.refused:
        outcomes[int(position)] = Refused("400", reason)
        found = msgspec.json.decode(by_position[position].raw, type=_Descriptor)
        if found.object is not None:
            discard_blob(tx, lake, found.object)


def stocked(bucket: str, key: str) -> str:
    """The object that stands for `s3://BUCKET/KEY` here, where no S3 is reached.

    Apart from where reports are put, or anybody could read another assessment's report by
    importing it.
    """
    return f"{STOCK}/{bucket}/{key}"


def file_of(stored: Stored) -> File | None:
    """The file that came with an item; None for words, and for what is not manual."""
    if stored.source != "MANUAL":
        return None
    found = msgspec.json.decode(stored.raw, type=_Descriptor)
    if found.object is None or found.sha256 is None or found.size is None:
        return None
    return File(found.file_name or "", found.object, found.sha256, found.size)


def expect_upload(tx: Tx, lake: Lake, name: str, now: Instant) -> str:
    """Make room for a file to come; the name it is to be imported by.

    The name holds a random part, so that no two uploads meet, and ends as the file's own does.
    """
    _tidy(tx, lake, now)
    prefix = new_id()
    given = f"{prefix}_{name[-(_NAME_LENGTH - len(prefix) - 1) :]}"
    tx.insert(
        uploads,
        {
            "name": given,
            "object_key": f"uploads/{prefix}",
            "created_at": now,
            "expires_at": now + UPLOAD_KEPT,
        },
    )
    return given


def _today(tx: Tx, pin: Pin) -> int:
    day = day_of(pin.now)
    key = pinned_key(pin.assessment_id, pin.ordinal)
    return sum(r.items for r in rollups(tx, match_keys=[key], first_day=day, last_day=day))


def _described(tx: Tx, lake: Lake, pin: Pin, offer: Offer, largest: int) -> _Descriptor | Refused:
    if isinstance(offer, Text):
        return _Descriptor(form="text", uploader=pin.uploader, text=offer.text)
    if isinstance(offer, Stocked | Brought):
        name = offer.url.rpartition("/")[2]
        if isinstance(offer, Stocked):
            copied = _copied(tx, lake, pin, name, offer.object_id, largest)
        else:
            copied = _checked(tx, lake, pin, name, offer.open, largest)
        if isinstance(copied, Refused):
            return copied
        return _of_file("s3", pin, copied, path=offer.url)
    upload = tx.first(
        tx.select(uploads.c.object_key, uploads.c.size).where(
            uploads.c.name_key == tx.digest(uploads.c.name_key, offer.name),
            uploads.c.expires_at > pin.now,
        )
    )
    if upload is None or upload.size is None:
        return Refused("404", "No file was uploaded under this name, or it was too long ago.")
    # What the server put before the name says nothing to a reader of the evidence.
    shown = offer.name.partition("_")[2]
    copied = _copied(tx, lake, pin, shown, upload.object_key, largest)
    return copied if isinstance(copied, Refused) else _of_file("file", pin, copied)


def _of_file(
    form: Literal["file", "s3"], pin: Pin, file: File, path: str | None = None
) -> _Descriptor:
    return _Descriptor(
        form=form,
        uploader=pin.uploader,
        file_name=file.name,
        object=file.object_id,
        path=path,
        sha256=file.sha256,
        size=file.size,
    )


def _copied(
    tx: Tx, lake: Lake, pin: Pin, name: str, object_id: str, largest: int
) -> File | Refused:
    """The assessment's own copy of a file that lies here, if it may be evidence."""
    return _checked(
        tx,
        lake,
        pin,
        name,
        lambda: io.BufferedReader(_Parts(get_blob(tx, lake, object_id))),
        largest,
    )


def _checked(
    tx: Tx, lake: Lake, pin: Pin, name: str, opened: Callable[[], BinaryIO], largest: int
) -> File | Refused:
    """A copy of what is opened, if its name and its beginning are those of evidence."""
    fault = name_fault(name)
    if fault is not None:
        return Refused("400", f"The file's name {fault}")
    try:
        source = io.BufferedReader(cast("io.RawIOBase", opened()))
    except ObjectMissing:
        return Refused("404", "There is no file of this name.")
    with source:
        fault = content_fault(name, source.peek(ENOUGH)[:ENOUGH])
        if fault is not None:
            return Refused("400", fault)
        copy = f"{manual_class(pin.assessment_id)}/{new_id()}"
        blob = put_blob(tx, lake, manual_class(pin.assessment_id), copy, source, pin.now)
    if blob.size > largest:
        discard_blob(tx, lake, copy)
        return Refused("400", f"The file has {blob.size} bytes; {largest} are the most.")
    return File(name, copy, blob.sha256.hex(), blob.size)


def _observation(tenant: Tenant, pin: Pin, descriptor: _Descriptor, number: int) -> Observation:
    return Observation(
        source="MANUAL",
        # The upload, never its content: saying the same twice is two pieces of evidence.
        natural_key=(new_id(),),
        event_time=pin.now,
        match_key=pinned_key(pin.assessment_id, pin.ordinal),
        account=tenant.account,
        region=tenant.region,
        raw=msgspec.json.encode(descriptor),
        reader="manual/1",
        position=str(number),
        actor=pin.uploader,
    )


def _tidy(tx: Tx, lake: Lake, now: Instant) -> None:
    """Clear away some uploads that nobody imported in time."""
    table = uploads.c
    late = tx.all(
        tx.select(table.name_key, table.object_key).where(table.expires_at <= now).limit(_TIDIED)
    )
    if not late:
        return
    tx.run(tx.delete(uploads).where(table.name_key.in_([u.name_key for u in late])))
    for upload in late:
        delete_blob(tx, lake, upload.object_key)


class _Parts(io.RawIOBase):
    """Parts of a file, as they come, read as one stream."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any, /) -> int:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        target = memoryview(into)
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
