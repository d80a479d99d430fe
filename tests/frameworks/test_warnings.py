"""Keywords that nothing will be collected for, told when a control names them."""

import pytest

from auditkeep.collection import coverage
from auditkeep.errors import InvalidRequest
from auditkeep.frameworks import warnings
from auditkeep.frameworks.model import Keyword, MappingSource, MappingType


def api(word: str, kind: MappingType = "AWS_API_Call") -> list[MappingSource]:
    return [
        MappingSource(
            id="s",
            type=kind,
            set_up_option="System_Controls_Mapping",
            keyword=Keyword(word, "SELECT_FROM_LIST"),
        )
    ]


@pytest.mark.parametrize(
    "word", ["iam_ListUsers", "iam_ListAccessKeys", "rds_DescribeDBSnapshots", "s3_GetBucketPolicy"]
)
def test_api_calls_that_can_be_made_are_not_doubted(word: str) -> None:
    assert list(warnings.doubtful_keywords(api(word))) == []
    assert warnings.reason("AWS_API_Call", word) == ""


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("secretsmanager_GetSecretValue", "its answer is a secret"),
        ("ec2_TerminateInstances", "only operations that describe"),
        ("iam_GetPolicyVersion", "it needs PolicyArn and VersionId"),
        ("iam_ListUserz", "has no operation 'ListUserz'"),
    ],
)
def test_api_calls_that_are_never_made_are_doubted_with_the_reason(word: str, why: str) -> None:
    assert list(warnings.doubtful_keywords(api(word))) == [("AWS_API_Call", word)]
    assert why in warnings.reason("AWS_API_Call", word)
    with pytest.raises(InvalidRequest, match=why):
        warnings.refuse_doubtful(api(word))


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("kms_Decrypt", "leaves this call out of evidence by name"),
        ("sts_AssumeRole", "leaves this call out of evidence by name"),
        ("s3_PutObject", "as a data event"),
        ("dynamodb_GetItem", "as a data event"),
        ("ec2_DescribeInstances", "Calls that only read"),
    ],
)
def test_events_that_are_never_evidence_are_doubted_with_the_reason(word: str, why: str) -> None:
    named = api(word, "AWS_Cloudtrail")
    assert list(warnings.doubtful_keywords(named)) == [("AWS_Cloudtrail", word)]
    assert why in warnings.sentence("AWS_Cloudtrail", word)
    with pytest.raises(InvalidRequest, match=why):
        warnings.refuse_doubtful(named)
    (doubt,) = coverage.doubts([("AWS_Cloudtrail", word)])
    assert why in doubt.message


@pytest.mark.parametrize("word", ["kms_Encrypt", "sts_AssumeRoleWithSAML", "s3_PutBucketPolicy"])
def test_events_that_are_evidence_are_not_doubted(word: str) -> None:
    assert list(warnings.doubtful_keywords(api(word, "AWS_Cloudtrail"))) == []
    assert list(coverage.doubts([("AWS_Cloudtrail", word)])) == []
