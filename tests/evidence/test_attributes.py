"""Attributes: the source's words, flat and short."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.evidence.attributes import LONGEST_KEY, LONGEST_VALUE, MOST, attributes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=150), inner),
    max_leaves=200,
)


@given(st.dictionaries(st.text(max_size=150), values))
def test_whatever_the_record_the_limits_of_the_model_hold(record: dict[str, Any]) -> None:
    found = attributes("AWS_Config", json.dumps(record).encode())
    assert len(found) <= MOST
    assert all(len(k) <= LONGEST_KEY and len(v) <= LONGEST_VALUE for k, v in found.items())


def test_cloudtrail_events_are_flattened_to_what_matters() -> None:
    event = {
        "eventVersion": "1.08",
        "eventID": "e-1",
        "readOnly": False,
        "errorCode": None,
        "userIdentity": {"arn": "arn:aws:iam::1:user/x", "sessionContext": {"mfa": "true"}},
        "requestParameters": {"tags": [{"key": "a"}, {"key": "b"}], "size": 3},
    }
    assert attributes("AWS_Cloudtrail", json.dumps(event).encode()) == {
        "eventID": "e-1",
        "readOnly": "false",
        "userIdentity.arn": "arn:aws:iam::1:user/x",
        "userIdentity.sessionContext.mfa": "true",
        "requestParameters.tags.0.key": "a",
        "requestParameters.tags.1.key": "b",
        "requestParameters.size": "3",
    }


def test_findings_show_severity_and_compliance_and_not_their_resources() -> None:
    finding = {
        "Id": "f",
        "Severity": {"Label": "HIGH"},
        "Compliance": {"Status": "FAILED", "SecurityControlId": "IAM.4"},
        "Resources": [{"Id": "r"}],
    }
    assert attributes("AWS_Security_Hub", json.dumps(finding).encode()) == {
        "Id": "f",
        "Severity.Label": "HIGH",
        "Compliance.Status": "FAILED",
        "Compliance.SecurityControlId": "IAM.4",
    }


def test_an_eventbridge_envelope_is_taken_off() -> None:
    event = {"detail-type": "AWS API Call via CloudTrail", "detail": {"eventID": "e-1"}}
    assert attributes("AWS_Cloudtrail", json.dumps(event).encode()) == {"eventID": "e-1"}


def test_a_config_evaluation_is_shown_whole() -> None:
    evaluation = {"ComplianceType": "COMPLIANT", "ResultToken": "t", "Annotation": ""}
    raw = json.dumps(evaluation).encode()
    assert attributes("AWS_Config", raw) == {
        "ComplianceType": "COMPLIANT",
        "ResultToken": "t",
        "Annotation": "",
    }


def test_long_values_end_in_an_ellipsis_and_long_records_say_so() -> None:
    found = attributes("AWS_API_Call", json.dumps({"policy": "x" * 500}).encode())
    assert found == {"policy": "x" * 199 + "…"}
    many = attributes("AWS_API_Call", json.dumps({str(n): n for n in range(250)}).encode())
    assert len(many) == MOST
    assert many["…"] == "151 more in the record itself"


@pytest.mark.parametrize("raw", [b"", b"not json", b"[1]", b'"text"', b"\xff\xfe"])
def test_what_is_no_object_has_no_attributes(raw: bytes) -> None:
    assert attributes("AWS_Cloudtrail", raw) == {}


def test_nesting_has_an_end() -> None:
    deep = "[" * 60 + "1" + "]" * 60
    (value,) = attributes("AWS_Config", b'{"a":%s}' % deep.encode()).values()
    assert value.startswith("[[[")
