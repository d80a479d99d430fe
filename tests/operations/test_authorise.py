"""The first layer under conditions, driven by an unmodified client."""

import json
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from tests.operations.in_process import Api

from auditkeep.access import policies
from auditkeep.accounts import tags
from auditkeep.clock import FixedClock
from auditkeep.db.database import Database
from auditkeep.operations.call import Deps
from auditkeep.settings import Settings

ACCOUNT = "111122223333"
SOURCE = {
    "sourceName": "s",
    "sourceSetUpOption": "Procedural_Controls_Mapping",
    "sourceType": "MANUAL",
}


@pytest.fixture
def api(db: Database, deps: Deps, clock: FixedClock) -> Api:
    settings = Settings(data=deps.settings.data, trusted_proxies="10.0.0.0/8, ::1")
    api = Api(db, replace(deps, settings=settings), clock)
    api.call(api.client().register_account)
    return api


def client(api: Api, user: str, *statements: dict[str, Any]) -> Any:
    """A client of a user under a policy of these statements."""
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    with api.db.system_write() as tx:
        policies.put(tx, ACCOUNT, f"Of-{user}", document)
    return api.client(api.key(user, f"Of-{user}"))


def allow(
    condition: dict[str, Any] | None = None, action: str = "auditmanager:*"
) -> dict[str, Any]:
    statement = {"Sid": "Most", "Effect": "Allow", "Action": action, "Resource": "*"}
    return statement if condition is None else {**statement, "Condition": condition}


def deny(condition: dict[str, Any], action: str = "auditmanager:*") -> dict[str, Any]:
    return {**allow(condition, action), "Sid": "ButNot", "Effect": "Deny"}


def control(api: Api, who: Any, tagged: dict[str, str] | None = None, name: str = "n") -> str:
    made = api.call(
        who.create_control, name=name, controlMappingSources=[SOURCE], tags=tagged or {}
    )
    return str(made["control"]["id"])


def denial(api: Api, method: Any, /, **ask: Any) -> str:
    with pytest.raises(ClientError) as caught:
        api.call(method, **ask)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(caught.value.response["Error"]["Message"])


def test_an_address_outside_the_range_is_refused_and_told_why(api: Api) -> None:
    jo = client(api, "jo", allow({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}))
    api.peer = "203.0.113.9"
    assert api.call(jo.list_assessments)["assessmentMetadata"] == []
    api.peer = "198.51.100.1"
    assert denial(api, jo.list_assessments) == (
        "User: arn:aws:iam::111122223333:user/jo is not authorized to perform: "
        "auditmanager:ListAssessments on resource: *, because no identity-based policy allows it; "
        "conditions that do not hold: Most of the policy Of-jo (IpAddress aws:SourceIp)."
    )
    api.added = ((b"x-forwarded-for", b"203.0.113.9"),)
    denial(api, jo.list_assessments)  # a header that anybody may write
    api.peer = "10.1.1.1"
    assert api.call(jo.list_assessments)["assessmentMetadata"] == []


def test_plain_http_can_be_refused(api: Api) -> None:
    jo = client(api, "jo", allow(), deny({"Bool": {"aws:SecureTransport": "false"}}))
    api.peer = "10.1.1.1"
    assert "ButNot of the policy Of-jo explicitly denies it" in denial(api, jo.list_assessments)
    api.added = ((b"x-forwarded-proto", b"https"),)
    assert api.call(jo.list_assessments)["assessmentMetadata"] == []


def test_tags_that_a_request_brings_can_be_demanded(api: Api) -> None:
    jo = client(
        api,
        "jo",
        allow(
            {
                "StringEquals": {"aws:RequestTag/team": ["red", "blue"]},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "env"]},
            },
            "auditmanager:CreateControl",
        ),
    )
    ask = {"name": "n", "controlMappingSources": [SOURCE]}
    denial(api, jo.create_control, **ask)
    denial(api, jo.create_control, **ask, tags={"team": "green"})
    denial(api, jo.create_control, **ask, tags={"team": "red", "other": "x"})
    assert control(api, jo, {"team": "red", "env": "a"})
    listed = api.call(api.client().list_controls, controlType="Custom")["controlMetadataList"]
    assert len(listed) == 1  # what was refused changed nothing


@pytest.mark.both_databases
def test_tags_of_the_resource_decide_inside_its_transaction(api: Api) -> None:
    admin = api.client()
    red, blue = (control(api, admin, {"Team": t}, t) for t in ("red", "blue"))
    none = control(api, admin, name="none")
    jo = client(api, "jo", allow({"StringEquals": {"aws:ResourceTag/Team": "red"}}))
    assert api.call(jo.get_control, controlId=red)["control"]["name"] == "red"
    for other in (blue, none):
        denial(api, jo.get_control, controlId=other)
        denial(api, jo.delete_control, controlId=other)
    assert api.call(admin.get_control, controlId=blue)["control"]["name"] == "blue"
    arn = f"arn:aws:auditmanager:us-east-1:{ACCOUNT}:control/"
    api.call(jo.untag_resource, resourceArn=arn + red, tagKeys=["Team"])
    denial(api, jo.get_control, controlId=red)
    denial(api, jo.tag_resource, resourceArn=arn + blue, tags={"Team": "red"})


def test_without_such_a_policy_nobody_reads_tags(api: Api) -> None:
    plain = client(api, "al", allow({"StringEquals": {"aws:username": "al"}}))
    with mock.patch.object(tags, "of", side_effect=AssertionError("tags were read")):
        for who in (plain, client(api, "jo", allow())):
            assert api.call(who.list_assessments)["assessmentMetadata"] == []


def test_a_resource_may_carry_the_users_name(api: Api) -> None:
    statement = {
        **allow(action="auditmanager:*"),
        "Resource": f"arn:aws:auditmanager:*:{ACCOUNT}:control/${{aws:username}}*",
    }
    one = control(api, api.client())
    owner = client(api, one[:4], statement)
    assert api.call(owner.get_control, controlId=one)["control"]["id"] == one
    assert "because no identity-based policy allows it." in denial(
        api, client(api, "jo", statement).get_control, controlId=one
    )


def test_a_second_factor_can_be_demanded(api: Api) -> None:
    """A key that lasts has no such key in its context; IAM's two ways of asking differ there."""
    mild = deny({"Bool": {"aws:MultiFactorAuthPresent": "false"}})
    strict = deny({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})
    jo, al = client(api, "jo", allow(), mild), client(api, "al", allow(), strict)
    assert api.call(jo.list_assessments)["assessmentMetadata"] == []
    assert "ButNot of the policy Of-al" in denial(api, al.list_assessments)
