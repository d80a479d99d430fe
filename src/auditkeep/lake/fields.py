"""The keys of sealed fields: a bucket of each tenant, of a class of its own (docs/adr/0021).

A tenant's fields are sealed under its newest living bucket of the class `fields` for the provider
key in use, and digests are made under its oldest, so that equal values stay equal when the provider
key is another one. Destroying the tenant destroys these buckets with all others, and what is left
of its rows, in free pages, the write-ahead log or backups, opens no more.

These buckets do not change with the month and do not expire: comments and settings have no month.
What no tenant owns is sealed under a secret of the deployment.
"""

import base64
import hmac
import threading
from collections import OrderedDict

import msgspec

from auditkeep.clock import Clock
from auditkeep.crypto.aead import new_key
from auditkeep.crypto.derive import object_key
from auditkeep.crypto.fields import FieldCipher
from auditkeep.crypto.providers import KeyProvider
from auditkeep.db.database import Database
from auditkeep.db.prepared import Prepared
from auditkeep.db.schema import buckets, meta, tenants
from auditkeep.db.tx import FieldKeys, Tx
from auditkeep.ids import Tenant, uuid_bytes, uuid_text
from auditkeep.lake.buckets import BucketKeys, open_bucket, require_open

CLASS = "fields"
_DIGESTS = "fields/digests"
_SECRET = "secret/fields"  # noqa: S105 - the name of a row
_CONTEXT = {"purpose": "auditkeep/fields"}
_CACHED = 4096
"""Ciphers in memory: some tables of some hundred tenants."""

_ALIVE = Prepared(
    buckets.c.id,
    buckets.c.provider_key,
    where=[buckets.c["class"] == CLASS, buckets.c.destroyed_at.is_(None)],
    order_by=[buckets.c.created_at, buckets.c.id],
)


def deployment_secret(db: Database, provider: KeyProvider) -> bytes:
    """The secret behind what no tenant owns: made at first, wrapped as the others of `meta` are."""
    with db.system_read() as tx:
        text = tx.scalar(tx.select(meta.c.value).where(meta.c.key == _SECRET))
    if text is None:
        wrapped = base64.b64encode(provider.wrap(new_key(), _CONTEXT)).decode()
        with db.system_write() as tx:
            tx.upsert(meta, [{"key": _SECRET, "value": wrapped}])  # unless somebody just did
            text = tx.scalar(tx.select(meta.c.value).where(meta.c.key == _SECRET))
    return provider.unwrap(base64.b64decode(text), _CONTEXT)


class SealedFields:
    """A `db.tx.Sealer` over the buckets' keys. Safe to share between threads."""

    def __init__(self, keys: BucketKeys, deployment: bytes, clock: Clock) -> None:
        self._keys = keys
        self._deployment = deployment
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Tenant | None, bytes, str], tuple[bytes, FieldCipher]]
        self._known = OrderedDict()
        self._derived: OrderedDict[tuple[Tenant, str, str], tuple[bytes, FieldKeys]] = OrderedDict()

    def keys(self, tx: Tx, *, make: bool) -> FieldKeys | None:
        """See `Sealer`; two transactions that need the first bucket at once agree on one."""
        alive = tx.fetch(_ALIVE)
        recent = self._keys.ring.recent_ids
        current = [row for row in alive if row.provider_key in recent]
        if not current and make:
            tx.lock(f"fields/{tx.tenant.account}/{tx.tenant.region}")
            alive = tx.fetch(_ALIVE)
            own = self._keys.ring.key_ids
            current = [row for row in alive if row.provider_key in own]
            if not current:
                require_open(tx, tx.scalar(tx.select(tenants.c.status)) or "", CLASS)
                open_bucket(tx, self._keys, CLASS, self._clock.now())
                alive = current = tx.fetch(_ALIVE)
        if not alive:
            return None
        newest, oldest = (current or alive)[-1].id, alive[0].id
        return self._field_keys(tx.tenant, newest, oldest)

    def _field_keys(self, tenant: Tenant, newest: str, oldest: str) -> FieldKeys:
        """Derived once for as long as the oldest bucket's own key is the same."""
        key = self._keys.key(tenant, oldest)
        with self._lock:
            known = self._derived.get((tenant, newest, oldest))
        if known is not None and known[0] is key:
            return known[1]
        derived = FieldKeys(ref=uuid_bytes(newest), digests=object_key(key, _DIGESTS))
        with self._lock:
            self._derived[tenant, newest, oldest] = key, derived
            if len(self._derived) > _CACHED:
                self._derived.popitem(last=False)
        return derived

    def veil(self, tenant: Tenant, text: str) -> str:
        """See `Sealer`: under the deployment's secret, so that a tenant's end changes no name."""
        named = msgspec.json.encode(("auditkeep/name/1", tenant.account, tenant.region, text))
        return hmac.digest(self._deployment, named, "sha256").hex()

    def cipher(self, tenant: Tenant | None, ref: bytes, table: str) -> FieldCipher:
        """See `Sealer`. The bucket's key is asked for each time: it may have been destroyed."""
        own = self._deployment
        key = own if tenant is None else self._keys.key(tenant, uuid_text(ref))
        with self._lock:
            known = self._known.get((tenant, ref, table))
        if known is not None and known[0] is key:
            return known[1]
        cipher = FieldCipher(object_key(key, f"fields/{table}"), ref)
        with self._lock:
            self._known[tenant, ref, table] = key, cipher
            self._known.move_to_end((tenant, ref, table))
            if len(self._known) > _CACHED:
                self._known.popitem(last=False)
        return cipher
