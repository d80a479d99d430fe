"""Who belongs to the organisation, which regions an account uses, and its roles' credentials."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulator.asking import Ask, Handler, Key, Output
from tests.simulator.encoding import Refusal
from tests.simulator.estate import Account

from auditkeep.clock import Instant

_ORGANISATION, _ROOT = "o-simulated1", "r-sim1"


def _arn(ask: Ask, what: str) -> str:
    return f"arn:aws:organizations::{ask.estate.management}:{what}"


def _member(ask: Ask, account: Account) -> Output:
    return {
        "Id": account.id,
        "Arn": _arn(ask, f"account/{_ORGANISATION}/{account.id}"),
        "Email": f"{account.name}@example.com",
        "Name": account.name,
        "Status": "ACTIVE" if account.closed is None or ask.at < account.closed else "SUSPENDED",
        "State": "ACTIVE" if account.closed is None or ask.at < account.closed else "SUSPENDED",
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": account.joined,
        "Paths": [f"{_ORGANISATION}/{_ROOT}/{account.id}/"],
    }


def _members(ask: Ask, at: Instant) -> list[Account]:
    found = sorted(ask.estate.accounts.values(), key=lambda account: account.id)
    return [account for account in found if account.member(at)]


def _accounts(ask: Ask) -> Output:
    _manages(ask)
    page, more = ask.page(lambda at: _members(ask, at), ask.params.get("NextToken"), most=20)
    return {"Accounts": [_member(ask, one) for one in page], "NextToken": more}


def _account(ask: Ask) -> Output:
    _manages(ask)
    found = ask.estate.accounts.get(ask.params["AccountId"])
    if found is None or not found.member(ask.at):
        raise Refusal("AccountNotFoundException", "No such account is in the organisation.")
    return {"Account": _member(ask, found)}


def _manages(ask: Ask) -> None:
    if ask.account != ask.estate.management:
        raise Refusal("AccessDeniedException", f"{ask.account} does not manage an organisation.")


def _organization(ask: Ask) -> Output:
    return {
        "Organization": {
            "Id": _ORGANISATION,
            "Arn": _arn(ask, f"organization/{_ORGANISATION}"),
            "FeatureSet": "ALL",
            "MasterAccountArn": _arn(ask, f"account/{_ORGANISATION}/{ask.estate.management}"),
            "MasterAccountId": ask.estate.management,
            "MasterAccountEmail": "management@example.com",
        }
    }


def _roots(ask: Ask) -> Output:
    arn = _arn(ask, f"root/{_ORGANISATION}/{_ROOT}")
    return {"Roots": [{"Id": _ROOT, "Arn": arn, "Name": "Root", "PolicyTypes": []}]}


def _parents(ask: Ask) -> Output:
    return {"Parents": [{"Id": _ROOT, "Type": "ROOT"}]}


def _units(ask: Ask) -> Output:
    return {"OrganizationalUnits": []}


def _children(ask: Ask) -> Output:
    if ask.params["ChildType"] != "ACCOUNT":
        return {"Children": []}
    page, more = ask.page(lambda at: _members(ask, at), ask.params.get("NextToken"))
    return {"Children": [{"Id": one.id, "Type": "ACCOUNT"} for one in page], "NextToken": more}


# ---- regions


def _status(ask: Ask, region: str) -> str:
    found = ask.estate.accounts[ask.account]
    if found.regions is None or region == "us-east-1":
        return "ENABLED_BY_DEFAULT"
    return "ENABLED" if region in found.regions else "DISABLED"


def _regions(ask: Ask) -> Output:
    wanted = ask.params.get("RegionOptStatusContains")
    listed = [{"RegionName": r, "RegionOptStatus": _status(ask, r)} for r in ask.estate.regions]
    return {"Regions": [r for r in listed if not wanted or r["RegionOptStatus"] in wanted]}


def _region_status(ask: Ask) -> Output:
    region = ask.params["RegionName"]
    return {"RegionName": region, "RegionOptStatus": _status(ask, region)}


_OPT = {
    "ENABLED_BY_DEFAULT": "opt-in-not-required",
    "ENABLED": "opted-in",
    "DISABLED": "not-opted-in",
}


def _ec2_regions(ask: Ask) -> Output:
    wanted = ask.params.get("RegionNames")
    listed = [
        {
            "RegionName": r,
            "Endpoint": f"ec2.{r}.amazonaws.com",
            "OptInStatus": _OPT[_status(ask, r)],
        }
        for r in ask.estate.regions
    ]
    return {
        "Regions": [
            r
            for r in listed
            if (ask.params.get("AllRegions") or r["OptInStatus"] != "not-opted-in")
            and (not wanted or r["RegionName"] in wanted)
        ]
    }


# ---- credentials


def _assume(ask: Ask) -> Output:
    arn: str = ask.params["RoleArn"]
    account = ask.estate.accounts.get(arn.split(":")[4])
    refused = Refusal(
        "AccessDenied",
        f"User: {ask.caller} is not authorized to perform: sts:AssumeRole on resource: {arn}",
        403,
    )
    if account is None or account.role_arn != arn or not account.trusts(ask.at):
        raise refused
    if account.external_id is not None and ask.params.get("ExternalId") != account.external_id:
        raise refused
    name = ask.params["RoleSessionName"]
    key = Key(
        id=f"ASIA{secrets.token_hex(8).upper()}",
        secret=secrets.token_urlsafe(30),
        account=account.id,
        arn=f"arn:aws:sts::{account.id}:assumed-role/{account.role}/{name}",
        token=secrets.token_urlsafe(60),
    )
    with ask.world.lock:
        ask.world.keys[key.id] = key
    lasting = timedelta(seconds=ask.params.get("DurationSeconds", 3600))
    return {
        "Credentials": {
            "AccessKeyId": key.id,
            "SecretAccessKey": key.secret,
            "SessionToken": key.token,
            "Expiration": datetime.now(UTC) + lasting,
        },
        "AssumedRoleUser": {"AssumedRoleId": f"AROASIMULATED:{name}", "Arn": key.arn},
    }


def _whoami(ask: Ask) -> Output:
    found: dict[str, Any] = {"UserId": "AIDASIMULATED", "Account": ask.account, "Arn": ask.caller}
    return found


HANDLERS: dict[str, Handler] = {
    "organizations:ListAccounts": _accounts,
    "organizations:DescribeAccount": _account,
    "organizations:DescribeOrganization": _organization,
    "organizations:ListRoots": _roots,
    "organizations:ListParents": _parents,
    "organizations:ListOrganizationalUnitsForParent": _units,
    "organizations:ListAccountsForParent": _accounts,
    "organizations:ListChildren": _children,
    "account:ListRegions": _regions,
    "account:GetRegionOptStatus": _region_status,
    "ec2:DescribeRegions": _ec2_regions,
    "sts:AssumeRole": _assume,
    "sts:GetCallerIdentity": _whoami,
}
