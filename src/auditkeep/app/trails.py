"""The trails of a deployment: kept by the operator, read by hand or in turns (`app.trail_turns`).

Reading uses this process's AWS credentials, or the role that the trail names.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from auditkeep.accounts import store as accounts
from auditkeep.app.parts import Parts
from auditkeep.clock import Instant, iso
from auditkeep.collection import trails
from auditkeep.collection.trails import Trail
from auditkeep.crypto.asking import begun_again
from auditkeep.ids import Tenant
from auditkeep.sources.pull import Clients
from auditkeep.workflows.trail_counts import TrailCounts, TrailProgress
from auditkeep.workflows.trails import read_trail, read_url


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
