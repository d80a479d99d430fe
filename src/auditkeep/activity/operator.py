"""What the operator does on the machine itself: recorded in the transaction that does it.

Whatever changes, outside the API, who may do what or sees what calls `acted`. The record belongs to
the home tenant, the operator's own; `account` and `region` say whom the act concerns, if it is
another.
"""

import getpass
from collections.abc import Mapping
from typing import Any

from auditkeep.activity import pending, record
from auditkeep.clock import Instant
from auditkeep.db.tx import SystemTx
from auditkeep.errors import SetupError
from auditkeep.ids import Tenant
from auditkeep.lake.buckets import BucketKeys


def acted(
    tx: SystemTx,
    keys: BucketKeys,
    name: str,
    parameters: Mapping[str, Any],
    now: Instant,
    *,
    account: str | None = None,
    region: str | None = None,
) -> None:
    """Record an act, `name`d as an API would (`CreateAccessKey`); secrets are never passed here.

    SetupError where the deployment has no home tenant, as before `auditkeep init` has ended.
    """
    home = pending.home_of(tx)
    if home is None:
        raise SetupError("This database holds no deployment; run 'auditkeep init' first.")
    about = Tenant(account or home.account, region or home.region)
    noted = record.of_operator(name, _user(), about, parameters, now)
    pending.keep(tx.of(home), keys, [noted], now)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "unknown"
