"""Recovery: an honest restore goes on with the same log, and says what it cost (docs/adr/0017).

A database that was restored is behind what was published; nothing may be appended, because the log
would sign a second history. What was published is still there: its entries are read back from the
tiles, held to the signed checkpoint, and given their indexes again. Entries of batches that the
restored database has wait for them; those of batches it does not have are *lost*: the log keeps
them, and a recovery record, logged itself, declares that nothing stands behind them any more.

The other way round, tiles that were lost are made again from the database, if its entries give the
root that was signed. Only where neither gives the published root, a new epoch of the log begins
(`epochs`).

After a restore of everything from a backup nothing here tells what the log had published since:
going on under its name might give that name two roots for one size. So an epoch begins, unless
somebody brings the newest checkpoint that was published.

The key store is not restored with the database, or is newer: what was destroyed since the backup
stays destroyed. Its buckets are declared, and their rows follow their keys.

Each step is one transaction or harmless to repeat: a recovery that was cut off is simply run again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import msgspec

from auditkeep.clock import Instant, iso, parse
from auditkeep.db.schema import buckets, checkpoints, log_entries, meta, tenants
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import LogError, ObjectMissing, ProofError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import epochs, fields, governance, published
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.destruction import bury
from auditkeep.lake.lake import RESTORED, Lake, Restored
from auditkeep.lake.sequencer import FOLDER, Row, Sequencer, log_tiles, newest_row
from auditkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from auditkeep.tlog.epoch import Epoch
from auditkeep.tlog.merkle import EMPTY_ROOT, leaf_hash
from auditkeep.tlog.tiles import WIDTH, TileReader, new_tiles

How = Literal["nothing", "replayed", "tiles", "epoch"]

_UNDECLARED = "log_recovery"
"""Lost entries that no record has declared yet; a row of `meta`."""
_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done: sizes are the log's in entries, `lost` ranges of indexes, both included."""

    how: How
    before: int
    size: int
    matched: int
    lost: tuple[tuple[int, int], ...]
    origin: str
    buried: tuple[str, ...] = ()
    """Buckets that the backup had brought back, and whose keys had been destroyed since."""

    def summary(self) -> dict[str, Any]:
        """The answer for people and scripts."""
        told = {
            "nothing": "The database and the published log agree; there was nothing to recover.",
            "replayed": "What was published after the backup was read back into the database.",
            "tiles": "The log's tiles were made again from the database.",
            "epoch": "What was published could not be read back: a new epoch of the log began.",
        }
        return {
            "done": told[self.how],
            "how": self.how,
            "log": self.origin,
            "entriesBefore": self.before,
            "entries": self.size,
            "waiting": self.matched,
            "lost": [f"{low} to {high}" for low, high in self.lost],
            "stayDestroyed": list(self.buried),
        }


def recover(
    lake: Lake, home: Tenant, principal: str, now: Instant, newest: str | None = None
) -> tuple[Lake, Recovered]:
    """Make database and published log agree; the lake to go on with, and what was done.

    `home` is the tenant whose governance records say what was lost. `newest` is the text of the
    newest checkpoint that was published, as somebody outside has it: asked for only after a restore
    that brought the objects back too. Busy while a server or another command holds the log;
    LogError if it cannot be recovered, and then nothing was changed.
    """
    hold = lake.db.hold("sequencer", lake.data / "sequencer.lock")
    try:
        _require_key_store(lake)
        if lake.restored is not None and not lake.restored.kept:
            done = _after_restore(lake, lake.restored, newest)
        else:
            done = _agree(lake, now)
        if lake.restored is not None:
            with lake.db.system_write() as tx:
                _forget_restore(tx, lake)
    finally:
        hold.release()
    lake = replace(done.begun or lake, restored=None)
    lost, buried = _declare(lake, home, principal, now)
    with Sequencer(lake) as sequencer:
        checkpoint = sequencer.step(now)
    size = checkpoint.size if checkpoint is not None else 0
    return lake, Recovered(done.how, done.before, size, done.matched, lost, lake.origin, buried)


@dataclass(frozen=True, slots=True)
class _Done:
    how: How
    before: int
    matched: int = 0
    begun: Lake | None = None


def _agree(lake: Lake, now: Instant) -> _Done:
    public, text = _published(lake)
    with lake.db.system_read() as tx:
        newest = newest_row(tx, signed=True)
    before = newest.size if newest is not None else 0
    if _is_of_former(lake):  # an epoch began, and nobody has said so yet
        epochs.publish(lake, "" if newest is None else newest.note or "")
        return _Done("epoch", before)
    if public is not None and public.size > before:
        try:
            return _Done("replayed", before, _replay(lake, public, text, newest, now))
        except (LogError, ProofError, ObjectMissing):
            return _begin(lake, newest, public)
    if public is None and lake.objects.exists(published.NAME):
        # It was damaged: whether it was ahead of the database nobody can tell any more.
        return _begin(lake, newest, None)
    if newest is None:
        return _Done("nothing", 0)
    if public is not None and public.size == before and public.root != newest.root:
        return _begin(lake, newest, public)
    if _is_whole(log_tiles(lake, before), newest.root):
        return _Done("nothing", before)
    make_tiles(lake, newest)
    return _Done("tiles", before)


def _after_restore(lake: Lake, restored: Restored, told: str | None) -> _Done:
    """The same log if nothing was published after the backup, else an epoch that follows it."""
    with lake.db.system_read() as tx:
        newest = newest_row(tx, signed=True)
    before = newest.size if newest is not None else 0
    if told is None:
        return _begin(lake, newest, None, restored)
    try:
        last = open_checkpoint(told, [lake.signer.verifier])
    except ProofError as error:
        raise LogError(f"The checkpoint that was given is not one of this log: {error}") from error
    if last.size < before:
        raise LogError(
            f"The checkpoint that was given has {last.size} entries, the backup itself {before}: "
            "it is not the newest. Ask an auditor or a witness, or leave it out."
        )
    if last.size > before:
        return _begin(lake, newest, last)
    if newest is not None and last.root != newest.root:
        raise LogError(
            f"The checkpoint that was given has another root for {before} entries than the backup: "
            "one of the two is not of this log's history. Nothing was changed."
        )
    if newest is not None and not _is_whole(log_tiles(lake, before), newest.root):
        make_tiles(lake, newest)
    return _Done("nothing", before)


def _begin(
    lake: Lake, newest: Row | None, public: Checkpoint | None, unknown: Restored | None = None
) -> _Done:
    """A new epoch over what the database has signed; LogError if its entries do not give that.

    `unknown`: what was published after this backup is not known.
    """
    make_tiles(lake, newest)

    def note_lost(tx: SystemTx, epoch: Epoch) -> None:
        if unknown is not None:
            _note_lost(tx, epoch.former, (), unknown.backup, epoch.kept_size)
        elif epoch.last_size is not None and epoch.last_size > epoch.kept_size:
            _note_lost(tx, epoch.former, ((epoch.kept_size, epoch.last_size - 1),))
        _forget_restore(tx, lake)

    begun = epochs.begin(lake, newest, public, note_lost, end_known=unknown is None)
    return _Done("epoch", newest.size if newest is not None else 0, begun=begun)


def _is_of_former(lake: Lake) -> bool:
    if not lake.former:
        return False
    try:
        open_checkpoint(lake.objects.get(published.NAME).decode(), lake.verifiers[1:])
    except (ObjectMissing, ProofError, UnicodeDecodeError):
        return False
    return True


def _published(lake: Lake) -> tuple[Checkpoint | None, str]:
    """The published checkpoint, if this log signed it."""
    try:
        text = lake.objects.get(published.NAME).decode()
        return open_checkpoint(text, [lake.signer.verifier]), text
    except (ObjectMissing, ProofError, UnicodeDecodeError):
        return None, ""


def _replay(lake: Lake, public: Checkpoint, text: str, newest: Row | None, now: Instant) -> int:
    """Entries and checkpoint back into the database; how many of them waited there for an index.

    LogError, ProofError or ObjectMissing, with nothing changed, unless the tiles give the published
    root, and go on from what the database has signed.
    """
    tiles = log_tiles(lake, public.size)
    if tiles.root() != public.root:
        raise LogError("The tiles do not give the published root.")
    first = newest.size if newest is not None else 0
    if newest is not None and log_tiles(lake, first).root() != newest.root:
        raise LogError("The tiles do not go on from what the database has signed.")
    matched = 0
    lost: list[int] = []
    with lake.db.system_write() as tx:
        tx.lock("log")
        e = log_entries.c
        given = {r.log_index: bytes(r.entry) for r in tx.all(_indexed_from(tx, first))}
        waiting = tx.select(e.position, e.entry).where(e.log_index.is_(None))
        positions = {bytes(r.entry): r.position for r in tx.all(waiting)}
        for index, entry in _entries(tiles, first):
            if index in given:
                if given[index] != entry:
                    raise LogError(f"Entry {index} is another one in the database.")
            elif entry in positions:
                here = tx.update(log_entries).where(e.position == positions[entry])
                tx.run(here.values(log_index=index))
                matched += 1
            else:
                tx.insert(log_entries, {"entry": entry, "log_index": index})
                lost.append(index)
        tx.insert(
            checkpoints,
            {"size": public.size, "root": public.root, "note": text, "created_at": now},
        )
        _note_lost(tx, lake.origin, governance.ranges(lost))
        reach("recover.before-commit")
    reach("recover.committed")
    return matched


def _indexed_from(tx: SystemTx, first: int) -> Any:
    e = log_entries.c
    return tx.select(e.log_index, e.entry).where(e.log_index >= first)


def _entries(tiles: TileReader, first: int) -> Iterator[tuple[int, bytes]]:
    """(index, entry) from `first` on, each held to the hash that the root covers."""
    for number in range(first // WIDTH, (tiles.size + WIDTH - 1) // WIDTH):
        for inside, entry in enumerate(tiles.entries(number)):
            index = number * WIDTH + inside
            if index < first:
                continue
            if leaf_hash(entry) != tiles.node(0, index):
                raise LogError(f"Entry {index} of the tiles is not the one that was signed.")
            yield index, entry


def make_tiles(lake: Lake, newest: Row | None) -> None:
    """Every tile anew from the database's entries; LogError unless they give the signed root."""
    size, root = (newest.size, newest.root) if newest is not None else (0, EMPTY_ROOT)
    fresh: dict[str, bytes] = {}

    def get(path: str) -> bytes:
        if path not in fresh:
            raise ObjectMissing(f"There is no tile {path!r}.")
        return fresh[path]

    for start in range(0, size, _AT_ONCE):
        stop = min(size, start + _AT_ONCE)
        e = log_entries.c
        with lake.db.system_read() as tx:
            query = tx.select(e.log_index, e.entry).where(e.log_index >= start, e.log_index < stop)
            rows = tx.all(query.order_by(e.log_index))
        if [r.log_index for r in rows] != list(range(start, stop)):
            raise LogError("Log entries are missing from the database: restore it from a backup.")
        fresh |= new_tiles(get, start, [bytes(r.entry) for r in rows])
    if not _has_root(TileReader(get, size), root):
        raise LogError(
            f"The database's entries do not give the root of its checkpoint of {size} "
            "entries: they were changed. Restore the database from a backup."
        )
    for name in list(lake.objects.list(f"{FOLDER}tile/")):
        if fresh.get(name.removeprefix(FOLDER)) != lake.objects.get(name):
            lake.objects.delete(name)
    for path, content in fresh.items():
        if not lake.objects.exists(FOLDER + path):
            lake.objects.put(FOLDER + path, content)


def _has_root(tiles: TileReader, root: bytes) -> bool:
    try:
        return tiles.root() == root
    except (ObjectMissing, ProofError, LogError):
        return False


class _Undeclared(msgspec.Struct):
    """What was lost, of which log."""

    origin: str
    lost: tuple[tuple[int, int], ...]
    backup: str = ""
    size: int | None = None


def _is_whole(tiles: TileReader, root: bytes) -> bool:
    """Whether all tiles are there, entries too, and give the root."""
    try:
        return tiles.root() == root and all(entry for _, entry in _entries(tiles, 0))
    except (ObjectMissing, ProofError, LogError):
        return False


def _note_lost(
    tx: SystemTx,
    origin: str,
    lost: tuple[tuple[int, int], ...],
    backup: str = "",
    size: int | None = None,
) -> None:
    if lost or backup:
        value = msgspec.json.encode(_Undeclared(origin, lost, backup, size)).decode()
        tx.upsert(meta, [{"key": _UNDECLARED, "value": value}], replace=["value"])


def _forget_restore(tx: SystemTx, lake: Lake) -> None:
    """The log is recovered; that it was is declared next, whatever was lost."""
    if lake.restored is not None:
        tx.run(tx.delete(meta).where(meta.c.key == RESTORED))
        value = msgspec.json.encode(_Undeclared(lake.origin, ())).decode()
        tx.upsert(meta, [{"key": _UNDECLARED, "value": value}])  # unless more is to be said


def _require_key_store(lake: Lake) -> None:
    """LogError where keys are missing that nothing destroys: this is not the whole key store."""
    missing = [row.id for row in _without_key(lake) if row.klass == governance.CLASS]
    if missing:
        raise LogError(
            f"The key store lacks the key of bucket {missing[0]}, which no destruction takes: it "
            "is older than the database, or damaged. Restore the newest backup of the key store "
            "first; nothing was changed."
        )


def _declare(
    lake: Lake, home: Tenant, principal: str, now: Instant
) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """Log what was lost, once, and bury what stays destroyed; what this or an interrupted recovery
    has found: entries, and buckets.
    """
    with lake.db.system_read() as tx:
        found = tx.scalar(tx.select(meta.c.value).where(meta.c.key == _UNDECLARED))
        newest = newest_row(tx)
    if found is None:
        return (), ()
    told = msgspec.json.decode(found, type=_Undeclared)
    base = governance.Recovery(
        at=iso(now),
        id=new_id(),
        lost=(),
        origin=told.origin,
        principal=principal,
        size=told.size if told.size is not None else newest.size if newest is not None else 0,
    )
    keyless = _keyless(lake)
    buried = tuple(key for keys in keyless.values() for key in keys)
    for tenant, keys in keyless.items():
        if tenant == home:
            continue
        record = msgspec.structs.replace(base, id=new_id(), keys=keys)
        lake.db.change(tenant, partial(_record, lake=lake, record=record))
    record = msgspec.structs.replace(
        base, lost=told.lost, keys=keyless.get(home, ()), backup=told.backup
    )

    def last(tx: Tx) -> None:
        _record(tx, lake, record)
        system = tx.system()
        system.run(system.delete(meta).where(meta.c.key == _UNDECLARED))
        reach("recover.before-declared")

    lake.db.change(home, last)
    return told.lost, buried


def _record(tx: Tx, lake: Lake, record: governance.Recovery) -> None:
    """Log a recovery in a tenant's governance, and let rows follow the keys that it names."""
    now = parse(record.at)
    batch_no = governance.record(
        tx, lake, [record], principal=record.principal, run=record.id, now=now
    )
    if not record.keys:
        return
    b, t = buckets.c, tenants.c
    bury(tx, lake, record.keys, now)
    tx.run(tx.update(tenants).values(last_evidence_batch=batch_no))
    kept = tx.select(b.destroyed_at).where(b["class"] == fields.CLASS)
    if all(row.destroyed_at is not None for row in tx.all(kept)):
        # only who left with everything loses the key of what it wrote
        gone = tx.update(tenants).where(t.status.in_(("ACTIVE", "INACTIVE")))
        tx.run(gone.values(status="ERASED"))


def _keyless(lake: Lake) -> dict[Tenant, tuple[str, ...]]:
    """Buckets that the database takes for alive and whose keys are gone.

    The key store is not restored with the database: what was destroyed since stays destroyed.
    """
    found: dict[Tenant, tuple[str, ...]] = {}
    for row in _without_key(lake):
        tenant = Tenant(row.account, row.region)
        found[tenant] = (*found.get(tenant, ()), row.id)
    return found


def _without_key(lake: Lake) -> list[Any]:
    b = buckets.c
    held = set(lake.keystore.bucket_ids())
    with lake.db.system_read() as tx:
        columns = (b.account, b.region, b.id, b["class"].label("klass"))
        alive = tx.select(*columns).where(b.destroyed_at.is_(None)).order_by(b.id)
        return [row for row in tx.all(alive) if row.id not in held]
