"""Records on their way into the lake: durable, sealed, in the transaction of what they tell of.

A row holds some records of one owner, sealed under a key of the owner's activity bucket and bound
to the row; nothing of a call can be read from the table. The batcher takes rows out in the one
transaction that appends them to the lake, so that each is there exactly once, whoever dies when.

The owner of a record is the tenant that was called; the home tenant owns what concerns none that
ever registered, for only a tenant has a lake.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import bindparam, func

from auditkeep.activity.model import Noted
from auditkeep.clock import Instant, month_of
from auditkeep.crypto.aead import open_sealed, seal
from auditkeep.db.pieces import in_pieces
from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import activity_pending, buckets, erasures, meta, tenants
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.errors import KeyUnusable
from auditkeep.ids import Tenant, quick_id
from auditkeep.lake.buckets import ACTIVITY, ERASED, BucketKeys, current

MOST_BYTES = 1 << 20
"""Of the records in one row, about; a single larger one has a row of its own."""

_TABLE = activity_pending
_REGISTERED = Prepared(tenants.c.status)
_BUCKET = Prepared(
    buckets.c.id,
    where=[
        buckets.c["class"] == ACTIVITY,
        buckets.c.month == bindparam("month"),
        buckets.c.destroyed_at.is_(None),
    ],
    order_by=[buckets.c.generation.desc()],
)
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[Noted])


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an owner has on its way."""

    owner: Tenant
    records: int
    oldest: Instant


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, opened; what was sealed under a key that was destroyed is gone, as it should."""

    ids: tuple[str, ...]
    noted: tuple[Noted, ...]


def owner(tx: Tx) -> Tx:
    """The transaction of whom a record about this tenant belongs to.

    Nothing is kept any more for a tenant that is erased, until it registers again.
    """
    rows = tx.fetch(_REGISTERED)
    if rows and rows[0].status not in ERASED:
        return tx
    home = home_of(tx.system())
    return tx if home is None else tx.system().of(home)


def erased(tx: SystemTx) -> dict[Tenant, Instant]:
    """Since when each tenant that was erased is: records of what came before go with it."""
    t = erasures.c
    query = tx.select(t.account, t.region, func.max(t.asked_at).label("at"))
    rows = tx.all(query.group_by(t.account, t.region))
    return {Tenant(r.account, r.region): Instant(r.at) for r in rows}


def home_of(tx: SystemTx) -> Tenant | None:
    """The tenant the deployment was set up for."""
    names = ("account", "region")
    rows = tx.all(tx.select(meta.c.key, meta.c.value).where(meta.c.key.in_(names)))
    found = {row.key: row.value for row in rows}
    return Tenant(found["account"], found["region"]) if len(found) == len(names) else None


def keep(tx: Tx, keys: BucketKeys, noted: Sequence[Noted], now: Instant) -> None:
    """Add records to what an owner has on its way; they are durable when the caller commits."""
    if not noted:
        return
    bucket = _bucket(tx, keys, now)
    for some in _rows_of(noted):
        row_id = quick_id()
        key = keys.object_key(tx.tenant, bucket, _object_id(row_id))
        tx.insert(
            _TABLE,
            {
                "id": row_id,
                "bucket_id": bucket,
                "records": len(some),
                "blob": seal(key, _encode(some), _aad(tx.tenant, row_id)),
                "created_at": now,
            },
        )


def waiting(tx: SystemTx) -> list[Waiting]:
    """Every owner that has records on their way, and that the lake can keep them for."""
    t = _TABLE.c
    query = (
        tx.select(
            t.account,
            t.region,
            func.sum(t.records).label("sum"),
            func.min(t.created_at).label("at"),
        )
        .join(tenants, (tenants.c.account == t.account) & (tenants.c.region == t.region))
        .group_by(t.account, t.region)
        .order_by(t.account, t.region)
    )
    return [Waiting(Tenant(r.account, r.region), int(r.sum), Instant(r.at)) for r in tx.all(query)]


def oldest(tx: Tx, keys: BucketKeys, most: int | None = None) -> Rows:
    """The owner's oldest rows, up to `most` records or one row beyond; None: all.

    Who is going to take them out holds the tenant's lock.
    """
    ids = _oldest_ids(tx, most)
    found: list[Noted] = []
    for some in in_pieces(ids):
        t = _TABLE.c
        query = tx.select(t.id, t.bucket_id, t.blob).where(t.id.in_(some))
        for row in tx.all(query):
            try:
                key = keys.object_key(tx.tenant, row.bucket_id, _object_id(row.id))
            except KeyUnusable:
                if not _destroyed(tx, row.bucket_id):
                    raise  # out of reach for now: it waits
                continue
            found += _decoder.decode(open_sealed(key, bytes(row.blob), _aad(tx.tenant, row.id)))
    found.sort(key=lambda noted: noted.at)
    return Rows(tuple(ids), tuple(found))


def remove(tx: Tx, ids: Sequence[str]) -> None:
    """Take rows out, in the transaction that has put what they held elsewhere."""
    for some in in_pieces(ids):
        tx.run(tx.delete(_TABLE).where(_TABLE.c.id.in_(some)))


def _oldest_ids(tx: Tx, most: int | None) -> list[str]:
    t = _TABLE.c
    ids: list[str] = []
    records = 0
    for row in tx.all(tx.select(t.id, t.records).order_by(t.created_at, t.id)):
        if most is not None and records >= most:
            break
        ids.append(row.id)
        records += row.records
    return ids


def _bucket(tx: Tx, keys: BucketKeys, now: Instant) -> str:
    found = tx.fetch(_BUCKET, month=month_of(now))
    if found:
        return str(found[0].id)
    tx.lock_tenant()
    return current(tx, keys, ACTIVITY, now)


def _destroyed(tx: Tx, bucket_id: str) -> bool:
    row = tx.first(tx.select(buckets.c.destroyed_at).where(buckets.c.id == bucket_id))
    return row is None or row.destroyed_at is not None


def _rows_of(noted: Sequence[Noted]) -> Iterator[list[Noted]]:
    some: list[Noted] = []
    size = 0
    for one in noted:
        if some and size + len(one.raw) > MOST_BYTES:
            yield some
            some, size = [], 0
        some.append(one)
        size += len(one.raw)
    yield some


def _object_id(row_id: str) -> str:
    return f"pending/{row_id}"


def _aad(owner: Tenant, row_id: str) -> bytes:
    return f"auditkeep/pending/1\n{owner.account}\n{owner.region}\n{row_id}".encode()
