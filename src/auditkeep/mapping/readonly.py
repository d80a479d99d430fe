"""Which operations beyond the documented ones may be asked, judged by botocore's service models.

A control may name any operation that only reads and needs no parameter, or one parameter whose
values another call lists (`feeds`). Refused are operations that could change something, and those
whose answers are secrets, credentials, or leave to fetch something: each with its reason.

The rules, in order: no table names it; the service and the operation exist; its verb reads; its
name does not tell that its answer is a secret; its answer is no stream; what it needs can be
supplied. What a model marks as sensitive, and what is or may be a secret by its name (`withheld`),
is cut from the evidence of those that remain; an answer of nothing else is not asked for.
"""

import re
from functools import cache
from typing import Any

from auditkeep.mapping import listing, models, withheld
from auditkeep.mapping.calls import Call, Feed, Refusal
from auditkeep.mapping.feeds import FEEDS
from auditkeep.mapping.places import GLOBAL_SERVICES

_KEYWORD = re.compile(r"([a-z][a-zA-Z0-9-]*)_([A-Z][A-Za-z0-9]+)")
_READS = re.compile(
    r"(?:Describe|Get|List|Search|Lookup|Check|View)(?=[A-Z0-9])"
    r"|Batch(?:Describe|Get|List|Check)(?=[A-Z0-9])"
)

_NAMES = {
    "access-analyzer": "accessanalyzer",
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elb",
    "elasticloadbalancingv2": "elbv2",
    "elasticmapreduce": "emr",
    "email": "ses",
    "eventbridge": "events",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
"""Names that people know a service by -> botocore's name of it."""

SERVICES: dict[str, str] = {
    "account-access-runtime": "its answers are credentials",
    "bedrock-agentcore": "its answers are tokens, secrets, or what agents did",
    "bedrock-runtime": "it runs models",
    "codecommit": "its answers are source code",
    "signin": "its answers are about who signs in",
    "sso": "its answers are made for the person who signed in",
    "sso-oidc": "its answers are tokens",
    "sts": "its answers are credentials, or say nothing about resources",
    "workmailmessageflow": "its answers are people's mail",
}
"""Services that nothing is asked of: why."""

DENIED: dict[str, str] = {
    "amplifybackend:GetBackendAuth": "its answer holds keys of sign-in providers",
    "amplifyuibuilder:GetCodegenJob": "its answer holds a signed link",
    "apigateway:GetApiKey": "its answer holds the value of an API key",
    "apigateway:GetApiKeys": "its answer holds the values of API keys",
    "appsync:ListApiKeys": "its answer holds the values of API keys",
    "artifact:GetReport": "its answer is a signed link",
    "artifact:GetTermForReport": "its answer is a signed link",
    "cognito-identity:GetId": "it creates an identity where there is none",
    "cognito-idp:DescribeUserPoolClient": "its answer holds the client's secret",
    "cognito-idp:ListUserPoolClientSecrets": "its answer is secrets",
    "connect:GetPromptFile": "its answer is a signed link",
    "datazone:GetConnection": "its answer may hold credentials",
    "directconnect:DescribeRouterConfiguration": "its answer holds keys of the routers' peers",
    "ec2:GetConsoleOutput": "what a machine prints may hold secrets",
    "ec2:GetConsoleScreenshot": "what a machine shows may hold secrets",
    "ec2:GetLaunchTemplateData": "its answer holds user data, which may hold secrets",
    "ec2:GetVpnConnectionDeviceSampleConfiguration": "its answer holds the tunnels' keys",
    "ecr:GetDownloadUrlForLayer": "its answer is a signed link to a layer of an image",
    "emr:GetSessionEndpoint": "its answer holds credentials",
    "gamelift:GetComputeAccess": "its answer is credentials",
    "gamelift:GetInstanceAccess": "its answer is credentials",
    "glue:GetConnection": "its answer holds the connection's password",
    "glue:GetConnections": "its answer holds the connections' passwords",
    "iam:CreateAccessKey": "it creates credentials and answers with them",
    "iot:GetRegistrationCode": "its answer lets whoever holds it register certificates",
    "kms:Decrypt": "its answer is what was encrypted",
    "kms:GenerateDataKey": "its answer is a key",
    "kms:GetParametersForImport": "its answer lets whoever holds it import key material",
    "lambda:GetFunction": "its answer holds a signed link to the function's code",
    "lambda:GetLayerVersion": "its answer holds a signed link to the layer's code",
    "lambda:GetLayerVersionByArn": "its answer holds a signed link to the layer's code",
    "lightsail:GetInstanceAccessDetails": "its answer is credentials",
    "managedblockchain:GetAccessor": "its answer holds the accessor's token",
    "payment-cryptography:GetParametersForExport": "its answer takes part in handing out keys",
    "payment-cryptography:GetParametersForImport": "its answer takes part in taking in keys",
    "s3control:GetDataAccess": "its answer is credentials",
    "secretsmanager:BatchGetSecretValue": "its answer is secrets",
    "secretsmanager:GetSecretValue": "its answer is a secret",
    "ssm:GetParameter": "its answer is a parameter's value, decrypted where that is asked for",
    "ssm:GetParameterHistory": "its answer is values, decrypted where that is asked for",
    "ssm:GetParameters": "its answer is values, decrypted where that is asked for",
    "ssm:GetParametersByPath": "its answer is values, decrypted where that is asked for",
    "support:GetAttachmentDownloadLink": "its answer is a signed link",
    "xray:GetSamplingTargets": "it reports to the service what was sampled",
}
"""Operations that are refused although their verbs may read: why."""

_TELLING = re.compile(
    r"Credential|Password|Token|SecretValue|PrivateKey|Presigned|SignedUrl|(?:Url|URL)s?$"
)
"""Words in an operation's name which say that its answer is a secret, or stands for one."""

HARMLESS = frozenset(
    {
        "GetAccountPasswordPolicy",
        "GetApiKeyCredentialProvider",
        "GetChangeTokenStatus",
        "GetCredentialLocker",
        "GetCredentialReport",
        "GetQueueUrl",
        "GetSourceRepositoryCloneUrls",
        "GetTokenVault",
        "ListAccessTokens",
        "ListApiKeyCredentialProviders",
        "ListCredentialLockers",
        "ListGitHubAccountTokenNames",
        "ListOauth2CredentialProviders",
        "ListPaymentCredentialProviders",
        "ListServiceSpecificCredentials",
        "ListSourceCredentials",
        "ListTokens",
        "ListTrustedTokenIssuers",
        "DescribeTrustedTokenIssuer",
    }
)
"""Operations with such a word whose answers are about secrets and hold none."""

_ACTIONS = {
    "s3:GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration",
    "s3:GetBucketCors": "s3:GetBucketCORS",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:ListBucketAnalyticsConfigurations": "s3:GetAnalyticsConfiguration",
    "s3:ListBucketIntelligentTieringConfigurations": "s3:GetIntelligentTieringConfiguration",
    "s3:ListBucketInventoryConfigurations": "s3:GetInventoryConfiguration",
    "s3:ListBucketMetricsConfigurations": "s3:GetMetricsConfiguration",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
}
"""IAM actions that are not called as their operation (IAM Service Authorization Reference)."""

_GIVEN: dict[tuple[str, str], dict[str, Any]] = {
    ("cognito-identity", "ListIdentityPools"): {"MaxResults": 60},
    ("cognito-idp", "ListUserPools"): {"MaxResults": 60},
    ("ec2", "DescribeImages"): {"Owners": ["self"]},
    ("ec2", "DescribeFpgaImages"): {"Owners": ["self"]},
    ("ec2", "DescribeSnapshots"): {"OwnerIds": ["self"]},
    ("kms", "GetKeyPolicy"): {"PolicyName": "default"},
    ("ssm", "ListDocuments"): {"Filters": [{"Key": "Owner", "Values": ["Self"]}]},
    **{
        ("wafv2", operation): {"Scope": "REGIONAL"}
        for operation in ("ListIPSets", "ListRegexPatternSets", "ListRuleGroups", "ListWebACLs")
    },
}
"""Parameters that are always sent: without most of them an answer would be about what is not the
account's own; a key has one policy, of this name."""

_VERB_ACTIONS = frozenset({"apigateway", "apigatewayv2"})
"""Services whose actions are HTTP's methods: `apigateway:GET`."""


def judge(keyword: str) -> Call | Refusal:
    """The call that a keyword names, or why it cannot be asked."""
    named = _KEYWORD.fullmatch(keyword)
    if named is None:
        return Refusal(
            "unknown",
            f"'{keyword}' names no API call: it must look like ec2_DescribeVpcs, the service as "
            "the AWS SDK for Python names it and the operation.",
        )
    service = _NAMES.get(named[1], named[1])
    name = f"{service}:{named[2]}"
    if service in SERVICES:
        return Refusal("secret", f"{name} is never asked: {SERVICES[service]}.")
    if name in DENIED:
        return Refusal("secret", f"{name} is never asked: {DENIED[name]}.")
    return _judged(service, named[2])


def reads(operation: str) -> bool:
    """Whether an operation only reads, as far as its verb tells."""
    return _READS.match(operation) is not None


@cache
def _judged(service: str, operation: str) -> Call | Refusal:
    name = f"{service}:{operation}"
    if service not in models.services():
        return Refusal("unknown", f"There is no service '{service}' in the AWS SDK for Python.")
    model = models.session().get_service_model(service)
    if operation not in model.operation_names:
        return Refusal("unknown", f"The service {service} has no operation '{operation}'.")
    if not reads(operation):
        return Refusal(
            "not read-only",
            f"{name} is never asked: only operations that describe, get, list or search are.",
        )
    if _TELLING.search(operation) and operation not in HARMLESS:
        return Refusal("secret", f"{name} is never asked: its answer is a secret or a signed link.")
    shape = model.operation_model(operation)
    if shape.has_streaming_output or shape.has_event_stream_output or shape.output_shape is None:
        return Refusal("secret", f"{name} is never asked: its answer is data, not configuration.")
    required = list(shape.input_shape.required_members) if shape.input_shape else []
    required = [r for r in required if r not in _GIVEN.get((service, operation), {})]
    feed = _feed(service, operation, required)
    if required and feed is None:
        return Refusal(
            "parameters",
            f"{name} cannot be asked: it needs {' and '.join(required)}, and Auditkeep does not "
            "know where to take that from.",
        )
    tokens = listing.unread(shape)
    if tokens:
        return Refusal(
            "pages",
            f"{name} cannot be asked: its answer comes in pages by {' and '.join(tokens)}, and "
            "Auditkeep does not know how they go on, so that nobody could tell what is missing.",
        )
    call = call_of(service, operation, feed)
    if "" in call.secrets:
        return Refusal(
            "secret", f"{name} is never asked: its answer is nothing but what AWS calls sensitive."
        )
    return call


def action_of(service: str, operation: str) -> str:
    """The IAM action that an operation needs."""
    if service in _VERB_ACTIONS:
        return "apigateway:GET"
    name = f"{models.session().get_service_model(service).signing_name}:{operation}"
    return _ACTIONS.get(name, name)


def _feed(service: str, operation: str, required: list[str]) -> Feed | None:
    """Where the one parameter of an operation comes from, if that is known.

    What a feed is for is needed, also where no model says so.
    """
    own = [(p, source) for (s, o, p), source in FEEDS.items() if (s, o) == (service, operation)]
    if own and set(required) <= {own[0][0]}:
        return Feed(own[0][0], *own[0][1])
    source = FEEDS.get((service, "", required[0])) if len(required) == 1 else None
    return None if source is None else Feed(required[0], *source)


def call_of(service: str, operation: str, feed: Feed | None = None) -> Call:
    """How an operation is asked, as far as botocore's models tell it."""
    shape = models.operation(service, operation)
    listed = listing.listed_of(shape, fed=feed is not None)
    return Call(
        service=service,
        operation=operation,
        action=action_of(service, operation),
        everywhere=service in GLOBAL_SERVICES,
        given=_GIVEN.get((service, operation), {}),
        lists=listed.lists,
        digested=listed.digested,
        paging=listing.paging_of(shape),
        feed=feed,
        secrets=_secrets(shape, listed.lists),
    )


def _secrets(shape: Any, lists: tuple[tuple[str, str, str], ...]) -> tuple[str, ...]:
    """Paths of members to cut, below an element where there are lists, else below the answer."""
    service = shape.service_model.service_name
    if not lists:
        return withheld.paths_of(service, shape.output_shape)
    found: set[str] = set()
    for path, _, _ in lists:
        below = shape.output_shape
        for name in path.split("."):
            below = below.members[name]
        found |= set(withheld.paths_of(service, below.member))
    return tuple(sorted(found))
