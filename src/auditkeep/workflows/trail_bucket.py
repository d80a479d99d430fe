"""The bucket of a trail: its places, what was delivered to them in a time, and objects ahead.

Memory depends neither on the number of objects nor on their size: those of up to `SMALL` bytes are
fetched `AHEAD` at a time, larger ones are streamed.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from auditkeep.clock import Day, Instant, day_of
from auditkeep.collection.trails import Trail
from auditkeep.errors import InputError
from auditkeep.sources.digest_chain import Fetched
from auditkeep.sources.digests import MAX_DIGEST
from auditkeep.sources.pull import Clients, Refused
from auditkeep.sources.s3 import Bucket, Found, Version
from auditkeep.sources.trail_layout import LOGS, ROOT, Key, Kind, Place, read_key

T = TypeVar("T")

SMALL = 4 * 1024 * 1024
AHEAD = 8


@dataclass(frozen=True, slots=True)
class Window:
    """What of a trail is read: when files were delivered, and of which accounts and regions."""

    since: Instant
    until: Instant
    accounts: frozenset[str] | None = None
    regions: frozenset[str] | None = None

    def admits(self, place: Place) -> bool:
        return (self.accounts is None or place.account in self.accounts) and (
            self.regions is None or place.region in self.regions
        )


class TrailBucket:
    """A trail's bucket, for one run; a `digest_chain.Shelf`, too."""

    def __init__(self, clients: Clients, trail: Trail) -> None:
        self.main = Bucket(clients.client("s3", trail.region), trail.bucket)
        self._clients = clients
        self._trail = trail
        self._buckets = {trail.bucket: self.main}
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="trail")

    def close(self) -> None:
        """Fetch nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def places(self, window: Window) -> Iterator[Place]:
        """Accounts and regions that the trail has folders for."""
        prefix = self._trail.prefix
        root = f"{prefix}{ROOT}"
        for owner in self.main.folders(root):
            inner = self.main.folders(f"{root}{owner}/") if owner.startswith("o-") else [owner]
            organisation = owner if owner.startswith("o-") else ""
            for account in inner:
                if window.accounts is not None and account not in window.accounts:
                    continue
                stem = f"{root}{organisation}/" if organisation else root
                for region in self.main.folders(f"{stem}{account}/{LOGS}/"):
                    yield Place(prefix, organisation, account, region)

    def delivered(self, place: Place, kind: Kind, window: Window) -> Iterator[tuple[Found, Key]]:
        """Objects of the days that a window touches."""
        last = place.day_folder(kind, Day(day_of(window.until) + 1))
        after = place.day_folder(kind, day_of(window.since))
        for found in self.main.listed(place.folder(kind), after=after):
            if found.key > last:
                return
            key = read_key(found.key)
            if key is not None and key.kind == kind and key.place == place:
                yield found, key

    def ahead(
        self, wanted: Iterable[tuple[T, str, str, str | None]]
    ) -> Iterator[tuple[T, "Future[Version]"]]:
        """What to call an object, and the object itself, asked for before it is looked at."""
        waiting: deque[tuple[T, Future[Version]]] = deque()
        try:
            for name, bucket, key, etag in wanted:
                place = self._bucket(bucket)
                waiting.append((name, self._pool.submit(place.version, key, etag, SMALL)))
                if len(waiting) >= AHEAD:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()

    def digest(self, bucket: str, key: str) -> Fetched | None:
        """A digest's object."""
        try:
            found = self._bucket(bucket).whole(key, MAX_DIGEST)
        except InputError as error:
            raise Refused(f"s3://{bucket}/{key}: {error}", service="s3") from error
        return None if found is None else Fetched(found[0], found[1].get("signature", ""))

    def _bucket(self, name: str) -> Bucket:
        """A trail that was given another bucket has digests that name the one before."""
        if name not in self._buckets:
            self._buckets[name] = Bucket(self._clients.client("s3", self._trail.region), name)
        return self._buckets[name]
