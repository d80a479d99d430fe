"""Which regions are on for an account, from `ec2:DescribeRegions`.

Source: AWS Account Management, "Enable or disable AWS Regions". Newer regions are off until an
account switches them on; a call to one that is off fails with a key that is not known, after it was
tried several times. So an account is asked once an hour which regions it has, and only if one
that may be off is to be asked. Where it cannot say, every region is taken to be on.
"""

import threading
from dataclasses import dataclass, field

from auditkeep.clock import MINUTE, Clock, Instant
from auditkeep.errors import NotCollected
from auditkeep.ids import GLOBAL_REGION
from auditkeep.sources.pull import Clients
from auditkeep.sources.refusals import always_on, asking

ACTIONS = frozenset({"ec2:DescribeRegions"})

FRESH = 60 * MINUTE
"""For how long it is taken as known which regions an account has."""


@dataclass(frozen=True, slots=True)
class _Known:
    until: Instant
    regions: frozenset[str] | None
    """None: the account could not say."""


@dataclass(slots=True)
class Regions:
    """What accounts said last. Safe to share between threads."""

    clock: Clock
    _known: dict[str, _Known] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def off(self, clients: Clients, account: str, region: str) -> bool:
        """Whether a region is known to be off for the account that the clients are of."""
        if always_on(region):
            return False
        now = self.clock.now()
        with self._lock:
            known = self._known.get(account)
        if known is None or now >= known.until:
            known = _Known(Instant(now + FRESH), _enabled(clients))
            with self._lock:
                self._known[account] = known
        return known.regions is not None and region not in known.regions


def _enabled(clients: Clients) -> frozenset[str] | None:
    try:
        client = clients.client("ec2", GLOBAL_REGION)
        with asking(client, "DescribeRegions"):
            answer = client.describe_regions()
    except NotCollected:
        return None  # the questions themselves will meet it too, and tell it
    return frozenset(one["RegionName"] for one in answer.get("Regions", [])) or None
