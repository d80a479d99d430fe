"""Buckets: what one key opens, and what destroying that key destroys (docs/adr/0006, 0020).

A bucket is (tenant, class, month of collection, provider key, generation). Its key is random,
wrapped by the provider under a context that names tenant and bucket, and kept in the key store
durably *before* the bucket's row commits: a bucket without a key can never be found, a key
without a bucket opens nothing.

Whose key wraps is decided when a bucket is made (`wrapped_by`): the tenant's, or the deployment's
own. Unwrapped keys stay in memory for a while and never elsewhere: a master key that is disabled
opens nothing any more when that while is over.

A master key in AWS KMS or an HSM is *distant*: nobody whom others wait for asks for it
(`crypto.asking`).
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from auditkeep.clock import Instant, month_of
from auditkeep.crypto.aead import new_key
from auditkeep.crypto.asking import at_hand, with_keys
from auditkeep.crypto.derive import object_key
from auditkeep.crypto.keystore import KeyStore
from auditkeep.crypto.providers import KeyProvider, is_distant, master_of
from auditkeep.crypto.ring import OWN, KeyRing, SingleRing
from auditkeep.db.database import Database
from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import assessments, buckets, tenants
from auditkeep.db.tx import Tx
from auditkeep.errors import KeyDestroyed, KeyUnusable, ObjectMissing, StorageError
from auditkeep.ids import Tenant, new_id
from auditkeep.lake.crashpoints import reach

T = TypeVar("T")

ACTIVITY = "activity"
GOVERNANCE = "governance"
ASIDE = frozenset({ACTIVITY, GOVERNANCE})
"""Classes kept apart from evidence: only who names one looks into it, and what is remembered of
evidence stays true however much is added to them."""

ERASED = frozenset({"ERASING", "ERASED"})
"""What a tenant's status is from the request to destroy everything until it registers again."""

OF_THE_DEPLOYMENT = ASIDE | {"fields"}
"""Classes that are always under the deployment's own key: that a tenant's key was refused must be
written down somewhere, and who names another key must still be able to do so."""

MANUAL = "manual/"
"""Classes of what is private to one assessment; its id follows."""

REPORTS = "reports/"
"""Classes of one report each, which goes with a key of its own; its assessment's id and its own
follow."""

CACHED_KEYS = 1_000
"""A month of classes for many tenants; each key is 32 bytes."""
MOST_SPARES = 16
"""Buckets that one transaction begins under one master: one of each class that it writes to."""
CACHED_SECONDS = 300.0
"""For how long an unwrapped key is used without asking its master again, unless set otherwise."""
LOOKS = 3
"""Snapshots in which something is looked for before it is taken to be lost."""

_KEY = Prepared(tenants.c.kms_key)


def fetching(work: Callable[[], T]) -> T:
    """`with_keys`, for work that reads too.

    Begun again is also what found an object or a key gone: its snapshot was older than a compaction
    or a destruction, and a new one knows where everything is. What is not there then is lost.
    """
    looks = LOOKS
    while True:
        try:
            return with_keys(work)
        except (KeyDestroyed, ObjectMissing):
            looks -= 1
            if not looks:
                raise


@dataclass(frozen=True, slots=True)
class _Spare:
    """A key made for a bucket that is about to be, and until when it may become one."""

    bucket_id: str
    key: bytes
    wrapped: bytes
    until: float


@dataclass(frozen=True, slots=True)
class _Tried:
    """How it went with a key that a tenant is about to name."""

    refused: KeyUnusable | None


class BucketKeys:
    """Bucket keys of this process: made, unwrapped, and forgotten after a while."""

    def __init__(
        self,
        provider: KeyProvider,
        keystore: KeyStore,
        *,
        seconds: float = CACHED_SECONDS,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ring = provider if isinstance(provider, KeyRing) else SingleRing(provider)
        self._keystore = keystore
        self._seconds = seconds
        self._ticks = ticks
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[Tenant, str], tuple[float, bytes]] = OrderedDict()
        self._spares: dict[tuple[Tenant, str], list[_Spare]] = {}
        self._taken: Counter[tuple[Tenant, str]] = Counter()
        self._tried: dict[tuple[Tenant, str], _Tried] = {}

    @property
    def provider_key(self) -> str:
        """Names the deployment's own master key that new buckets are wrapped with."""
        return self.ring.key_id

    def begin(self, tenant: Tenant, name: str = OWN) -> tuple[str, str]:
        """A new bucket whose key is kept, durably, under a master key: its id, and the key's name.

        KeyAway if the master cannot be used now.
        """
        master = self.ring.named(name).key_id
        if not is_distant(master):
            bucket_id = new_id()
            self.make(tenant, bucket_id, master)
            return bucket_id, master
        spare = self._spare(tenant, master)
        self._keystore.put(spare.bucket_id, spare.wrapped)
        reach("bucket.key-kept")
        self._remember(tenant, spare.bucket_id, spare.key)
        return spare.bucket_id, master

    def make(self, tenant: Tenant, bucket_id: str, name: str = OWN) -> None:
        """Give a new bucket its key, durably."""
        key = new_key()
        wrapped = self.ring.wrap(key, context(tenant, bucket_id), name)
        self._keystore.put(bucket_id, wrapped)
        reach("bucket.key-kept")
        self._remember(tenant, bucket_id, key)

    def object_key(self, tenant: Tenant, bucket_id: str, object_id: str) -> bytes:
        """The key of one object; KeyUnusable if the bucket's key is destroyed or not ours.

        KeyAway if the bucket's master cannot be used now.
        """
        return object_key(self.key(tenant, bucket_id), object_id)

    def key(self, tenant: Tenant, bucket_id: str) -> bytes:
        """The bucket's own key, which is only derived from: the same object while it is known."""
        held = self._keys.get((tenant, bucket_id))
        if held is not None and self._ticks() < held[0]:
            return held[1]
        wrapped = self._keystore.get(bucket_id)
        if is_distant(master := master_of(wrapped)):
            at_hand(master, lambda: self._unwrap(tenant, bucket_id, wrapped))
        return self._unwrap(tenant, bucket_id, wrapped)

    def require(self, tenant: Tenant, bucket_id: str) -> None:
        """As `key`, for who has something of the bucket in memory still."""
        self.key(tenant, bucket_id)

    def vouch(self, tenant: Tenant, name: str) -> None:
        """Make sure that a tenant may have its data under this key; KeyUnusable says why not."""
        with self._lock:
            tried = self._tried.pop((tenant, name), None)
        if tried is None:
            at_hand(name, lambda: self._try(tenant, name))
            self._try(tenant, name)
            self.vouch(tenant, name)
        elif tried.refused is not None:
            raise tried.refused

    def forget(self, tenant: Tenant, bucket_id: str) -> None:
        """Drop the key from memory, when it is destroyed."""
        with self._lock:
            self._keys.pop((tenant, bucket_id), None)

    def _try(self, tenant: Tenant, name: str) -> None:
        owner = {"account": tenant.account, "region": tenant.region}
        refused = None
        try:
            self.ring.grant(name, owner, f"auditkeep-{tenant.account}-{tenant.region}")
        except KeyUnusable as error:
            refused = error
        with self._lock:
            self._tried[tenant, name] = _Tried(refused)

    def _unwrap(self, tenant: Tenant, bucket_id: str, wrapped: bytes) -> bytes:
        key = self.ring.unwrap(wrapped, context(tenant, bucket_id))
        self._remember(tenant, bucket_id, key)
        return key

    def _spare(self, tenant: Tenant, master: str) -> _Spare:
        """A key wrapped by a distant master; taken from what was prepared, if anything was."""
        spare = self._prepared(tenant, master)
        if spare is None:
            at_hand(master, lambda: self._prepare(tenant, master))
            return self._wrapped(tenant, master)
        return spare

    def _prepared(self, tenant: Tenant, master: str) -> _Spare | None:
        with self._lock:
            waiting = self._spares.get((tenant, master), [])
            while waiting:
                spare = waiting.pop()
                if self._ticks() < spare.until:
                    self._taken[tenant, master] += 1
                    return spare
        return None

    def _prepare(self, tenant: Tenant, master: str) -> None:
        """One more than were taken since the last time: what took them was undone, and will need
        as many again when it is begun again.
        """
        with self._lock:
            wanted = 1 + self._taken.pop((tenant, master), 0)
        made = [self._wrapped(tenant, master) for _ in range(min(wanted, MOST_SPARES))]
        with self._lock:
            self._spares.setdefault((tenant, master), []).extend(made)

    def _wrapped(self, tenant: Tenant, master: str) -> _Spare:
        bucket_id, key = new_id(), new_key()
        wrapped = self.ring.wrap(key, context(tenant, bucket_id), master)
        return _Spare(bucket_id, key, wrapped, self._ticks() + self._seconds)

    def _remember(self, tenant: Tenant, bucket_id: str, key: bytes) -> None:
        with self._lock:
            self._keys[tenant, bucket_id] = self._ticks() + self._seconds, key
            self._keys.move_to_end((tenant, bucket_id))
            if len(self._keys) > CACHED_KEYS:
                self._keys.popitem(last=False)


def current(tx: Tx, keys: BucketKeys, klass: str, now: Instant) -> str:
    """The id of the bucket that what is collected now goes to; made if there is none yet.

    Call under the tenant's lock.
    """
    month = month_of(now)
    name = wrapped_by(tx, klass)
    same = (
        tx.select(buckets.c.id)
        .where(
            buckets.c["class"] == klass,
            buckets.c.month == month,
            # during a rotation, what is under the old own key becomes what is under the new one
            buckets.c.provider_key.in_(keys.ring.key_ids if name == OWN else (name,)),
            buckets.c.destroyed_at.is_(None),
        )
        .order_by(buckets.c.generation.desc(), buckets.c.created_at.desc())
        .limit(1)
    )
    found: str | None = tx.scalar(same)
    return open_bucket(tx, keys, klass, now, name) if found is None else found


def make_ready(db: Database, keys: BucketKeys, tenant: Tenant, klass: str, now: Instant) -> None:
    """Have at hand, before it begins, what a write to a class will need of distant keys.

    For who cannot well begin again. What is not at hand all the same is KeyNotAtHand as ever.
    """
    with db.read(tenant) as tx:
        name = wrapped_by(tx, klass)
        if name == OWN and not is_distant(keys.provider_key):
            return

    def tried() -> None:
        with db.write(tenant) as tx:
            tx.lock_tenant()
            keys.key(tenant, current(tx, keys, klass, now))
            tx.require_field_keys()

    with_keys(tried)


def open_bucket(
    tx: Tx,
    keys: BucketKeys,
    klass: str,
    now: Instant,
    wrapper: str | None = None,
    *,
    month: str | None = None,
    generation: int = 1,
) -> str:
    """A new bucket of a class; its id. `month` where it is not the present one."""
    name = wrapped_by(tx, klass) if wrapper is None else wrapper
    bucket_id, provider_key = keys.begin(tx.tenant, name)
    row = {
        "id": bucket_id,
        "class": klass,
        "month": month or month_of(now),
        "provider_key": provider_key,
        "generation": generation,
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


def wrapped_by(tx: Tx, klass: str) -> str:
    """The master key that a new bucket of a class is wrapped with: OWN, or an ARN.

    What is private to an assessment stays with the key that the tenant had when it was created;
    everything else goes with the tenant's setting (AWS: "Data encryption", docs/adr/0020).
    """
    if klass in OF_THE_DEPLOYMENT:
        return OWN
    if klass.startswith(MANUAL):
        return wrapped_for(tx, klass.removeprefix(MANUAL))
    if klass.startswith(REPORTS):
        return wrapped_for(tx, klass.split("/")[1])
    return _named(_of_tenant(tx))


def wrapped_for(tx: Tx, assessment_id: str) -> str:
    """The same for what is private to one assessment, such as its reports."""
    a = assessments.c
    row = tx.first(tx.select(a.kms_key).where(a.id == assessment_id))
    return _named(_of_tenant(tx) if row is None else row.kms_key)


def _of_tenant(tx: Tx) -> str | None:
    rows = tx.fetch(_KEY)
    return rows[0].kms_key if rows else None


def _named(kms_key: str | None) -> str:
    return kms_key or OWN


def require(tx: Tx, bucket_id: str) -> None:
    """StorageError unless the bucket is the tenant's own and alive."""
    destroyed = tx.first(tx.select(buckets.c.destroyed_at).where(buckets.c.id == bucket_id))
    if destroyed is None or destroyed[0] is not None:
        raise StorageError(f"The bucket {bucket_id} is not there, or was destroyed.")


def context(tenant: Tenant, bucket_id: str) -> dict[str, str]:
    """What a bucket's key is bound to: AWS's log shows it with each use."""
    return {"account": tenant.account, "region": tenant.region, "bucket": bucket_id}
