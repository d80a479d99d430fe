"""`auditkeep keeping …`: which of the facts that arrive are kept."""

from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report
from auditkeep.observations import KeepPolicy


def show(
    *, data: Data, account: Account, region: Region = DEFAULT_REGION, json: Json = False
) -> int:
    """Which facts are kept and since when, how many there are, and how many are looked at."""
    from auditkeep.app import keeping
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        report(keeping.show_keeping(parts, Tenant(account, region)), as_json=json)
    return 0


def set_policy(
    policy: Annotated[KeepPolicy, Parameter(help="library, matched or all.")],
    *,
    data: Data,
    account: Account,
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Set which facts are kept from now on; the change is logged. What there is stays."""
    from auditkeep.app import keeping
    from auditkeep.ids import Tenant

    with deployment(data) as parts:
        report(keeping.set_keeping(parts, Tenant(account, region), policy), as_json=json)
    return 0
