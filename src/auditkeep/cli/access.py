"""`auditkeep keys …`: access keys of the API's users."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import DEFAULT_REGION, Account, Data, Json, Region, report


def create(
    *,
    data: Data,
    account: Account,
    user: Annotated[str, Parameter(help="The user the key belongs to.")],
    policy: Annotated[
        list[str], Parameter(help="A managed or custom policy; may be given several times.")
    ],
    region: Region = DEFAULT_REGION,
    json: Json = False,
) -> int:
    """Make an access key. The secret is shown once and kept only encrypted."""
    with deployment(data) as parts:
        made = parts.create_key(account, user, tuple(policy))
    report(
        {
            "accessKeyId": made.access_key_id,
            "secretAccessKey": made.secret_access_key,
            "account": account,
            "region": region,
            "arn": made.arn,
        },
        as_json=json,
    )
    return 0


def list_keys(*, data: Path, json: Json = False) -> int:
    """Every access key: whose it is, its policies, and whether it is disabled. Never secrets."""
    with deployment(data) as parts:
        report({"keys": parts.list_keys()}, as_json=json)
    return 0


def disable(access_key_id: str, *, data: Data) -> int:
    """Refuse an access key from now on."""
    with deployment(data) as parts:
        parts.disable_key(access_key_id)
    return 0
