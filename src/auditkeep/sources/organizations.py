"""AWS Organizations: which accounts there are (spec section 8.4). Two calls, every page of them.

`get` asks AWS with the credentials of this process (environment, profile or instance role), which
need `organizations:DescribeOrganization` and `organizations:ListAccounts` in the managing account
or in one it has delegated to. Only accounts that are ACTIVE are members.
"""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from auditkeep.accounts.members import Member, Organisation
from auditkeep.errors import InputError

_PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3})
"""Whoever stops the server waits for a reading that is under way."""

Answers = tuple[dict[str, Any], list[dict[str, Any]]]
"""What DescribeOrganization answered, and every account that ListAccounts did."""


def get(client: Any = None) -> Answers:
    """Ask AWS; InputError says what it refused. `client` is boto3's for `organizations`."""
    try:
        asked = client or boto3.client("organizations", region_name="us-east-1", config=_PATIENCE)
        described = asked.describe_organization()["Organization"]
        pages = asked.get_paginator("list_accounts").paginate()
        return described, [account for page in pages for account in page["Accounts"]]
    except (BotoCoreError, ClientError) as error:
        raise InputError(f"AWS Organizations could not be read: {error}") from error


def parse(answers: Answers) -> Organisation:
    """Pure; InputError where an answer lacks what it must say."""
    described, accounts = answers
    try:
        return Organisation(
            id=described["Id"],
            manager=described["MasterAccountId"],
            all_features=described["FeatureSet"] == "ALL",
            members=tuple(
                Member(a["Id"], a.get("Name", ""), a.get("Email", ""))
                for a in accounts
                if a.get("Status", a.get("State")) == "ACTIVE"
            ),
        )
    except KeyError as error:
        raise InputError(f"AWS Organizations answered without {error}.") from error


def read(client: Any = None) -> Organisation:
    return parse(get(client))
