"""`auditkeep tenant …`: tenants that were erased, and the proof that they were."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report


def list_tenants(*, data: Data, json: Json = False) -> int:
    """Every tenant whose data was destroyed as a whole, or is being destroyed: how far that is."""
    from auditkeep.app.erasures import erasures_of

    with deployment(data) as parts:
        found = erasures_of(parts)
    if json:
        report({"erasures": found}, as_json=True)
        return 0
    for one in found:
        when = f"done {one['destroyedAt']}" if one["destroyedAt"] else f"by {one['deadline']}"
        late = "  LATE" if one["late"] else ""
        gone = ", ".join(f"{one[n]:,} {n}" for n in ("keys", "observations", "rows", "objects"))
        print(f"{one['account']} {one['region']:<14} {one['stage']:<8} {when}{late}  {gone}")
    return 0


def certificate(
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    id: Annotated[  # noqa: A002 - the option's name
        str | None, Parameter(help="An earlier erasure of the same tenant.")
    ] = None,
    out: Annotated[Path | None, Parameter(help="A file to write it to.")] = None,
) -> int:
    """The signed certificate of destruction of a tenant, which `auditkeep verify` checks."""
    from auditkeep.app import erasures
    from auditkeep.errors import SetupError
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = erasures.certificate(parts, Tenant(account, region), id)
    if out is None:
        sys.stdout.buffer.write(found)
        return 0
    try:
        out.write_bytes(found)
    except OSError as error:
        raise SetupError(f"{out} cannot be written: {error.strerror}.") from error
    print(f"Written to {out}. Check it with: auditkeep verify {out} --key LOG-KEY")
    return 0
