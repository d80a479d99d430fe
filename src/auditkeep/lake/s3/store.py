"""Objects in a bucket of S3, or of a store that speaks as it does.

- A key is taken once, whoever else is putting: `If-None-Match: *`. A try again after an answer that
  got lost finds the key taken by itself; each attempt leaves a random mark to know its own by.
- An object is whole and durable when S3 has answered: so it is when `put` returns.
- Large objects are read by ranges, so that no request lasts longer than it may, and one that
  breaks off is asked for again alone.
- What is read by other libraries is copied to this machine first (`copies`).
- Where the bucket has Object Lock, what is to last is locked by the request that puts it. Deleting
  then hides an object; `purge` takes it away for good once its lock has ended. What makes it
  unreadable at once is that its key is destroyed.

Errors of the store are `StoreAway`: nothing was acknowledged, nothing is lost. obstore is imported
with the first request.
"""

import io
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from auditkeep.clock import DAY, Clock, Instant, from_datetime
from auditkeep.errors import ObjectExists, ObjectMissing, StoreAway
from auditkeep.lake.objects import Entry, Held, parts_of
from auditkeep.lake.s3.breaker import Breaker
from auditkeep.lake.s3.control import MARK, Control, Version
from auditkeep.lake.s3.copies import Copies
from auditkeep.lake.s3.credentials import Ambient
from auditkeep.lake.s3.place import Place
from auditkeep.lake.s3.refusals import explained

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store

T = TypeVar("T")

RANGE = 8 << 20
"""Bytes of one request of a large object that is read."""
PART = 32 << 20
"""Bytes of one request of a large object that is put; what is smaller goes in one."""
TRIES = 4


class S3Objects:
    """`ObjectStore` over one bucket; nothing is asked before it is used."""

    def __init__(self, place: Place, copies: Copies, clock: Clock) -> None:
        self.place = place
        self._copies = copies
        self._clock = clock
        self._breaker = Breaker()

    @cached_property
    def ambient(self) -> Ambient:
        return Ambient()

    @cached_property
    def control(self) -> Control:
        return Control(self.place, self.ambient, self._breaker)

    def now(self) -> Instant:
        """What time locks are reckoned from."""
        return self._clock.now()

    def put(self, key: str, data: bytes | Iterable[bytes]) -> None:
        name, mark = _plain(key), secrets.token_hex(16)
        until = self._lock_until(name)
        parts = _parts(data)
        first = next(parts, b"")
        second = next(parts, None)
        try:
            if second is not None:
                self.control.put_parts(name, chain((first, second), parts), mark, until)
            elif until is not None:
                self.control.put(name, first, mark, until)
            else:
                self._asked(name, "s3:PutObject", lambda: self._put(name, first, mark))
        except ObjectExists:
            if self._mark(name) != mark:  # else: our own, put before its answer was lost
                raise

    def replace(self, key: str, data: bytes) -> None:
        name = _plain(key)
        self._asked(
            name,
            "s3:PutObject",
            lambda: self._store.put(name, data, mode="overwrite", use_multipart=False),
        )

    def get(self, key: str) -> bytes:
        return b"".join(self._ranges(_plain(key)))

    def open(self, key: str) -> BinaryIO:
        ranges = self._ranges(_plain(key))
        first = next(ranges)  # says at once that there is none
        return cast("BinaryIO", io.BufferedReader(_Stream(chain((first,), ranges)), RANGE))

    def near(self, keys: Sequence[str]) -> list[Path]:
        return self._copies.near([_plain(key) for key in keys], self._ranges)

    def anew(self, key: str) -> Path:
        name = _plain(key)
        return self._copies.anew(name, self.get(name))

    def size(self, key: str) -> int:
        return int(self._head(key)["size"])

    def exists(self, key: str) -> bool:
        try:
            self._head(key)
        except ObjectMissing:
            return False
        return True

    def modified(self, key: str) -> Instant:
        return from_datetime(self._head(key)["last_modified"])

    def delete(self, key: str) -> None:
        name = _plain(key)
        self._copies.forget(name)
        self._asked(name, "s3:DeleteObject", lambda: self._store.delete(name), missing=True)
        if self.control.protection.versioned:
            self._purge([v for v in self._versions(name) if v.key == name], self._clock.now())

    def tidy(self, folder: str) -> None:
        for key, upload in self._uploads(folder):
            self.control.abort(key, upload)
        self._copies.clear(folder)
        self.purge(folder, self._clock.now())

    def purge(self, folder: str, now: Instant) -> Held | None:
        """Older versions go, and the marks of deletions that hide none; what is current stays."""
        if not self.control.protection.versioned:
            return None
        held: list[Version] = []
        of_one: list[Version] = []
        for version in self._versions(folder):
            if of_one and of_one[0].key != version.key:
                held += self._purge(of_one, now)
                of_one = []
            of_one.append(version)
        held += self._purge(of_one, now)
        if not held:
            return None
        until = max(v.modified for v in held) + self.place.lock_days * DAY
        return Held(len(held), sum(v.size for v in held), Instant(until) if self.locks else None)

    # --- through obstore --------------------------------------------------------------------------

    @cached_property
    def _store(self) -> "S3Store":
        from obstore.store import S3Store  # noqa: PLC0415 - heavy

        place, ambient = self.place, self.ambient
        region = place.region or ambient.region
        if not region:
            raise StoreAway(
                "Objects are to lie in S3, but in which region is not told: set "
                "AUDITKEEP_OBJECTS_REGION or AWS_REGION."
            )
        config: S3Config = {
            "bucket": place.bucket,
            "region": region,
            "checksum_algorithm": "SHA256",
            "conditional_put": "etag",
            "disable_bulk_delete": True,
            "disable_tagging": True,
            "virtual_hosted_style_request": not place.endpoint,
        }
        if place.endpoint:
            config["endpoint"] = place.endpoint
        if place.kms_key:
            config["server_side_encryption"] = "aws:kms"
            config["sse_kms_key_id"] = place.kms_key
            config["sse_bucket_key_enabled"] = True
        seconds = place.timeout_seconds
        client: ClientConfig = {
            "allow_http": place.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=min(5.0, seconds)),
            "timeout": timedelta(seconds=seconds),
            "user_agent": "auditkeep",
        }
        if place.ca_file is not None:
            client["root_certificate"] = place.ca_file.read_bytes()
        return S3Store(
            prefix=place.prefix or None,
            config=config,
            client_options=client,
            retry_config={
                "max_retries": TRIES - 1,
                "retry_timeout": timedelta(seconds=3 * seconds),
                "backoff": {"max_backoff": timedelta(seconds=2)},
            },
            credential_provider=ambient,
        )

    def _put(self, name: str, data: bytes, mark: str) -> None:
        self._store.put(name, data, mode="create", use_multipart=False, attributes={MARK: mark})

    def _mark(self, name: str) -> str:
        """The mark of the attempt that put an object."""
        told: Any = self._asked(name, "s3:GetObject", lambda: self._store.get(name)).attributes
        return str(told.get(MARK, ""))

    def _head(self, key: str) -> Any:
        name = _plain(key)
        return self._asked(name, "s3:GetObject", lambda: self._store.head(name))

    def _ranges(self, name: str) -> Iterator[bytes]:
        """An object's bytes, at least one piece of them; ObjectMissing with the first."""
        whole = self._asked(name, "s3:GetObject", lambda: self._store.get(name))
        size = int(whole.meta["size"])
        if size <= RANGE:
            yield self._asked(name, "s3:GetObject", lambda: bytes(whole.bytes()))
            return
        for start in range(0, size, RANGE):
            end = min(start + RANGE, size)
            yield self._asked(name, "s3:GetObject", self._range(name, start, end))

    def _range(self, name: str, start: int, end: int) -> Callable[[], bytes]:
        return lambda: bytes(self._store.get_range(name, start=start, end=end))

    def _asked(self, key: str, action: str, ask: Callable[[], T], *, missing: bool = False) -> T:
        """What the store answers, its errors as ours; `missing`: no object is an answer too."""
        from obstore.exceptions import BaseError  # noqa: PLC0415 - heavy

        def asking() -> T:
            try:
                return ask()
            except (BaseError, FileNotFoundError, OSError) as error:
                raise explained(error, self.place, key, action) from error

        try:
            return self._breaker.through(asking)
        except ObjectMissing:
            if missing:
                return cast("T", None)
            raise

    # --- versions and locks -----------------------------------------------------------------------

    @cached_property
    def locks(self) -> bool:
        """Whether what lasts is locked: the bucket can, and the operator wants it."""
        return self.place.lock != "none" and bool(self.control.protection.locked)

    def _lock_until(self, name: str) -> Instant | None:
        if not self.locks or not lasting(name):
            return None
        return Instant(self._clock.now() + self.place.lock_days * DAY)

    def _versions(self, prefix: str) -> Iterator[Version]:
        try:
            yield from sorted(self.control.versions(prefix), key=lambda v: v.key)
        except StoreAway as away:
            if away.silent or self.may_purge:
                raise

    @cached_property
    def may_purge(self) -> bool:
        """Whether versions may be listed; where not, the bucket's own rules take them away.

        StoreAway while nobody answers, which says nothing of that and is not remembered.
        """
        try:
            next(self.control.versions("probe/"), None)
        except StoreAway as away:
            if away.silent:
                raise
            return False
        return True

    def _uploads(self, folder: str) -> Sequence[tuple[str, str]]:
        try:
            return self.control.uploads(folder)
        except StoreAway:  # a permission that a deployment may do without: a bucket's rule aborts
            return ()

    def _purge(self, versions: Sequence[Version], now: Instant) -> list[Version]:
        """Take away what is hidden of one object; the versions that are held."""
        hidden = [v for v in versions if not v.marker and not v.latest]
        held = [v for v in hidden if self._is_locked(v, now) or not self.control.destroy(v)]
        if not held and not any(v.latest and not v.marker for v in versions):
            for marker in (v for v in versions if v.marker):
                self.control.destroy(marker)
        return held

    def _is_locked(self, version: Version, now: Instant) -> bool:
        """Whether our own lock is known to hold, so that asking would be in vain."""
        return bool(
            self.locks
            and lasting(version.key)
            and version.modified + self.place.lock_days * DAY > now
        )

    # --- lists: last, for the name hides the type's

    def list(self, prefix: str) -> Iterator[str]:
        return (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str) -> Iterator[Entry]:
        folder = prefix.rpartition("/")[0]
        if folder:
            _plain(folder)
        pages = self._asked(prefix, "s3:ListBucket", lambda: iter(self._store.list(folder or None)))
        while True:
            page = self._asked(prefix, "s3:ListBucket", lambda: next(pages, None))
            if page is None:
                return
            for told in page:
                if told["path"].startswith(prefix):
                    at = from_datetime(told["last_modified"])
                    yield Entry(told["path"], told["size"], at)


def lasting(key: str) -> bool:
    """Whether an object is put to stay until its key is destroyed.

    Not so: the published checkpoint, which is replaced; tiles of the log that are not full yet,
    which full ones take the place of; uploads, which are imported or forgotten within the hour.
    """
    kind, _, rest = key.partition("/")
    if kind == "blobs":
        return rest.split("/")[2:3] != ["uploads"]
    return kind in {"segments", "leaves"} or (kind == "log" and ".p/" not in key and "tile" in key)


class _Stream(io.RawIOBase):
    """Pieces, read as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _plain(key: str) -> str:
    parts_of(key)
    return key


def _parts(data: bytes | Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of `PART` bytes, the last one smaller; at least one."""
    if isinstance(data, bytes):
        yield from (data[at : at + PART] for at in range(0, max(len(data), 1), PART))
        return
    gathered = bytearray()
    for piece in data:
        gathered += piece
        while len(gathered) > PART:
            yield bytes(gathered[:PART])
            del gathered[:PART]
    yield bytes(gathered)
