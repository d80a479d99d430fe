"""A lake with something of every kind in it, logged, and its audit."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.lake.destroyer import asked
from tests.lake.making import NOW, TENANT, add, observation, some

from auditkeep.db.schema import batches, tail
from auditkeep.ids import Tenant
from auditkeep.lake.audit.findings import Counts
from auditkeep.lake.audit.run import Audited, Progress, audit
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.columns import Columns, Heavy, Light, pack, tail_object, unpack
from auditkeep.lake.destruction import destroy_class
from auditkeep.lake.lake import Lake
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer

FILE = "manual/b/policy"
POLICY = b"# our policy"


def furnish(lake: Lake) -> None:
    """Batches 1-3 in one segment, 4 in another, with leaves of its own object; 5 and 6 in the tail;
    7 manual with a file, 8 of the activity log, 9 destroyed, 10 what says so.
    """
    for number in range(3):
        add(lake, f"unit-{number}", some(number * 10, 10))
    assert seal(lake, TENANT, now=NOW, min_rows=30) is not None
    add(lake, "unit-3", some(100, 1_100))
    assert seal(lake, TENANT, now=NOW, min_rows=1_000) is not None
    add(lake, "unit-4", some(50, 10))
    add(lake, "unit-5", [observation(70, verdict="FAILED"), observation(71)])
    with lake.db.write(TENANT) as tx:
        put_blob(tx, lake, "manual/b", FILE, POLICY, NOW)
        put_blob(tx, lake, "reports", "reports/x/r.zip", b"zip", NOW)
    raw = {"form": "file", "object": FILE, "sha256": hashlib.sha256(POLICY).hexdigest()}
    said = observation(80, source="MANUAL", match_key="pinned:b/1", raw=json.dumps(raw).encode())
    add(lake, "unit-6", [said], klass="manual/b")
    add(lake, "unit-7", [observation(81)], klass="activity")
    add(lake, "unit-8", [observation(82), observation(83)], klass="manual/a")
    log(lake)
    with lake.db.write(TENANT) as tx:
        destroy_class(tx, lake, "manual/a", asked("a"), NOW)
    log(lake)


def log(lake: Lake) -> None:
    with Sequencer(lake) as sequencer:
        sequencer.step(NOW)


def audited(lake: Lake, **how: Any) -> Audited:
    return audit(lake, now=NOW, **how)


class Interrupt:
    """Progress that interrupts after so many calls."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, doing: str, counts: Counts) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


__all__ = ["FILE", "POLICY", "Interrupt", "Progress", "audited", "furnish", "log"]


def rewrite_tail(
    lake: Lake, tenant: Tenant, batch_no: int, change: Callable[[Light, Heavy], None]
) -> None:
    """What an administrator with the keys can do to a batch: open, change, seal again."""
    with lake.db.write(tenant) as tx:
        bucket = tx.scalar(tx.select(batches.c.bucket_id).where(batches.c.batch_no == batch_no))
        blob = bytes(tx.scalar(tx.select(tail.c.blob).where(tail.c.batch_no == batch_no)))
        key = lake.keys.object_key(tenant, bucket, tail_object(batch_no))
        columns = unpack(key, tenant, batch_no, blob)
        heavy = columns.heavy
        change(columns.light, heavy)
        blob = pack(key, tenant, Columns(batch_no, columns.light, heavy))
        tx.run(tx.update(tail).where(tail.c.batch_no == batch_no).values(blob=blob))
