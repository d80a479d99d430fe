"""How often a tenant may ask: a token bucket for each, over all operations (spec 9.3, 12 #30).

A bucket holds `burst` requests and gains `rate` of them a second. What is kept of it is one number:
the moment at which it will be full again. A request moves that moment by one interval, and is
refused while that would take it further ahead than the bucket is deep; the refusal says how long
to wait for the next token (`wire.errors` writes it as headers that SDKs obey).

Invariants: constant work and no I/O for a request; at most MOST_BUCKETS are kept, those unused
longest go first; a clock that is set back throttles nobody for longer than a bucket takes to fill.
Buckets are this process's own: several servers on one database admit `rate` each.
"""

import threading
from collections import OrderedDict

from auditkeep.clock import SECOND, Instant
from auditkeep.errors import Throttled
from auditkeep.ids import Tenant

MOST_BUCKETS = 10_000
"""About a megabyte; forgetting one gives its tenant a full bucket, as a restart does."""


class Throttle:
    """Asked once for each request whose signature was right. Safe to share between threads."""

    def __init__(self, rate: float, burst: int) -> None:
        """`rate` requests a second, 0: any number; `burst` at once after a pause."""
        self._interval = SECOND / rate if rate > 0 else 0.0
        self._depth = self._interval * burst
        self._rate, self._burst = rate, burst
        self._full_at: OrderedDict[Tenant, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, tenant: Tenant, now: Instant) -> None:
        """Take a token; Throttled, with the time to wait for one, when the bucket has none."""
        if not self._interval:
            return
        with self._lock:
            full_at = self._full_at.pop(tenant, 0.0)
            # never more than empty: `now` may lie before what an earlier request was told
            full_at = min(max(full_at, now), now + self._depth)
            wait = full_at + self._interval - self._depth - now
            self._full_at[tenant] = full_at if wait > 0 else full_at + self._interval
            if len(self._full_at) > MOST_BUCKETS:
                self._full_at.popitem(last=False)
        if wait > 0:
            raise Throttled(
                f"Rate exceeded: {tenant.account} may ask {self._rate:g} times a second in "
                f"{tenant.region}, and {self._burst} times at once. Wait and try again.",
                retry_after=Instant(round(wait)),
            )
