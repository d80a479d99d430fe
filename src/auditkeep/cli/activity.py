"""`auditkeep activity …`: who asked for what, and what became of it."""

import json as json_module
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Data, Json

if TYPE_CHECKING:
    from auditkeep.activity.reading import Wanted

Account = Annotated[str | None, Parameter(help="Only calls of this account.")]
Region = Annotated[str | None, Parameter(help="Only calls in this region.")]
Since = Annotated[str | None, Parameter(help="From this day or instant on, ISO 8601.")]
Until = Annotated[str | None, Parameter(help="Before this day or instant.")]
User = Annotated[str | None, Parameter(help="A user's or role's name, or an ARN.")]
Event = Annotated[str | None, Parameter(help="An operation, as CreateControl.")]
Warned = Annotated[
    bool, Parameter(help="Only calls whose names, tags or comments looked doubtful.", negative="")
]


def list_records(
    *,
    data: Data,
    account: Account = None,
    region: Region = None,
    since: Since = None,
    until: Until = None,
    user: User = None,
    event: Event = None,
    warned: Warned = False,
    json: Json = False,
) -> int:
    """Records of the activity log, newest first: a line each, or with --json a record a line."""
    wanted = replace(_wanted(account, region, since, until, user, event), warned=warned)
    with deployment(data) as parts:
        for record in parts.activity(wanted):
            print(json_module.dumps(record) if json else _line(record))
    return 0


def export(
    file: Annotated[Path, Parameter(help="A new file; compressed if its name ends in .gz.")],
    *,
    data: Data,
    account: Account = None,
    region: Region = None,
    since: Since = None,
    until: Until = None,
    user: User = None,
    event: Event = None,
) -> int:
    """Write records as one CloudTrail log file, for whatever reads those."""
    wanted = _wanted(account, region, since, until, user, event)
    with deployment(data) as parts:
        count = _write(file, parts.activity(wanted))
    print(f"{count} records written to {file}", file=sys.stderr)
    return 0


def _wanted(
    account: str | None,
    region: str | None,
    since: str | None,
    until: str | None,
    user: str | None,
    event: str | None,
) -> "Wanted":
    from auditkeep.activity.reading import Wanted
    from auditkeep.clock import Instant, parse
    from auditkeep.errors import SetupError

    def instant(text: str | None) -> Instant | None:
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise SetupError(f"'{text}' is no ISO 8601 day or instant.") from error

    return Wanted(account, region, instant(since), instant(until), user, event)


def _line(record: dict[str, Any]) -> str:
    identity = record["userIdentity"]
    who = identity.get("arn") or identity.get("userName") or "-"
    outcome = record.get("errorCode", "ok")
    words = (record["eventTime"], record["awsRegion"], f"{record['eventName']:<40}", outcome, who)
    doubts: list[str] = record.get("additionalEventData", {}).get("warnings", [])
    return "  ".join((*words, *doubts))


def _write(file: Path, records: Iterator[dict[str, Any]]) -> int:
    import gzip

    from auditkeep.errors import SetupError

    opener = gzip.open if file.suffix == ".gz" else open
    count = 0
    try:
        with opener(file, "xt", encoding="utf-8") as out:
            out.write('{"Records":[')
            for record in records:
                out.write(",\n" if count else "\n")
                out.write(json_module.dumps(record, separators=(",", ":")))
                count += 1
            out.write("\n]}\n")
    except OSError as error:
        raise SetupError(f"{file} cannot be written: {error.strerror}.") from error
    return count
