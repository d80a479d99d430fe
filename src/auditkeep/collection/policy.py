"""What a member account must allow, and what must be switched on in it: generated from the plan.

    policy            least privilege: the actions that the plan's questions need, and no others
    stackset          CloudFormation: a role with that policy, a trust policy and an external id
    conformance pack  AWS Config: the managed rules that a framework looks at

Sources: IAM's policy grammar, AWS CloudFormation's `AWS::IAM::Role`, and AWS Config's templates of
conformance packs (`AWS::Config::ConfigRule`). Pure: the actions come from the pullers.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from auditkeep.collection.plan import Plan, Question
from auditkeep.errors import SetupError
from auditkeep.frameworks.model import Framework

MOST_RULES = 1_000
"""Rules that one account may have in a region (AWS Config, service limits)."""

_STATEMENT = 6_000
"""Characters of one managed policy (IAM quotas: 6,144 without white space)."""

_IDENTIFIER = re.compile(r"config:([A-Z][A-Z0-9_]+)")


def actions(plan: Plan, needs: Callable[[Question], frozenset[str]]) -> list[str]:
    """Every action that some question of the plan needs, sorted; of what is left out, too, so that
    it can be asked when its region is switched on.
    """
    questions = {d.question for t in (*plan.territories, *plan.left_out) for d in t.duties}
    return sorted(frozenset[str]().union(*(needs(q) for q in questions)))


def policy(allowed: Iterable[str]) -> dict[str, Any]:
    """An identity policy; its actions read, none of them changes anything."""
    statement = {
        "Sid": "AuditkeepReads",
        "Effect": "Allow",
        "Action": sorted(allowed),
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def policies(allowed: Iterable[str]) -> list[dict[str, Any]]:
    """The same in as many managed policies as IAM's limit on their length asks for."""
    found: list[list[str]] = [[]]
    length = 0
    for action in sorted(allowed):
        if length + len(action) + 3 > _STATEMENT:
            found.append([])
            length = 0
        found[-1].append(action)
        length += len(action) + 3
    return [policy(some) for some in found if some]


def stackset(
    allowed: Iterable[str],
    central: Mapping[str, Iterable[str]] | None = None,
    *,
    role: str,
    principal: str,
    external_id: str,
    session_name: str,
) -> dict[str, Any]:
    """A template that any member account can be given; its only output is the role's ARN.

    `central`: what only some accounts allow, because they are asked about all of them.
    """
    if "/" in role or ":" in role:
        raise SetupError(
            f"'{role}' is not the plain name of a role, which a template for many accounts needs."
        )
    trust: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"AWS": {"Ref": "CollectorPrincipal"}},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:RoleSessionName": session_name}},
    }
    if external_id:
        trust["Condition"]["StringEquals"]["sts:ExternalId"] = {"Ref": "ExternalId"}
    attached = {
        f"Reads{number}": _attached("What Auditkeep asks of this account.", document)
        for number, document in enumerate(policies(allowed), 1)
    }
    conditions: dict[str, Any] = {}
    for account, some in sorted((central or {}).items()):
        conditions[f"Is{account}"] = {"Fn::Equals": [{"Ref": "AWS::AccountId"}, account]}
        told = "What Auditkeep asks of this account about all."
        only = _attached(told, policy(some))
        attached[f"ReadsOf{account}"] = {"Condition": f"Is{account}", **only}
    parameters = {
        "CollectorPrincipal": {
            "Type": "String",
            "Default": principal,
            "Description": "Who may take the role: the ARN that Auditkeep's server runs as.",
        }
    }
    if external_id:
        parameters["ExternalId"] = {
            "Type": "String",
            "Default": external_id,
            "Description": "What Auditkeep says when it takes the role.",
        }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The role that Auditkeep takes to read this account. It changes nothing.",
        "Parameters": parameters,
        **({"Conditions": conditions} if conditions else {}),
        "Resources": {
            "Collector": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": {"Fn::Sub": role.replace("{account}", "${AWS::AccountId}")},
                    "MaxSessionDuration": 3600,
                    "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
                },
            },
            **attached,
        },
        "Outputs": {"RoleArn": {"Value": {"Fn::GetAtt": ["Collector", "Arn"]}}},
    }


def _attached(description: str, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "Description": description,
            "PolicyDocument": document,
            "Roles": [{"Ref": "Collector"}],
        },
    }


def rules_of(match_keys: Iterable[str]) -> frozenset[str]:
    """The match keys of AWS's managed Config rules among some.

    Rules of one's own (`Custom_…`) are left out: only who wrote them knows what they do.
    """
    return frozenset(key for key in match_keys if _IDENTIFIER.fullmatch(key))


def conformance_pack(framework: Framework, match_keys: Iterable[str]) -> dict[str, Any]:
    """The managed Config rules among some match keys, as a template that switches them on.

    SetupError for a framework that looks at none.
    """
    wanted = sorted(key.partition(":")[2] for key in rules_of(match_keys))
    if not wanted:
        raise SetupError(f"'{framework.name}' looks at no managed Config rule.")
    if len(wanted) > MOST_RULES:
        raise SetupError(f"{len(wanted)} rules are more than a region may have ({MOST_RULES}).")
    return {
        "Resources": {
            _logical(identifier): {
                "Type": "AWS::Config::ConfigRule",
                "Properties": {
                    "ConfigRuleName": identifier.lower().replace("_", "-"),
                    "Source": {"Owner": "AWS", "SourceIdentifier": identifier},
                },
            }
            for identifier in wanted
        }
    }


def _logical(identifier: str) -> str:
    return "".join(part.capitalize() for part in identifier.split("_"))
