"""`auditkeep hold …`: legal holds, which nothing that destroys gets past."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report

if TYPE_CHECKING:
    from auditkeep.clock import Instant

Why = Annotated[str, Parameter(help="Why: kept with the hold, and logged.")]


def place(
    *,
    data: Data,
    account: Account,
    why: Why,
    region: Region = DEFAULT_REGION,
    assessment: Annotated[
        str | None, Parameter(help="The id of the assessment that is held.")
    ] = None,
    start: Annotated[
        str | None, Parameter(name="--from", help="Hold what was collected or there from then on.")
    ] = None,
    until: Annotated[str | None, Parameter(help="Until then, inclusive (UTC).")] = None,
    json: Json = False,
) -> int:
    """Hold an assessment with what it sees, or everything of a time."""
    from auditkeep.app import keeping
    from auditkeep.ids import Tenant

    first, last = _instant(start, "--from"), _instant(until, "--until")
    with deployment(data) as parts:
        done = keeping.place_hold(
            parts, Tenant(account, region), why, assessment=assessment, first=first, last=last
        )
    report(done, as_json=json)
    return 0


def release(
    hold: Annotated[str, Parameter(help="The hold, as `hold list` names it.")],
    *,
    data: Data,
    account: Account,
    why: Why,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Let a hold go. It stays in the list and in the log."""
    from auditkeep.app import keeping
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        done = keeping.release_hold(parts, Tenant(account, region), hold, why)
    report(done, as_json=json)
    return 0


def list_holds(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Every hold there ever was: who placed it, when and why, and its release."""
    from auditkeep.app import keeping
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = keeping.list_holds(parts, Tenant(account, region))
    if json:
        report({"holds": found}, as_json=True)
        return 0
    for one in found:
        about = (
            f"assessment {one['assessmentId']}"
            if one["assessmentId"]
            else f"{one['from'] or '…'} to {one['until'] or '…'}"
        )
        state = f"released {one['releasedAt']}" if one["releasedAt"] else "in force"
        print(f"{one['id']}  {state}  {about}")
        print(f"    {one['placedAt']} {one['placedBy']}: {one['reason']}")
    return 0


def _instant(text: str | None, option: str) -> "Instant | None":
    from auditkeep.clock import parse
    from auditkeep.errors import InputError

    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise InputError(f"{option} must be a time such as 2026-05-01T00:00:00Z.") from error
