"""CloudTrail's public keys: `ListPublicKeys` of the region a digest was made in.

Asked once for a day and region, when a digest names a key that is not at hand. A region's digests
are signed with its own keys; the trail's home region is asked after it.
"""

from auditkeep.clock import DAY, MINUTE, Instant, day_of, to_datetime
from auditkeep.sources.digests import Digest, Keys
from auditkeep.sources.pull import Clients
from auditkeep.sources.refusals import asking
from auditkeep.sources.trail_layout import Key

ACTION = "cloudtrail:ListPublicKeys"
AROUND = 120 * MINUTE


class KeyRing:
    """Public keys as they are needed; those at hand from the start are taken as genuine."""

    def __init__(self, clients: Clients | None, keys: Keys | None = None) -> None:
        self._clients = clients
        self._keys = dict(keys or {})
        self._asked: set[tuple[str, int]] = set()

    def find(self, key: Key, digest: Digest) -> Keys:
        """All that are known, among them, if CloudTrail has it, the one that a digest names."""
        for region in dict.fromkeys((key.place.region, key.home)):
            if digest.fingerprint in self._keys or self._clients is None:
                break
            if (region, day_of(digest.end)) not in self._asked:
                self._asked.add((region, day_of(digest.end)))
                self._ask(self._clients, region, digest.end)
        return self._keys

    def _ask(self, clients: Clients, region: str, at: Instant) -> None:
        client = clients.client("cloudtrail", region)
        start, end = Instant(at - DAY - AROUND), Instant(at + DAY + AROUND)
        with asking(client, "ListPublicKeys", action=ACTION):
            answer = client.list_public_keys(StartTime=to_datetime(start), EndTime=to_datetime(end))
        for found in answer["PublicKeyList"]:
            self._keys[found["Fingerprint"]] = bytes(found["Value"])
