"""What is never kept of an answer: in every model of botocore, and in shapes of our own."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ServiceModel
from tests.mapping.accepted import accepted, kept_of

from auditkeep.mapping import calls, withheld
from auditkeep.mapping.calls import Refusal

SECRET = re.compile(
    r"secret|passw|pass_?phrase|credential|token|pre_?shared_?key|private_?key|auth_?key|api_?key"
    r"|license_?key|activation_?(?:key|code)|registration_?code|auth_?code|unlock_?code|user_?data"
    r"|connection_?string|router_?config|gateway_?configuration|stream_?key|shared_?key",
    re.IGNORECASE,
)
"""More names than the rule's own, in whatever place of a name."""

TELLS_OF = re.compile(
    r"(?:arns?|ids?|identifier|names?|types?|status|state|mode|alias|provider|vendor|source|method"
    r"|header|field|param|parameter|endpoint|domains|kmskey|rotation|enforced|expression|audiences"
    r"|description|address|publickeys)$",
    re.IGNORECASE,
)

LOOKED_AT = {
    "apigateway_GetAuthorizers:authorizerCredentials": "the ARN of a role",
    "apigateway_GetResources:credentials": "the ARN of a role",
    "appflow_DescribeConnectorProfiles:authCodeUrl": "where a code is asked for",
    "appflow_DescribeConnectorProfiles:tokenUrl": "where a token is asked for",
    "cognito-idp_*:PreTokenGeneration": "the ARN of a function",
    "config_GetComplianceDetailsByResource:ResultToken": "of an evaluation",
    "ec2_*:SqlServerCredentials": "the ARN of a secret",
    "fsx_*:DomainJoinServiceAccountSecret": "the ARN of a secret",
    "glue_SearchTables:ViewVersionToken": "the number of a version",
    "license-manager_ListTokens:TokenProperties": "who may use it",
    "logs_ListAnomalies:tokenString": "a piece of a log's pattern",
    "mediaconvert_*:CertificateSecret": "the ARN of a secret",
    "mediapackage*_*:CdnIdentifierSecret": "the ARN of a secret",
    "mediatailor_ListSourceLocations:SecretStringKey": "the name of a member of a secret",
    "secretsmanager_ListSecrets:SecretVersionsToStages": "labels of versions",
    "workspaces_DescribeConnectionAliases:ConnectionString": "a domain",
}
"""Texts whose names say secret and that hold none."""

ASKING = re.compile(
    r"(?:next|continuation|client|request|update|lock|creation|idempotency|sequence)_?token$"
    r"|^httptokens$",
    re.IGNORECASE,
)
"""Tokens that number what is asked, shown or changed; a setting of what machines are told."""


EMR = "jobTemplateData.configurationOverrides.applicationConfiguration.*.configurations.*"


def texts(shape: Any, path: tuple[str, ...], seen: frozenset[str]) -> Iterator[tuple[str, ...]]:
    if shape.type_name in ("string", "blob"):
        yield path
    elif shape.name not in seen:
        seen |= {shape.name}
        inner = {"list": ("member",), "map": ("value",)}.get(shape.type_name, ())
        for attribute in inner:
            yield from texts(getattr(shape, attribute), (*path, "*"), seen)
        for name, member in getattr(shape, "members", {}).items():
            yield from texts(member, (*path, name), seen)


def harmless(keyword: str, name: str) -> bool:
    if TELLS_OF.search(name) and not re.search(r"(?:auth|api)key$", name, re.IGNORECASE):
        return True
    if ASKING.search(name):
        return True
    return any(
        re.fullmatch(known.replace("*", "[a-zA-Z0-9-]*"), f"{keyword}:{name}")
        for known in LOOKED_AT
    )


def test_nothing_of_any_model_whose_name_says_secret_is_kept() -> None:
    told = set()
    for keyword, call in accepted().items():
        for shape in kept_of(call):
            for path in texts(shape, (), frozenset()):
                name = next((n for n in reversed(path) if n != "*"), "")
                if ".".join(path) in call.secrets or not SECRET.search(name):
                    continue
                if not harmless(keyword, name):
                    told.add(f"{keyword}:{'.'.join(path)}")
    assert sorted(told) == []
    assert len(accepted()) > 2000


def test_no_variable_of_an_environment_of_any_model_is_kept() -> None:
    free = re.compile(
        r"(?:^|\.)(?:\w*environment_?variables|environment(?:overrides?)?|env)\.\*(?:\.value)?$",
        re.IGNORECASE,
    )
    found = {
        f"{keyword}:{'.'.join(path)}"
        for keyword, call in accepted().items()
        for shape in kept_of(call)
        for path in texts(shape, (), frozenset())
        if free.search(".".join(path)) and ".".join(path) not in call.secrets
    }
    assert found == set()


def test_no_text_that_a_model_calls_sensitive_is_kept_but_what_must_be_read() -> None:
    for keyword, call in accepted().items():
        for shape in kept_of(call):
            for name, member in getattr(shape, "members", {}).items():
                if member.type_name == "string" and member.metadata.get("sensitive"):
                    read = name.lower() in withheld.READ
                    assert read or name in call.secrets, (keyword, name)


def test_no_resource_is_named_by_what_is_withheld() -> None:
    for keyword, call in accepted().items():
        assert not {member for _, *named in call.lists for member in named} & set(call.secrets), (
            keyword
        )


def called(keyword: str) -> calls.Call:
    found = calls.find(keyword)
    assert isinstance(found, calls.Call), found
    return found


@pytest.mark.parametrize(
    ("keyword", "paths"),
    [
        (
            "directconnect_DescribeVirtualInterfaces",
            {"authKey", "bgpPeers.*.authKey", "customerRouterConfig"},
        ),
        ("amplify_ListApps", {"environmentVariables.*"}),
        ("lightsail_GetContainerServices", {"currentDeployment.containers.*.environment.*"}),
        ("batch_DescribeJobDefinitions", {"containerProperties.environment.*.value"}),
        ("cloudformation_DescribeStacks", {"Parameters.*.ParameterValue", "Outputs.*.OutputValue"}),
        ("glue_GetJobs", {"DefaultArguments.*"}),
        ("grafana_ListWorkspaces", {"grafanaToken"}),
        ("dms_DescribeEndpoints", {"ExtraConnectionAttributes"}),
        # what holds its like again is followed into itself
        (
            "emr-containers_ListJobTemplates",
            {f"{EMR}.configurations.*.properties.*", f"{EMR}.properties.*"},
        ),
    ],
)
def test_what_is_withheld(keyword: str, paths: set[str]) -> None:
    assert paths <= set(called(keyword).secrets)


@pytest.mark.parametrize(
    ("keyword", "kept"),
    [
        ("iam_ListAccessKeys", "AccessKeyId"),
        ("rds_DescribeDBInstances", "MasterUserSecret.SecretArn"),
        ("rds_DescribeDBParameterGroups", "Description"),
        ("ec2_DescribeInstances", "MetadataOptions.HttpTokens"),
        ("batch_DescribeJobDefinitions", "containerProperties.environment.*.name"),
        ("batch_DescribeJobDefinitions", "containerProperties.secrets.*.valueFrom"),
        ("cloudformation_DescribeStacks", "Parameters.*.ParameterKey"),
        ("ec2_DescribeVpcs", "Tags.*.Value"),
        ("workspaces_DescribeConnectionAliases", "ConnectionString"),
    ],
)
def test_what_only_tells_of_a_secret_is_kept(keyword: str, kept: str) -> None:
    assert kept not in called(keyword).secrets


@pytest.mark.parametrize(
    "keyword", ["iot_GetRegistrationCode", "sns_ListPhoneNumbersOptedOut", "sts_GetAccessKeyInfo"]
)
def test_an_answer_of_secrets_only_is_not_asked_for(keyword: str) -> None:
    found = calls.find(keyword)
    assert isinstance(found, Refusal)
    assert found.reason == "secret"


def model(members: dict[str, str]) -> Any:
    """A shape of texts, lists (`[]`), maps (`{}`) and lists of name and value (`=`)."""
    shapes: dict[str, Any] = {
        "Text": {"type": "string"},
        "[]": {"type": "list", "member": {"shape": "Text"}},
        "{}": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Text"}},
        "=": {"type": "list", "member": {"shape": "Pair"}},
        "Pair": {
            "type": "structure",
            "members": {"Name": {"shape": "Text"}, "Value": {"shape": "Text"}},
        },
        "All": {
            "type": "structure",
            "members": {n: {"shape": kind or "Text"} for n, kind in members.items()},
        },
    }
    return ServiceModel({"metadata": {}, "shapes": shapes}).shape_for("All")


@pytest.mark.parametrize(
    ("member", "kind", "path"),
    [
        ("BrandNewSecret", "", "BrandNewSecret"),
        ("bearer_token", "", "bearer_token"),
        ("Secrets", "[]", "Secrets.*"),
        ("ApiKey", "", "ApiKey"),
        ("Environment", "{}", "Environment.*"),
        ("Env", "=", "Env.*.Value"),
        ("PrivateKeys", "=", "PrivateKeys.*.Value"),
        ("SecretArn", "", None),
        ("NextToken", "", None),
        ("ClientToken", "", None),
        ("Environment", "", None),
        ("Tags", "=", None),
        ("Variables", "=", "Variables.*.Value"),
    ],
)
def test_names_that_nobody_marked(member: str, kind: str, path: str | None) -> None:
    assert withheld.paths_of("any", model({member: kind})) == (() if path is None else (path,))
