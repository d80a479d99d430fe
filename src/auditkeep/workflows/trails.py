"""Reading a trail's bucket: what CloudTrail delivered, once, and checked against its digests.

A pass lists each place (account and region) of a trail from some days back, because files are
delivered late and in no order. Digests are judged first, and the log files they name are read as
verified. What no digest names yet is left for the next pass, for `WAIT` at most; then it is read
as it is, and if digests of its time are there and do not name it, that is a finding.

Invariants
- What is remembered (which objects were read, the last link of each chain) is written in the
  transaction that keeps what was read: a pass that was killed is simply begun again.
- A place that cannot be read is told and holds no other place.
- A reader that fell silent while another read the same place writes neither its own older link nor
  what follows from that (`Overtaken`): whoever notes how far a place was read, or a finding about
  it, finds the place as it was left.
- Memory depends neither on the number of objects nor on their size: those of up to `SMALL` bytes
  are fetched `AHEAD` at a time, larger ones are streamed.
"""

import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

from auditkeep.clock import DAY, MINUTE, Clock, Day, Instant, SystemClock, day_of
from auditkeep.collection import trails
from auditkeep.collection.findings import log_changed, log_missing, text_hash
from auditkeep.collection.keeping import wanted_since
from auditkeep.collection.runs import Run
from auditkeep.collection.trails import Progress, Trail
from auditkeep.db.tx import Tx
from auditkeep.errors import InputError, NotCollected, Overtaken, SetupError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.observations import How
from auditkeep.sources.digest_chain import Checked, Fetched, FindKeys, chains, follow
from auditkeep.sources.digest_findings import Finding
from auditkeep.sources.digests import MAX_DIGEST, Keys, LogFile
from auditkeep.sources.public_keys import KeyRing
from auditkeep.sources.pull import Clients, Refused
from auditkeep.sources.records import Context
from auditkeep.sources.s3 import Bucket, Found, Vanished, Version
from auditkeep.sources.secrets import Cutter
from auditkeep.sources.trail_layout import (
    DIGESTS,
    LOGS,
    ROOT,
    Key,
    Kind,
    Place,
    aimed,
    owner_prefix,
    read_key,
)
from auditkeep.workflows.ingest import Counts, Reading

T = TypeVar("T")

WAIT = 180 * MINUTE
"""How long a log file waits for the digest that names it: they come hourly, an hour late."""

OVERLAP = 2 * DAY
"""How far back a pass looks that is not told otherwise."""

HOUR = 60 * MINUTE
SLACK = 10 * MINUTE
"""How far a file's name may differ from when a digest says it was delivered."""

SMALL = 4 * 1024 * 1024
AHEAD = 8
PAGE = 500

COLLECTOR = "cloudtrail-s3"

_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<path>.*))?")

NO_BEGINNING = Instant(1 << 62)
"""When all time is read, what came before the first digest that is there is not asked for."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A place that could not be read to its end, and why."""

    place: str
    error: NotCollected


@dataclass(slots=True)
class TrailCounts:
    """What came of a pass. `objects` were listed; of them `known` were read before and `waiting`
    are left for the next pass; `broken` is what digests accuse.
    """

    read: Counts
    places: int = 0
    places_done: int = 0
    objects: int = 0
    known: int = 0
    waiting: int = 0
    digests: int = 0
    broken: list[Finding] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


TrailProgress = Callable[[TrailCounts], None]

MOST_TOLD = 1_000
"""Broken links and the like that are told one by one; all are counted and kept."""


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


def read_url(
    lake: Lake,
    tenant: Tenant,
    url: str,
    clients: Clients,
    interest: Interest,
    *,
    principal: str,
    region: str = "us-east-1",
    digests: trails.Digests = "wait",
    keys: Keys | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    reads: bool = False,
    clock: Clock | None = None,
    progress: TrailProgress | None = None,
) -> TrailCounts:
    """Read what lies under an `s3://` URL, by hand: a trail, a part of one, or other files.

    All of it, unless `since` or `until` say when it was delivered. `keys` are public keys that are
    taken instead of those that CloudTrail names. SetupError for what is no such URL.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise SetupError(f"'{url}' is no place in S3: write s3://BUCKET/PREFIX.")
    path = found["path"] or ""
    aim = aimed(path)
    prefix = owner_prefix(path) if aim is None else aim.prefix
    trail = Trail(name="", bucket=found["bucket"], prefix=prefix, region=region, digests=digests)
    present = clock or SystemClock()
    work = TrailReading(lake, tenant, trail, clients, interest, principal, reads, present, progress)
    if keys is not None:
        work.trust(keys)
    window = Window(since or Instant(0), present.now() if until is None else until)
    if aim is not None:
        window = Window(
            max(window.since, aim.start),
            min(window.until, aim.end),
            None if not aim.account else frozenset({aim.account}),
            None if not aim.region else frozenset({aim.region}),
        )
    try:
        work.window(window)
        if aim is None and not work.counts.places:
            work.objects(path)
    except BaseException as error:
        work.conclude(outcome_of(error))
        raise
    work.conclude("completed" if not work.counts.failures else "incomplete")
    return work.counts


def read_trail(
    lake: Lake,
    tenant: Tenant,
    trail: Trail,
    clients: Clients,
    interest: Interest,
    *,
    principal: str,
    since: Instant | None = None,
    until: Instant | None = None,
    accounts: frozenset[str] | None = None,
    regions: frozenset[str] | None = None,
    reads: bool = False,
    clock: Clock | None = None,
    progress: TrailProgress | None = None,
) -> TrailCounts:
    """Read what a trail delivered in [since, until] and was not read yet; by default the last days.

    NotCollected where the bucket itself cannot be listed; a place that cannot be read is among the
    failures. What was committed stays, whatever comes after.
    """
    present = clock or SystemClock()
    now = present.now()
    begin = Instant(now - OVERLAP) if since is None else since
    window = Window(begin, now if until is None else until, accounts, regions)
    work = TrailReading(lake, tenant, trail, clients, interest, principal, reads, present, progress)
    try:
        work.window(window)
    except BaseException as error:
        work.conclude(outcome_of(error))
        raise
    work.conclude("completed" if not work.counts.failures else "incomplete")
    return work.counts


class Interrupted(BaseException):
    """Raised by whoever follows the progress of a pass, to end it where it is."""


def outcome_of(error: BaseException) -> str:
    """How the record of a run names what ended it."""
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"


class TrailReading:
    """One run over a trail: what passes and queues share."""

    def __init__(
        self,
        lake: Lake,
        tenant: Tenant,
        trail: Trail,
        clients: Clients,
        interest: Interest,
        principal: str,
        reads: bool,
        clock: Clock,
        progress: TrailProgress | None,
    ) -> None:
        self.trail = trail
        self.bucket = Bucket(clients.client("s3", trail.region), trail.bucket)
        self._clients = clients
        self._lake = lake
        self._tenant = tenant
        self._clock = clock
        self.now = clock.now()
        self._progress = progress
        run = Run(new_id(), "cloudtrail", principal, self.now, secrets.token_bytes(32), COLLECTOR)
        context = Context(tenant, interest, Cutter(run.cut_key), reads=reads)
        self._version = interest.version
        self.reading = Reading(lake, "cloudtrail", context, run, clock, lambda _: self.told())
        self.counts = TrailCounts(self.reading.counts)
        self._keys: FindKeys = KeyRing(clients).find
        self._owed: list[bytes] = []
        self._afterwards: list[Callable[[Tx], None]] = []
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="trail")
        self._asked: dict[str, object] = {"trail": trails.described(trail)}
        self._buckets = {trail.bucket: self.bucket}
        with lake.db.read(tenant) as tx:
            self._known_progress = trails.progress_of(tx, trail.name)
        self._left = {
            folder: [trails.standing(found)] for folder, found in self._known_progress.items()
        }

    def trust(self, keys: Keys) -> None:
        """Take these public keys, and no others."""
        self._keys = KeyRing(None, keys).find

    # --- passes -----------------------------------------------------------------------------------

    def window(self, window: Window) -> None:
        """One pass over all places of the trail."""
        self._asked |= {"since": window.since, "until": window.until}
        only = frozenset(self.trail.accounts)
        places = [
            p for p in self.places(window) if window.admits(p) and (not only or p.account in only)
        ]
        self.counts.places = len(places)
        for place in places:
            self.place(place, window)
            self.counts.places_done += 1
            self.told()

    def places(self, window: Window) -> Iterator[Place]:
        """Accounts and regions that the trail has folders for."""
        root = f"{self.trail.prefix}{ROOT}"
        for owner in self.bucket.folders(root):
            inner = self.bucket.folders(f"{root}{owner}/") if owner.startswith("o-") else [owner]
            organisation = owner if owner.startswith("o-") else ""
            for account in inner:
                if window.accounts is not None and account not in window.accounts:
                    continue
                stem = f"{root}{organisation}/" if organisation else root
                for region in self.bucket.folders(f"{stem}{account}/{LOGS}/"):
                    yield Place(self.trail.prefix, organisation, account, region)

    def place(self, place: Place, window: Window) -> None:
        """One place: its digests first, then what they do not name."""
        folder = place.folder(LOGS)
        progress = self.progress_of(place)
        progress.failure = ""
        try:
            judged = self._digests(place, window) if self.trail.digests == "wait" else None
            self._logs(place, window, judged)
            self._looked(progress, window)
        except NotCollected as error:
            progress.failure = f"{error.reason}: {error}"
            self.counts.failures.append(Failure(folder, error))
        finally:
            self.settle()
        self._lake.db.change(self._tenant, lambda tx: self.remember(tx, place))

    def _looked(self, progress: Progress, window: Window) -> None:
        """Note that all of a window was looked at; for what is wanted now, if it reached back."""
        _looked(progress, window.since, min(window.until, self.now))
        if self._version is None or self._version <= progress.version:
            return
        with self._lake.db.read(self._tenant) as tx:
            owed = wanted_since(tx, progress.version)
        if (owed is None or window.since <= owed) and window.until >= self.now:
            progress.version = self._version

    def progress_of(self, place: Place) -> Progress:
        return self._known_progress.setdefault(place.folder(LOGS), Progress())

    def settle(self) -> None:
        """Commit what waits to be, and then what follows from it."""
        self.reading.commit()
        afterwards, self._afterwards = self._afterwards, []
        if afterwards:

            def follow(tx: Tx) -> None:
                for then in afterwards:
                    then(tx)

            self._lake.db.change(self._tenant, follow)

    def conclude(self, outcome: str, *, quiet: bool = False, **more: object) -> None:
        """Append the run's own record (unless it was about nothing), and let go of what is held."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if quiet:
            return
        counts = self.counts
        self._asked |= {
            "digests": counts.digests,
            "failures": [f"{f.place}: {f.error}" for f in counts.failures[:MOST_TOLD]],
            "objectsKnown": counts.known,
            "objectsListed": counts.objects,
            "objectsWaiting": counts.waiting,
            "places": counts.places,
            **more,
        }
        self.reading.conclude(self._asked, outcome)

    def told(self) -> None:
        if self._progress is not None:
            self._progress(self.counts)

    # --- digests ----------------------------------------------------------------------------------

    def _digests(self, place: Place, window: Window) -> "_Judged":
        """Judge what is new of a place's digests; when digests are known to have been made."""
        # the digest of a file delivered in the last hour of the window comes after it
        late = Window(window.since, Instant(window.until + 2 * HOUR))
        listed = list(self._listed(place, DIGESTS, late))
        judged = _Judged()
        fresh: list[Key] = []
        versions: dict[str, bytes] = {}
        for found, key, known in self._remembered(listed):
            if known is None:
                judged.add(key)
            else:
                fresh.append(key)
                versions[found.key] = known
        for chain in chains(fresh).values():
            for checked in self.follow(chain, window.since):
                judged.add(checked.key)
                self.judged(checked, versions[checked.key.key])
        return judged

    def follow(self, chain: Sequence[Key], since: Instant) -> Iterator[Checked]:
        """Judge new digests of one chain from its last link on."""
        progress = self.progress_of(chain[0].place)
        last = progress.links.get(_chain_name(chain[0]))
        begin = since or NO_BEGINNING
        return follow(chain, self.bucket.name, last, self, self._keys, self.now, begin)

    def digest(self, bucket: str, key: str) -> Fetched | None:
        """A digest's object (`digest_chain.Shelf`)."""
        try:
            found = self._bucket(bucket).whole(key, MAX_DIGEST)
        except InputError as error:
            raise Refused(f"s3://{bucket}/{key}: {error}", service="s3") from error
        return None if found is None else Fetched(found[0], found[1].get("signature", ""))

    def judged(self, checked: Checked, version: bytes) -> None:
        """Take in one digest: read what it names, keep what was found, and move the link."""
        key, place = checked.key, checked.key.place
        findings = list(checked.findings)
        if checked.digest is not None:
            self.counts.digests += 1
            logs = ((log, log.bucket, log.key, None) for log in checked.digest.logs)
            for log, future in self._ahead(logs):
                findings += self._named(place, checked.digest.end, log, future)
        progress = self.progress_of(place)
        if checked.link is not None:
            progress.links[_chain_name(key)] = checked.link
            if checked.digest is not None and not key.backfill:
                progress.verified_to = max(progress.verified_to, checked.digest.end)
        self._owed.append(version)
        if findings:
            self.keep_findings(place, findings)

    def keep_findings(self, place: Place, findings: Sequence[Finding]) -> None:
        """Have findings appended, and with them what is owed to memory."""
        for finding in findings:
            if finding.broken and len(self.counts.broken) < MOST_TOLD:
                self.counts.broken.append(finding)
        self.progress_of(place).broken += sum(f.broken for f in findings)
        self.reading.found(findings, "pulled", lambda tx: self.remember(tx, place))

    def _named(
        self, place: Place, end: Instant, log: LogFile, future: "Future[Version]"
    ) -> list[Finding]:
        """Read a log file that a digest names: as verified if it is what the digest says."""
        key = read_key(log.key)
        at = key.at if key else end
        try:
            version = future.result()
        except Vanished:
            return [log_missing(place, log, at)]
        except InputError as error:
            self.reading.reject(f"s3://{log.bucket}/{log.key}", str(error))
            return []
        same = False

        def judge(file: BinaryIO) -> How:
            nonlocal same
            same = text_hash(file) == log.hash_value.lower()
            return "verified-log" if same else "pulled"

        self._read(version, judge)
        return [] if same else [log_changed(place, log, at)]

    # --- log files --------------------------------------------------------------------------------

    def _logs(self, place: Place, window: Window, judged: "_Judged | None") -> None:
        """Read what was delivered and is not known yet."""
        self.settle()
        waits = judged is not None and (judged.any or bool(self.progress_of(place).links))
        fresh = self._fresh(place, window, judged if waits else None)
        for key, future in self._ahead((k, self.bucket.name, f.key, f.etag) for f, k in fresh):
            try:
                version = future.result()
            except InputError as error:
                self.reading.reject(self.bucket.url(key.key), str(error))
                continue
            if waits and judged is not None and judged.covers(key.at):
                # before the file: once that is known, nobody asks again who named it
                sentence = (
                    "The log file lies among those that CloudTrail delivered, but no digest of its "
                    "time names it."
                )
                unnamed = Finding(
                    "LogFileUnnamed", place, self.bucket.name, key.key, key.at, sentence
                )
                self.keep_findings(place, [unnamed])
            self.plain(version)

    def _fresh(
        self, place: Place, window: Window, judged: "_Judged | None"
    ) -> Iterator[tuple[Found, Key]]:
        for found, key, version in self._remembered(self._listed(place, LOGS, window)):
            self.counts.objects += 1
            if version is None:
                self.counts.known += 1
            elif judged is not None and self.waits(found.modified, key, judged):
                self.counts.waiting += 1
            else:
                yield found, key

    def waits(self, modified: Instant, key: Key, judged: "_Judged") -> bool:
        """Whether a digest that names the file may still come."""
        return self.now - modified < WAIT and not judged.covers(key.at)

    def plain(self, version: Version) -> bool:
        """Read a log file as it is; whether it could be read."""
        return self._read(version, lambda _: "pulled")

    def _read(self, version: Version, judge: Callable[[BinaryIO], How]) -> bool:
        bucket = version.bucket
        id_ = self.version_id(version)

        def then(tx: Tx) -> None:
            trails.note(tx, [id_], self.now)

        read = self.reading.file(bucket.url(version.key), version.opened(), judge=judge, then=then)
        self.told()
        return read

    def objects(self, prefix: str) -> None:
        """Read all objects under a prefix that is not laid out as a trail is."""
        some: list[Found] = []
        for found in self.bucket.listed(prefix):
            if found.size and not found.key.endswith("/"):
                some.append(found)
            if len(some) >= PAGE:
                self._plainly(some)
                some = []
        self._plainly(some)
        self.settle()

    def _plainly(self, some: Sequence[Found]) -> None:
        ids = {self.object_id(self.bucket.name, f.key, f.etag): f for f in some}
        with self._lake.db.read(self._tenant) as tx:
            known = trails.known(tx, list(ids))
        self.counts.objects += len(some)
        self.counts.known += len(known)
        fresh = [f for id_, f in ids.items() if id_ not in known]
        for key, future in self._ahead((f.key, self.bucket.name, f.key, f.etag) for f in fresh):
            try:
                version = future.result()
            except InputError as error:
                self.reading.reject(self.bucket.url(key), str(error))
            else:
                self.plain(version)

    # --- objects and what is remembered of them ---------------------------------------------------

    def is_known(self, version: Version) -> bool:
        """Whether this version of an object was read before."""
        with self._lake.db.read(self._tenant) as tx:
            return bool(trails.known(tx, [self.version_id(version)]))

    def version_id(self, version: Version) -> bytes:
        return self.object_id(version.bucket.name, version.key, version.etag)

    def later(self, then: Callable[[Tx], None]) -> None:
        """Have something written with what is committed next, or by itself in the end."""
        self._afterwards.append(then)

    def object_id(self, bucket: str, key: str, etag: str) -> bytes:
        return trails.object_id(self.reading.question, bucket, key, etag)

    def remember(self, tx: Tx, place: Place) -> None:
        """Write down how far a place was read, with what is committed now."""
        owed, self._owed = self._owed, []
        if owed:
            trails.note(tx, owed, self.now)
        if self.trail.name:
            folder = place.folder(LOGS)
            progress = self.progress_of(place)
            before = self._left_so(tx, folder, trails.standing(progress))
            trails.went_on(tx, self.trail.name, folder, before, progress, self.now)

    def _left_so(self, tx: Tx, folder: str, becomes: bytes) -> Progress | None:
        """A place as this reader left it, perhaps earlier in `tx`; Overtaken if it is not so."""
        tx.lock_tenant()
        left = self._left.setdefault(folder, [trails.standing(None)])
        found = trails.place_of(tx, self.trail.name, folder)
        if trails.standing(found) not in left:
            raise Overtaken(
                f"Another reader of the trail {self.trail.name} went on with {folder} meanwhile; "
                "what is still due there is looked for again."
            )
        left.append(becomes)

        def written() -> None:
            """What was left before cannot come back."""
            del left[: left.index(becomes)]

        tx.after_commit(written)
        return found

    def _listed(self, place: Place, kind: Kind, window: Window) -> Iterator[tuple[Found, Key]]:
        """Objects of the days that a window touches."""
        last = place.day_folder(kind, Day(day_of(window.until) + 1))
        after = place.day_folder(kind, day_of(window.since))
        for found in self.bucket.listed(place.folder(kind), after=after):
            if found.key > last:
                return
            key = read_key(found.key)
            if key is not None and key.kind == kind and key.place == place:
                yield found, key

    def _remembered(
        self, listed: Iterable[tuple[Found, Key]]
    ) -> Iterator[tuple[Found, Key, bytes | None]]:
        """Each with its id, or None where it was read before."""
        some: list[tuple[Found, Key, bytes]] = []

        def judged() -> Iterator[tuple[Found, Key, bytes | None]]:
            with self._lake.db.read(self._tenant) as tx:
                known = trails.known(tx, [id_ for _, _, id_ in some])
            for found, key, id_ in some:
                yield found, key, None if id_ in known else id_
            some.clear()

        for found, key in listed:
            some.append((found, key, self.object_id(self.bucket.name, found.key, found.etag)))
            if len(some) >= PAGE:
                yield from judged()
        yield from judged()

    def _ahead(
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

    def _bucket(self, name: str) -> Bucket:
        """A trail that was given another bucket has digests that name the one before."""
        if name not in self._buckets:
            self._buckets[name] = Bucket(self._clients.client("s3", self.trail.region), name)
        return self._buckets[name]


class _Judged:
    """When the digests of one place were made, chain by chain."""

    def __init__(self) -> None:
        self._ends: dict[str, list[Instant]] = {}

    def add(self, key: Key) -> None:
        if not key.backfill:
            self._ends.setdefault(_chain_name(key), []).append(key.at)

    @property
    def any(self) -> bool:
        return bool(self._ends)

    def covers(self, at: Instant) -> bool:
        """Whether each trail that made digests then has made both that could name a file."""
        alive = [e for e in self._ends.values() if any(abs(end - at) <= WAIT for end in e)]
        return bool(alive) and all(_named_by_then(ends, at) for ends in alive)


def _named_by_then(ends: Sequence[Instant], at: Instant) -> bool:
    firsts = [e for e in ends if at - SLACK <= e < at + HOUR + SLACK]
    return any(first < e <= first + HOUR + SLACK for first in firsts for e in ends)


def _looked(progress: Progress, since: Instant, until: Instant) -> None:
    """Note that all of a time was looked at; what does not touch the rest leaves it as it is."""
    if not progress.read_to or (since <= progress.read_to and until >= progress.read_from):
        earliest = min(progress.read_from, since) if progress.read_to else since
        progress.read_from = Instant(max(earliest, 1))
        progress.read_to = max(progress.read_to, until)


def _chain_name(key: Key) -> str:
    return f"{key.trail}/{key.home}{'/backfill' if key.backfill else ''}"
