"""Trails that a tenant reads, how far each of their places was read, and which objects were.

A trail is where CloudTrail delivers: a bucket and prefix, perhaps a queue that says what arrived,
and the role that may read both. The memory of objects only saves fetching what was read before:
what an object held is known by its content (`collection.ingest`), so that losing this memory, or
an object under another name, adds nothing twice. It covers what passes look at again; what is older
is forgotten.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Literal

import msgspec

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.collection import targets
from auditkeep.collection.plan import HOME, TRAIL
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import lens_intervals, trail_objects, trail_places, trails
from auditkeep.db.tx import Tx
from auditkeep.errors import SetupError
from auditkeep.evidence import lens
from auditkeep.ids import GLOBAL_REGION, is_account
from auditkeep.logs import redacted
from auditkeep.mapping.cloudtrail import is_event_of_a_source
from auditkeep.settings import require_outgoing
from auditkeep.sources.digest_chain import Link
from auditkeep.sources.trail_layout import aimed, owner_prefix

REMEMBERED = 90 * DAY
"""For how long it is known that an object was read."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.{1,512}")
_REGION = re.compile(r"[a-z]{2}[a-z0-9-]{3,30}")
_OTHERS = ("api:", "config:", "securityhub:", "pinned:", "run:", "digest:")
"""How match keys begin that no event of CloudTrail has, but for those of these sources."""

Digests = Literal["wait", "off"]


class Trail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`accounts`: only these are read of it, all if there are none; `digests`: `wait` for the
    digest that names a log file before it is read, or leave digests alone (`off`). A trail
    that is `partial` lacks some management events: they are asked for as well.
    """

    name: str
    bucket: str
    prefix: str = ""
    region: str = "us-east-1"
    queue: str = ""
    role: str = ""
    external_id: str = ""
    digests: Digests = "wait"
    accounts: tuple[str, ...] = ()
    partial: bool = False

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def require_usable(self) -> None:
        """SetupError names the first member that cannot be used."""
        for good, wrong in (
            (_NAME.fullmatch(self.name), f"'{self.name}' is no name: letters, digits and .-_"),
            (_BUCKET.fullmatch(self.bucket), f"'{self.bucket}' is no name of a bucket."),
            (_REGION.fullmatch(self.region), f"'{self.region}' is no region."),
            (
                not self.queue or _is_queue(self.queue),
                f"'{redacted(self.queue)}' is no queue's URL, https://sqs.REGION.amazonaws.com/…",
            ),
            (
                not self.role or _ROLE.fullmatch(self.role),
                f"'{self.role}' is no role's ARN, arn:aws:iam::ACCOUNT:role/NAME",
            ),
            (self.role or not self.external_id, "An external id goes with a role."),
            (all(map(is_account, self.accounts)), "An account is twelve digits."),
            (not self.prefix or self.prefix.endswith("/"), "A prefix ends with a slash."),
        ):
            if not good:
                raise SetupError(wrong)


def _is_queue(url: str) -> bool:
    try:
        require_outgoing(url, clear=False)
    except ValueError:
        return False
    return True


class Progress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far one place of a trail was read: the last link of each chain of its digests, until
    when all is verified, what was broken, and why the last pass could not go on ("": it could).
    Everything delivered from `read_from` (0: not known yet) to `read_to` was looked at, for all
    that was wanted at `version` (`lake.keeping`: of tenants who keep only what is seen).
    """

    links: dict[str, Link] = msgspec.field(default_factory=dict)
    verified_to: Instant = Instant(0)
    broken: int = 0
    read_from: Instant = Instant(0)
    read_to: Instant = Instant(0)
    failure: str = ""
    version: int = 0

    @property
    def brings(self) -> bool:
        """Whether it was read, and can be."""
        return self.read_to > 0 and not self.failure

    def looked(self, since: Instant, until: Instant) -> None:
        """All of a time was looked at; one that does not touch the rest leaves that as it is."""
        if not self.read_to or (since <= self.read_to and until >= self.read_from):
            earliest = min(self.read_from, since) if self.read_to else since
            self.read_from = Instant(max(earliest, 1))
            self.read_to = max(self.read_to, until)


def standing(progress: Progress | None) -> bytes:
    """Tells one state of a place from any other; of one that was never read, too."""
    return b"" if progress is None else msgspec.json.encode(progress)


LIST_BESIDE_QUEUE = 6 * 60 * MINUTE
"""How often a bucket is listed whose trail has a queue: for what that has lost."""

_URL = re.compile(r"s3://([^/]+)(?:/(.*))?")


def located(url: str) -> tuple[str, str]:
    """The bucket and prefix of a trail, from `s3://BUCKET/PREFIX`, as CloudTrail is told them."""
    found = _URL.fullmatch(url)
    if found is None:
        raise SetupError(f"'{url}' is no place in S3: write s3://BUCKET/PREFIX.")
    path = found[2] or ""
    aim = aimed(path)
    if aim is not None and aim.account:
        raise SetupError(f"'{url}' is a part of a trail: write what stands before AWSLogs.")
    return found[1], owner_prefix(path) if aim is None else aim.prefix


def save(tx: Tx, trail: Trail, now: Instant) -> None:
    """Keep a trail, in place of one of that name; how far it was read stays known."""
    trail.require_usable()
    document = msgspec.json.encode(trail).decode()
    row = {"name": trail.name, "document": document, "created_at": now}
    tx.upsert(trails, [{**row, "listed_at": 0, "searched_at": 0}], replace=["document"])
    lens.changed(tx)


def last_turns(tx: Tx, name: str) -> tuple[Instant, Instant]:
    """When a trail's bucket was listed last, and when further back than usual."""
    row = tx.first(tx.select(trails.c.listed_at, trails.c.searched_at).where(trails.c.name == name))
    return (Instant(0), Instant(0)) if row is None else (row.listed_at, row.searched_at)


def took_turn(tx: Tx, name: str, now: Instant, *, further: bool) -> None:
    """Note that a trail's bucket was listed; what another noted later stays."""
    listed_at, searched_at = last_turns(tx, name)
    changed: dict[str, Instant] = {"listed_at": max(listed_at, now)}
    if further:
        changed["searched_at"] = max(searched_at, now)
    tx.run(tx.update(trails).where(trails.c.name == name).values(**changed))


def listed(tx: Tx) -> list[Trail]:
    rows = tx.all(tx.select(trails.c.document).order_by(trails.c.name))
    return [msgspec.json.decode(row.document, type=Trail) for row in rows]


def find(tx: Tx, name: str) -> Trail:
    """SetupError if there is none."""
    row = tx.first(tx.select(trails.c.document).where(trails.c.name == name))
    if row is None:
        raise SetupError(f"There is no trail '{name}' here: see `auditkeep trail list`.")
    return msgspec.json.decode(row.document, type=Trail)


def remove(tx: Tx, name: str) -> None:
    """Read a trail no more; what was read of it stays."""
    find(tx, name)
    tx.run(tx.delete(trails).where(trails.c.name == name))
    tx.run(tx.delete(trail_places).where(trail_places.c.trail == name))
    lens.changed(tx)


def progress_of(tx: Tx, trail: str) -> dict[str, Progress]:
    """By the folder of each place."""
    t = trail_places.c
    rows = tx.all(tx.select(t.place, t.document).where(t.trail == trail).order_by(t.place))
    return {row.place: msgspec.json.decode(row.document, type=Progress) for row in rows}


def place_of(tx: Tx, trail: str, place: str) -> Progress | None:
    """How far one place of a trail was read, by its folder; None: it never was."""
    t = trail_places.c
    row = tx.first(tx.select(t.document).where(t.trail == trail, t.place == place))
    return None if row is None else msgspec.json.decode(row.document, type=Progress)


def looked_at_since(tx: Tx, after: int = -1) -> Instant | None:
    """From when on lenses look at events of CloudTrail, backfilled ones too; None if none does.

    With `after`, those that have opened since what was wanted had that version.
    """
    t = lens_intervals.c
    query = tx.select(t.opens_at, t.match_keys).where(t.frozen.is_(False), t.version > after)
    found = [row.opens_at for row in tx.all(query.order_by(t.opens_at)) if _events(row.match_keys)]
    return Instant(found[0]) if found else None


def _events(match_keys: str) -> bool:
    return any(
        is_event_of_a_source(key) or not key.startswith(_OTHERS)
        for key in msgspec.json.decode(match_keys)
    )


def keep_progress(tx: Tx, trail: str, place: str, progress: Progress, now: Instant) -> None:
    """Write down how far a place was read; whether a trail brings its events may change by it."""
    went_on(tx, trail, place, place_of(tx, trail, place), progress, now)


def went_on(
    tx: Tx, trail: str, place: str, before: Progress | None, progress: Progress, now: Instant
) -> None:
    """The same of a place that is known to be as it was `before`."""
    document = msgspec.json.encode(progress).decode()
    row = {"trail": trail, "place": place, "document": document, "updated_at": now}
    tx.upsert(trail_places, [row], replace=["document", "updated_at"])
    if progress.brings != (before is not None and before.brings):
        lens.changed(tx)


def fail(tx: Tx, trail: str, failure: str, now: Instant) -> None:
    """A trail as a whole could not be read: none of its places was."""
    for place, progress in progress_of(tx, trail).items():
        failed = msgspec.structs.replace(progress, failure=failure)
        went_on(tx, trail, place, progress, failed, now)


def read_places(tx: Tx) -> dict[tuple[str, str], Progress]:
    """Account and region of every place that some trail brings the events of, and how far."""
    whole = {t.name for t in listed(tx) if not t.partial}
    found: dict[tuple[str, str], Progress] = {}
    for row in tx.all(tx.select(trail_places)):
        folder = aimed(row.place)
        if folder is None or not folder.region or row.trail not in whole:
            continue
        progress = msgspec.json.decode(row.document, type=Progress)
        if progress.brings:
            found[folder.account, folder.region] = progress
    return found


def brought(tx: Tx) -> frozenset[tuple[str, str]]:
    """Accounts and regions whose events nobody need be asked for."""
    return frozenset(read_places(tx))


def states(tx: Tx, now: Instant) -> dict[tuple[targets.Place, str], targets.Target]:
    """The places of trails as coverage counts them: answered when they were read last.

    What has a queue is listed seldom, and read meanwhile.
    """
    slack = LIST_BESIDE_QUEUE if any(t.queue for t in listed(tx)) else 0
    found = {}
    for (account, region), progress in read_places(tx).items():
        state = targets.Target(done_at=Instant(min(now, progress.read_to + slack)))
        found[targets.Place(account, region, TRAIL.source), TRAIL.what] = state
        if region == HOME:
            found[targets.Place(account, GLOBAL_REGION, TRAIL.source), TRAIL.what] = state
    return found


def object_id(question: bytes, bucket: str, key: str, etag: str) -> bytes:
    """Names one version of an object, and what was wanted of it."""
    return sha256(msgspec.json.encode((question.hex(), bucket, key, etag))).digest()[:16]


def known(tx: Tx, ids: Sequence[bytes]) -> set[bytes]:
    """Which of these objects were read."""
    found: set[bytes] = set()
    for some in in_pieces(ids):
        rows = tx.all(tx.select(trail_objects.c.id).where(trail_objects.c.id.in_(some)))
        found.update(bytes(row.id) for row in rows)
    return found


def note(tx: Tx, ids: Iterable[bytes], now: Instant) -> None:
    """Remember that these objects were read; in the transaction that kept what they held."""
    tx.upsert(trail_objects, [{"id": i, "read_at": now} for i in ids], replace=["read_at"])


def forget(tx: Tx, now: Instant) -> int:
    """Forget what no pass looks at any more; how many objects."""
    return tx.run(tx.delete(trail_objects).where(trail_objects.c.read_at < now - REMEMBERED))


def described(trail: Trail) -> Mapping[str, object]:
    """A trail for people and for the record of a run."""
    told: Mapping[str, object] = msgspec.to_builtins(trail)
    return told
