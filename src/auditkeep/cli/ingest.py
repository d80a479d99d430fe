"""`auditkeep ingest`, `backfill`, `seal`, `compact` and `conflicts`: what goes into the lake."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, instant, report

if TYPE_CHECKING:
    from auditkeep.collection.counts import Counts
    from auditkeep.lake.compact import Merged
    from auditkeep.sources.digests import Keys


def ingest(
    source: Literal["cloudtrail", "securityhub", "config", "ocsf", "prowler", "sarif"],
    *paths: str,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    observed_at: Annotated[
        str | None, Parameter(help="When results were found that do not say it, ISO 8601.")
    ] = None,
    digests: Annotated[
        list[Path] | None,
        Parameter(
            help="Check CloudTrail's digests with these public keys: what `aws cloudtrail "
            "list-public-keys` answered, in a file. From s3:// they are checked anyway.",
            negative="",
        ),
    ] = None,
    no_digests: Annotated[
        bool, Parameter(name="--no-digests", negative="", help="Leave digests in s3:// alone.")
    ] = False,
    since: Annotated[
        str | None, Parameter(help="Of s3://: what was delivered from then on, ISO 8601.")
    ] = None,
    until: Annotated[str | None, Parameter(help="Of s3://: and until then.")] = None,
    bucket_region: Annotated[str, Parameter(help="The region of s3://BUCKET.")] = DEFAULT_REGION,
    endpoint: Annotated[str, Parameter(help="Where S3 and CloudTrail are asked, if not AWS.")] = "",
    role: Annotated[str, Parameter(help="ARN of a role to take before s3:// is read.")] = "",
    external_id: Annotated[str, Parameter(help="The external id which that role expects.")] = "",
    json: Json = False,
) -> int:
    """Read files, or folders of them, into the tenant's lake; CloudTrail's also from s3://.

    Reading a file again changes nothing, so an interrupted run is simply started again. A bad
    record is reported by file and position and never stops the rest. Exit code 1 when no file
    could be read at all, or a part of a bucket could not.
    """
    from auditkeep.cli.progress import IngestProgress
    from auditkeep.errors import SetupError
    from auditkeep.ids import Tenant
    from auditkeep.settings import require_outgoing
    from auditkeep.workflows.ingest import ingest as read

    if not paths:
        raise SetupError("Name at least one file or folder to read.")
    if source != "cloudtrail" and digests:
        raise SetupError("Only CloudTrail has digests.")
    if endpoint:
        try:
            require_outgoing(endpoint, clear=False)
        except ValueError as error:
            raise SetupError(f"--endpoint: {error}.") from error
    keys = None if not digests else _keys(digests)
    tenant = Tenant(account, region)
    remote = [path for path in paths if path.startswith("s3://")]
    if remote and (source != "cloudtrail" or len(remote) < len(paths)):
        raise SetupError("From s3:// CloudTrail is read, and not together with files.")
    with deployment(data) as parts:
        parts.require_active(tenant)
        if remote:
            from auditkeep.app import trails
            from auditkeep.cli.progress import TrailLine
            from auditkeep.sources.ambient import AmbientClients

            clients = AmbientClients(role, external_id, endpoint)
            with TrailLine(quiet=json or not sys.stderr.isatty()) as line:
                done = trails.read_urls(
                    parts,
                    tenant,
                    remote,
                    clients,
                    principal="auditkeep ingest",
                    region=bucket_region,
                    digests="off" if no_digests else "wait",
                    keys=keys,
                    since=None if since is None else instant(since),
                    until=None if until is None else instant(until),
                    progress=line,
                )
            parts.log_now()
            report(trails.told(done), as_json=json)
            return 1 if any(counts.failures for counts in done) else 0
        with IngestProgress(source, quiet=json or not sys.stderr.isatty()) as progress:
            counts = read(
                parts.lake,
                tenant,
                source,
                [Path(path) for path in paths],
                parts.interest(tenant),
                progress=progress,
                principal="auditkeep ingest",
                reads=parts.settings.cloudtrail_reads,
                observed_at=None if observed_at is None else instant(observed_at),
                keys=keys,
            )
        parts.log_now()
    report(_told(counts), as_json=json)
    return 0 if counts.records or not counts.rejections else 1


def _told(counts: "Counts") -> dict[str, Any]:
    return {
        "files": counts.files,
        "repeatedFiles": counts.repeated_files,
        "verifiedFiles": counts.verified_files,
        "records": counts.records,
        "observations": counts.observations,
        "unmatched": counts.unmatched,
        "duplicates": counts.duplicates,
        "conflicts": counts.conflicts,
        "cuts": counts.cuts,
        "digestFindings": dict(counts.findings),
        "rejected": counts.rejections,
        "rejections": [
            {"file": r.file, "position": r.position, "reason": r.reason} for r in counts.rejected
        ],
    }


def _keys(files: list[Path]) -> "Keys":
    from auditkeep.errors import SetupError
    from auditkeep.sources.digests import read_keys

    try:
        return read_keys([file.read_bytes() for file in files])
    except OSError as error:
        raise SetupError(f"{error.filename} cannot be read: {error.strerror}.") from error


def backfill(
    assessment: Annotated[str, Parameter(help="The assessment's id.")],
    *,
    start: Annotated[
        str | None,
        Parameter(
            name="--from", help="The first day or instant, ISO 8601; without it, see how far it is."
        ),
    ] = None,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Open an assessment's lens to the past, or see how far that is.

    Everything kept since then becomes evidence; what sources still know of that time is fetched by
    `serve` or `worker`. Exit code 1 if a fetch has failed.
    """
    from auditkeep.app import backfilling
    from auditkeep.ids import Tenant

    tenant = Tenant(account, region)
    at = None if start is None else instant(start)
    with deployment(data) as parts:
        if at is not None:
            report(backfilling.start(parts, tenant, assessment, at), as_json=json)
            return 0
        found = backfilling.shown(parts, tenant, assessment)
    report(found, as_json=json)
    return 1 if any(f["state"] == "FAILED" for f in found["fetches"]) else 0


def seal(*, data: Data, account: Account, region: Region = DEFAULT_REGION) -> int:
    """Move the tail into encrypted segments now; `serve` does it by itself."""
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        count = parts.seal_now(Tenant(account, region))
        parts.log_now()
    report({"segments": count}, as_json=False)
    return 0


def compact(
    *,
    data: Data,
    account: Annotated[str | None, Parameter(help="One account; all of them otherwise.")] = None,
    region: Region = DEFAULT_REGION,
    everything: Annotated[
        bool,
        Parameter(name="--everything", negative="", help="Also where more is written still."),
    ] = False,
    json: Json = False,
) -> int:
    """Merge small segments into larger ones now; `serve` and workers do it by themselves."""
    from auditkeep.app import compacting
    from auditkeep.ids import Tenant

    def told(merged: "Merged") -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"{merged.replaced} segments became one of {merged.rows:,} rows\n")

    with deployment(data) as parts:
        tenant = None if account is None else Tenant(account, region)
        done = compacting.run(parts, tenant, everything=everything, told=told)
    report(done, as_json=json)
    return 0


def conflicts(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Facts that arrived twice with different content; the first one is kept."""
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        report({"conflicts": parts.conflicts(Tenant(account, region))}, as_json=json)
    return 0


def warnings(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Keywords of custom controls that no list knows: they will probably collect nothing."""
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        report({"warnings": parts.warnings(Tenant(account, region))}, as_json=json)
    return 0


def stock(
    file: Annotated[Path, Parameter(help="The file.")],
    url: Annotated[str, Parameter(help="Where it can be imported from: s3://BUCKET/KEY.")],
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Put a file in a bucket of this deployment, for manual evidence by `s3ResourcePath`."""
    from auditkeep.errors import SetupError
    from auditkeep.ids import Tenant

    try:
        opened = file.open("rb")
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}.") from error
    with opened, deployment(data) as parts:
        size = parts.stock(Tenant(account, region), url, opened)
    report({"url": url, "bytes": size}, as_json=json)
    return 0
