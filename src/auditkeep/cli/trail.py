"""`auditkeep trail …`: where CloudTrail delivers, and how far that was read."""

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from auditkeep.cli.opening import deployment, registered
from auditkeep.cli.options import (
    DEFAULT_REGION,
    Account,
    Data,
    Json,
    Region,
    instant,
    report,
)

Name = Annotated[str, Parameter(help="What the trail is called here.")]


def add(
    name: Name,
    url: Annotated[str, Parameter(help="s3://BUCKET/PREFIX, as the trail is configured.")],
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    bucket_region: Annotated[str, Parameter(help="The bucket's region.")] = DEFAULT_REGION,
    queue: Annotated[str, Parameter(help="URL of an SQS queue that says what arrived.")] = "",
    role: Annotated[str, Parameter(help="ARN of a role to take before reading.")] = "",
    external_id: Annotated[str, Parameter(help="The external id which that role expects.")] = "",
    digests: Annotated[
        Literal["wait", "off"],
        Parameter(help="Wait for the digest that names a log file, or leave digests alone."),
    ] = "wait",
    only: Annotated[
        list[str] | None,
        Parameter(help="An account to read, of several in the trail.", negative=""),
    ] = None,
    partial: Annotated[
        bool,
        Parameter(help="It lacks management events: ask for them as well.", negative=""),
    ] = False,
) -> int:
    """Have the server read a trail; a trail of that name is replaced."""
    from auditkeep.app import trails
    from auditkeep.collection.trails import Trail, located
    from auditkeep.ids import Tenant

    bucket, prefix = located(url)
    trail = Trail(
        name=name,
        bucket=bucket,
        prefix=prefix,
        region=bucket_region,
        queue=queue,
        role=role,
        external_id=external_id,
        digests=digests,
        accounts=tuple(sorted(only or ())),
        partial=partial,
    )
    with deployment(data) as parts:
        trails.add(parts, Tenant(account, region), trail)
        parts.log_now()
    return 0


def list_trails(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Every trail, and for each account and region of it how far it was read and verified."""
    from auditkeep.app import trails
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = trails.listed(parts, Tenant(account, region))
    if json:
        report({"trails": found}, as_json=True)
        return 0
    for trail in found:
        print(f"{trail['name']}  {trail['url']}  {trail['queue']}".rstrip())
        for place in trail["places"]:
            told = f"read to {place['readTo'] or '-'}  verified to {place['verifiedTo'] or '-'}"
            broken = f"  {place['broken']} findings" if place["broken"] else ""
            failure = f"  {place['failure']}" if place["failure"] else ""
            print(f"  {place['place']}  {told}{broken}{failure}")
    return 0


def remove(name: Name, *, data: Data, account: Account, region: Region = DEFAULT_REGION) -> int:
    """Read a trail no more; what was read of it stays."""
    from auditkeep.app import trails
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        trails.remove(parts, Tenant(account, region), name)
        parts.log_now()
    return 0


def read(
    name: Name,
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    since: Annotated[
        str | None, Parameter(help="What was delivered from then on, ISO 8601; the last two days.")
    ] = None,
    until: Annotated[str | None, Parameter(help="And until then; now.")] = None,
    json: Json = False,
) -> int:
    """Read a trail now, also its past. Exit code 1 when a part of it could not be read."""
    from auditkeep.app import trails
    from auditkeep.cli.progress import TrailLine
    from auditkeep.collection.trails import find

    with registered(data, account, region) as (parts, tenant):
        with parts.db.read(tenant) as tx:
            trail = find(tx, name)
        with TrailLine(quiet=json or not sys.stderr.isatty()) as progress:
            done = trails.read(
                parts,
                tenant,
                trail,
                principal="auditkeep trail read",
                since=None if since is None else instant(since),
                until=None if until is None else instant(until),
                progress=progress,
            )
        parts.log_now()
    report(trails.told(done), as_json=json)
    return 1 if any(counts.failures for counts in done) else 0
