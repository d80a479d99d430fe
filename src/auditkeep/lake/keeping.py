"""What is kept of the facts that arrive: a tenant's choice (design section 1, docs/adr/0030).

    library     what some control of the library, or one of the tenant's own, could use
    matched     of that, only what an open lens sees
    all         every record

A policy is in force from the commit that sets it: `append` reads it under the tenant's lock, in
the transaction of the batch, whatever the facts came from. What readers know of it before (which
records are worth parsing) may be older; that costs a second reading, never a fact, for whoever
read under an older version of what is wanted did so under a unit of another name.

What tells of the collecting itself (runs, broken digests) is kept under each policy.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import func, tuple_

from auditkeep.clock import Day, Instant, day_of
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import batches, buckets, segments, tail, tenants, unkept
from auditkeep.db.tx import Tx
from auditkeep.errors import StorageError
from auditkeep.lake.model import count_gone
from auditkeep.observations import KeepPolicy, Observation

FACTS: Final = "facts"
"""The class of what sources tell, and of the runs that brought it: what a policy is about. What is
pinned to an assessment is always kept."""

FORGOTTEN: Final = "unseen"
"""The job that destroys what nobody sees once an assessment is deleted, whose id is its key."""

_KIND = ("day", "source", "match_key", "origin_account", "origin_region")
_KINDS = 200
"""Kinds, each of five values, of one SQL IN list."""
UNSEEN: Final = "no open lens sees it"
"""Why a record was passed over, in counts of readings."""


class Fact(Protocol):
    """What of a fact decides who sees it."""

    @property
    def event_time(self) -> Instant: ...
    @property
    def source(self) -> str: ...
    @property
    def match_key(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...


class Sight(Protocol):
    """What is seen of a tenant's facts, as it stood when it was asked for."""

    def touches(
        self, match_key: str, account: str, region: str, first: Instant, last: Instant
    ) -> bool:
        """Whether anything that may have happened between two moments of one day is seen."""
        ...

    def borders(self, match_key: str) -> Sequence[Instant]:
        """The moments, ascending, at which it changes what is seen of a match key."""
        ...


class Keeper(Protocol):
    """Knows which observations an open lens sees."""

    def sight(self, tx: Tx) -> Sight:
        """What any assessment sees now, INACTIVE ones too, and what is kept without being seen."""
        ...

    def lenses(self, tx: Tx, wanted_version: int) -> Sight:
        """What those lenses see that had opened by a version of what is wanted, and are there."""
        ...

    def wanted(
        self, tx: Tx, lens_version: int, observations: Sequence[Observation]
    ) -> Sequence[bool]:
        """Of each, whether it is to be kept where only what is seen is.

        What was learned of the tenant's lenses holds for as long as `lens_version` is the same.
        """
        ...


class Nobody:
    """For lakes that nobody looks at through lenses: there, nothing can be kept by what is seen."""

    def wanted(self, tx: Tx, _version: int, _observations: Sequence[Observation]) -> Sequence[bool]:
        raise _unknown(tx)

    def sight(self, tx: Tx) -> Sight:
        raise _unknown(tx)

    def lenses(self, tx: Tx, _wanted_version: int) -> Sight:
        raise _unknown(tx)


def _unknown(tx: Tx) -> StorageError:
    return StorageError(
        f"Account {tx.tenant.account} keeps only what is seen, and this program does not know "
        "what that is."
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """A tenant's policy, and since when; None: since it registered."""

    policy: KeepPolicy
    since: Instant | None
    wanted_version: int


@dataclass(frozen=True, slots=True)
class Amount:
    """What is kept of facts: how many, and their bytes before and after they were packed."""

    observations: int
    raw_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Unkept:
    """Facts of one day, kind and origin that were passed over: their events' first and last time.

    `last_at` is when that last happened.
    """

    source: str
    match_key: str
    account: str
    region: str
    first: Instant
    last: Instant
    last_at: Instant


def of(tx: Tx) -> Choice:
    """The policy in force; `library` for whoever is not registered."""
    t = tenants.c
    row = tx.first(tx.select(t.keeps, t.keeps_since, t.wanted_version))
    if row is None:
        return Choice("library", None, 0)
    since = None if row.keeps_since is None else Instant(row.keeps_since)
    return Choice(row.keeps, since, int(row.wanted_version))


def choose(tx: Tx, policy: KeepPolicy, now: Instant) -> None:
    """Keep by this policy from the caller's commit on; under the tenant's lock, and logged by it.

    What was passed over under an earlier policy is read again where it can be.
    """
    version = tenants.c.wanted_version + 1
    tx.run(tx.update(tenants).values(keeps=policy, keeps_since=now, wanted_version=version))


def pass_over(tx: Tx, observations: Iterable[Fact], now: Instant) -> None:
    """Note what the facts were that are not kept, or no longer, so that a backfill can name them.

    Under the tenant's lock.
    """
    kinds: dict[tuple[object, ...], tuple[int, int]] = {}
    for o in observations:
        kind = (day_of(o.event_time), o.source, o.match_key, o.account, o.region)
        first, last = kinds.get(kind, (o.event_time, o.event_time))
        kinds[kind] = min(first, o.event_time), max(last, o.event_time)
    for some in in_pieces(sorted(kinds), _KINDS):
        columns = [unkept.c[name] for name in _KIND]
        known = tx.all(tx.select(unkept).where(tuple_(*columns).in_(some)))
        for row in known:
            kind = tuple(getattr(row, name) for name in _KIND)
            first, last = kinds[kind]
            kinds[kind] = min(first, row.first_time), max(last, row.last_time)
    rows = [
        dict(zip(_KIND, kind, strict=True))
        | {"first_time": first, "last_time": last, "last_at": now}
        for kind, (first, last) in sorted(kinds.items())
    ]
    tx.upsert(unkept, rows, replace=["first_time", "last_time", "last_at"])


def passed_over(tx: Tx, match_keys: Sequence[str], first: Day, last: Day) -> Iterator[Unkept]:
    """What was not kept of some match keys, of events of these days."""
    u = unkept.c
    for some in in_pieces(match_keys):
        query = tx.select(unkept).where(u.day.between(first, last), u.match_key.in_(some))
        for row in tx.all(query):
            yield Unkept(
                source=row.source,
                match_key=row.match_key,
                account=row.origin_account,
                region=row.origin_region,
                first=Instant(row.first_time),
                last=Instant(row.last_time),
                last_at=Instant(row.last_at),
            )


def forget_passed_over(tx: Tx, before: Instant) -> int:
    """Forget what would have expired by now in any case: events of days before that of `before`."""
    return tx.run(tx.delete(unkept).where(unkept.c.day < day_of(before)))


def amount(tx: Tx) -> Amount:
    """What the tenant's facts amount to now, as they lie in the tail and in segments."""
    mine = tx.select(buckets.c.id).where(
        buckets.c["class"] == FACTS, buckets.c.destroyed_at.is_(None)
    )
    b, s = batches.c, segments.c
    sums = tx.first(tx.select(func.sum(b.rows), func.sum(b.size)).where(b.bucket_id.in_(mine)))
    sealed = tx.scalar(tx.select(func.sum(s.size)).where(s.bucket_id.in_(mine)))
    numbers = tx.select(b.batch_no).where(b.bucket_id.in_(mine), b.segment_id.is_(None))
    waiting = tx.scalar(
        tx.select(func.sum(func.length(tail.c.blob))).where(tail.c.batch_no.in_(numbers))
    )
    rows, size = (0, 0) if sums is None else (int(n or 0) for n in sums)
    cut = tx.select(b.rows, b.size, b.gone).where(b.bucket_id.in_(mine), b.gone.is_not(None))
    for row in tx.all(cut):  # of which single facts went: they are as large as the others
        gone = count_gone(row.gone)
        rows -= gone
        size -= row.size * gone // row.rows
    return Amount(rows, size, int(sealed or 0) + int(waiting or 0))
