"""Config evaluations: which rule, which resource, in all their forms."""

import json
from typing import Any

import pytest
from tests.sources.reading import EVERYTHING, Read, read

from auditkeep.clock import iso
from auditkeep.mapping.interest import Interest
from auditkeep.sources import config
from auditkeep.sources.records import NO_CONTROL, Context
from auditkeep.sources.rules import Rule, Rules, Source

RESULT: dict[str, Any] = {
    "EvaluationResultIdentifier": {
        "EvaluationResultQualifier": {
            "ConfigRuleName": "my-name-for-it",
            "ResourceType": "AWS::S3::Bucket",
            "ResourceId": "my-bucket",
        },
        "OrderingTimestamp": 1777543000.0,
    },
    "ComplianceType": "NON_COMPLIANT",
    "ResultRecordedTime": 1777543872.5,
}
RULE = {
    "ConfigRuleName": "my-name-for-it",
    "ConfigRuleArn": "arn:aws:config:eu-west-1:444455556666:config-rule/config-rule-1",
    "Source": {"Owner": "AWS", "SourceIdentifier": "S3_BUCKET_VERSIONING_ENABLED"},
}
CHANGE: dict[str, Any] = {
    "messageType": "ComplianceChangeNotification",
    "configRuleName": "access-keys-rotated",
    "configRuleARN": "arn:aws:config:eu-west-1:444455556666:config-rule/config-rule-2",
    "awsAccountId": "444455556666",
    "awsRegion": "eu-west-1",
    "resourceId": "i-1",
    "newEvaluationResult": {
        "evaluationResultIdentifier": {
            "evaluationResultQualifier": {
                "configRuleName": "access-keys-rotated",
                "resourceType": "AWS::EC2::Instance",
                "resourceId": "i-1",
            }
        },
        "complianceType": "COMPLIANT",
        "resultRecordedTime": "2026-04-30T10:11:12.500Z",
    },
}
ITEM: dict[str, Any] = {
    "awsAccountId": "444455556666",
    "awsRegion": "eu-west-1",
    "resourceType": "AWS::Config::ResourceCompliance",
    "configurationItemCaptureTime": "2026-04-30T10:11:12.500Z",
    "configuration": {
        "targetResourceId": "my-bucket",
        "targetResourceType": "AWS::S3::Bucket",
        "complianceType": "NON_COMPLIANT",
        "configRuleList": [
            {
                "configRuleName": "securityhub-s3-bucket-x-1234abcd",
                "configRuleArn": "arn:aws:config:eu-west-1:444455556666:config-rule/"
                "aws-service-rule/securityhub.amazonaws.com/config-rule-3",
                "complianceType": "COMPLIANT",
            },
            {"configRuleName": "a", "configRuleArn": "", "complianceType": "NON_COMPLIANT"},
            {"configRuleName": "b", "configRuleArn": "", "complianceType": "COMPLIANT"},
        ],
    },
}


def parse(value: Any, context: Context = EVERYTHING) -> Read:
    return read(config.parse, json.dumps(value).encode(), context)


def with_rules(*definitions: dict[str, Any]) -> Context:
    rules = Rules()
    config.collect_rules(iter([json.dumps({"ConfigRules": definitions}).encode()]), rules)
    return Context(EVERYTHING.tenant, EVERYTHING.interest, EVERYTHING.cutter, rules=rules)


def changed(**members: Any) -> dict[str, Any]:
    return RESULT | members


def test_an_evaluation_becomes_an_observation() -> None:
    found = parse({"EvaluationResults": [RESULT]}).only
    assert found.source == "AWS_Config"
    assert iso(found.event_time) == "2026-04-30T10:11:12.500000Z"
    assert found.match_key == "config:Custom_my-name-for-it"
    assert (found.account, found.region) == ("111122223333", "us-east-1")
    assert found.verdict == "NON_COMPLIANT"
    (resource,) = found.resources
    assert (resource.value, resource.type, resource.verdict) == (
        "my-bucket",
        "AWS::S3::Bucket",
        "NON_COMPLIANT",
    )
    assert json.loads(found.raw) == RESULT


def test_a_renamed_managed_rule_is_known_through_the_catalogue() -> None:
    found = parse({"EvaluationResults": [RESULT]}, with_rules(RULE)).only
    assert found.match_key == "config:S3_BUCKET_VERSIONING_ENABLED"
    assert (found.account, found.region) == ("444455556666", "eu-west-1")


def test_a_managed_rule_is_known_through_the_result_itself() -> None:
    found = parse(changed(ConfigRuleInfo=RULE)).only
    assert found.match_key == "config:S3_BUCKET_VERSIONING_ENABLED"


def test_an_own_rule_with_a_managed_rules_name_is_an_own_rule() -> None:
    mine = RULE | {"Source": {"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": "arn:aws:lambda:x"}}
    assert parse(RESULT, with_rules(mine)).only.match_key == "config:Custom_my-name-for-it"
    named = RULE | {"ConfigRuleName": "restricted-ssh"} | {"Source": mine["Source"]}
    value = json.loads(json.dumps(RESULT).replace("my-name-for-it", "restricted-ssh"))
    assert parse(value, with_rules(named)).only.match_key == "config:Custom_restricted-ssh"
    assert parse(value).only.match_key == "config:INCOMING_SSH_DISABLED"


def test_a_change_event_names_account_region_and_default_rule() -> None:
    for wrapped in (
        CHANGE,
        {"detail-type": "Config Rules Compliance Change", "detail": CHANGE},
        {"Type": "Notification", "Message": json.dumps(CHANGE)},
    ):
        found = parse(wrapped).only
        assert found.match_key == "config:ACCESS_KEYS_ROTATED"
        assert (found.account, found.region) == ("444455556666", "eu-west-1")
        assert found.verdict == "COMPLIANT"
        assert json.loads(found.raw) == CHANGE


def test_an_item_gives_one_observation_for_each_rule_and_none_for_copies() -> None:
    for configuration in (ITEM["configuration"], json.dumps(ITEM["configuration"])):
        item = ITEM | {"configuration": configuration}
        found = parse({"configSnapshotId": "x", "configurationItems": [item]})
        assert [(o.match_key, o.verdict, o.position) for o in found.observations] == [
            ("config:Custom_a", "NON_COMPLIANT", "configurationItems[0].configRuleList[1]"),
            ("config:Custom_b", "COMPLIANT", "configurationItems[0].configRuleList[2]"),
        ]
        assert found.tally.unmatched == {config.COPY: 1}


def test_an_aggregators_answer_names_the_account() -> None:
    found = parse(
        {"AggregateEvaluationResults": [changed(AccountId="777788889999", AwsRegion="x")]}
    )
    assert (found.only.account, found.only.region) == ("777788889999", "x")


def test_one_result_in_two_answers_has_one_natural_key() -> None:
    assert parse(RESULT).only.natural_key == parse([RESULT]).only.natural_key
    later = parse(changed(ResultRecordedTime=1777543873)).only
    assert later.natural_key != parse(RESULT).only.natural_key


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"ConfigRules": [RULE]}, config.DEFINITION),
        ({"ComplianceByConfigRules": [{"ConfigRuleName": "x", "Compliance": {}}]}, config.NO_TIMES),
        (CHANGE | {"newEvaluationResult": None}, config.NO_COMPLIANCE),
        ({"resourceType": "AWS::S3::Bucket", "configuration": {}}, config.NO_COMPLIANCE),
        ({"configRuleName": "x", "invokingEvent": "{}"}, config.NO_COMPLIANCE),
        (
            json.loads(json.dumps(RESULT).replace("my-name-for-it", "securityhub-x-1")),
            config.COPY,
        ),
    ],
)
def test_what_is_no_evidence_is_passed_over(value: Any, reason: str) -> None:
    assert parse(value).unmatched == reason


def test_only_what_is_of_interest_is_kept() -> None:
    context = Context(EVERYTHING.tenant, Interest.of(["config:X"]), EVERYTHING.cutter)
    assert parse(RESULT, context).unmatched == NO_CONTROL


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (changed(ResultRecordedTime=None), "it has no time of its result"),
        (changed(ResultRecordedTime="soon"), "the time of its result, 'soon', is no time"),
        (changed(EvaluationResultIdentifier={}), "it names no rule or no resource"),
        (
            {"Evaluations": [{"ComplianceResourceId": "x"}]},
            "it is an evaluation that names no rule",
        ),
        ({"hello": 1}, "it is nothing that AWS Config says"),
        (ITEM | {"configuration": "{"}, "it is not JSON"),
        (ITEM | {"configuration": {"configRuleList": 5}}, "it has not the shape"),
        ({"Message": "hello"}, "It is not JSON"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_its_reason(value: Any, reason: str) -> None:
    assert parse(value).reason.startswith(reason)


def test_a_name_that_means_two_rules_is_resolved_by_place_or_not_at_all() -> None:
    here = Rule("r", "arn:aws:config:eu-west-1:1:config-rule/a", Source("AWS", "A"))
    there = Rule("r", "arn:aws:config:us-east-1:1:config-rule/b", Source("AWS", "B"))
    rules = Rules([here, there])
    assert rules.find("r", account="1", region="eu-west-1") == here
    assert rules.find("r", arn=there.arn) == there
    assert rules.find("r") is None
    assert rules.fingerprint() == Rules([there, here]).fingerprint()
