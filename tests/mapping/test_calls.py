"""Which API calls may be asked, and how: the documented ones, and any other that only reads."""

from pathlib import Path

import pytest
from botocore.session import get_session
from tests.conftest import ROOT

from auditkeep.mapping import calls, keywords, readonly
from auditkeep.mapping.calls import Call, Feed, Refusal
from auditkeep.mapping.feeds import FEEDS

LICENSES = "license-manager_"


def called(keyword: str) -> Call:
    found = calls.find(keyword)
    assert isinstance(found, Call), found
    return found


def refused(keyword: str) -> Refusal:
    found = calls.find(keyword)
    assert isinstance(found, Refusal), found
    return found


def test_every_documented_keyword_has_its_call_and_no_other_has() -> None:
    table = {k for k in calls.documented() if not k.startswith(LICENSES)}
    assert table == set(keywords.keywords("AWS_API_Call"))
    assert len(table) == 108


@pytest.mark.parametrize("keyword", sorted(calls.documented()))
def test_a_documented_call_fits_botocore_s_model(keyword: str) -> None:
    call = called(keyword)
    model = get_session().get_service_model(call.service).operation_model(call.operation)
    required = set(model.input_shape.required_members) if model.input_shape else set()
    fed = {call.feed.parameter} if call.feed else set()
    assert required <= fed | set(call.given)
    if call.paging:
        assert model.input_shape is not None
        assert set(call.paging.inputs) <= set(model.input_shape.members)
    for path, member, arn in call.lists:
        for one in path.split("|"):
            shape = model.output_shape
            for name in one.split("."):
                shape = shape.member if shape.type_name == "list" else shape
                shape = shape.members[name]
            assert shape.type_name == "list"
            if shape.member.type_name == "structure":
                named = {n for part in member.split("|") for n in part.split("+")} | {arn}
                assert named - {""} <= set(shape.member.members)
                assert named - {""}


@pytest.mark.parametrize(
    ("keyword", "feed"),
    [
        ("dynamodb_DescribeTable", Feed("TableName", "ListTables")),
        ("kms_GetKeyPolicy", Feed("KeyId", "ListKeys", "KeyId")),
        ("kms_GetKeyRotationStatus", Feed("KeyId", "ListKeys", "KeyId")),
        ("s3_GetBucketEncryption", Feed("Bucket", "ListBuckets", "Name")),
        # not among AWS's, but without names it would answer for one cluster only
        ("ecs_DescribeClusters", Feed("clusters", "ListClusters", named=True)),
    ],
)
def test_documented_fan_out(keyword: str, feed: Feed) -> None:
    assert called(keyword).feed == feed


def test_secrets_of_documented_calls_are_known() -> None:
    told = {k: c.secrets for k, c in calls.documented().items() if c.secrets}
    assert told["ec2_DescribeVpnConnections"] == (
        "CustomerGatewayConfiguration",
        "Options.TunnelOptions.*.PreSharedKey",
    )
    assert told["lambda_ListFunctions"] == ("Environment.Variables.*",)
    assert told["iam_ListVirtualMFADevices"] == ("Base32StringSeed", "QRCodePNG")
    # what an auditor must see is not cut, although the model calls it sensitive
    assert "s3_GetBucketEncryption" not in told


@pytest.mark.parametrize(
    "keyword",
    [
        "rds_DescribeDBSnapshots",
        "iam_ListAccessKeys",
        "iam_ListMFADevices",
        "logs_DescribeLogGroups",
        "organizations_ListAccounts",
        "s3_GetBucketPolicy",
        "wafv2_ListWebACLs",
        "ssm_DescribeParameters",
        "secretsmanager_DescribeSecret",
        "sns_GetTopicAttributes",
        "iam_GetCredentialReport",
        "cloudtrail_GetTrailStatus",
        "elasticfilesystem_DescribeMountTargets",
    ],
)
def test_other_reading_operations_may_be_asked(keyword: str) -> None:
    assert keyword.rpartition("_")[2] == called(keyword).operation


@pytest.mark.parametrize(
    ("keyword", "reason", "words"),
    [
        ("secretsmanager_GetSecretValue", "secret", "its answer is a secret"),
        ("secretsmanager_BatchGetSecretValue", "secret", "secrets"),
        ("ssm_GetParameter", "secret", "decrypted"),
        ("ssm_GetParametersByPath", "secret", "decrypted"),
        ("kms_Decrypt", "secret", "encrypted"),
        ("sts_GetSessionToken", "secret", "credentials"),
        ("sts_GetCallerIdentity", "secret", "credentials"),
        ("ecr_GetAuthorizationToken", "secret", "secret"),
        ("iam_CreateAccessKey", "secret", "credentials"),
        ("lambda_GetFunction", "secret", "signed link"),
        ("cognito-idp_DescribeUserPoolClient", "secret", "secret"),
        ("redshift_GetClusterCredentials", "secret", "secret"),
        ("ec2_GetPasswordData", "secret", "secret"),
        ("s3_GetObject", "secret", "data, not configuration"),
        ("ec2_RunInstances", "not read-only", "only operations that describe"),
        ("iam_DeleteUser", "not read-only", "never asked"),
        ("s3_PutBucketPolicy", "not read-only", "never asked"),
        ("cloudfront_CreateInvalidation", "not read-only", "never asked"),
        ("iam_GetPolicyVersion", "parameters", "PolicyArn and VersionId"),
        ("ec2_DescribeImageAttribute", "parameters", "Attribute"),
        ("ec2_ListVpcs", "unknown", "no operation 'ListVpcs'"),
        ("nothing_ListThings", "unknown", "no service 'nothing'"),
        ("describe all my things", "unknown", "must look like"),
    ],
)
def test_what_is_refused_says_why(keyword: str, reason: str, words: str) -> None:
    found = refused(keyword)
    assert found.reason == reason
    assert words in found.sentence
    assert found.sentence.endswith(".")


def test_what_the_tables_refuse_exists() -> None:
    session = get_session()
    known = set(session.get_available_services())
    gone = [
        name
        for name in readonly.DENIED
        if name.partition(":")[0] not in known
        or name.partition(":")[2]
        not in session.get_service_model(name.partition(":")[0]).operation_names
    ]
    assert gone == []
    assert set(readonly.SERVICES) <= known


def test_what_feeds_a_call_is_listed_without_a_parameter() -> None:
    session = get_session()
    for (service, operation, parameter), (lister, path) in FEEDS.items():
        model = session.get_service_model(service)
        listing = model.operation_model(lister)
        call = readonly.call_of(service, lister)
        needed = listing.input_shape.required_members if listing.input_shape else []
        assert set(needed) <= set(call.given)
        assert call.lists, (service, lister)
        if operation:
            shape = model.operation_model(operation).input_shape
            assert parameter in shape.members, (service, operation)
        if path:
            shape = listing.output_shape
            for name in call.lists[0][0].split("."):
                shape = shape.members[name]
            assert path in shape.member.members, (service, lister, path)


@pytest.mark.parametrize(
    ("keyword", "action"),
    [
        ("s3_GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("s3_GetBucketReplication", "s3:GetReplicationConfiguration"),
        ("s3_ListBuckets", "s3:ListAllMyBuckets"),
        (
            "elasticloadbalancingv2_DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetGroups",
        ),
        ("docdb_DescribeDBInstances", "rds:DescribeDBInstances"),
        (
            "elasticmapreduce_ListSecurityConfigurations",
            "elasticmapreduce:ListSecurityConfigurations",
        ),
        ("apigateway_GetRestApis", "apigateway:GET"),
        ("logs_DescribeLogGroups", "logs:DescribeLogGroups"),
    ],
)
def test_the_action_a_call_needs(keyword: str, action: str) -> None:
    assert called(keyword).action == action


def test_the_table_is_what_its_maker_makes(tmp_path: Path) -> None:
    facts = ROOT.parent / "shared" / "facts" / "api-calls.json"
    if not facts.is_file():
        from tests.conftest import missing

        missing("the facts are not beside this checkout")
    import json

    from tools import make_calls

    made = {k: make_calls.call(k, f) for k, f in json.loads(facts.read_text()).items()}
    assert made == calls.documented()
