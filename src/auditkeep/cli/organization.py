"""`auditkeep organization …`: which accounts belong together."""

from typing import Annotated

from cyclopts import Parameter

from auditkeep.cli.opening import deployment
from auditkeep.cli.options import Data, Json, report


def show(*, data: Data, json: Json = False) -> int:
    """The organisation's accounts as AWS Organizations last told them."""
    with deployment(data) as parts:
        report({"members": parts.members()}, as_json=json)
    return 0


def refresh(*, data: Data, json: Json = False) -> int:
    """Read the accounts from AWS Organizations now; `serve` does it by itself."""
    from auditkeep.sources import organizations

    with deployment(data) as parts:
        left = parts.refresh_members(organizations.read)
        report({"members": parts.members(), "left": sorted(left)}, as_json=json)
    return 0


def remove(
    account: Annotated[
        str, Parameter(help="The account that belongs to the organisation no more.")
    ],
    *,
    data: Data,
    json: Json = False,
) -> int:
    """Take an account out of every other account's scopes, where nobody can tell that it left."""
    with deployment(data) as parts:
        report({"assessments": parts.remove_member(account)}, as_json=json)
    return 0
