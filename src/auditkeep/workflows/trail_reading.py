"""One run over a trail: its digests are judged, and its log files read, as verified or as they are.

Digests are judged first, and the log files they name are read as verified. What no digest names yet
is left for the next pass, for `digest_times.WAIT` at most; then it is read as it is, and if digests
of its time are there and do not name it, that is a finding. A place that cannot be read is told and
holds no other place.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import BinaryIO

from auditkeep.clock import Clock, Instant
from auditkeep.collection import trails
from auditkeep.collection.findings import log_changed, log_missing, text_hash
from auditkeep.collection.runs import Run
from auditkeep.collection.trails import Trail
from auditkeep.db.tx import Tx
from auditkeep.errors import InputError, NotCollected
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.observations import How
from auditkeep.sources.digest_chain import Checked, FindKeys, chains, follow
from auditkeep.sources.digest_findings import Finding
from auditkeep.sources.digest_times import HOUR, DigestTimes
from auditkeep.sources.digests import Keys, LogFile
from auditkeep.sources.public_keys import KeyRing
from auditkeep.sources.pull import Clients
from auditkeep.sources.records import Context
from auditkeep.sources.s3 import Found, Vanished, Version
from auditkeep.sources.secrets import Cutter
from auditkeep.sources.trail_layout import DIGESTS, LOGS, Key, Place, read_key
from auditkeep.workflows.ingest import Reading
from auditkeep.workflows.trail_bucket import TrailBucket, Window
from auditkeep.workflows.trail_counts import Failure, TrailCounts, TrailProgress
from auditkeep.workflows.trail_memory import PAGE, TrailMemory

COLLECTOR = "cloudtrail-s3"

NO_BEGINNING = Instant(1 << 62)
"""When all time is read, what came before the first digest that is there is not asked for."""


class TrailReading:
    """What passes and queues share."""

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
        self.now = clock.now()
        self.objects = TrailBucket(clients, trail)
        self._lake = lake
        self._tenant = tenant
        self._progress = progress
        run = Run(new_id(), "cloudtrail", principal, self.now, secrets.token_bytes(32), COLLECTOR)
        context = Context(tenant, interest, Cutter(run.cut_key), reads=reads)
        self._version = interest.version
        self.reading = Reading(lake, "cloudtrail", context, run, clock, lambda _: self.told())
        self.memory = TrailMemory(lake.db, tenant, trail, self.reading.question, self.now)
        self.counts = TrailCounts(self.reading.counts)
        self._keys: FindKeys = KeyRing(clients).find
        self._afterwards: list[Callable[[Tx], None]] = []
        self._asked: dict[str, object] = {"trail": trails.described(trail)}

    def trust(self, keys: Keys) -> None:
        """Take these public keys, and no others."""
        self._keys = KeyRing(None, keys).find

    # --- passes -----------------------------------------------------------------------------------

    def window(self, window: Window) -> None:
        """One pass over all places of the trail."""
        self._asked |= {"since": window.since, "until": window.until}
        only = frozenset(self.trail.accounts)
        places = [
            p
            for p in self.objects.places(window)
            if window.admits(p) and (not only or p.account in only)
        ]
        self.counts.places = len(places)
        for place in places:
            self._place(place, window)
            self.counts.places_done += 1
            self.told()

    def _place(self, place: Place, window: Window) -> None:
        """One place: its digests first, then what they do not name."""
        progress = self.memory.of(place)
        progress.failure = ""
        try:
            made = self._digests(place, window) if self.trail.digests == "wait" else None
            self._logs(place, window, made)
            self.memory.looked(place, window.since, window.until, self._version)
        except NotCollected as error:
            progress.failure = f"{error.reason}: {error}"
            self.counts.failures.append(Failure(place.folder(LOGS), error))
        finally:
            self.settle()
        self.memory.keep(place)

    def settle(self) -> None:
        """Commit what waits to be, and then what follows from it."""
        self.reading.commit()
        afterwards, self._afterwards = self._afterwards, []
        if afterwards:

            def follow_up(tx: Tx) -> None:
                for then in afterwards:
                    then(tx)

            self._lake.db.change(self._tenant, follow_up)

    def later(self, then: Callable[[Tx], None]) -> None:
        """Have something written with what is committed next, or by itself in the end."""
        self._afterwards.append(then)

    def conclude(self, outcome: str, *, quiet: bool = False, **more: object) -> None:
        """Append the run's own record (unless it was about nothing), and let go of what is held."""
        self.objects.close()
        if not quiet:
            self._asked |= {**self.counts.described(), **more}
            self.reading.conclude(self._asked, outcome)

    def told(self) -> None:
        if self._progress is not None:
            self._progress(self.counts)

    # --- digests ----------------------------------------------------------------------------------

    def _digests(self, place: Place, window: Window) -> DigestTimes:
        """Judge what is new of a place's digests; when digests are known to have been made."""
        # the digest of a file delivered in the last hour of the window comes after it
        late = Window(window.since, Instant(window.until + 2 * HOUR))
        listed = list(self.objects.delivered(place, DIGESTS, late))
        made = DigestTimes()
        fresh: list[Key] = []
        versions: dict[str, bytes] = {}
        for found, key, known in self.memory.told_apart(self.trail.bucket, listed):
            if known is None:
                made.add(key)
            else:
                fresh.append(key)
                versions[found.key] = known
        for chain in chains(fresh).values():
            for checked in self.follow(chain, window.since):
                made.add(checked.key)
                self.judged(checked, versions[checked.key.key])
        return made

    def follow(self, chain: Sequence[Key], since: Instant) -> Iterator[Checked]:
        """Judge new digests of one chain from its last link on."""
        last = self.memory.of(chain[0].place).links.get(chain[0].chain)
        begin = since or NO_BEGINNING
        return follow(chain, self.trail.bucket, last, self.objects, self._keys, self.now, begin)

    def judged(self, checked: Checked, version: bytes) -> None:
        """Take in one digest: read what it names, keep what was found, and move the link."""
        key, place = checked.key, checked.key.place
        findings = list(checked.findings)
        if checked.digest is not None:
            self.counts.digests += 1
            logs = ((log, log.bucket, log.key, None) for log in checked.digest.logs)
            for log, future in self.objects.ahead(logs):
                findings += self._named(place, checked.digest.end, log, future)
        progress = self.memory.of(place)
        if checked.link is not None:
            progress.links[key.chain] = checked.link
            if checked.digest is not None and not key.backfill:
                progress.verified_to = max(progress.verified_to, checked.digest.end)
        self.memory.owe(version)
        if findings:
            self._keep_findings(place, findings)

    def _keep_findings(self, place: Place, findings: list[Finding]) -> None:
        """Have findings appended, and with them what is owed to memory."""
        self.counts.tell(findings)
        self.memory.of(place).broken += sum(f.broken for f in findings)
        self.reading.found(findings, "pulled", lambda tx: self.memory.write(tx, place))

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

    def _logs(self, place: Place, window: Window, made: DigestTimes | None) -> None:
        """Read what was delivered and is not known yet."""
        self.settle()
        if made is not None and not (made.any or self.memory.of(place).links):
            made = None  # nobody makes digests here
        bucket = self.objects.main
        fresh = self._fresh(place, window, made)
        for key, future in self.objects.ahead((k, bucket.name, f.key, f.etag) for f, k in fresh):
            try:
                version = future.result()
            except InputError as error:
                self.reading.reject(bucket.url(key.key), str(error))
                continue
            if made is not None and made.covers(key.at):
                # before the file: once that is known, nobody asks again who named it
                self._keep_findings(place, [_unnamed(place, bucket.name, key)])
            self.plain(version)

    def _fresh(
        self, place: Place, window: Window, made: DigestTimes | None
    ) -> Iterator[tuple[Found, Key]]:
        listed = self.objects.delivered(place, LOGS, window)
        for found, key, version in self.memory.told_apart(self.trail.bucket, listed):
            self.counts.objects += 1
            if version is None:
                self.counts.known += 1
            elif made is not None and made.may_come(found.modified, key.at, self.now):
                self.counts.waiting += 1
            else:
                yield found, key

    def plain(self, version: Version) -> bool:
        """Read a log file as it is; whether it could be read."""
        return self._read(version, lambda _: "pulled")

    def _read(self, version: Version, judge: Callable[[BinaryIO], How]) -> bool:
        url, id_ = version.bucket.url(version.key), self.memory.version_id(version)

        def then(tx: Tx) -> None:
            self.memory.note(tx, id_)

        read = self.reading.file(url, version.opened(), judge=judge, then=then)
        self.told()
        return read

    # --- other objects ----------------------------------------------------------------------------

    def under(self, prefix: str) -> None:
        """Read all objects under a prefix that is not laid out as a trail is."""
        some: list[Found] = []
        for found in self.objects.main.listed(prefix):
            if found.size and not found.key.endswith("/"):
                some.append(found)
            if len(some) >= PAGE:
                self._plainly(some)
                some = []
        self._plainly(some)
        self.settle()

    def _plainly(self, some: Sequence[Found]) -> None:
        bucket = self.objects.main
        ids = {self.memory.object_id(bucket.name, f.key, f.etag): f for f in some}
        known = self.memory.known(list(ids))
        self.counts.objects += len(some)
        self.counts.known += len(known)
        fresh = [f for id_, f in ids.items() if id_ not in known]
        for key, future in self.objects.ahead((f.key, bucket.name, f.key, f.etag) for f in fresh):
            try:
                version = future.result()
            except InputError as error:
                self.reading.reject(bucket.url(key), str(error))
            else:
                self.plain(version)


def _unnamed(place: Place, bucket: str, key: Key) -> Finding:
    sentence = (
        "The log file lies among those that CloudTrail delivered, but no digest of its time names "
        "it."
    )
    return Finding("LogFileUnnamed", place, bucket, key.key, key.at, sentence)
