"""Keywords in any spelling mean the match keys of what they name."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.mapping import keywords
from auditkeep.mapping.cloudtrail import EXCLUDED, event_key
from auditkeep.mapping.interest import Interest
from auditkeep.mapping.keywords import is_listed, match_keys, suggest

TYPES = ("AWS_Cloudtrail", "AWS_Config", "AWS_Security_Hub", "AWS_API_Call")


@pytest.mark.parametrize(
    ("source", "keyword", "keys"),
    [
        ("AWS_Cloudtrail", "iam_CreateUser", {"iam:CreateUser"}),
        ("AWS_Cloudtrail", "cloudwatch_EnableAlarmActions", {"monitoring:EnableAlarmActions"}),
        ("AWS_Cloudtrail", "monitoring_EnableAlarmActions", {"monitoring:EnableAlarmActions"}),
        (
            "AWS_Cloudtrail",
            "elasticloadbalancingv2_CreateRule",
            {"elasticloadbalancing:CreateRule"},
        ),
        ("AWS_Cloudtrail", "opensearch_CreateDomain", {"es:CreateDomain"}),
        ("AWS_Cloudtrail", "email_DeleteIdentity", {"ses:DeleteIdentity"}),
        ("AWS_Cloudtrail", "signin_ConsoleLogin", {"signin:ConsoleLogin"}),
        ("AWS_Cloudtrail", "ConsoleLogin", {"signin:ConsoleLogin"}),
        ("AWS_Cloudtrail", "NoSuchEventAnywhere", {"NoSuchEventAnywhere"}),
        ("AWS_Cloudtrail", "lambda_CreateFunction20150331", {"lambda:CreateFunction"}),
        ("AWS_Cloudtrail", "lambda_CreateFunction", {"lambda:CreateFunction"}),
        (
            "AWS_Cloudtrail",
            "s3_PutPublicAccessBlock",
            {
                "s3:PutPublicAccessBlock",
                "s3:PutBucketPublicAccessBlock",
                "s3:PutAccountPublicAccessBlock",
            },
        ),
        ("AWS_Config", "S3_BUCKET_ACL_PROHIBITED", {"config:S3_BUCKET_ACL_PROHIBITED"}),
        ("AWS_Config", "Custom_my-rule", {"config:Custom_my-rule"}),
        (
            "AWS_Config",
            "Custom_OrgConfigRule-s3-bucket-versioning-enabled",
            {
                "config:Custom_OrgConfigRule-s3-bucket-versioning-enabled",
                "config:S3_BUCKET_VERSIONING_ENABLED",
            },
        ),
        (
            "AWS_Config",
            "Custom_OrgConfigRule-s3-bucket-versioning-enabled-dbgzf8ba",
            {
                "config:Custom_OrgConfigRule-s3-bucket-versioning-enabled-dbgzf8ba",
                "config:Custom_OrgConfigRule-s3-bucket-versioning-enabled",
                "config:S3_BUCKET_VERSIONING_ENABLED",
            },
        ),
        (
            "AWS_Config",
            "Custom_restricted-ssh-conformance-pack",
            {"config:Custom_restricted-ssh-conformance-pack", "config:INCOMING_SSH_DISABLED"},
        ),
        ("AWS_Config", "Custom_restricted-ssh", {"config:Custom_restricted-ssh"}),
        ("AWS_Security_Hub", "IAM.4", {"securityhub:IAM.4"}),
        ("AWS_Security_Hub", "1.12", {"securityhub:IAM.4"}),
        ("AWS_Security_Hub", "CIS.1.12", {"securityhub:IAM.4"}),
        ("AWS_Security_Hub", "PCI.IAM.1", {"securityhub:IAM.4"}),
        ("AWS_Security_Hub", "PCI.CW.1", {"securityhub:CloudWatch.1"}),
        ("AWS_Security_Hub", "PCI.IAM.7", {"securityhub:IAM.8"}),
        ("AWS_Security_Hub", "PCI.ES.1", {"securityhub:ES.1"}),
        ("AWS_API_Call", "iam_ListUsers", {"api:iam_ListUsers"}),
        ("AWS_API_Call", "rds_describeDBSecurityGroups", {"api:rds_DescribeDbSecurityGroups"}),
        ("MANUAL", "anything", set()),
        ("Core_Control", "anything", set()),
    ],
)
def test_a_keyword_means_its_match_keys(source: str, keyword: str, keys: set[str]) -> None:
    assert match_keys(source, keyword) == keys


def test_all_three_standards_of_one_control_meet_in_one_key() -> None:
    keys = {match_keys("AWS_Security_Hub", k) for k in ("1.12", "PCI.IAM.1", "IAM.4")}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("source", "count"), list(zip(TYPES, (10_985, 326, 392, 108), strict=True))
)
def test_lists_are_complete_sorted_and_each_keyword_listed(source: str, count: int) -> None:
    listed = keywords.keywords(source)
    assert len(listed) == count
    assert listed == sorted(set(listed))
    assert all(is_listed(source, k) for k in listed)
    assert all(match_keys(source, k) for k in listed)


def test_types_without_keywords_have_an_empty_list() -> None:
    assert keywords.keywords("MANUAL") == []
    assert keywords.keywords("Common_Control") == []


@pytest.mark.parametrize(
    ("source", "keyword", "expected"),
    [
        ("AWS_Cloudtrail", "iam_CreateUsr", "iam_CreateUser"),
        ("AWS_Cloudtrail", "iam_createuser", "iam_CreateUser"),
        ("AWS_Config", "restricted-ssh", "INCOMING_SSH_DISABLED"),
        ("AWS_Config", "S3_BUCKET_ACL_PROHIBITD", "S3_BUCKET_ACL_PROHIBITED"),
        ("AWS_Security_Hub", "PCI.IAM1", "PCI.IAM.1"),
        ("AWS_API_Call", "iam_listusers", "iam_ListUsers"),
    ],
)
def test_a_typo_is_answered_with_what_may_have_been_meant(
    source: str, keyword: str, expected: str
) -> None:
    assert suggest(source, keyword)[0] == expected


@pytest.mark.parametrize(
    ("source", "keyword"),
    [("AWS_Config", "ACCESS_KEYS_ROTATED"), ("AWS_Config", "Custom_x"), ("MANUAL", "x")],
)
def test_nothing_is_suggested_for_what_is_right(source: str, keyword: str) -> None:
    assert suggest(source, keyword) == []


def test_the_documented_exclusions_are_not_offered() -> None:
    offered = set(keywords.keywords("AWS_Cloudtrail"))
    assert not {key.replace(":", "_") for key in EXCLUDED} & offered


def test_a_keyword_and_its_event_give_the_same_key() -> None:
    for keyword in keywords.keywords("AWS_Cloudtrail")[::7]:
        prefix, _, name = keyword.partition("_")
        assert event_key(f"{prefix}.amazonaws.com", name) in match_keys("AWS_Cloudtrail", keyword)


@given(
    st.sampled_from(TYPES),
    st.text(alphabet=string.ascii_letters + string.digits + "_- ().:/", min_size=1, max_size=100),
)
def test_any_keyword_resolves_and_resolving_is_stable(source: str, keyword: str) -> None:
    keys = match_keys(source, keyword)
    assert keys
    assert keys == match_keys(source, keyword)
    assert len(suggest(source, keyword)) <= 3


def test_interest_in_everything_wants_all_and_in_nothing_none() -> None:
    assert Interest.everything().wants("iam:CreateUser")
    assert not Interest.of([]).wants("iam:CreateUser")
    some = Interest.of(["iam:CreateUser", "kms:Decrypt"])
    assert some.wants("iam:CreateUser")
    assert some.event_names == {"CreateUser"}


def test_what_digests_said_has_a_keyword_of_its_own() -> None:
    assert keywords.match_keys("AWS_Cloudtrail", "digest_cloudtrail") == {"digest:cloudtrail"}
    assert keywords.is_listed("AWS_Cloudtrail", "digest_cloudtrail")
    assert keywords.suggest("AWS_Cloudtrail", "digest_cloudtrail") == []
    assert "digest_cloudtrail" not in keywords.keywords("AWS_Cloudtrail")
