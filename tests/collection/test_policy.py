"""What member accounts must allow: exactly what the plan asks, and nothing else."""

from __future__ import annotations

import json
import operator

import boto3
import pytest
from moto import mock_aws
from tests.collection.test_plan import ONE, REACH, look

from auditkeep.clock import Instant
from auditkeep.collection.plan import Question, make
from auditkeep.collection.policy import (
    actions,
    conformance_packs,
    policies,
    policy,
    rules_of,
    stackset,
    text_of,
    to_fill_in,
)
from auditkeep.errors import SetupError
from auditkeep.frameworks.keys import match_keys_of
from auditkeep.frameworks.model import Framework
from auditkeep.library.library import Library
from auditkeep.mapping import catalogue
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
    looked_at = ["config:S3_BUCKET_ACL_PROHIBITED", "config:Custom_mine", "config:PutConfigRule"]
    (made,) = conformance_packs(FRAMEWORK, [*looked_at, "iam:CreateUser"])
    assert made == {
        "Resources": {
            "S3BucketAclProhibited": {
                "Type": "AWS::Config::ConfigRule",
                "Properties": {
                    "ConfigRuleName": "s3-bucket-acl-prohibited",
                    "Source": {"Owner": "AWS", "SourceIdentifier": "S3_BUCKET_ACL_PROHIBITED"},
                },
            }
        }
    }
    with pytest.raises(SetupError, match="looks at no managed Config rule"):
        conformance_packs(FRAMEWORK, ["iam:CreateUser"])


def test_a_rule_bears_the_name_that_aws_gives_it() -> None:
    (made,) = conformance_packs(FRAMEWORK, ["config:INCOMING_SSH_DISABLED"])
    (rule,) = made["Resources"].values()
    assert rule["Properties"]["ConfigRuleName"] == "restricted-ssh"


def test_what_a_rule_cannot_do_without_is_a_parameter_with_aws_s_default_if_any() -> None:
    (made,) = conformance_packs(
        FRAMEWORK, ["config:ACCESS_KEYS_ROTATED", "config:ALB_DESYNC_MODE_CHECK"]
    )
    rules = made["Resources"]
    age, mode = "AccessKeysRotatedParamMaxAccessKeyAge", "AlbDesyncModeCheckParamDesyncMode"
    assert rules["AccessKeysRotated"]["Properties"]["InputParameters"] == {
        "maxAccessKeyAge": {"Ref": age}
    }
    assert rules["AlbDesyncModeCheck"]["Properties"]["InputParameters"] == {
        "desyncMode": {"Ref": mode}
    }
    assert made["Parameters"][age]["Default"] == "90"
    assert "fill it in" in made["Parameters"][mode]["Description"]
    assert to_fill_in(made) == [mode]


def test_more_than_one_pack_may_hold_is_cut_at_each_of_aws_s_limits() -> None:
    library = Library.load()
    shipped = {k for c in library.controls.values() for k in match_keys_of(c, library.group)}
    with_parameters = {f"config:{name}" for name in catalogue.config().parameters}
    long = {f"config:{'VERY_LONG_NAME_' * 8}{n}" for n in range(130)}
    cut_at = set()
    for match_keys in (shipped, with_parameters, long):
        packs = conformance_packs(FRAMEWORK, match_keys)
        assert len(packs) == 2
        for one in packs:
            sizes = (len(one["Resources"]), len(one.get("Parameters", {})), len(text_of(one)))
            assert all(map(operator.le, sizes, (130, 60, 51_200)))
        first = packs[0]
        cut_at.add((len(first["Resources"]) == 130, len(first.get("Parameters", {})) >= 58))
        held = [r["Properties"]["Source"]["SourceIdentifier"] for p in packs
                for r in p["Resources"].values()]  # fmt: skip
        assert held == sorted(k.removeprefix("config:") for k in rules_of(match_keys))
    assert cut_at == {(True, False), (False, True), (False, False)}


def test_aws_config_takes_every_rule_of_the_packs_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every rule that a shipped framework looks at, and every one that cannot do without more."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    library = Library.load()
    shipped = {k for c in library.controls.values() for k in match_keys_of(c, library.group)}
    looked_at = shipped | {f"config:{name}" for name in catalogue.config().parameters}
    taken = 0
    with mock_aws():
        client = boto3.client("config", "us-east-1")
        for template in conformance_packs(FRAMEWORK, looked_at):
            values = {
                name: one.get("Default", "filled-in")
                for name, one in json.loads(text_of(template)).get("Parameters", {}).items()
            }
            for resource in template["Resources"].values():
                rule = dict(resource["Properties"])
                given = rule.get("InputParameters", {})
                filled = {name: values.pop(ref["Ref"]) for name, ref in given.items()}
                if filled:
                    rule["InputParameters"] = json.dumps(filled)
                client.put_config_rule(ConfigRule=rule)
                client.delete_config_rule(ConfigRuleName=rule["ConfigRuleName"])
                taken += 1
            assert values == {}, "each parameter belongs to a rule"
    assert taken == len(rules_of(looked_at))
