"""OCSF events: which control they are evidence for, where they belong, and what they say."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.sources.reading import EVERYTHING, Read, read

from auditkeep.clock import iso
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping.interest import Interest
from auditkeep.mapping.keywords import is_listed, match_keys
from auditkeep.sources import ocsf
from auditkeep.sources.records import Context

COMPLIANCE: dict[str, Any] = {
    "class_uid": 2003,
    "activity_id": 2,
    "time": 1_777_543_872_345,
    "cloud": {"account": {"uid": "444455556666"}, "provider": "AWS", "region": "eu-west-1"},
    "compliance": {"control": "CKV/1", "status": "Fail", "status_id": 3},
    "finding_info": {"uid": "f-1", "modified_time": 1_777_543_000_000},
    "metadata": {"product": {"name": "Checker", "vendor_name": "Somebody"}, "version": "1.4.0"},
    "resources": [{"uid": "arn:aws:s3:::b", "type": "bucket"}, {"name": "other"}],
}
ACTIVITY: dict[str, Any] = {
    "class_uid": 6003,
    "activity_id": 1,
    "time": 1_777_543_872_345,
    "actor": {"user": {"uid": "arn:aws:iam::444455556666:user/a", "name": "a"}},
    "api": {"operation": "CreateBucket", "service": {"name": "s3.amazonaws.com"}},
    "cloud": {"account": {"uid": "444455556666"}, "provider": "AWS", "region": "eu-west-1"},
    "metadata": {"uid": "e-1", "product": {"name": "CloudTrail", "vendor_name": "AWS"}},
}


def changed(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {k: v for k, v in (event | changes).items() if v is not ...}


def parse(value: Any, context: Context = EVERYTHING) -> Read:
    return read(ocsf.parse, json.dumps(value).encode(), context)


def product(name: str, vendor: str = "Somebody") -> dict[str, Any]:
    return {"product": {"name": name, "vendor_name": vendor}, "uid": "e-2"}


def test_a_compliance_finding_becomes_an_observation() -> None:
    found = parse(COMPLIANCE).only
    assert found.source == "SCANNER"
    assert found.match_key == "scanner:OCSF_Checker_CKV/1"
    assert (found.account, found.region) == ("444455556666", "eu-west-1")
    assert iso(found.event_time) == "2026-04-30T09:56:40.000000Z"
    assert found.verdict == "FAILED"
    assert [(r.value, r.arn, r.type, r.verdict) for r in found.resources] == [
        ("arn:aws:s3:::b", "arn:aws:s3:::b", "bucket", "FAILED"),
        ("other", None, None, "FAILED"),
    ]
    assert (found.event_name, found.event_source) == ("CKV/1", "Checker")
    assert json.loads(found.raw) == COMPLIANCE


def test_a_custom_control_can_name_what_a_scanner_says() -> None:
    word = "OCSF_Checker_CKV/1"
    assert match_keys("AWS_Security_Hub", word) == {parse(COMPLIANCE).only.match_key}
    assert is_listed("AWS_Security_Hub", word)
    assert not is_listed("AWS_Config", word)
    wanted = replace(EVERYTHING, interest=Interest.of(["scanner:OCSF_Checker_other"]))
    assert parse(COMPLIANCE, wanted).unmatched == "no control uses it"


def test_a_security_hub_control_is_known_as_in_asff() -> None:
    event = changed(
        COMPLIANCE,
        metadata=product("Security Hub", "AWS"),
        compliance={"control": "PCI.IAM.1", "status": "PASSED"},
    )
    found = parse(event).only
    assert found.source == "AWS_Security_Hub"
    assert {found.match_key} == match_keys("AWS_Security_Hub", "PCI.IAM.1")
    assert found.verdict == "PASSED"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"compliance": {"control": "c", "status": "Pass"}}, "PASSED"),
        ({"compliance": {"control": "c", "status_id": 2}}, "WARNING"),
        ({"compliance": {"control": "c", "status_id": 99, "status": "Odd"}}, "ODD"),
        ({"compliance": {"control": "c"}}, None),
        ({"status_id": 3}, "SUPPRESSED"),
        ({"class_uid": 2002, "compliance": ...}, "FAILED"),
        ({"class_uid": 2002, "compliance": ..., "activity_id": 3}, "PASSED"),
        ({"class_uid": 2004, "compliance": ..., "status_id": 4}, "PASSED"),
        ({"class_uid": 2001, "compliance": ..., "finding_info": ..., "finding": {"uid": "x"}},
         "FAILED"),
    ],
)  # fmt: skip
def test_the_verdict_is_in_security_hubs_words(
    changes: dict[str, Any], verdict: str | None
) -> None:
    assert parse(changed(COMPLIANCE, **changes)).only.verdict == verdict


@pytest.mark.parametrize(
    ("class_uid", "key"),
    [(2002, "scanner:OCSF_Checker_Vulnerability"), (2004, "scanner:OCSF_Checker_Detection")],
)
def test_vulnerabilities_and_detections_are_one_keyword_of_a_product(
    class_uid: int, key: str
) -> None:
    assert parse(changed(COMPLIANCE, class_uid=class_uid)).only.match_key == key


@pytest.mark.parametrize(
    ("cloud", "place"),
    [
        ({"account": {"uid": "sub-7"}, "provider": "Azure", "region": "westeurope"}, GLOBAL_REGION),
        ({"account": {"uid": "my-project"}, "provider": "gcp"}, GLOBAL_REGION),
        (..., GLOBAL_REGION),
        ({"provider": "AWS", "region": "eu-west-3"}, "eu-west-3"),
    ],
)
def test_another_clouds_account_belongs_to_who_reads_it(cloud: Any, place: str) -> None:
    found = parse(changed(COMPLIANCE, cloud=cloud)).only
    assert (found.account, found.region) == (EVERYTHING.tenant.account, place)
    if cloud is not ...:
        assert json.loads(found.raw)["cloud"] == cloud


def test_a_cloudtrail_event_is_that_event() -> None:
    found = parse(ACTIVITY).only
    assert (found.source, found.match_key) == ("AWS_Cloudtrail", "s3:CreateBucket")
    assert found.actor == "arn:aws:iam::444455556666:user/a"
    assert found.verdict is None
    service = {"operation": "CreateUser", "service": {"name": "iam.amazonaws.com"}}
    assert parse(changed(ACTIVITY, api=service)).only.region == GLOBAL_REGION


def test_reading_is_no_evidence_unless_asked_for() -> None:
    event = changed(ACTIVITY, activity_id=2)
    assert parse(event).unmatched == "read-only"
    assert parse(event, replace(EVERYTHING, reads=True)).only.event_name == "CreateBucket"
    every = replace(EVERYTHING, interest=Interest.every_record())
    assert parse(event, every).only.match_key == "left_out:s3:CreateBucket"


def test_another_systems_call_has_a_keyword_of_its_own() -> None:
    event = changed(ACTIVITY, metadata=product("Amazon EKS", "AWS"), api={"operation": "create"})
    found = parse(event).only
    assert (found.source, found.match_key) == ("SCANNER", "scanner:OCSF_Amazon EKS_create")


@pytest.mark.parametrize(
    "wrapped",
    [
        [COMPLIANCE],
        {"Findings": [COMPLIANCE]},
        {"findings": [COMPLIANCE]},
        {"detail-type": "Findings Imported V2", "detail": {"findings": [COMPLIANCE]}},
    ],
)
def test_wrappings_change_nothing(wrapped: Any) -> None:
    plain = parse(COMPLIANCE).only
    assert parse(wrapped).only.natural_key == plain.natural_key


def test_a_changed_finding_is_another_fact() -> None:
    one = parse(COMPLIANCE).only
    later = changed(COMPLIANCE, finding_info={"uid": "f-1", "modified_time": 1_777_543_001_000})
    other = changed(COMPLIANCE, severity="High")
    assert len({one.natural_key, parse(later).only.natural_key, parse(other).only.natural_key}) == 3


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (changed(COMPLIANCE, class_uid=4001), "a class that is no evidence"),
        (changed(COMPLIANCE, status_id=5), "withdrawn by its product"),
        (changed(COMPLIANCE, status_id=6), "withdrawn by its product"),
    ],
)
def test_what_is_no_evidence_is_counted(event: dict[str, Any], reason: str) -> None:
    assert parse(event).unmatched == reason


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"a": 1}, "no class_uid"),
        (changed(COMPLIANCE, compliance={}), "which control or check"),
        (changed(COMPLIANCE, finding_info=...), "no finding_info.uid"),
        (changed(COMPLIANCE, finding_info={"uid": "x"}, time=...), "no time"),
        (changed(COMPLIANCE, finding_info={"uid": "x", "modified_time_dt": "then"}), "is no time"),
        (changed(ACTIVITY, api=...), "which operation"),
        (changed(COMPLIANCE, class_uid="2003"), "not the shape"),
    ],
)
def test_what_cannot_be_read_is_told(event: dict[str, Any], reason: str) -> None:
    assert reason in parse(event).reason
