"""`auditkeep usage`: what was metered, and what AWS would have charged."""

from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Data, Json, report


def usage(
    *,
    data: Data,
    account: Annotated[str | None, Parameter(help="Only this account's tenants.")] = None,
    region: Annotated[str | None, Parameter(help="Only tenants in this region.")] = None,
    month: Annotated[
        str | None, Parameter(help="A month of UTC days, like 2026-05; the current one otherwise.")
    ] = None,
    json: Json = False,
) -> int:
    """Unique resource assessments by account, region and source, and what AWS would have charged.

    An observation counts once, in the month it was kept, if an active assessment saw it then.
    """
    from auditkeep.app.usage import usage_of
    from auditkeep.clock import month_of

    with deployment(data) as parts:
        found = usage_of(parts, month or month_of(parts.clock.now()), account, region)
    if json:
        report(found, as_json=True)
        return 0
    print(
        f"Usage of {found['month']}; price {found['pricePerThousand']} {found['currency']} "
        "per 1,000 resource assessments"
    )
    for tenant in found["tenants"]:
        print(
            f"\n{tenant['account']} {tenant['region']}: {tenant['resourceAssessments']:,} resource "
            f"assessments, {tenant['manual']:,} manual items; AWS would have charged "
            f"{tenant['charge']} {found['currency']}"
        )
        keeping = tenant["keeping"]
        print(
            f"  kept by the policy '{keeping['policy']}': {keeping['observations']:,} facts, "
            f"{keeping['storedBytes']:,} bytes; assessments look at {keeping['seen']:,} of them"
        )
        for line in tenant["sources"]:
            place = f"{line['account']} {line['region']}"
            print(f"  {place:<32}  {line['source']:<18}{line['count']:>12,}")
    print(
        f"\nTogether {found['resourceAssessments']:,} resource assessments, "
        f"{found['charge']} {found['currency']}"
    )
    return 0
