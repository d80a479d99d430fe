"""What nobody sees once an assessment is deleted, where a tenant keeps only what is seen.

Under the policy `matched` (docs/adr/0030) a fact is there because a lens saw it. When the last
assessment that looked at it is deleted, it goes: of each bucket of facts those that were committed
after the policy came into force, that no interval of any other assessment sees, nor the baseline,
and that no legal hold covers. The survivors go on in the bucket's next generation, and its key is
destroyed (`lake.generations`). The record cites the deletion, and `governance.Unseen` beside it the
policy and what kinds of facts went, so that `log audit` can hold them against the lenses.

The job is the assessment's: asked for in the transaction that deletes it, once. Each bucket is a
transaction of its own; who runs it again finds what is left. If the policy was changed since,
nothing goes. What went is noted as passed over, as what arrives unseen is.

The choice is a function of the policy, the lenses, the holds and what lies in the bucket. It is
made by roll-ups first, then by the light columns of what they cannot decide; within the transaction
that destroys it is made again, which reads nothing where none of these has changed.
"""

import logging
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from auditkeep.clock import Clock, Instant, day_of, iso
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import batches, buckets, rollups, tenants
from auditkeep.db.tx import Tx
from auditkeep.errors import Busy
from auditkeep.ids import Tenant
from auditkeep.lake import generations, governance, holds, keeping
from auditkeep.lake.buckets import ERASED, fetching
from auditkeep.lake.generations import Doomed
from auditkeep.lake.governance import Authority, Destruction, Unseen
from auditkeep.lake.keeping import Sight
from auditkeep.lake.lake import Lake
from auditkeep.lake.model import Stored
from auditkeep.lake.places import Place, places
from auditkeep.lake.remains import forget_ids
from auditkeep.work.pump import Handler
from auditkeep.work.retry import Retry

SPANS_EACH = 1_000
"""Spans of one record: some 200 KB."""

_ALWAYS = Retry(tries=1_000_000)
_log = logging.getLogger("auditkeep.unseen")


@dataclass(frozen=True, slots=True)
class Ground:
    """Why it may be done: the deletion, and the policy, with the batch that says so."""

    deleted: Authority
    policy: Authority
    policy_batch: int
    since: Instant


def unseen_handler(lake: Lake, clock: Clock, forget: Callable[[], None]) -> Handler:
    """How the pump runs jobs of kind `keeping.FORGOTTEN`; `forget` gives up remembered answers."""

    def run(tenant: Tenant, assessment_id: str) -> None:
        if destroy_unseen(lake, tenant, assessment_id, clock):
            forget()

    return Handler(run, retry=_ALWAYS)


def destroy_unseen(
    lake: Lake, tenant: Tenant, assessment_id: str, clock: Clock
) -> list[Destruction]:
    """Destroy what nobody sees any more; what was. Safe to repeat.

    Busy where a bucket changed again and again.
    """
    found = fetching(partial(_ground, lake, tenant, assessment_id))
    if found is None:
        return []
    ground, alive = found
    done = []
    for bucket_id in alive:
        gone = fetching(partial(_cut, lake, tenant, bucket_id, ground, clock.now()))
        if gone is not None:
            done.append(gone)
    forget_ids(lake, tenant)  # of a run that was cut off, too
    if done:
        rows = sum(one.rows for one in done)
        _log.info("%d facts of %s that nobody sees any more were destroyed.", rows, tenant)
    return done


def _ground(lake: Lake, tenant: Tenant, assessment_id: str) -> tuple[Ground, list[str]] | None:
    """Why facts may go, and the buckets they lie in; None where they may not."""
    with lake.db.read(tenant) as tx:
        if not _keeps(tx):
            return None
        since = keeping.of(tx).since
        assert since is not None  # nobody registers with this policy
        narrow = governance.told_since(tx, lake, since, Instant(since + 1))
        policy = _last(narrow, governance.PUT_KEEP_POLICY, governance.MATCHED)
        told = governance.told_since(tx, lake, since)
        deleted = _last(told, governance.DELETE_ASSESSMENT, assessment_id)
        if policy is None or deleted is None or deleted[0] < policy[0]:
            return None  # deleted under an earlier policy, whatever has been chosen since
        b = buckets.c
        alive = tx.select(b.id).where(b["class"] == keeping.FACTS, b.destroyed_at.is_(None))
        ids = [row.id for row in tx.all(alive.order_by(b.month, b.generation, b.id))]
        return Ground(deleted[1], policy[1], policy[0], since), ids


def _last(
    told: Sequence[tuple[Stored, governance.Told]], action: str, subject: str
) -> tuple[int, Authority] | None:
    """The newest such authority, and its batch."""
    found = None
    for stored, record in told:
        if isinstance(record, Authority) and (record.action, record.subject) == (action, subject):
            found = stored.batch_no, record
    return found


def _keeps(tx: Tx) -> bool:
    """Whether the tenant keeps only what is seen, and is not being erased."""
    return (
        keeping.of(tx).policy == governance.MATCHED
        and tx.scalar(tx.select(tenants.c.status)) not in ERASED
    )


def _cut(
    lake: Lake, tenant: Tenant, bucket_id: str, ground: Ground, now: Instant
) -> Destruction | None:
    choice = Choice(lake, ground)

    def before(tx: Tx, _doomed: Doomed) -> None:
        keeping.pass_over(tx, choice.chosen, now)

    def after(tx: Tx, done: Destruction) -> None:
        said = list(_said(choice, done, keeping.of(tx).wanted_version))
        governance.record_given(tx, lake, ground.deleted, said, now)

    done = generations.cut(
        lake, tenant, bucket_id, choice, lambda _: ground.deleted, now, before=before, after=after
    )
    if done is None:
        with lake.db.read(tenant) as tx:
            if choice.left(tx, bucket_id):
                raise Busy(
                    f"The bucket {bucket_id} changes all the time: what nobody sees of it is "
                    "destroyed later."
                )
    return done


def _said(choice: "Choice", done: Destruction, version: int) -> Iterator[Unseen]:
    for some in in_pieces(choice.spans(), SPANS_EACH):
        yield Unseen(
            destruction=done.id,
            policy=choice.ground.policy.id,
            spans=tuple(some),
            version=version,
        )


@dataclass(slots=True)
class Choice:
    """What of one bucket goes (`generations.Choose`), and what it is about."""

    lake: Lake
    ground: Ground
    chosen: Sequence[Place] = ()
    _sight: Sight | None = None
    _made: tuple[Hashable, Doomed] | None = field(default=None, repr=False)

    def __call__(self, tx: Tx, bucket_id: str) -> Doomed:
        if not _keeps(tx) or keeping.of(tx).since != self.ground.since:
            return Doomed()
        standing = holds.in_force(tx)
        basis = self._basis(tx, bucket_id, standing)
        if self._made is None or self._made[0] != basis:
            self._sight = self.lake.keeper.sight(tx)
            self.chosen = tuple(self._choose(tx, bucket_id, standing, self._sight))
            rows: dict[int, set[int]] = {}
            for one in self.chosen:
                rows.setdefault(one.batch_no, set()).add(one.index)
            self._made = basis, Doomed(rows={n: frozenset(i) for n, i in rows.items()})
        return self._made[1]

    def left(self, tx: Tx, bucket_id: str) -> bool:
        """Whether there is still something of a bucket to destroy."""
        b = buckets.c
        alive = tx.select(b.id).where(b.id == bucket_id, b.destroyed_at.is_(None))
        return tx.first(alive) is not None and bool(self(tx, bucket_id))

    def spans(self) -> list[tuple[str, str, str, str, str, int]]:
        """What was chosen, put together as far as all of it is seen alike."""
        assert self._sight is not None
        borders: dict[str, Sequence[Instant]] = {}
        found: dict[tuple[str, str, str, int, int], list[int]] = {}
        for p in self.chosen:
            if p.match_key not in borders:
                borders[p.match_key] = self._sight.borders(p.match_key)
            stretch = bisect_right(borders[p.match_key], p.event_time)
            key = (p.match_key, p.account, p.region, day_of(p.event_time), stretch)
            span = found.setdefault(key, [p.event_time, p.event_time, 0])
            span[0], span[1] = min(span[0], p.event_time), max(span[1], p.event_time)
            span[2] += 1
        return [
            (*key[:3], iso(Instant(first)), iso(Instant(last)), count)
            for key, (first, last, count) in sorted(found.items())
        ]

    def _basis(self, tx: Tx, bucket_id: str, standing: Sequence[holds.Held]) -> Hashable:
        """All that the choice follows from, but for the content of batches, which never changes."""
        b = batches.c
        inside = tx.select(b.batch_no, b.segment_id, b.gone).where(
            b.bucket_id == bucket_id, b.batch_no > self.ground.policy_batch
        )
        lenses = tx.scalar(tx.select(tenants.c.lens_version))
        return bucket_id, lenses, tuple(standing), tuple(map(tuple, tx.all(inside)))

    def _choose(
        self, tx: Tx, bucket_id: str, standing: Sequence[holds.Held], sight: Sight
    ) -> Iterator[Place]:
        doubtful = self._doubtful(tx, bucket_id, sight)
        if not doubtful:
            return
        b = batches.c
        committed = {
            row.batch_no: Instant(row.committed_at)
            for row in tx.all(
                tx.select(b.batch_no, b.committed_at).where(
                    b.bucket_id == bucket_id, b.batch_no > self.ground.policy_batch
                )
            )
        }
        held = {
            number
            for number, at in committed.items()
            if any(one.covers(keeping.FACTS, at, at) for one in standing)
        }
        known: dict[tuple[str, str, str, Instant], bool] = {}
        for p in places(tx, self.lake, bucket_id, doubtful, self.ground.policy_batch):
            if p.batch_no in held or p.batch_no not in committed:
                continue
            key = (p.match_key, p.account, p.region, p.event_time)
            if key not in known:
                known[key] = sight.touches(*key, p.event_time)
            if not known[key]:
                yield p

    def _doubtful(self, tx: Tx, bucket_id: str, sight: Sight) -> set[str]:
        """Match keys of which something may be unseen, by the bucket's counts."""
        r = rollups.c
        columns = (r.match_key, r.origin_account, r.origin_region, r.first_time, r.last_time)
        found = set()
        known: dict[str, Sequence[Instant]] = {}
        for row in tx.all(tx.select(*columns).where(r.bucket_id == bucket_id)):
            where = (row.match_key, row.origin_account, row.origin_region)
            first, last = Instant(row.first_time), Instant(row.last_time)
            if row.match_key not in known:
                known[row.match_key] = sight.borders(row.match_key)
            borders = known[row.match_key]
            alike = bisect_right(borders, first) == bisect_right(borders, last)
            if not (alike and sight.touches(*where, first, last)):
                found.add(row.match_key)
        return found
