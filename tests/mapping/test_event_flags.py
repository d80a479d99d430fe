"""Which events are evidence though they are flagged as reads, and what to ask for to find them."""

import pytest

from auditkeep.mapping import event_flags
from auditkeep.mapping.event_flags import ByName, asked_by_name


@pytest.mark.parametrize(
    "key", ["kms:Encrypt", "sts:AssumeRoleWithSAML", "bedrock:InvokeModel", "iam:CreateUser"]
)
def test_the_list_has_calls_that_are_no_reads_by_name(key: str) -> None:
    assert key in event_flags.listed()


@pytest.mark.parametrize("key", ["ec2:DescribeInstances", "kms:Decrypt", "sts:AssumeRole"])
def test_the_list_has_neither_reads_nor_what_aws_leaves_out_by_name(key: str) -> None:
    assert key not in event_flags.listed()


def test_only_what_may_be_flagged_is_asked_for_by_name() -> None:
    looked_at = {
        "cloudtrail:StartQuery",
        "cloudtrail:StartLogging",
        "iam:CreateUser",
        "iam:GenerateCredentialReport",
        "kms:Decrypt",
        "lambda:Invoke",
        "lambda:InvokeAsync",
        "securityhub:BatchUpdateFindings",
        "signin:ConsoleLogin",
        "sns:Publish",
        "sts:AssumeRoleWithSAML",
        "sts:NobodyListsThis",
        "sts:'; DROP",
    }
    assert asked_by_name(looked_at) == ByName(
        ("AssumeRoleWithSAML", "GenerateCredentialReport", "StartQuery"),
        ("lambda.amazonaws.com",),
    )


@pytest.mark.parametrize("keys", [None, frozenset(), frozenset({"iam:CreateUser"})])
def test_nothing_is_asked_for_by_name_where_nothing_has_to_be(keys: frozenset[str] | None) -> None:
    assert not asked_by_name(keys)
