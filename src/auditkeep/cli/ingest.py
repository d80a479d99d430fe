"""`auditkeep ingest`, `backfill`, `seal` and `conflicts`: what goes into the lake."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report

if TYPE_CHECKING:
    from auditkeep.clock import Instant


def ingest(
    source: Literal["cloudtrail", "securityhub", "config", "ocsf", "prowler", "sarif"],
    *paths: Path,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    observed_at: Annotated[
        str | None, Parameter(help="When results were found that do not say it, ISO 8601.")
    ] = None,
    json: Json = False,
) -> int:
    """Read files, or folders of them, into the tenant's lake.

    Reading a file again changes nothing, so an interrupted run is simply started again. A bad
    record is reported by file and position and never stops the rest. Exit code 1 when no file
    could be read at all.
    """
    from auditkeep import app
    from auditkeep.cli.progress import IngestProgress
    from auditkeep.clock import SystemClock
    from auditkeep.errors import SetupError
    from auditkeep.ids import Tenant
    from auditkeep.settings import load
    from auditkeep.workflows.ingest import ingest as read

    if not paths:
        raise SetupError("Name at least one file or folder to read.")
    tenant = Tenant(account, region)
    with app.opened(load(data), SystemClock()) as parts:
        parts.require_active(tenant)
        with IngestProgress(source, quiet=json or not sys.stderr.isatty()) as progress:
            counts = read(
                parts.lake,
                tenant,
                source,
                list(paths),
                parts.interest(tenant),
                progress=progress,
                principal="auditkeep ingest",
                reads=parts.settings.cloudtrail_reads,
                observed_at=None if observed_at is None else _instant(observed_at),
            )
        parts.log_now()
    report(
        {
            "files": counts.files,
            "repeatedFiles": counts.repeated_files,
            "records": counts.records,
            "observations": counts.observations,
            "unmatched": counts.unmatched,
            "duplicates": counts.duplicates,
            "conflicts": counts.conflicts,
            "cuts": counts.cuts,
            "rejected": counts.rejections,
            "rejections": [
                {"file": r.file, "position": r.position, "reason": r.reason}
                for r in counts.rejected
            ],
        },
        as_json=json,
    )
    return 0 if counts.records or not counts.rejections else 1


def _instant(text: str) -> "Instant":
    from auditkeep.clock import parse
    from auditkeep.errors import SetupError

    try:
        return parse(text)
    except ValueError as error:
        raise SetupError(f"'{text}' is no ISO 8601 day or instant.") from error


def backfill(
    assessment: Annotated[str, Parameter(help="The assessment's id.")],
    *,
    start: Annotated[str, Parameter(name="--from", help="The first day or instant, ISO 8601.")],
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
) -> int:
    """Open an assessment's lens to the past: everything kept since then becomes evidence."""
    from auditkeep import app
    from auditkeep.clock import SystemClock
    from auditkeep.ids import Tenant
    from auditkeep.settings import load

    at = _instant(start)
    with app.opened(load(data), SystemClock()) as parts:
        parts.backfill(Tenant(account, region), assessment, at)
    return 0


def seal(*, data: Data, account: Account, region: Region = DEFAULT_REGION) -> int:
    """Move the tail into encrypted segments now; `serve` does it by itself."""
    from auditkeep import app
    from auditkeep.clock import SystemClock
    from auditkeep.ids import Tenant
    from auditkeep.settings import load

    with app.opened(load(data), SystemClock()) as parts:
        count = parts.seal_now(Tenant(account, region))
        parts.log_now()
    report({"segments": count}, as_json=False)
    return 0


def conflicts(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Facts that arrived twice with different content; the first one is kept."""
    from auditkeep import app
    from auditkeep.clock import SystemClock
    from auditkeep.ids import Tenant
    from auditkeep.settings import load

    with app.opened(load(data), SystemClock()) as parts:
        report({"conflicts": parts.conflicts(Tenant(account, region))}, as_json=json)
    return 0


def warnings(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Keywords of custom controls that no list knows: they will probably collect nothing."""
    from auditkeep import app
    from auditkeep.clock import SystemClock
    from auditkeep.ids import Tenant
    from auditkeep.settings import load

    with app.opened(load(data), SystemClock()) as parts:
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
    from auditkeep import app
    from auditkeep.clock import SystemClock
    from auditkeep.errors import SetupError
    from auditkeep.ids import Tenant
    from auditkeep.settings import load

    try:
        opened = file.open("rb")
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}.") from error
    with opened, app.opened(load(data), SystemClock()) as parts:
        size = parts.stock(Tenant(account, region), url, opened)
    report({"url": url, "bytes": size}, as_json=json)
    return 0
