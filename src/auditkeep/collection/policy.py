"""What a member account must allow, and what must be switched on in it: generated from the plan.

    policy            least privilege: the actions that the plan's questions need, and no others
    stackset          CloudFormation: a role with that policy, a trust policy and an external id
    conformance packs AWS Config: the managed rules that a framework looks at

Sources: IAM's policy grammar, AWS CloudFormation's `AWS::IAM::Role`, and AWS Config's templates of
conformance packs (`AWS::Config::ConfigRule`). Pure: the actions come from the pullers.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from auditkeep.collection.plan import Plan, Question
from auditkeep.errors import SetupError
from auditkeep.frameworks.model import Framework
from auditkeep.mapping import config

MOST_RULES = 1_000
"""Rules that one account may have in a region (AWS Config, service limits)."""

_RULES_OF_A_PACK = 130
"""Rules of one conformance pack (AWS Config, service limits); nobody can have it raised."""

_PARAMETERS_OF_A_PACK = 60
"""Values that one pack can be given (`PutConformancePack`, `ConformancePackInputParameters`)."""

_BYTES_OF_A_PACK = 51_200
"""Bytes of a pack's template that is sent as it is (`PutConformancePack`, `TemplateBody`)."""

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


def conformance_packs(framework: Framework, match_keys: Iterable[str]) -> list[dict[str, Any]]:
    """The managed Config rules among some match keys, as templates that switch them on.

    As few as AWS's limits on one pack allow, in the order of the rules' identifiers. What a rule
    cannot do without is a parameter of its template: with AWS's own default, or, where there is
    none, to be filled in (`to_fill_in`). SetupError for a framework that looks at no managed rule.
    """
    wanted = sorted(key.partition(":")[2] for key in rules_of(match_keys))
    if not wanted:
        raise SetupError(f"'{framework.name}' looks at no managed Config rule.")
    if len(wanted) > MOST_RULES:
        raise SetupError(f"{len(wanted)} rules are more than a region may have ({MOST_RULES}).")
    packs: list[list[str]] = [[]]
    for identifier in wanted:
        if not _fits(_pack([*packs[-1], identifier])):
            packs.append([])
        packs[-1].append(identifier)
    return [_pack(some) for some in packs]


def text_of(document: Mapping[str, Any]) -> str:
    """A policy or template as it is written, and as the limits count it."""
    return json.dumps(document, indent=2) + "\n"


def to_fill_in(template: Mapping[str, Any]) -> list[str]:
    """The parameters of a template that have no default."""
    return [name for name, one in template.get("Parameters", {}).items() if "Default" not in one]


def _fits(template: dict[str, Any]) -> bool:
    return (
        len(template["Resources"]) <= _RULES_OF_A_PACK
        and len(template.get("Parameters", {})) <= _PARAMETERS_OF_A_PACK
        and len(text_of(template).encode()) <= _BYTES_OF_A_PACK
    )


def _pack(identifiers: Iterable[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    for identifier in identifiers:
        name = config.default_name(identifier)
        given: dict[str, Any] = {}
        for needed, default in config.required_parameters(identifier).items():
            parameter = f"{_logical(identifier)}Param{needed[0].upper()}{needed[1:]}"
            given[needed] = {"Ref": parameter}
            told = f"{needed} of {name}"
            parameters[parameter] = (
                {"Type": "String", "Description": f"{told}. AWS has no default: fill it in."}
                if default is None
                else {"Type": "String", "Description": f"{told}.", "Default": default}
            )
        resources[_logical(identifier)] = {
            "Type": "AWS::Config::ConfigRule",
            "Properties": {
                "ConfigRuleName": name,
                "Source": {"Owner": "AWS", "SourceIdentifier": identifier},
                **({"InputParameters": given} if given else {}),
            },
        }
    return {**({"Parameters": parameters} if parameters else {}), "Resources": resources}


def _logical(identifier: str) -> str:
    return "".join(part.capitalize() for part in identifier.split("_"))
