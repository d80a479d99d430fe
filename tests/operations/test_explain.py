"""An explanation names the statement and the layer that decide, as a request would meet them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.operations.making import OWNER, assessment

from auditkeep.access import grants, policies, policy
from auditkeep.access.principals import Principal
from auditkeep.accounts import tags
from auditkeep.errors import NotFound, SetupError
from auditkeep.ids import new_id
from auditkeep.operations.auditmanager import delegations
from auditkeep.operations.call import Call
from auditkeep.operations.explain import (
    IDENTITY,
    REGISTRATION,
    ROLES,
    Verdict,
    explain,
    operation_of,
)
from auditkeep.wire.models import auditmanager as am

EXPERT = "arn:aws:iam::111122223333:role/Expert"
SOMEONE = Principal("111122223333", "jo", "arn:aws:iam::111122223333:user/jo", (), "AKIA")
ALL = {"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}


def asked(
    call: Call,
    action: str,
    resource: str,
    *statements: dict[str, Any],
    who: Principal = SOMEONE,
    managed: str | None = None,
    **given: str,
) -> Verdict:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements or [ALL]})
    attached = policies.managed()[managed] if managed else policy.read("Mine", document)
    facts = {key.replace("_", ":"): (value,) for key, value in given.items()}
    return explain(call.tx, [attached], who, operation_of(action), resource, facts, call.now)


def decided(verdict: Verdict) -> tuple[bool, str]:
    return verdict.allowed, verdict.decided_by.name


@pytest.fixture
def made(call: Call) -> str:
    """An assessment of one owner, one of whose two sets is delegated; its ARN."""
    found = assessment(call, sets={"Access": ["a"], "Storage": ["b"]})
    wanted = am.CreateDelegationRequest(
        control_set_id="Access", role_arn=EXPERT, role_type="RESOURCE_OWNER"
    )
    ask = am.BatchCreateDelegationByAssessmentRequest(
        assessment_id=found["metadata"]["id"], create_delegation_requests=(wanted,)
    )
    delegations.batch_create_delegation(call, ask)
    return str(found["arn"])


def test_an_identity_policy_allows_where_no_assessment_is_named(call: Call) -> None:
    verdict = asked(call, "auditmanager:CreateControl", "*")
    assert decided(verdict) == (True, IDENTITY)
    assert (verdict.deciding.policy, verdict.deciding.statement) == ("Mine", "All")
    assert [layer.name for layer in verdict.layers] == [IDENTITY, REGISTRATION]


def test_an_explicit_deny_is_named(call: Call) -> None:
    deny = {"Sid": "Never", "Effect": "Deny", "Action": "auditmanager:Delete*", "Resource": "*"}
    verdict = asked(call, "DeleteControl", call.tenant.arn("control", "c"), ALL, deny)
    assert decided(verdict) == (False, IDENTITY)
    assert verdict.decided_by.why == "Never of the policy Mine explicitly denies it"


def test_where_nothing_allows_the_condition_in_the_way_is_shown(call: Call) -> None:
    office = {**ALL, "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}
    verdict = asked(call, "ListControls", "*", office)
    assert decided(verdict) == (False, IDENTITY)
    assert verdict.absent == ("aws:SourceIp",)
    (statement,) = verdict.statements
    assert str(statement.test) == "IpAddress aws:SourceIp '203.0.113.0/24'"
    assert asked(call, "ListControls", "*", office, aws_SourceIp="203.0.113.9").allowed
    assert not asked(call, "ListControls", "*", office, aws_SOURCEIP="203.0.114.9").allowed


@pytest.mark.parametrize(
    ("who", "action", "set_id", "allowed", "why"),
    [
        (OWNER, "GetAssessment", None, True, "audit owner"),
        (OWNER, "GetEvidence", "Storage", True, "audit owner"),
        (EXPERT, "GetEvidence", "Access", True, "delegate"),
        (EXPERT, "GetEvidence", "Storage", False, "no role"),
        (EXPERT, "GetAssessment", None, False, "no role"),
        (EXPERT, "GetAssessment", "Access", False, "delegate, which does not grant"),
        (SOMEONE.arn, "GetEvidence", "Access", False, "no role"),
    ],
)
def test_the_second_layer_knows_the_roles(
    call: Call, made: str, who: str, action: str, set_id: str | None, allowed: bool, why: str
) -> None:
    resource = made if set_id is None else f"{made}/controlSet/{set_id}"
    verdict = asked(call, action, resource, who=replace(SOMEONE, arn=who))
    assert decided(verdict) == (allowed, ROLES)
    assert why in verdict.decided_by.why


def test_both_layers_are_needed(call: Call, made: str) -> None:
    owner = replace(SOMEONE, arn=OWNER)
    verdict = asked(call, "GetAssessment", made, managed="AuditkeepDelegate", who=owner)
    assert decided(verdict) == (False, IDENTITY)
    assert [layer.allowed for layer in verdict.layers] == [False, True, True]


def test_administrators_and_operations_that_ask_for_no_role_pass(call: Call, made: str) -> None:
    admin = replace(SOMEONE, policies=(grants.ADMINISTRATOR,))
    verdict = asked(call, "DeleteAssessment", made, managed=grants.ADMINISTRATOR, who=admin)
    assert decided(verdict) == (True, IDENTITY)
    assert verdict.layers[-1].why == "holders of AWSAuditManagerAdministratorAccess need no role"
    assert decided(asked(call, "ListTagsForResource", made)) == (True, IDENTITY)


def test_tags_of_the_resource_are_read(call: Call) -> None:
    arn = call.tenant.arn("control", new_id())
    tags.add(call.tx, arn, {"Team": "red"})
    red = {**ALL, "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}}
    assert asked(call, "GetControl", arn, red).allowed
    assert not asked(call, "GetControl", call.tenant.arn("control", "other"), red).allowed


def test_who_is_asking_is_known_without_being_said(call: Call) -> None:
    mine = {**ALL, "Condition": {"StringEquals": {"aws:username": "${aws:PrincipalTag/Name}"}}}
    tagged = replace(SOMEONE, tags=(("name", "jo"),))
    assert asked(call, "ListControls", "*", mine, who=tagged).allowed


def test_an_account_that_never_registered_may_only_knock(unregistered: Call) -> None:
    assert decided(asked(unregistered, "ListControls", "*")) == (False, REGISTRATION)
    assert asked(unregistered, "RegisterAccount", "*").allowed


def test_a_resource_that_no_request_would_name_is_remarked_on(call: Call, made: str) -> None:
    assert asked(call, "GetAssessment", "*").note == (
        "Requests for auditmanager:GetAssessment name another resource: assessment/ID."
    )
    assert asked(call, "ListControls", made).note
    assert not asked(call, "GetAssessment", made).note
    assert not asked(call, "GetEvidence", made + "/ControlSet/Access").note
    assert not asked(call, "TagResource", made).note


def test_what_is_not_there_cannot_be_told(call: Call) -> None:
    with pytest.raises(NotFound):
        asked(call, "GetAssessment", call.tenant.arn("assessment", new_id()))
    with pytest.raises(SetupError, match=r"no action 'auditmanager:GetControll'\. Did you mean"):
        operation_of("auditmanager:GetControll")
    assert operation_of("getcontrol") is am.GET_CONTROL
