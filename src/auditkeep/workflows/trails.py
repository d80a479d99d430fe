"""Passes over a trail's bucket: what CloudTrail delivered, once, and checked against its digests.

A pass lists each place (account and region) of a trail from some days back, because files are
delivered late and in no order. What is done with a place is in `workflows.trail_reading`, what lies
in the bucket in `trail_bucket`, and what is remembered of it in `trail_memory`.
"""

import re

from auditkeep.clock import DAY, Clock, Instant, SystemClock
from auditkeep.collection import trails
from auditkeep.collection.trails import Trail
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant
from auditkeep.lake.lake import Lake
from auditkeep.mapping.interest import Interest
from auditkeep.sources.digests import Keys
from auditkeep.sources.pull import Clients
from auditkeep.sources.trail_layout import aimed, owner_prefix
from auditkeep.workflows.trail_bucket import Window
from auditkeep.workflows.trail_counts import TrailCounts, TrailProgress, outcome_of
from auditkeep.workflows.trail_reading import TrailReading

OVERLAP = 2 * DAY
"""How far back a pass looks that is not told otherwise."""

_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<path>.*))?")


def read_url(
    lake: Lake,
    tenant: Tenant,
    url: str,
    clients: Clients,
    interest: Interest,
    *,
    principal: str,
    region: str = "us-east-1",
    digests: trails.Digests = "wait",
    keys: Keys | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    reads: bool = False,
    clock: Clock | None = None,
    progress: TrailProgress | None = None,
) -> TrailCounts:
    """Read what lies under an `s3://` URL, by hand: a trail, a part of one, or other files.

    All of it, unless `since` or `until` say when it was delivered. `keys` are public keys that are
    taken instead of those that CloudTrail names. SetupError for what is no such URL.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise SetupError(f"'{url}' is no place in S3: write s3://BUCKET/PREFIX.")
    path = found["path"] or ""
    aim = aimed(path)
    prefix = owner_prefix(path) if aim is None else aim.prefix
    trail = Trail(name="", bucket=found["bucket"], prefix=prefix, region=region, digests=digests)
    present = clock or SystemClock()
    work = TrailReading(lake, tenant, trail, clients, interest, principal, reads, present, progress)
    if keys is not None:
        work.trust(keys)
    window = Window(since or Instant(0), present.now() if until is None else until)
    if aim is not None:
        window = Window(
            max(window.since, aim.start),
            min(window.until, aim.end),
            None if not aim.account else frozenset({aim.account}),
            None if not aim.region else frozenset({aim.region}),
        )
    try:
        work.window(window)
        if aim is None and not work.counts.places:
            work.under(path)
    except BaseException as error:
        work.conclude(outcome_of(error))
        raise
    work.conclude("completed" if not work.counts.failures else "incomplete")
    return work.counts


def read_trail(
    lake: Lake,
    tenant: Tenant,
    trail: Trail,
    clients: Clients,
    interest: Interest,
    *,
    principal: str,
    since: Instant | None = None,
    until: Instant | None = None,
    accounts: frozenset[str] | None = None,
    regions: frozenset[str] | None = None,
    reads: bool = False,
    clock: Clock | None = None,
    progress: TrailProgress | None = None,
) -> TrailCounts:
    """Read what a trail delivered in [since, until] and was not read yet; by default the last days.

    NotCollected where the bucket itself cannot be listed; a place that cannot be read is among the
    failures. What was committed stays, whatever comes after.
    """
    present = clock or SystemClock()
    now = present.now()
    begin = Instant(now - OVERLAP) if since is None else since
    window = Window(begin, now if until is None else until, accounts, regions)
    work = TrailReading(lake, tenant, trail, clients, interest, principal, reads, present, progress)
    try:
        work.window(window)
    except BaseException as error:
        work.conclude(outcome_of(error))
        raise
    work.conclude("completed" if not work.counts.failures else "incomplete")
    return work.counts
