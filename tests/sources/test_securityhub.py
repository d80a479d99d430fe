"""Security Hub findings: whose control, which verdict, in all their wrappings."""

import json
from typing import Any

import pytest
from tests.sources.reading import EVERYTHING, Read, read

from auditkeep.clock import iso
from auditkeep.mapping.interest import Interest
from auditkeep.sources import securityhub
from auditkeep.sources.records import NO_CONTROL, Context

FINDING: dict[str, Any] = {
    "SchemaVersion": "2018-10-08",
    "Id": "arn:aws:securityhub:eu-west-1:444455556666:security-control/IAM.4/finding/1",
    "ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/securityhub",
    "GeneratorId": "security-control/IAM.4",
    "AwsAccountId": "444455556666",
    "Region": "eu-west-1",
    "UpdatedAt": "2026-04-30T10:11:12.345Z",
    "Compliance": {"Status": "FAILED", "SecurityControlId": "IAM.4"},
    "Workflow": {"Status": "NEW"},
    "RecordState": "ACTIVE",
    "Resources": [
        {"Type": "AwsAccount", "Id": "AWS::::Account:444455556666"},
        {"Type": "AwsIamUser", "Id": "arn:aws:iam::444455556666:user/a"},
    ],
}


def finding(**changes: Any) -> dict[str, Any]:
    return {k: v for k, v in (FINDING | changes).items() if v is not ...}


def parse(value: Any, context: Context = EVERYTHING) -> Read:
    return read(securityhub.parse, json.dumps(value).encode(), context)


def test_a_finding_becomes_an_observation() -> None:
    found = parse({"Findings": [FINDING]}).only
    assert found.source == "AWS_Security_Hub"
    assert found.natural_key[:2] == (FINDING["Id"], FINDING["UpdatedAt"])
    assert iso(found.event_time) == "2026-04-30T10:11:12.345000Z"
    assert found.match_key == "securityhub:IAM.4"
    assert (found.account, found.region) == ("444455556666", "eu-west-1")
    assert found.verdict == "FAILED"
    assert [(r.value, r.arn, r.verdict) for r in found.resources] == [
        ("AWS::::Account:444455556666", None, "FAILED"),
        ("arn:aws:iam::444455556666:user/a", "arn:aws:iam::444455556666:user/a", "FAILED"),
    ]
    assert json.loads(found.raw) == FINDING


@pytest.mark.parametrize(
    "wrapped",
    [
        [FINDING],
        {"Findings": [FINDING], "NextToken": "x"},
        {"findings": [FINDING]},
        {"detail-type": "Security Hub Findings - Imported", "detail": {"findings": [FINDING]}},
        [{"detail": {"actionName": "x", "findings": [FINDING]}}],
        FINDING,
    ],
)
def test_a_finding_is_found_in_every_wrapping(wrapped: Any) -> None:
    found = parse(wrapped)
    assert found.only.match_key == "securityhub:IAM.4"
    assert found.tally.records == 1


def test_findings_one_after_the_other_are_found() -> None:
    text = json.dumps(FINDING) + json.dumps(finding(Id="other")) + "\n" + json.dumps(FINDING)
    assert len(read(securityhub.parse, text.encode()).observations) == 3


CIS = "arn:aws:securityhub:us-east-1:1:control/cis-aws-foundations-benchmark/v/1.2.0/1.12"


@pytest.mark.parametrize(
    "changes",
    [
        {"Compliance": {"Status": "FAILED"}, "ProductFields": {"StandardsControlArn": CIS}},
        {
            "Compliance": {"Status": "FAILED"},
            "GeneratorId": "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/"
            "v/1.2.0/rule/1.12",
        },
        {"Compliance": {"Status": "FAILED"}, "GeneratorId": "pci-dss/v/3.2.1/PCI.IAM.1"},
        {
            "Compliance": {"Status": "FAILED"},
            "GeneratorId": "aws-foundational-security-best-practices/v/1.0.0/IAM.4",
        },
        {
            "Compliance": {"Status": "FAILED"},
            "GeneratorId": "",
            "ProductFields": {
                "StandardsGuideArn": "arn:aws:securityhub:::ruleset/"
                "cis-aws-foundations-benchmark/v/1.2.0",
                "RuleId": "1.12",
            },
        },
        {"Compliance": {"Status": "FAILED"}},
    ],
)
def test_all_standards_meet_in_one_control(changes: dict[str, Any]) -> None:
    assert parse(finding(**changes)).only.match_key == "securityhub:IAM.4"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "FAILED"),
        ({"Workflow": {"Status": "SUPPRESSED"}}, "SUPPRESSED"),
        ({"Compliance": {"Status": "WARNING", "SecurityControlId": "IAM.4"}}, "WARNING"),
        ({"Compliance": {"SecurityControlId": "IAM.4"}}, None),
        ({"Workflow": ...}, "FAILED"),
    ],
)
def test_the_verdict_is_the_sources_own_word(changes: dict[str, Any], verdict: str | None) -> None:
    assert parse(finding(**changes)).only.verdict == verdict


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"ProductArn": "arn:aws:securityhub:us-east-1::product/prowler/prowler"},
            securityhub.OTHER_PRODUCT,
        ),
        ({"ProductArn": ...}, securityhub.OTHER_PRODUCT),
        ({"RecordState": "ARCHIVED"}, securityhub.ARCHIVED),
        ({"Compliance": None, "GeneratorId": "x"}, securityhub.UNKNOWN_CONTROL),
        (
            {"Compliance": None, "GeneratorId": "cis-aws-foundations-benchmark/v/1.7.0/1.6"},
            securityhub.UNKNOWN_CONTROL,
        ),
    ],
)
def test_what_is_no_evidence_is_passed_over(changes: dict[str, Any], reason: str) -> None:
    assert parse(finding(**changes)).unmatched == reason


def test_only_what_is_of_interest_is_kept() -> None:
    interest = Interest.of(["securityhub:IAM.5"])
    context = Context(EVERYTHING.tenant, interest, EVERYTHING.cutter)
    assert parse(FINDING, context).unmatched == NO_CONTROL


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (finding(Id=...), "it is no finding"),
        (finding(UpdatedAt=...), "it has no UpdatedAt"),
        (finding(UpdatedAt="soon"), "its UpdatedAt 'soon' is no time"),
        (finding(Resources=[{"Type": "x"}]), "it has not the shape of a record"),
        ({"hello": 1}, "it is no finding"),
        ([None], "it has not the shape of a record"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_its_reason(value: Any, reason: str) -> None:
    assert parse(value).reason.startswith(reason)


def test_a_finding_is_the_same_however_it_is_written() -> None:
    pretty = read(securityhub.parse, json.dumps(FINDING, indent=2, sort_keys=True).encode()).only
    compact = parse(FINDING).only
    changed = parse(finding(Severity={"Label": "LOW"})).only
    assert pretty.natural_key == compact.natural_key != changed.natural_key
