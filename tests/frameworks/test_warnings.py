"""Keywords that nothing will be collected for, told when a control names them."""

import pytest

from auditkeep.errors import InvalidRequest
from auditkeep.frameworks import warnings
from auditkeep.frameworks.model import Keyword, MappingSource


def api(word: str) -> list[MappingSource]:
    return [
        MappingSource(
            id="s",
            type="AWS_API_Call",
            set_up_option="System_Controls_Mapping",
            keyword=Keyword(word, "SELECT_FROM_LIST"),
        )
    ]


@pytest.mark.parametrize(
    "word", ["iam_ListUsers", "iam_ListAccessKeys", "rds_DescribeDBSnapshots", "s3_GetBucketPolicy"]
)
def test_api_calls_that_can_be_made_are_not_doubted(word: str) -> None:
    assert list(warnings.unknown_keywords(api(word))) == []
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
    assert list(warnings.unknown_keywords(api(word))) == [("AWS_API_Call", word)]
    assert why in warnings.reason("AWS_API_Call", word)
    with pytest.raises(InvalidRequest, match=why):
        warnings.refuse_unknown(api(word))
