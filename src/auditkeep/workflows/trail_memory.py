"""What is remembered of a trail while it is read: how far its places were, and which objects.

Invariants
- What is remembered is written in the transaction that keeps what was read: a pass that was killed
  is simply begun again.
- A reader that fell silent while another read the same place writes neither its own older link nor
  what follows from that (`Overtaken`): whoever notes how far a place was read, or a finding about
  it, finds the place as it was left.
"""

from collections.abc import Iterable, Iterator

from auditkeep.clock import Instant
from auditkeep.collection import trails
from auditkeep.collection.keeping import wanted_since
from auditkeep.collection.trails import Progress, Trail
from auditkeep.db.database import Database
from auditkeep.db.tx import Tx
from auditkeep.errors import Overtaken
from auditkeep.ids import Tenant
from auditkeep.sources.s3 import Found, Version
from auditkeep.sources.trail_layout import LOGS, Key, Place

PAGE = 500


class TrailMemory:
    """Of one run at `now`; `question` names what was wanted of objects that were read."""

    def __init__(
        self, db: Database, tenant: Tenant, trail: Trail, question: bytes, now: Instant
    ) -> None:
        self._db = db
        self._tenant = tenant
        self._trail = trail
        self._question = question
        self._now = now
        self._owed: list[bytes] = []
        with db.read(tenant) as tx:
            self._places = trails.progress_of(tx, trail.name)
        self._left = {folder: [trails.standing(found)] for folder, found in self._places.items()}

    # --- places -----------------------------------------------------------------------------------

    def of(self, place: Place) -> Progress:
        """How far a place was read: what its reader changes is written by `write`."""
        return self._places.setdefault(place.folder(LOGS), Progress())

    def looked(self, place: Place, since: Instant, until: Instant, version: int | None) -> None:
        """Note that all of a time was looked at; for what is wanted now, if it reached back."""
        progress = self.of(place)
        progress.looked(since, min(until, self._now))
        if version is None or version <= progress.version:
            return
        with self._db.read(self._tenant) as tx:
            owed = wanted_since(tx, progress.version)
        if (owed is None or since <= owed) and until >= self._now:
            progress.version = version

    def keep(self, place: Place) -> None:
        """Write by itself how far a place was read."""
        self._db.change(self._tenant, lambda tx: self.write(tx, place))

    def write(self, tx: Tx, place: Place) -> None:
        """The same with what is committed now, and which digests were judged."""
        owed, self._owed = self._owed, []
        if owed:
            trails.note(tx, owed, self._now)
        if self._trail.name:
            folder = place.folder(LOGS)
            progress = self.of(place)
            before = self._as_left(tx, folder, trails.standing(progress))
            trails.went_on(tx, self._trail.name, folder, before, progress, self._now)

    def _as_left(self, tx: Tx, folder: str, becomes: bytes) -> Progress | None:
        """A place as this reader left it, perhaps earlier in `tx`; Overtaken if it is not so."""
        tx.lock_tenant()
        left = self._left.setdefault(folder, [trails.standing(None)])
        found = trails.place_of(tx, self._trail.name, folder)
        if trails.standing(found) not in left:
            raise Overtaken(
                f"Another reader of the trail {self._trail.name} went on with {folder} meanwhile; "
                "what is still due there is looked for again."
            )
        left.append(becomes)

        def written() -> None:
            """What was left before cannot come back."""
            del left[: left.index(becomes)]

        tx.after_commit(written)
        return found

    # --- objects ----------------------------------------------------------------------------------

    def object_id(self, bucket: str, key: str, etag: str) -> bytes:
        return trails.object_id(self._question, bucket, key, etag)

    def version_id(self, version: Version) -> bytes:
        return self.object_id(version.bucket.name, version.key, version.etag)

    def owe(self, id_: bytes) -> None:
        """Have it noted that an object was read, when its place is written next."""
        self._owed.append(id_)

    def note(self, tx: Tx, id_: bytes) -> None:
        """Note that an object was read, with what it held."""
        trails.note(tx, [id_], self._now)

    def is_known(self, version: Version) -> bool:
        """Whether this version of an object was read before."""
        return bool(self.known([self.version_id(version)]))

    def known(self, ids: list[bytes]) -> set[bytes]:
        """Those of some objects that were read before."""
        with self._db.read(self._tenant) as tx:
            return trails.known(tx, ids)

    def told_apart(
        self, bucket: str, listed: Iterable[tuple[Found, Key]]
    ) -> Iterator[tuple[Found, Key, bytes | None]]:
        """Each with its id, or None where it was read before."""
        some: list[tuple[Found, Key, bytes]] = []

        def judged() -> Iterator[tuple[Found, Key, bytes | None]]:
            known = self.known([id_ for _, _, id_ in some])
            for found, key, id_ in some:
                yield found, key, None if id_ in known else id_
            some.clear()

        for found, key in listed:
            some.append((found, key, self.object_id(bucket, found.key, found.etag)))
            if len(some) >= PAGE:
                yield from judged()
        yield from judged()
