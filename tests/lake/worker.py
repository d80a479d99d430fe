"""A process that works on a lake until it is killed, and says what it has been promised.

    python -m tests.lake.worker DATA DATABASE_URL FIRST LAST [MIRROR]

Each line on standard output is an acknowledgement: `unit N`, `blob N`, or `log SIZE ROOT`. Run again
it begins again: what was committed is repeated, not doubled. With MIRROR, what was synced is noted
there, see `powercut`.
"""

import os
import sys
from pathlib import Path

from tests.databases import opened
from tests.lake.making import NOW, TENANT, add, observation, register

from auditkeep.clock import Instant, SystemClock
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers.local import LocalKeyProvider
from auditkeep.crypto.signing import SigningKey
from auditkeep.db.database import Database
from auditkeep.db.schema import meta, tenants
from auditkeep.errors import ObjectExists
from auditkeep.evidence import lens
from auditkeep.evidence.lens import Reach
from auditkeep.evidence.metering import LensMeter
from auditkeep.lake import append as append_module
from auditkeep.lake import batch
from auditkeep.lake.blobs import put_blob
from auditkeep.lake.compact import Bounds, compact
from auditkeep.lake.lake import Lake
from auditkeep.lake.objects import LocalObjects, ObjectStore
from auditkeep.lake.seal import seal
from auditkeep.lake.sequencer import Sequencer
from auditkeep.observations import Observation
from auditkeep.tlog.note import Signer

S3_URL = "AUDITKEEP_TESTS_S3"
SEAL_ROWS = 25
MERGED = Bounds(rows=70)
SEEN_KEY = "iam:CreateUser"
SEEN = Reach(frozenset({TENANT.account}), None)
"""What a lens looks at meanwhile, and so what is metered."""


def load(unit: int) -> list[Observation]:
    """A unit's observations: a third of them are the next unit's too; every fifth unit is large."""
    first, count = unit * 10, 15
    if unit % 5 == 4:
        padding = b'{"unit":%d,"padding":"%s"}' % (unit, b"x" * 8_000)
        return [
            *[observation(n) for n in range(first, first + count)],
            observation(80_000 + unit, raw=padding),
        ]
    return [observation(n) for n in range(first, first + count)]


def blob(unit: int) -> bytes:
    return f"file of unit {unit}".encode() * 100


def open_lake(data: Path, url: str) -> Lake:
    """The lake of a data directory, made if there is none."""
    keys = data / "keys"
    if not (keys / "log.key").exists():
        (keys / "master.key").unlink(missing_ok=True)
        LocalKeyProvider.create(keys / "master.key")
        SigningKey.create(keys / "log.key")
    db = opened(url)
    with db.read(TENANT) as tx:
        known = tx.first(tx.select(tenants))
    if known is None:
        register(db)
        with db.write(TENANT) as tx:
            lens.open_for_control(tx, "assessment", 1, {SEEN_KEY}, SEEN, Instant(0))
    return Lake.open(
        db=db,
        data=data,
        objects=_objects(data),
        provider=LocalKeyProvider.open(keys / "master.key"),
        keystore=KeyStore(keys / "buckets"),
        signer=Signer(_origin(db), SigningKey.open(keys / "log.key")),
        meter=LensMeter(),
    )


def _objects(data: Path) -> ObjectStore:
    """A folder, or the bucket of tests where `S3_URL` says that there is one."""
    url = os.environ.get(S3_URL)
    if url is None:
        return LocalObjects(data / "objects")
    from tests.s3 import BUCKET, REGION

    from auditkeep.lake.s3.copies import Copies
    from auditkeep.lake.s3.place import Place
    from auditkeep.lake.s3.store import S3Objects

    place = Place(BUCKET, "crowd", region=REGION, endpoint=url)
    return S3Objects(place, Copies(data / "copies", 1 << 30), SystemClock())


def _origin(db: Database) -> str:
    """The log's name, which changes when a new epoch begins."""
    with db.system_read() as tx:
        found = tx.scalar(tx.select(meta.c.value).where(meta.c.key == "log_origin"))
    return str(found or "auditkeep.test/log")


def make_small() -> None:
    """Limits so low that every path is taken by little data."""
    append_module.UNPACKED = 12_000
    batch.MAX_LEAVES = 10


def work(lake: Lake, first: int, last: int) -> None:
    with Sequencer(lake) as sequencer:
        for unit in range(first, last):
            add(lake, f"unit-{unit}", load(unit))
            print("unit", unit, flush=True)
            if unit % 4 == 0:
                _keep_blob(lake, unit)
                print("blob", unit, flush=True)
            if unit % 2:
                checkpoint = sequencer.step(NOW)
                assert checkpoint is not None
                print("log", checkpoint.size, checkpoint.root.hex(), flush=True)
            seal(lake, TENANT, now=NOW, min_rows=SEAL_ROWS)
            compact(lake, TENANT, now=NOW, bounds=MERGED, everything=True)


def _keep_blob(lake: Lake, unit: int) -> None:
    try:
        with lake.db.write(TENANT) as tx:
            put_blob(tx, lake, "facts", f"blob-{unit}", blob(unit), NOW)
    except ObjectExists:
        return  # kept before the kill


def main(arguments: list[str]) -> None:
    data, url, first, last, *mirror = arguments
    if mirror:
        from tests.lake.powercut import note_syncs

        note_syncs(Path(data), Path(mirror[0]))
    make_small()
    lake = open_lake(Path(data), url)
    print("ready", flush=True)
    work(lake, int(first), int(last))


if __name__ == "__main__":
    main(sys.argv[1:])
