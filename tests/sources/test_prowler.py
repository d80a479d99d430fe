"""Prowler: CSV of its versions, its own JSON, and OCSF, each result once and in its place."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.sources.reading import EVERYTHING, Read, read, read_blocks

from auditkeep.clock import iso
from auditkeep.clock import parse as instant
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping.keywords import match_keys
from auditkeep.sources import prowler
from auditkeep.sources.records import Context

NAMES = "TIMESTAMP;ACCOUNT_UID;FINDING_UID;CHECK_ID;STATUS;MUTED;RESOURCE_TYPE;RESOURCE_UID;REGION"
ROW = "2026-04-30 10:11:12.5;444455556666;p-1;iam_root_mfa;FAIL;False;AwsIamUser;arn:aws:iam::1:r;eu-west-1"
OLD = (
    "PROFILE,ACCOUNT_NUM,REGION,TITLE_ID,CHECK_RESULT,TITLE_TEXT\n"
    ",444455556666,us-east-1,1.1,FAIL,[check11] Somebody used root\n"
)


def parse(text: str, context: Context = EVERYTHING) -> Read:
    return read(prowler.parse, text.encode(), context)


def row(**changes: str) -> str:
    columns = dict(zip(NAMES.split(";"), ROW.split(";"), strict=True)) | changes
    return f"{NAMES}\n{';'.join(columns.values())}\n"


def test_a_row_becomes_an_observation() -> None:
    found = parse(row()).only
    assert found.source == "SCANNER"
    assert {found.match_key} == match_keys("AWS_Security_Hub", "Prowler_iam_root_mfa")
    assert (found.account, found.region) == ("444455556666", "eu-west-1")
    assert iso(found.event_time) == "2026-04-30T10:11:12.500000Z"
    assert found.verdict == "FAILED"
    assert [(r.value, r.type) for r in found.resources] == [("arn:aws:iam::1:r", "AwsIamUser")]
    assert list(json.loads(found.raw)) == NAMES.split(";")
    assert found.position == "row 1"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"STATUS": "PASS"}, "PASSED"),
        ({"STATUS": "MANUAL"}, "NOT_AVAILABLE"),
        ({"MUTED": "True"}, "SUPPRESSED"),
    ],
)
def test_the_verdict_is_in_security_hubs_words(changes: dict[str, str], verdict: str) -> None:
    assert parse(row(**changes)).only.verdict == verdict


def test_a_check_without_a_result_is_no_evidence() -> None:
    assert parse(row(STATUS="INFO")).unmatched == "the check gave no result"


def test_another_clouds_account_is_kept_as_it_is() -> None:
    found = parse(row(ACCOUNT_UID="my-project", REGION="europe-west1")).only
    assert (found.account, found.region) == (EVERYTHING.tenant.account, GLOBAL_REGION)
    assert json.loads(found.raw)["ACCOUNT_UID"] == "my-project"


def test_an_old_row_needs_to_be_told_when_it_was() -> None:
    assert "--observed-at" in parse(OLD).reason
    told = replace(EVERYTHING, observed_at=instant("2021-08-23"))
    found = parse(OLD, told).only
    assert found.match_key == "scanner:Prowler_check11"
    assert iso(found.event_time) == "2021-08-23T00:00:00.000000Z"


def test_own_json_lines_are_read() -> None:
    old = {
        "Control": "[check114] Hardware MFA",
        "Status": "FAIL",
        "Timestamp": "2021-08-23T06:38:46Z",
        "Account Number": "444455556666",
        "Region": "eu-central-1",
        "Resource ID": "MFA",
    }
    newer = {"CheckID": "s3_x", "Status": "PASS", "AssessmentStartTime": "2023-01-01T00:00:00"}
    found = parse(json.dumps(old) + "\n" + json.dumps(newer) + "\n").observations
    assert [o.match_key for o in found] == ["scanner:Prowler_check114", "scanner:Prowler_s3_x"]
    assert [o.resources[0].value for o in found[:1]] == ["MFA"]


def test_ocsf_of_prowler_is_the_same_check() -> None:
    event: dict[str, Any] = {
        "class_uid": 2004,
        "metadata": {"event_code": "iam_root_mfa", "product": {"name": "Prowler"}},
        "status_code": "FAIL",
        "finding_info": {"uid": "p-1"},
        "time_dt": "2026-04-30T10:11:12.500000",
    }
    found = parse(json.dumps([event])).only
    assert found.match_key == parse(row()).only.match_key
    assert found.verdict == "FAILED"


def test_rows_may_hold_line_feeds_and_come_in_blocks_of_any_size() -> None:
    text = row(RESOURCE_UID='"one; ""two""\nthree é"').encode()
    whole = read(prowler.parse, text).only
    for size in (1, 7, 64):
        blocks = (text[i : i + size] for i in range(0, len(text), size))
        assert read_blocks(prowler.parse, blocks).only == whole
    assert whole.resources[0].value == 'one; "two"\nthree é'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n", "no column CHECK_ID"),
        (NAMES + "\nonly;three;columns\n", "columns, not 9"),
        (row(TIMESTAMP="then"), "is no time"),
        (row(CHECK_ID=""), "does not name its check"),
        (row(RESOURCE_UID='"open'), "the rest was not read"),
        ("", "There is nothing in it."),
        ('{"a": 1}', "no class_uid"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, reason: str) -> None:
    assert reason in parse(text).reason


def test_a_row_without_an_end_is_not_held() -> None:
    blocks = iter([f"{NAMES}\n".encode(), *(b"x" * 1024 * 1024 for _ in range(6))])
    found = read_blocks(prowler.parse, blocks)
    assert "the rest was not read" in found.reason
