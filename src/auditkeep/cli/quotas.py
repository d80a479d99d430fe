"""`auditkeep quotas …`: how much an account may have in a region."""

from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report

Name = Annotated[str, Parameter(help="The quota, as `quotas list` names it.")]


def list_quotas(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Every quota of a tenant: its limit, who set it, and how much is in use."""
    from auditkeep.app.quotas import quotas_of
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        found = quotas_of(parts, Tenant(account, region))
    if json:
        report({"account": account, "region": region, "quotas": found}, as_json=True)
        return 0
    for one in found:
        limit = "any" if one["limit"] is None else f"{one['limit']:,}"
        used = "" if one["used"] is None else f"{one['used']:,} of "
        print(f"{one['name']:<24} {used + limit:>18}  {one['setBy']:<10}  {one['about']}")
    return 0


def set_quota(
    name: Name,
    value: Annotated[int, Parameter(help="How much this tenant may have.")],
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
) -> int:
    """Give one tenant a quota of its own. What it has already stays, also beyond a lower one."""
    from auditkeep.accounts import quotas
    from auditkeep.ids import Tenant

    with (
        deployment(data) as parts,
        parts.db.write(Tenant(account, region)) as tx,
    ):
        quotas.save(tx, name, value)
    return 0


def reset_quota(
    name: Name, *, data: Data, account: Account, region: Region = DEFAULT_REGION
) -> int:
    """Let the deployment's value count for a tenant again."""
    from auditkeep.accounts import quotas
    from auditkeep.ids import Tenant

    with (
        deployment(data) as parts,
        parts.db.write(Tenant(account, region)) as tx,
    ):
        quotas.reset(tx, name)
    return 0
