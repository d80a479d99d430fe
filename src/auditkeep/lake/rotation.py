"""Rotation: data keys are wrapped anew, and the old master key goes when none needs it any more.

    1. the new master key joins the list (`crypto.masters`): what is new is wrapped under it at once
    2. each wrapped key is opened and wrapped anew, in pieces, each under its tenant's lock
    3. when nothing is left under the old one, it leaves the list

Content is not touched: its keys stay what they are. Beside a running server nothing waits for
longer than one piece. Whatever dies at whatever moment: a second run goes on, for a wrapped key
names its own master, and a list of several masters is a rotation that is not over.

Invariants: a destroyed key never comes back (destruction marks the bucket's row under the same
lock); the old master leaves only when no file of the key store names it but such as have had no
bucket for longer than a write could take, and those open nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auditkeep.clock import MINUTE, Instant
from auditkeep.crypto.aead import new_key
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.masters import Master
from auditkeep.crypto.providers import kept, master_of
from auditkeep.crypto.ring import KeyRing
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import buckets, meta
from auditkeep.db.tx import Tx
from auditkeep.errors import KeyUnusable
from auditkeep.ids import Tenant
from auditkeep.lake.buckets import OF_THE_DEPLOYMENT, context, wrapped_by
from auditkeep.lake.crashpoints import reach
from auditkeep.lake.lake import Lake

LOCAL = "local"
"""What `to` says for a new key of our own."""

PIECE = 500
"""Keys that are wrapped anew in one transaction."""
GRACE_SECONDS = 1.0
"""How long after the new master a bucket may still be put that was wrapped under the old one."""
LONGEST_WRITE = 60 * MINUTE

Progress = Callable[["Rotated"], None]


@dataclass(slots=True)
class Rotated:
    """What was done so far, and what is left to be removed by hand."""

    keys: int = 0
    unchanged: int = 0
    master: str = ""
    retired: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Old masters that are in the list still: keys need them, or the list is not ours to write."""
    waiting: int = 0
    """Keys that name an old master, and may be about to belong to something: run again later."""


def begin(ring: KeyRing, to: str) -> None:
    """Put the new master key at the end of the list; a rotation that is not over goes on.

    `to` is LOCAL, the name of a key held elsewhere, or empty: a new key of the kind there is.
    """
    masters = ring.masters.read()
    unfinished = len(masters) > 1
    if unfinished and to in ("", ring.key_id):
        return
    if unfinished and not (to == LOCAL and ring.key_id.startswith("local:")):
        raise KeyUnusable(
            f"A rotation to {ring.key_id} is not over. Run 'auditkeep keys rotate' without --to "
            "first; then rotate again."
        )
    if unfinished or to == ring.key_id:
        return
    if not to and isinstance(masters[-1], str):
        return  # its holder rotates it; what is not under it yet is wrapped anew
    added: Master = to
    if to in ("", LOCAL):
        added = new_key()
    else:
        ring.prove(to)
    ring.masters.write([*masters, added])
    reach("rotate.begun")


def rotate(
    lake: Lake,
    ring: KeyRing,
    own: KeyStore,
    now: Instant,
    progress: Progress = lambda _done: None,
) -> Rotated:
    """Wrap everything that is under the deployment's old master keys under its newest."""
    started = time.monotonic()
    done = Rotated(master=ring.key_id)
    old = ring.key_ids[:-1]
    _rewrap_own(ring, own, done)

    def wanted(_klass: str, master: str) -> str | None:
        return ring.key_id if master in old else None

    for tenant in _tenants(lake):
        _rewrap(lake, ring, tenant, wanted, done, progress)
    if old:
        time.sleep(max(0.0, GRACE_SECONDS - (time.monotonic() - started)))
        again = Rotated()
        for tenant in _tenants(lake):  # what was put in the meantime
            _rewrap(lake, ring, tenant, wanted, again, lambda _done: None)
        done.keys += again.keys
        _retire(lake, ring, own, old, now, done)
    with lake.db.system_write() as tx:
        row = {"key": "master_key", "value": ring.key_id}
        tx.upsert(meta, [row], replace=["value"])
    progress(done)
    return done


def rotate_tenant(
    lake: Lake, ring: KeyRing, tenant: Tenant, to: str, progress: Progress = lambda _done: None
) -> Rotated:
    """Wrap what a tenant has under the key that its new data goes under, or under `to`."""
    with lake.db.read(tenant) as tx:
        name = to or wrapped_by(tx, "facts")
    target = ring.named(name).key_id
    done = Rotated(master=target)

    def wanted(klass: str, master: str) -> str | None:
        goal = ring.key_id if klass in OF_THE_DEPLOYMENT else target
        return None if master == goal else goal

    _rewrap(lake, ring, tenant, wanted, done, progress)
    return done


def _rewrap(
    lake: Lake,
    ring: KeyRing,
    tenant: Tenant,
    wanted: Callable[[str, str], str | None],
    done: Rotated,
    progress: Progress,
) -> None:
    with lake.db.read(tenant) as tx:
        alive = _alive(tx)
    for some in in_pieces(alive, PIECE):
        anew: dict[str, tuple[bytes, bytes]] = {}
        masters: dict[str, str] = {}
        for bucket_id, klass, named in some:
            try:
                before = lake.keystore.get(bucket_id)
            except KeyUnusable:
                continue  # destroyed since, or lost: the audit names it
            master = master_of(before)
            goal = wanted(klass, master)
            if goal is not None:
                bound = context(tenant, bucket_id)
                anew[bucket_id] = before, ring.wrap(ring.unwrap(before, bound), bound, goal)
                masters[bucket_id] = goal
            elif master != named:
                masters[bucket_id] = master  # a run before this one did not get to the row
        if masters:
            _put(lake, tenant, anew, masters)
        done.keys += len(anew)
        done.unchanged += len(some) - len(anew)
        progress(done)


def _put(
    lake: Lake,
    tenant: Tenant,
    anew: dict[str, tuple[bytes, bytes]],
    masters: dict[str, str],
) -> None:
    with lake.db.write(tenant) as tx:
        tx.lock_tenant()
        still = {bucket_id for bucket_id, _, _ in _alive(tx)}
        lake.keystore.rewrap({k: v for k, v in anew.items() if k in still})
        reach("rotate.keys-wrapped")
        for master in set(masters.values()):
            ids = [b for b, name in masters.items() if name == master and b in still]
            named = tx.update(buckets).where(buckets.c.id.in_(ids))
            tx.run(named.values(provider_key=master))
        reach("rotate.before-commit")


def _rewrap_own(ring: KeyRing, own: KeyStore, done: Rotated) -> None:
    before = own.get(kept.NAME)
    if master_of(before) == ring.key_id:
        done.unchanged += 1
        return
    after = ring.wrap(ring.unwrap(before, kept.CONTEXT), kept.CONTEXT)
    own.rewrap({kept.NAME: (before, after)})
    done.keys += 1
    reach("rotate.secrets-wrapped")


def _retire(
    lake: Lake,
    ring: KeyRing,
    own: KeyStore,
    old: Sequence[str],
    now: Instant,
    done: Rotated,
) -> None:
    """Take old masters off the list, unless something may need one still."""
    used = {master_of(own.get(kept.NAME))}
    known = {b for tenant in _tenants(lake) for b in _ids(lake, tenant)}
    for bucket_id in lake.keystore.bucket_ids():
        young = lake.keystore.written_at(bucket_id) > now - LONGEST_WRITE
        try:
            master = master_of(lake.keystore.get(bucket_id))
        except KeyUnusable:
            continue  # destroyed meanwhile
        if master in old and (bucket_id in known or young):
            used.add(master)
            done.waiting += 1
    done.left = tuple(name for name in old if name in used)
    with lake.db.system_write() as tx:  # first: a list without the name in it would be refused
        tx.upsert(meta, [{"key": "master_key", "value": ring.key_id}], replace=["value"])
    reach("rotate.before-retired")
    masters = ring.masters.read()
    keep = [m for m, name in zip(masters, ring.key_ids, strict=True) if name not in old]
    if done.left:
        return
    try:
        ring.masters.write(keep)
    except KeyUnusable:  # the list is not ours to write: whoever gave it takes them away
        done.left = tuple(old)
    else:
        done.retired = tuple(old)


def _tenants(lake: Lake) -> list[Tenant]:
    with lake.db.system_read() as tx:
        b = buckets.c
        rows = tx.all(tx.select(b.account, b.region).distinct().order_by(b.account, b.region))
    return [Tenant(row.account, row.region) for row in rows]


def _ids(lake: Lake, tenant: Tenant) -> list[str]:
    with lake.db.read(tenant) as tx:
        return [bucket_id for bucket_id, _, _ in _alive(tx)]


def _alive(tx: Tx) -> list[tuple[str, str, str]]:
    """(id, class, master key) of each bucket whose key is not destroyed."""
    b = buckets.c
    query = tx.select(b.id, b["class"].label("klass"), b.provider_key)
    rows = tx.all(query.where(b.destroyed_at.is_(None)).order_by(b.created_at, b.id))
    return [(row.id, row.klass, row.provider_key) for row in rows]
