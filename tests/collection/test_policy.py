"""What member accounts must allow: exactly what the plan asks, and nothing else."""

from __future__ import annotations

import json

import pytest
from tests.collection.test_plan import ONE, REACH, look

from auditkeep.clock import Instant
from auditkeep.collection.plan import Question, make
from auditkeep.collection.policy import actions, conformance_pack, policies, policy, stackset
from auditkeep.errors import SetupError
from auditkeep.frameworks.model import Framework
from auditkeep.sources.apicalls import ApiCalls

FRAMEWORK = Framework(
    id="f", name="Ours", type="Custom", sets=(), created_at=Instant(0), updated_at=Instant(0)
)

CENTRAL = "999988887777"


def needs(question: Question) -> frozenset[str]:
    return ApiCalls().actions(question.what) if question.what else frozenset({"config:Describe"})


def test_it_allows_what_the_plan_asks_in_iam_s_own_words() -> None:
    plan = make([look("api:s3_ListBuckets", "api:kms_GetKeyPolicy", "config:X")], REACH)
    allowed = actions(plan, needs)
    assert allowed == ["config:Describe", "kms:GetKeyPolicy", "kms:ListKeys", "s3:ListAllMyBuckets"]
    (statement,) = policy(allowed)["Statement"]
    assert statement["Action"] == allowed
    assert statement["Effect"] == "Allow"


def test_a_long_policy_is_cut_where_iam_s_limit_is() -> None:
    allowed = [f"service{n}:DescribeSomethingWithALongName" for n in range(400)]
    found = policies(allowed)
    assert len(found) > 1
    assert sorted(a for p in found for a in p["Statement"][0]["Action"]) == sorted(allowed)
    assert all(len(json.dumps(p, separators=(",", ":"))) <= 6144 for p in found)


def test_the_template_trusts_one_principal_with_external_id_and_session_name() -> None:
    made = stackset(
        ["iam:ListUsers"],
        role="Reader-{account}",
        principal=f"arn:aws:iam::{ONE}:role/server",
        external_id="abc",
        session_name="auditkeep",
    )
    role = made["Resources"]["Collector"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "sts:ExternalId": {"Ref": "ExternalId"},
        "sts:RoleSessionName": "auditkeep",
    }
    assert made["Parameters"]["ExternalId"]["Default"] == "abc"
    assert role["RoleName"] == {"Fn::Sub": "Reader-${AWS::AccountId}"}
    with pytest.raises(SetupError, match="plain name"):
        stackset([], role="arn:aws:iam::1:role/x", principal="", external_id="", session_name="")


def test_who_is_asked_about_all_allows_that_and_nobody_else() -> None:
    made = stackset(
        ["iam:ListUsers"],
        {CENTRAL: ["cloudtrail:StartQuery"]},
        role="Reader",
        principal=f"arn:aws:iam::{ONE}:role/server",
        external_id="",
        session_name="auditkeep",
    )
    assert made["Conditions"] == {
        f"Is{CENTRAL}": {"Fn::Equals": [{"Ref": "AWS::AccountId"}, CENTRAL]}
    }
    named = {
        name: (one.get("Condition"), one["Properties"]["PolicyDocument"]["Statement"][0]["Action"])
        for name, one in made["Resources"].items()
        if one["Type"] == "AWS::IAM::ManagedPolicy"
    }
    assert named == {
        "Reads1": (None, ["iam:ListUsers"]),
        f"ReadsOf{CENTRAL}": (f"Is{CENTRAL}", ["cloudtrail:StartQuery"]),
    }


def test_a_conformance_pack_holds_the_managed_rules_and_no_others() -> None:
    keys = [
        "config:S3_BUCKET_ACL_PROHIBITED",
        "config:Custom_mine",
        "config:IAM_X",
        "iam:CreateUser",
    ]
    made = conformance_pack(FRAMEWORK, keys)
    assert made["Resources"].pop("IamX")["Properties"]["ConfigRuleName"] == "iam-x"
    assert made["Resources"] == {
        "S3BucketAclProhibited": {
            "Type": "AWS::Config::ConfigRule",
            "Properties": {
                "ConfigRuleName": "s3-bucket-acl-prohibited",
                "Source": {"Owner": "AWS", "SourceIdentifier": "S3_BUCKET_ACL_PROHIBITED"},
            },
        }
    }
    with pytest.raises(SetupError, match="looks at no managed Config rule"):
        conformance_pack(FRAMEWORK, ["iam:CreateUser"])
