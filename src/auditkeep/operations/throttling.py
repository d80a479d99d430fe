"""How often a tenant may ask: a token bucket for each, over all operations (spec 9.3, 12 #30).

A bucket holds `burst` requests and gains `rate` of them a second. What is kept of it is one number:
the moment at which it will be full again. A request moves that moment by one interval, and is
refused while that would take it further ahead than the bucket is deep; the refusal says how long
to wait for the next token (`wire.errors` writes it as headers that SDKs obey).

Invariants: constant work for a request, and no I/O but a look, once a minute, whether the tenant
has a rate of its own (the quota `api-rate`); at most MOST_BUCKETS are kept, those unused longest go
first; a clock that is set back throttles nobody for longer than a bucket takes to fill. Buckets are
this process's own: several servers on one database admit `rate` each.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.errors import Throttled
from auditkeep.ids import Tenant

MOST_BUCKETS = 10_000
"""A few megabytes; forgetting one gives its tenant a full bucket, as a restart does."""

LOOKED_UP = MINUTE
"""How long a tenant's own rate is believed."""


def no_rate(_: Tenant) -> float | None:
    """No tenant has a rate of its own."""
    return None


@dataclass(slots=True)
class _Bucket:
    rate: float
    looked_up_at: Instant
    full_at: float = 0.0


class Throttle:
    """Asked once for each request whose signature was right. Safe to share between threads."""

    def __init__(
        self, rate: float, burst: int, rate_of: Callable[[Tenant], float | None] = no_rate
    ) -> None:
        """`rate` requests a second, 0: any number; `burst` at once after a pause.

        `rate_of` tells the rate of a tenant that has one of its own.
        """
        self._rate, self._burst, self._rate_of = rate, burst, rate_of
        self._buckets: OrderedDict[Tenant, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def on(self) -> bool:
        return self._rate > 0

    def take(self, tenant: Tenant, now: Instant) -> None:
        """Take a token; Throttled, with the time to wait for one, when the bucket has none."""
        if not self._rate:
            return
        bucket = self._bucket(tenant, now)
        with self._lock:
            interval = SECOND / bucket.rate
            depth = interval * self._burst
            # never more than empty: `now` may lie before what an earlier request was told
            full_at = min(max(bucket.full_at, now), now + depth)
            wait = full_at + interval - depth - now
            bucket.full_at = full_at if wait > 0 else full_at + interval
        if wait > 0:
            raise Throttled(
                f"Rate exceeded: {tenant.account} may ask {bucket.rate:g} times a second in "
                f"{tenant.region}, and {self._burst} times at once. Wait and try again.",
                retry_after=max(1, round(wait)),
            )

    def _bucket(self, tenant: Tenant, now: Instant) -> _Bucket:
        """The tenant's bucket, with its rate as it was within the last minute."""
        with self._lock:
            bucket = self._buckets.get(tenant)
            if bucket is not None:
                self._buckets.move_to_end(tenant)
                if 0 <= now - bucket.looked_up_at < LOOKED_UP:
                    return bucket
        rate = self._rate_of(tenant) or self._rate
        with self._lock:
            bucket = self._buckets.setdefault(tenant, _Bucket(rate, now))
            bucket.rate, bucket.looked_up_at = rate, now
            self._buckets.move_to_end(tenant)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
        return bucket
