"""SARIF: whose rule, which verdict, when, and in which files."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.sources.reading import EVERYTHING, Read, read

from auditkeep.clock import iso
from auditkeep.clock import parse as instant
from auditkeep.ids import GLOBAL_REGION
from auditkeep.mapping.keywords import match_keys
from auditkeep.sources import sarif
from auditkeep.sources.records import Context

RESULT: dict[str, Any] = {
    "ruleId": "python.lang.eval",
    "level": "error",
    "message": {"text": "found"},
    "locations": [
        {"physicalLocation": {"artifactLocation": {"uri": "src/a.py"}}},
        {"physicalLocation": {"artifactLocation": {"uri": "src/a.py"}}},
        {"physicalLocation": {"artifactLocation": {"uri": "https://else.example/b.py"}}},
    ],
}


def log(*results: dict[str, Any], **run: Any) -> dict[str, Any]:
    whole = {
        "tool": {"driver": {"name": "Semgrep OSS", "rules": [{"id": "first"}, {"id": "second"}]}},
        "invocations": [{"endTimeUtc": "2026-04-30T10:11:12Z", "executionSuccessful": True}],
        "versionControlProvenance": [{"repositoryUri": "https://git.example/a/b/"}],
        "results": list(results),
    } | run
    return {"version": "2.1.0", "runs": [whole]}


def parse(value: Any, context: Context = EVERYTHING) -> Read:
    return read(sarif.parse, json.dumps(value).encode(), context)


def test_a_result_becomes_an_observation() -> None:
    found = parse(log(RESULT)).only
    assert found.source == "SCANNER"
    word = "SARIF_Semgrep OSS_python.lang.eval"
    assert {found.match_key} == match_keys("AWS_Security_Hub", word)
    assert (found.account, found.region) == (EVERYTHING.tenant.account, GLOBAL_REGION)
    assert iso(found.event_time) == "2026-04-30T10:11:12.000000Z"
    assert found.verdict == "FAILED"
    assert [r.value for r in found.resources] == [
        "https://git.example/a/b/src/a.py",
        "https://else.example/b.py",
    ]
    assert json.loads(found.raw) == RESULT
    assert found.position == "runs[0].results[0]"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"kind": "pass"}, "PASSED"),
        ({"level": "none"}, "NOT_AVAILABLE"),
        ({"kind": "review"}, "REVIEW"),
        ({"suppressions": [{"kind": "inSource"}]}, "SUPPRESSED"),
        ({"suppressions": [{"kind": "external", "status": "rejected"}]}, "FAILED"),
    ],
)
def test_the_verdict_follows_kind_level_and_suppressions(
    changes: dict[str, Any], verdict: str
) -> None:
    assert parse(log(RESULT | changes)).only.verdict == verdict


def test_a_rule_may_be_named_by_its_place() -> None:
    result = {"ruleIndex": 1, "message": {"text": ""}}
    assert parse(log(result)).only.event_name == "second"
    assert "tool and rule" in parse(log({"ruleIndex": 2})).reason


def test_a_run_without_times_needs_to_be_told() -> None:
    without = log(RESULT, invocations=[])
    assert "--observed-at" in parse(without).reason
    told = replace(EVERYTHING, observed_at=instant("2026-05-01"))
    assert iso(parse(without, told).only.event_time) == "2026-05-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"version": "1.0.0", "runs": []}, "not 2.1.0"),
        ({"runs": []}, "not the shape"),
        (log(RESULT, invocations=[{"startTimeUtc": "then"}]), "is no time"),
        (log(RESULT | {"kind": 5}), "not the shape"),
    ],
)
def test_what_cannot_be_read_is_told(value: Any, reason: str) -> None:
    assert reason in parse(value).reason


def test_a_log_that_is_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "LARGEST", 100)
    assert "have its tool split it" in parse(log(RESULT)).reason
