"""A backup put back: objects, rows, and the log's files, which follow from its entries.

Rows are put in one transaction, with the mark that keeps the log from going on (`lake.recovery`):
there is either no deployment in the database or the whole one. Objects and keys come before it, and
what was cut off is begun again with the same backup, passing over what is there.

Invariants: no key is put that the backup's database takes for destroyed; what was published is
never replaced by something older.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from auditkeep.backup import dump, pool
from auditkeep.backup.check import Bucket
from auditkeep.backup.create import Progress
from auditkeep.backup.format import Manifest
from auditkeep.backup.pool import Kept
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers import KeyProvider, kept
from auditkeep.crypto.ring import KeyRing
from auditkeep.db import export
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.db.tx import SystemTx
from auditkeep.errors import KeyUnusable, ObjectExists, SetupError
from auditkeep.lake import governance, published
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import RESTORED, Lake, Restored
from auditkeep.lake.objects import ObjectStore
from auditkeep.lake.recovery import make_tiles
from auditkeep.lake.sequencer import newest_row


def put_objects(
    store: ObjectStore, target: ObjectStore, objects: Iterable[Kept], progress: Progress
) -> int:
    """Objects back under their names; how many. One that is there already must be the same.

    ObjectExists names the first that is another one.
    """
    wanted = list(objects)
    size = 0
    with ThreadPoolExecutor(pool.THREADS) as threads:
        done = threads.map(lambda one: _put_object(store, target, one), wanted)
        for number, (one, _) in enumerate(zip(wanted, done, strict=True), 1):
            size += one.size
            progress("putting objects back", number, size)
            reach("restore.some-objects")
    return len(wanted)


def _put_object(store: ObjectStore, target: ObjectStore, one: Kept) -> None:
    if target.exists(one.name):
        if pool.hashed(target, one.name) != (one.size, one.sha256):
            raise ObjectExists(
                f"The object '{one.name}' is there already, and is another one than in the backup. "
                "Restore into a place that is empty."
            )
        return
    with store.open(one.key) as stream:
        target.put(one.name, iter(lambda: stream.read(pool.CHUNK), b""))


def put_rows(
    db: Database,
    store: ObjectStore,
    manifest: Manifest,
    mark: Restored,
    ring: KeyRing,
    progress: Progress,
    *,
    resumed: bool = False,
) -> None:
    """All rows, in one transaction; SetupError where there are some of another deployment.

    `resumed`: this restore was cut off before, perhaps when all but its end was done.
    """
    with db.system_write() as tx:
        if not export.is_empty(tx):
            _require_same(tx, mark, resumed=resumed)
            return
        tables = {str(t.name): t for t in export.tables()}
        columns = {t.name: t.columns for t in manifest.tables}
        count = 0
        for name, rows in dump.rows(store, manifest):
            export.load(tx, tables[name], columns[name], rows)
            count += len(rows)
            progress("putting rows back", count)
        export.loaded(tx)
        told = {RESTORED: msgspec.json.encode(mark).decode()}
        master = tx.scalar(tx.select(meta.c.value).where(meta.c.key == "master_key"))
        if master not in ring.key_ids:  # it was rotated since; the key store opens under the new
            told["master_key"] = ring.key_id
        tx.upsert(meta, [{"key": k, "value": v} for k, v in told.items()], replace=["value"])
        reach("restore.before-commit")
    reach("restore.committed")


def require_no_rows(tx: SystemTx) -> None:
    """SetupError where the database holds a deployment."""
    if not export.is_empty(tx):
        raise SetupError(
            "The database is not empty: it holds a deployment. A restore replaces nothing; give "
            "it an empty one."
        )


def _require_same(tx: SystemTx, mark: Restored, *, resumed: bool) -> None:
    """Rows that a restore of the same backup has put, which was cut off behind them."""
    told = tx.scalar(tx.select(meta.c.value).where(meta.c.key == RESTORED))
    if told is None and resumed:
        return  # its log was recovered already; whose rows these are, the keys tell
    if told is None or msgspec.json.decode(told, type=Restored) != mark:
        require_no_rows(tx)


def require_opens(own: KeyStore, provider: KeyProvider) -> None:
    """KeyUnusable unless the master key opens the key store; asked before anything is put."""
    provider.unwrap(own.get(kept.NAME), kept.CONTEXT)


def require_keys(buckets: Mapping[str, Bucket], held: set[str], *, older: bool) -> list[str]:
    """Buckets whose keys were destroyed after the backup; KeyUnusable where keys are missing.

    `older`: the keys were backed up before the data, and may lack some for that reason.
    """
    missing = [name for name, one in buckets.items() if not one.destroyed and name not in held]
    if missing and older:
        raise KeyUnusable(
            f"The keys of {len(missing)} buckets are not in the backup of keys, which is older "
            "than the backup of data. Restore with a newer one: the newest is always right."
        )
    lasting = [name for name in missing if buckets[name].klass == governance.CLASS]
    if lasting:
        raise KeyUnusable(
            f"The key of bucket {lasting[0]} is missing, which no destruction takes: this is not "
            "the whole key store of the deployment. Restore with the newest backup of keys."
        )
    return sorted(missing)


def put_log(lake: Lake, *, kept_objects: bool) -> None:
    """The log's tiles and its checkpoint; what is published already stays."""
    with lake.db.system_read() as tx:
        newest, signed = newest_row(tx), newest_row(tx, signed=True)
    if kept_objects and lake.objects.exists(published.NAME):
        return  # it may have gone further than the backup: recovery compares the two
    if newest is not None:
        make_tiles(lake, newest)
    if signed is not None and signed.note is not None:
        lake.objects.replace(published.NAME, signed.note.encode())
