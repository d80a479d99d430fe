"""`auditkeep retention …`: how long evidence is kept, and its end."""

from typing import Annotated, Any

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report
from auditkeep.settings import RetentionKind


def show(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """How long each class is kept, what is due, what a hold keeps, and when the next end comes."""
    from auditkeep.app import keeping
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = keeping.show_retention(parts, Tenant(account, region))
    _report(found, as_json=json)
    return 0


def set_days(
    kind: Annotated[RetentionKind, Parameter(help="Of which class.")],
    days: Annotated[str, Parameter(help="A number of days, `forever`, or `default`.")],
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Set how long a class is kept from now on; the change is logged with who made it."""
    from auditkeep.app import keeping
    from auditkeep.errors import InputError
    from auditkeep.ids import Tenant

    if days not in {"forever", "default"} and not days.isdecimal():
        raise InputError("Days are a number, 'forever', or 'default'.")
    number = int(days) if days.isdecimal() else None
    with deployment(data) as parts:
        done = keeping.set_retention(
            parts, Tenant(account, region), kind, number, default=days == "default"
        )
    _report(done, as_json=json)
    return 0


def _report(found: dict[str, Any], *, as_json: bool) -> None:
    """In words: no days are for ever."""
    if not as_json:
        found["policies"] = [_said(one) for one in found["policies"]]
        found["policies"].append(
            f"what expired share requests offered {found.pop('shareSnapshotDays')} days (always)"
        )
        found["next"] = found["next"] or "never"
    report(found, as_json=as_json)


def _said(one: dict[str, Any]) -> str:
    kept = "for ever" if one["days"] is None else f"{one['days']:,} days"
    by = "the deployment's value" if one["setBy"] == "deployment" else f"set {one['setAt']}"
    return f"{one['class']} {kept} ({by})"


def run(
    *,
    data: Data,
    account: Annotated[str | None, Parameter(help="One account; all of them otherwise.")] = None,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Destroy what is due now. A running server does so by itself, every hour."""
    from auditkeep.app import keeping
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        tenant = None if account is None else Tenant(account, region)
        report(keeping.run_retention(parts, tenant), as_json=json)
    return 0
