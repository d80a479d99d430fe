"""Sweeping: what an attempt that failed or a destruction that was interrupted left behind.

- Segments, leaf hashes and stored files: each has exactly one row that names it, written in the
  transaction for which it was put. An object is left alone while it is younger than the longest
  write could take, for its transaction may be about to commit.
- Segments that others have taken the place of: after a grace, in which who began to read before
  comes to an end.
- Keys of buckets that are marked destroyed: the mark was committed, so the key must go.

A database that is behind the published log does not know what newer rows referred to: then
nothing is swept at all.
"""

from auditkeep.clock import DAY, MINUTE, Instant
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import buckets, replaced
from auditkeep.db.tx import Tx
from auditkeep.ids import Tenant
from auditkeep.lake import published
from auditkeep.lake.lake import Lake
from auditkeep.lake.named import named
from auditkeep.lake.objects import Held
from auditkeep.lake.remains import forget_ids
from auditkeep.lake.segments import object_name

LONGEST_WRITE = 60 * MINUTE

GRACE = DAY
"""How long a segment that was replaced is there still. A snapshot lives minutes at most, and its
reader begins again where a file is missing; a backup may copy for hours what its database names."""

PIECE = 500
"""Objects deleted while other writers wait."""

_KINDS = ("segments", "leaves", "blobs")


def sweep(lake: Lake, tenant: Tenant, now: Instant) -> list[str]:
    """Delete what is orphaned of a tenant; the names of the objects that went.

    LogError if the database is behind the log that was published.
    """
    with lake.db.read(tenant) as tx:
        published.require_not_behind(tx, lake)
    destroy_keys(lake, tenant)
    forget_ids(lake, tenant)
    _let_go(lake, tenant, now)
    owner = f"{tenant.account}/{tenant.region}/"
    found = [entry for kind in _KINDS for entry in lake.objects.entries(f"{kind}/{owner}")]
    old = [entry.key for entry in found if entry.modified < now - LONGEST_WRITE]
    if not old:
        return []
    # Looked up after the list: what was put before and committed since is found to be in use.
    with lake.db.read(tenant) as tx:
        used = _used(tx)
    orphans = [name for name in old if name not in used]
    for name in orphans:
        lake.objects.delete(name)
    return orphans


def clear_away(lake: Lake, tenant: Tenant) -> int:
    """Delete everything that no row of a tenant refers to, however young; how many objects.

    Each piece is looked up and deleted under the tenant's lock, which is held by whoever puts an
    object and refers to it; a sealer, which is not, looks whether its segment is still there.
    """
    owner = f"{tenant.account}/{tenant.region}/"
    gone = 0
    with lake.db.write(tenant) as tx:
        tx.run(tx.delete(replaced))  # whoever reads them still has no right to
    for kind in _KINDS:
        names = sorted(lake.objects.list(f"{kind}/{owner}"))
        for some in in_pieces(names, PIECE):
            with lake.db.write(tenant) as tx:
                tx.lock_tenant()
                used = _used(tx)
                orphans = [n for n in some if n not in used]
                for name in orphans:
                    lake.objects.delete(name)
            gone += len(orphans)
        lake.objects.tidy(f"{kind}/{owner}")
    return gone


def purge(lake: Lake, tenant: Tenant, now: Instant) -> Held | None:
    """Take away for good what of a tenant was deleted and was held by the store at the time; what
    is held still. Its keys are destroyed: whoever keeps it, it says nothing.
    """
    owner = f"{tenant.account}/{tenant.region}/"
    found = [lake.objects.purge(f"{kind}/{owner}", now) for kind in _KINDS]
    held = [one for one in found if one is not None]
    if not held:
        return None
    until = [one.until for one in held if one.until is not None]
    return Held(
        sum(one.objects for one in held),
        sum(one.size for one in held),
        max(until) if until else None,
    )


def destroy_keys(lake: Lake, tenant: Tenant) -> list[str]:
    """Destroy the keys that a destruction which was committed did not get to; their buckets."""
    with lake.db.read(tenant) as tx:
        marked = tx.select(buckets.c.id).where(buckets.c.destroyed_at.is_not(None))
        doomed = {row.id for row in tx.stream(marked)}
    left = sorted(doomed.intersection(lake.keystore.bucket_ids())) if doomed else []
    for bucket_id in left:
        lake.keystore.destroy(bucket_id)
        lake.keys.forget(tenant, bucket_id)
    return left


def _let_go(lake: Lake, tenant: Tenant, now: Instant) -> None:
    """Forget replaced segments whose grace is over: their objects are orphans from now on."""
    with lake.db.write(tenant) as tx:
        tx.run(tx.delete(replaced).where(replaced.c.at <= now - GRACE))


def _used(tx: Tx) -> set[str]:
    waiting = tx.stream(tx.select(replaced.c.segment_id))
    return {
        *(one.name for one in named(tx)),
        *(object_name(tx.tenant, row.segment_id) for row in waiting),
    }
