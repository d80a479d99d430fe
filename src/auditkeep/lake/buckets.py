"""Buckets: what one key opens, and what destroying that key destroys (docs/adr/0006).

A bucket is (tenant, class, month of collection, provider key, generation). Its key is random,
wrapped by the provider under a context that names tenant and bucket, and kept in the key store
durably *before* the bucket's row commits: a bucket without a key can never be found, a key
without a bucket opens nothing.
"""

import threading
from collections import OrderedDict

from auditkeep.clock import Instant, month_of
from auditkeep.crypto.aead import new_key
from auditkeep.crypto.derive import object_key
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers import KeyProvider
from auditkeep.db.schema import buckets
from auditkeep.db.tx import Tx
from auditkeep.errors import StorageError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.crashpoints import reach

ACTIVITY = "activity"
GOVERNANCE = "governance"
ASIDE = frozenset({ACTIVITY, GOVERNANCE})
"""Classes kept apart from evidence: only who names one looks into it, and what is remembered of
evidence stays true however much is added to them."""

ERASED = frozenset({"ERASING", "ERASED"})
"""What a tenant's status is from the request to destroy everything until it registers again."""

CACHED_KEYS = 256
"""A month of classes for many tenants; each key is 32 bytes."""


class BucketKeys:
    """Bucket keys of this process: made, unwrapped once, and forgotten when others need room."""

    def __init__(self, provider: KeyProvider, keystore: KeyStore) -> None:
        self._provider = provider
        self._keystore = keystore
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[Tenant, str], bytes] = OrderedDict()

    @property
    def provider_key(self) -> str:
        """Names the master key that new buckets are wrapped with."""
        return self._provider.key_id

    def make(self, tenant: Tenant, bucket_id: str) -> None:
        """Give a new bucket its key, durably."""
        key = new_key()
        self._keystore.put(bucket_id, self._provider.wrap(key, _context(tenant, bucket_id)))
        reach("bucket.key-kept")
        self._remember(tenant, bucket_id, key)

    def object_key(self, tenant: Tenant, bucket_id: str, object_id: str) -> bytes:
        """The key of one object; KeyUnusable if the bucket's key is destroyed or not ours."""
        return object_key(self.key(tenant, bucket_id), object_id)

    def key(self, tenant: Tenant, bucket_id: str) -> bytes:
        """The bucket's own key, which is only derived from: the same object while it is known."""
        with self._lock:
            key = self._keys.get((tenant, bucket_id))
        if key is None:
            wrapped = self._keystore.get(bucket_id)
            key = self._provider.unwrap(wrapped, _context(tenant, bucket_id))
            self._remember(tenant, bucket_id, key)
        return key

    def forget(self, tenant: Tenant, bucket_id: str) -> None:
        """Drop the key from memory, when it is destroyed."""
        with self._lock:
            self._keys.pop((tenant, bucket_id), None)

    def _remember(self, tenant: Tenant, bucket_id: str, key: bytes) -> None:
        with self._lock:
            self._keys[tenant, bucket_id] = key
            self._keys.move_to_end((tenant, bucket_id))
            if len(self._keys) > CACHED_KEYS:
                self._keys.popitem(last=False)


def current(tx: Tx, keys: BucketKeys, klass: str, now: Instant) -> str:
    """The id of the bucket that what is collected now goes to; made if there is none yet.

    Call under the tenant's lock.
    """
    month = month_of(now)
    same = (
        tx.select(buckets.c.id)
        .where(
            buckets.c["class"] == klass,
            buckets.c.month == month,
            buckets.c.provider_key == keys.provider_key,
            buckets.c.destroyed_at.is_(None),
        )
        .order_by(buckets.c.generation.desc())
        .limit(1)
    )
    found: str | None = tx.scalar(same)
    return open_bucket(tx, keys, klass, now) if found is None else found


def open_bucket(tx: Tx, keys: BucketKeys, klass: str, now: Instant) -> str:
    """A new bucket of a class; its id."""
    bucket_id = new_id()
    keys.make(tx.tenant, bucket_id)
    row = {
        "id": bucket_id,
        "class": klass,
        "month": month_of(now),
        "provider_key": keys.provider_key,
        "generation": 1,
        "created_at": now,
    }
    tx.insert(buckets, row)
    return bucket_id


def require_open(tx: Tx, status: str, klass: str) -> None:
    """StorageError where a tenant of this status is erased, and takes no content any more."""
    if status in ERASED and klass not in ASIDE:
        raise StorageError(
            f"Account {tx.tenant.account} was deregistered from {tx.tenant.region} with all its "
            "data: nothing can be kept for it until it registers again."
        )


def require(tx: Tx, bucket_id: str) -> None:
    """StorageError unless the bucket is the tenant's own and alive."""
    destroyed = tx.first(tx.select(buckets.c.destroyed_at).where(buckets.c.id == bucket_id))
    if destroyed is None or destroyed[0] is not None:
        raise StorageError(f"The bucket {bucket_id} is not there, or was destroyed.")


def _context(tenant: Tenant, bucket_id: str) -> dict[str, str]:
    return {"account": tenant.account, "region": tenant.region, "bucket": bucket_id}
