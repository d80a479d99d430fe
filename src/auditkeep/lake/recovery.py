"""Recovery: an honest restore goes on with the same log, and says what it cost (docs/adr/0017).

A database that was restored is behind what was published; nothing may be appended, because the log
would sign a second history. What was published is still there: its entries are read back from the
tiles, held to the signed checkpoint, and given their indexes again. Entries of batches that the
restored database has wait for them; those of batches it does not have are *lost*: the log keeps
them, and a recovery record, logged itself, declares that nothing stands behind them any more.

The other way round, tiles that were lost are made again from the database, if its entries give the
root that was signed. Only where neither gives the published root, a new epoch of the log begins
(`epochs`).

Each step is one transaction or harmless to repeat: a recovery that was cut off is simply run again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from auditkeep.clock import Instant, iso
from auditkeep.db.schema import buckets, checkpoints, log_entries, meta, tenants
from auditkeep.db.tx import SystemTx
from auditkeep.errors import LogError, ObjectMissing, ProofError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake import epochs, governance, published
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake
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
        }


def recover(lake: Lake, home: Tenant, principal: str, now: Instant) -> tuple[Lake, Recovered]:
    """Make database and published log agree; the lake to go on with, and what was done.

    `home` is the tenant whose governance records say what was lost. Busy while a server or another
    command holds the log; LogError if it cannot be recovered, and then nothing was changed.
    """
    hold = lake.db.hold("sequencer", lake.data / "sequencer.lock")
    try:
        done = _agree(lake, now)
    finally:
        hold.release()
    lake = done.begun or lake
    lost = _declare(lake, home, principal, now)
    with Sequencer(lake) as sequencer:
        checkpoint = sequencer.step(now)
    size = checkpoint.size if checkpoint is not None else 0
    return lake, Recovered(done.how, done.before, size, done.matched, lost, lake.origin)


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


def _begin(lake: Lake, newest: Row | None, public: Checkpoint | None) -> _Done:
    """A new epoch over what the database has signed; LogError if its entries do not give that."""
    make_tiles(lake, newest)

    def note_lost(tx: SystemTx, epoch: Epoch) -> None:
        if epoch.last_size > epoch.kept_size:
            _note_lost(tx, epoch.former, ((epoch.kept_size, epoch.last_size - 1),))

    begun = epochs.begin(lake, newest, public, note_lost)
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


def _is_whole(tiles: TileReader, root: bytes) -> bool:
    """Whether all tiles are there, entries too, and give the root."""
    try:
        return tiles.root() == root and all(entry for _, entry in _entries(tiles, 0))
    except (ObjectMissing, ProofError, LogError):
        return False


def _note_lost(tx: SystemTx, origin: str, lost: tuple[tuple[int, int], ...]) -> None:
    if lost:
        value = msgspec.json.encode(_Undeclared(origin, lost)).decode()
        tx.upsert(meta, [{"key": _UNDECLARED, "value": value}], replace=["value"])


def _declare(lake: Lake, home: Tenant, principal: str, now: Instant) -> tuple[tuple[int, int], ...]:
    """Log what was lost, once; what this or an interrupted recovery has found."""
    with lake.db.system_read() as tx:
        found = tx.scalar(tx.select(meta.c.value).where(meta.c.key == _UNDECLARED))
        newest = newest_row(tx)
    if found is None:
        return ()
    told = msgspec.json.decode(found, type=_Undeclared)
    base = governance.Recovery(
        at=iso(now),
        id=new_id(),
        lost=(),
        origin=told.origin,
        principal=principal,
        size=newest.size if newest is not None else 0,
    )
    keyless = _keyless(lake)
    for tenant, keys in keyless.items():
        if tenant == home:
            continue
        record = msgspec.structs.replace(base, id=new_id(), keys=keys)
        with lake.db.write(tenant) as tx2:
            governance.record(tx2, lake, [record], principal=principal, run=record.id, now=now)
    record = msgspec.structs.replace(base, lost=told.lost, keys=keyless.get(home, ()))
    with lake.db.write(home) as tx3:
        governance.record(tx3, lake, [record], principal=principal, run=record.id, now=now)
        system = tx3.system()
        system.run(system.delete(meta).where(meta.c.key == _UNDECLARED))
        reach("recover.before-declared")
    return told.lost


def _keyless(lake: Lake) -> dict[Tenant, tuple[str, ...]]:
    """Buckets that the database takes for alive and whose keys are gone, of active tenants.

    The key store is not restored with the database: what was destroyed since stays destroyed.
    """
    b, t = buckets.c, tenants.c
    held = lake.keystore.bucket_ids()
    with lake.db.system_read() as tx:
        active = {
            (r.account, r.region)
            for r in tx.all(tx.select(t.account, t.region).where(t.status == "ACTIVE"))
        }
        alive = tx.select(b.account, b.region, b.id).where(b.destroyed_at.is_(None)).order_by(b.id)
        rows = tx.all(alive)
    found: dict[Tenant, tuple[str, ...]] = {}
    for row in rows:
        if row.id not in held and (row.account, row.region) in active:
            tenant = Tenant(row.account, row.region)
            found[tenant] = (*found.get(tenant, ()), row.id)
    return found
