"""The trails of a deployment: kept by the operator, read by the server every so many minutes.

A trail with a queue is read as messages come, and its bucket is listed now and then as well: what a
queue has lost is found there. Once a day each trail is listed further back, and as soon as a lens
looks further back than a place was read, as after a backfill, from there on. Reading uses this
process's AWS credentials, or the role that the trail names. What fails is told and tried again, and
holds no other trail.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from auditkeep.accounts import store as accounts
from auditkeep.app.parts import Parts
from auditkeep.clock import DAY, Instant, iso
from auditkeep.collection import backfills, trails
from auditkeep.collection.keeping import wanted_since
from auditkeep.collection.trails import Trail
from auditkeep.crypto.asking import begun_again
from auditkeep.errors import AuditkeepError
from auditkeep.ids import Tenant
from auditkeep.lake import keeping
from auditkeep.repeating import Repeating
from auditkeep.sources.pull import Clients
from auditkeep.workflows.trails import (
    OVERLAP,
    Interrupted,
    TrailCounts,
    TrailProgress,
    read_trail,
    read_url,
)

PRINCIPAL = "auditkeep serve"
FURTHER_BACK = 14 * DAY

_LOG = logging.getLogger("auditkeep.trails")


def clients_of(trail: Trail) -> Clients:
    """With this process's credentials, or those of the trail's role; boto3 is loaded when asked."""
    from auditkeep.sources.ambient import AmbientClients  # noqa: PLC0415 - loads boto3 in the end

    return AmbientClients(trail.role, trail.external_id)


@begun_again
def add(parts: Parts, tenant: Tenant, trail: Trail) -> None:
    """Keep a trail, in place of one of that name."""
    with parts.db.write(tenant) as tx:
        accounts.require_active(tx)
        trails.save(tx, trail, parts.clock.now())
        told = {n: v for n, v in trails.described(trail).items() if n != "external_id"}
        parts.note(tx.system(), "PutTrail", told, tenant.account, tenant.region)


@begun_again
def remove(parts: Parts, tenant: Tenant, name: str) -> None:
    with parts.db.write(tenant) as tx:
        trails.remove(tx, name)
        parts.note(tx.system(), "DeleteTrail", {"name": name}, tenant.account, tenant.region)


def listed(parts: Parts, tenant: Tenant) -> list[dict[str, Any]]:
    """Each trail, and how far each of its places was read."""
    with parts.db.read(tenant) as tx:
        found = [(t, trails.progress_of(tx, t.name)) for t in trails.listed(tx)]
    return [
        {
            "name": t.name,
            "url": t.url,
            "region": t.region,
            "queue": t.queue,
            "role": t.role,
            "digests": t.digests,
            "accounts": list(t.accounts),
            "partial": t.partial,
            "places": [
                {
                    "place": place,
                    "readFrom": iso(p.read_from) if p.read_from else "",
                    "readTo": iso(p.read_to) if p.read_to else "",
                    "verifiedTo": iso(p.verified_to) if p.verified_to else "",
                    "broken": p.broken,
                    "failure": p.failure,
                }
                for place, p in progress.items()
            ],
        }
        for t, progress in found
    ]


def read(
    parts: Parts,
    tenant: Tenant,
    trail: Trail,
    *,
    principal: str,
    since: Instant | None = None,
    until: Instant | None = None,
    listing: bool = True,
    clients: Clients | None = None,
    progress: TrailProgress | None = None,
) -> list[TrailCounts]:
    """Read a trail now: what its queue tells of, if it has one, and what its bucket lists."""
    from auditkeep.workflows.trail_queue import drain  # noqa: PLC0415 - only where there is one

    asked = partial(
        _with,
        parts,
        tenant,
        trail,
        clients or clients_of(trail),
        principal=principal,
        progress=progress,
    )
    done = []
    if trail.queue and since is None:
        done.append(asked(drain).trail)
    if listing:
        done.append(asked(read_trail, since=since, until=until))
    return done


def read_urls(
    parts: Parts, tenant: Tenant, urls: Sequence[str], clients: Clients, **asked: Any
) -> list[TrailCounts]:
    """Read what lies under `s3://` URLs, see `workflows.trails.read_url`."""
    interest, clock = parts.interest(tenant), parts.clock
    reads = parts.settings.cloudtrail_reads
    return [
        read_url(parts.lake, tenant, url, clients, interest, reads=reads, clock=clock, **asked)
        for url in urls
    ]


def told(done: Sequence[TrailCounts]) -> dict[str, Any]:
    """What came of readings, for people."""
    read = [counts.read for counts in done]
    findings: Counter[str] = Counter()
    for one in read:
        findings += one.findings
    return {
        "places": sum(c.places for c in done),
        "objects": sum(c.objects for c in done),
        "known": sum(c.known for c in done),
        "waiting": sum(c.waiting for c in done),
        "digests": sum(c.digests for c in done),
        "files": sum(r.files for r in read),
        "repeatedFiles": sum(r.repeated_files for r in read),
        "verifiedFiles": sum(r.verified_files for r in read),
        "records": sum(r.records for r in read),
        "observations": sum(r.observations for r in read),
        "unmatched": sum(r.unmatched for r in read),
        "duplicates": sum(r.duplicates for r in read),
        "conflicts": sum(r.conflicts for r in read),
        "cuts": sum(r.cuts for r in read),
        "digestFindings": dict(findings),
        "broken": [
            {"finding": f.problem, "object": f.url, "sentence": f.sentence}
            for c in done
            for f in c.broken
        ],
        "failures": [
            {"place": f.place, "reason": f.error.reason, "sentence": str(f.error)}
            for c in done
            for f in c.failures
        ],
        "rejected": sum(r.rejections for r in read),
        "rejections": [
            {"file": r.file, "position": r.position, "reason": r.reason}
            for one in read
            for r in one.rejected
        ],
    }


def _with(
    parts: Parts,
    tenant: Tenant,
    trail: Trail,
    clients: Clients,
    work: Callable[..., Any],
    **more: Any,
) -> Any:
    return work(
        parts.lake,
        tenant,
        trail,
        clients,
        parts.interest(tenant),
        reads=parts.settings.cloudtrail_reads,
        clock=parts.clock,
        **more,
    )


class TrailsThread:
    """Reads every tenant's trails every so many minutes, for as long as the server runs."""

    def __init__(self, parts: Parts, clients: Callable[[Trail], Clients] = clients_of) -> None:
        self._parts = parts
        self._clients = clients
        self._made: dict[Trail, Clients] = {}
        self._listed: dict[tuple[Tenant, str], Instant] = {}
        self._searched: dict[tuple[Tenant, str], Instant] = {}
        self._turns = Repeating(
            "trails",
            self.pass_over,
            parts.settings.trail_minutes * 60.0,
            log=_LOG,
            put_off="Trails are read later",
        )

    def start(self) -> None:
        self._turns.start()

    def stop(self) -> None:
        """End a pass where it is: what it has kept is kept."""
        self._turns.stop()

    def pass_over(self) -> None:
        """One reading of every trail of every tenant."""
        for tenant in self._parts.tenants():
            with self._parts.db.read(tenant) as tx:
                found = trails.listed(tx)
            for trail in found:
                if self._turns.stopping:
                    return
                self._trail(tenant, trail)

    def _trail(self, tenant: Tenant, trail: Trail) -> None:
        key, now = (tenant, trail.name), self._parts.clock.now()
        further = now - self._searched.get(key, Instant(0)) >= DAY
        listing = (
            further
            or not trail.queue
            or now - self._listed.get(key, Instant(0)) >= trails.LIST_BESIDE_QUEUE
        )
        asked = partial(
            read,
            self._parts,
            tenant,
            trail,
            principal=PRINCIPAL,
            clients=self._made.setdefault(trail, self._clients(trail)),
            progress=self._go_on,
        )
        try:
            past = self._past(tenant, trail)
            if past is not None:
                for counts in asked(since=past):
                    self._tell(trail, counts)
            for counts in asked(listing=listing and not further):
                self._tell(trail, counts)
            if further:
                for counts in asked(since=Instant(now - FURTHER_BACK)):
                    self._tell(trail, counts)
                self._parts.db.change(tenant, lambda tx: trails.forget(tx, now))
                self._searched[key] = now
            with self._parts.db.write(tenant) as tx:
                far = {place: p.read_from for place, p in trails.read_places(tx).items()}
                backfills.read_by_trails(tx, far)
        except AuditkeepError as error:
            _LOG.error("The trail %s (%s) is read again later: %s", trail.name, trail.url, error)
            with self._parts.db.write(tenant) as tx:
                trails.fail(tx, trail.name, str(error), now)
        except Interrupted:
            return
        except Exception:  # noqa: BLE001 - the thread goes on, whatever one trail meets
            _LOG.exception("Reading the trail %s met a defect.", trail.name)
        else:
            if listing:
                self._listed[key] = now

    def _past(self, tenant: Tenant, trail: Trail) -> Instant | None:
        """From when on to read, if a lens looks further back than some place was read.

        Where only what is seen is kept, what a place held was passed over unless somebody looked.
        """
        with self._parts.db.read(tenant) as tx:
            looked = trails.looked_at_since(tx)
            places = [p for p in trails.progress_of(tx, trail.name).values() if not p.failure]
            owed = None
            if places and keeping.of(tx).policy == "matched":
                owed = wanted_since(tx, min(p.version for p in places))
        known = [p.read_from for p in places]
        if looked is not None and known and looked < max(known):
            return looked
        recent = self._parts.clock.now() - OVERLAP
        return owed if owed is not None and owed < recent else None

    def _go_on(self, _counts: TrailCounts) -> None:
        if self._turns.stopping:
            raise Interrupted

    def _tell(self, trail: Trail, counts: TrailCounts) -> None:
        for failure in counts.failures[:10]:
            _LOG.error("The trail %s, %s: %s", trail.name, failure.place, failure.error)
        for finding in counts.broken[:10]:
            _LOG.error("The trail %s: %s %s", trail.name, finding.url, finding.sentence)
