"""A deployment's life in one process, until it is killed: every work that changes what is kept.

    python -m tests.life.living DATA DATABASE_URL SEED ROUNDS

Each line on standard output is a promise: `unit N` and `file N` are kept, `log SIZE ROOT` was
signed, `expired N` says that what was due when unit N was kept is gone, `held ID N,… N,…` that a
legal hold keeps these units, and the files of those, until it is released, `gone K` that the Kth visitor was
erased; `begun WORK` and `ready` promise nothing. A unit comes every other day, so
that months pass; everything else is told by the database, so that a process that takes the life up
goes on where the last one was killed.
"""

import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lake.making import add, observation

from auditkeep.accounts import erasure
from auditkeep.activity.batcher import Batcher
from auditkeep.app.parts import Parts, open_parts
from auditkeep.app.setup import initialise
from auditkeep.clock import DAY, MINUTE, FixedClock, Instant, SystemClock
from auditkeep.db.schema import batches, buckets, meta, units
from auditkeep.db.tx import Tx
from auditkeep.errors import ObjectExists
from auditkeep.ids import Tenant
from auditkeep.lake import append as append_module
from auditkeep.lake import batch, generations, holds, retention, rotation
from auditkeep.lake.blobs import has_blob, put_blob
from auditkeep.lake.compact import Bounds, compact
from auditkeep.lake.generations import Doomed
from auditkeep.lake.governance import Authority
from auditkeep.lake.holds import Asked
from auditkeep.lake.remains import forget_ids
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.lake.sweep import sweep
from auditkeep.observations import Observation
from auditkeep.operations.auditmanager import accounts
from auditkeep.settings import RetentionKind, Settings
from auditkeep.tlog.checkpoint import Checkpoint
from auditkeep.wire.models import auditmanager as am
from auditkeep.work.pump import Pump
from auditkeep.workflows.erase import erase_handler
from auditkeep.workflows.expire import expire

HOME = Tenant("111122223333", "us-east-1")
VISITORS = tuple(Tenant(f"44445555666{n}", "eu-west-1") for n in range(3))
KEPT_DAYS = 31
APART = 2 * DAY
"""Between two units."""
FACTS = 10
"""That each unit brings, and half as many of the next unit's."""


def chosen(data: Path, url: str) -> Settings:
    """The settings of such a life."""
    days: dict[RetentionKind, int | None] = {"facts": KEPT_DAYS, "reports": KEPT_DAYS}
    given = Settings(data=data.absolute(), retention_days=days)
    return given if url.startswith("sqlite") else given.model_copy(update={"database_url": url})


def load_of(unit: int) -> list[Observation]:
    """What a unit brings; every fifth is so large that it becomes a segment at once."""
    first = unit * FACTS
    brought = [observation(n) for n in range(first, first + FACTS * 3 // 2)]
    if unit % 5 == 4:
        padding = b'{"unit":%d,"padding":"%s"}' % (unit, b"x" * 13_000)
        brought.append(observation(10_000_000 + unit, raw=padding))
    return brought


def file_of(unit: int) -> bytes:
    return f"file of unit {unit}".encode() * 100


def file_name(unit: int) -> str:
    return f"reports/audit/{unit}.zip"


def make_small() -> None:
    """Limits so low that every path is taken by little data."""
    append_module.UNPACKED = 12_000
    batch.MAX_LEAVES = 10
    rotation.GRACE_SECONDS = 0.0
    rotation.PIECE = 3


class Life:
    """The parts of a deployment, and its works by name."""

    def __init__(self, data: Path, url: str) -> None:
        self.clock = FixedClock(SystemClock().now())
        if not (data / "keys" / "log.key").exists():
            initialise(chosen(data, url), HOME, self.clock)
        self.parts: Parts = open_parts(chosen(data, url), self.clock)
        self.lake = self.parts.lake
        self.began = self._began()
        self.clock.at = self.time_of(self.units())

    def works(self) -> dict[str, tuple[int, Callable[[], object]]]:
        """How often each work comes, and the work."""
        return {
            "ingest": (8, self.ingest),
            "keep": (2, self.keep),
            "seal": (5, self.seal),
            "compact": (3, self.compact),
            "log": (4, self.log),
            "expire": (2, self.expire),
            "hold": (1, self.hold),
            "thin": (1, self.thin),
            "sweep": (1, self.sweep),
            "rotate": (1, self.rotate),
            "visit": (1, self.visit),
        }

    def time_of(self, unit: int) -> Instant:
        return Instant(self.began + unit * APART)

    def units(self) -> int:
        """The number of the next unit; those before it may have expired, the last never has."""
        with self.parts.db.read(HOME) as tx:
            names = [row.id for row in tx.all(tx.select(units.c.id))]
        return 1 + max((int(n.removeprefix("unit-")) for n in names if "unit-" in n), default=-1)

    def ingest(self) -> None:
        unit = self.units()
        self.clock.at = max(self.clock.at, self.time_of(unit))
        add(self.lake, f"unit-{unit}", load_of(unit), tenant=HOME, now=self.clock.now())
        print("unit", unit, flush=True)

    def keep(self) -> None:
        unit = self.units()
        try:
            with self.parts.db.write(HOME) as tx:
                put_blob(
                    tx, self.lake, "reports", file_name(unit), file_of(unit), self.time_of(unit)
                )
        except ObjectExists:
            return  # kept before
        print("file", unit, flush=True)

    def seal(self) -> None:
        for tenant in (HOME, *VISITORS):
            while seal(self.lake, tenant, now=self.clock.now(), min_rows=25) is not None:
                continue

    def compact(self) -> None:
        while compact(self.lake, HOME, now=self.clock.now(), bounds=Bounds(rows=400)) is not None:
            continue

    def log(self) -> Checkpoint:
        Batcher(self.lake, self.parts.deps.heard, self.clock).gather(now=True)
        with Sequencer(self.lake) as sequencer:
            checkpoint = sequencer.step(self.clock.now())
        assert checkpoint is not None
        print("log", checkpoint.size, checkpoint.root.hex(), flush=True)
        return checkpoint

    def expire(self) -> None:
        unit = self.units()
        for tenant in (HOME, *VISITORS):
            expire(self.lake, self.parts.settings, tenant, self.clock.now())
        print("expired", unit, flush=True)

    def hold(self) -> None:
        """Hold some of what is nearest to its end, and let the hold before go."""
        asked = Asked("arn:aws:iam::111122223333:user/counsel", "life", "a case", self.clock.now())
        with self.parts.db.write(HOME) as tx:
            for held in holds.in_force(tx):
                holds.release(tx, self.lake, asked, held.id)
            kept = sorted(self._kept(tx))[1:4]
            if not kept:
                return
            first, last = (self.time_of(unit) for unit in (kept[0], kept[-1] + 1))
            placed = holds.place(
                tx, self.lake, asked, assessment_id=None, first=first, last=Instant(last - MINUTE)
            )
            files = [unit for unit in kept if has_blob(tx, file_name(unit))]
        print("held", placed, _listed(kept), _listed(files), flush=True)

    def thin(self) -> None:
        """Destroy single facts of units whose time is over: one bucket's rest goes on elsewhere."""
        now = self.clock.now()
        with self.parts.db.read(HOME) as tx:
            rows = tx.select(buckets.c.id).where(
                buckets.c["class"] == "facts", buckets.c.destroyed_at.is_(None)
            )
            facts = [row.id for row in tx.all(rows.order_by(buckets.c.created_at))]
            over = next((one for one in facts if self._over(tx, one).rows), None)
        if over is not None:
            generations.cut(
                self.lake, HOME, over, self._over, self._authority, now, bounds=Bounds(rows=60)
            )
            forget_ids(self.lake, HOME)

    def _over(self, tx: Tx, bucket_id: str) -> Doomed:
        """Every other fact of what no policy and no hold keeps, but for what went so before."""
        chosen = self.parts.settings.retention_days
        whole = retention.doomed(tx, bucket_id, chosen, self.clock.now())
        b = batches.c
        left = tx.all(
            tx.select(b.batch_no, b.rows).where(b.bucket_id == bucket_id, b.gone.is_(None))
        )
        return Doomed(
            rows={
                row.batch_no: frozenset(range(0, row.rows, 2))
                for row in left
                if row.batch_no in whole.batches and row.rows > 1
            }
        )

    def _authority(self, tx: Tx) -> Authority:
        rule = retention.rules(tx, self.parts.settings.retention_days)["facts"]
        return retention.authority(tx, self.lake, "facts", rule, self.clock.now())

    def _kept(self, tx: Tx) -> Sequence[int]:
        """The units of which nothing has gone."""
        whole = tx.select(batches.c.unit_id).where(batches.c.gone.is_(None))
        rows = tx.all(tx.select(units.c.id).where(units.c.id.in_(whole)))
        return [int(r.id.removeprefix("unit-")) for r in rows if r.id.startswith("unit-")]

    def sweep(self) -> None:
        for tenant in (HOME, *VISITORS):
            sweep(self.lake, tenant, self.clock.now())

    def rotate(self) -> None:
        self.parts.rotate_keys(None, "", lambda _done: None)

    def visit(self) -> None:
        """A tenant comes, keeps something, and leaves with everything."""
        self.leave()
        with self.parts.db.system_read() as tx:
            number = len(erasure.listed(tx))
        visitor = VISITORS[number % len(VISITORS)]
        self._call(visitor, accounts.register_account, am.RegisterAccountRequest())
        policy = am.DeregistrationPolicy(delete_resources="ALL")
        wish = am.UpdateSettingsRequest(deregistration_policy=policy)
        self._call(visitor, accounts.update_settings, wish)
        now = self.clock.now()
        for n in range(2):
            unit = f"visit-{number}-{n}"
            add(self.lake, unit, load_of(n), tenant=visitor, klass="facts", now=now)
        self._call(visitor, accounts.deregister_account, am.DeregisterAccountRequest())
        self.leave()
        print("gone", number, flush=True)

    def leave(self) -> None:
        """Carry erasures to their end, as the pump and the sequencer of a server do."""
        handler = erase_handler(self.parts.deps, self.clock, self.parts.deps.caches.clear)
        for _ in range(300):
            with self.parts.db.system_read() as tx:
                if all(one.stage == "done" for _, one in erasure.listed(tx)):
                    return
            Pump(self.parts.jobs, {erasure.JOB: handler}, self.clock).drain()
            self.log()
            self.clock.advance(MINUTE)
        raise AssertionError("an erasure never came to its end")

    def _call(self, tenant: Tenant, operation: Callable[..., object], ask: object) -> None:
        with self.parts.db.write(tenant) as tx:
            operation(self.parts.operator(tx, tenant), ask)

    def _began(self) -> Instant:
        """When this life began: written down once, since times must not go back."""
        with self.parts.db.system_write() as tx:
            found = tx.scalar(tx.select(meta.c.value).where(meta.c.key == "life_began"))
            if found is None:
                found = str(self.clock.now())
                tx.insert(meta, {"key": "life_began", "value": found})
            return Instant(int(found))


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "-"


def main(arguments: list[str]) -> None:
    data, url, seed, rounds = arguments
    make_small()
    life = Life(Path(data), url)
    works = life.works()
    dice = random.Random(int(seed))
    print("ready", flush=True)
    for _ in range(int(rounds)):
        (name,) = dice.choices(list(works), [often for often, _ in works.values()])
        print("begun", name, flush=True)
        works[name][1]()


if __name__ == "__main__":
    main(sys.argv[1:])
