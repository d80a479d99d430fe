"""The demo over the reader's own files (`make demo LOGS=DIR`); CI runs the made-up one itself."""

import json
from pathlib import Path

import pytest
from tests.e2e.conftest import auditkeep

pytestmark = pytest.mark.server


def _event(number: int, name: str, **more: object) -> dict[str, object]:
    return {
        "eventID": f"5f3c9d3e-2f62-4c0d-8f5f-0d5f6f1f{number:04d}",
        "eventTime": f"2026-05-{number:02d}T09:30:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "recipientAccountId": "222233334444",
        **more,
    }


def test_a_readers_own_logs_become_a_report_that_verifies(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    events = [_event(n, "CreateUser") for n in range(1, 6)] + [_event(9, "ListUsers")]
    (logs / "trail.json").write_text(json.dumps({"Records": events}))
    done = auditkeep("demo", "--exit", "--data", str(tmp_path / "demo"), "--logs", str(logs))
    assert "looking back to 2026-05-01" in done.stdout
    assert "the pinned log key: valid" in done.stdout
    assert "invalid" in done.stdout
    assert (tmp_path / "demo" / "AssessmentReportSummary.pdf").read_bytes()[:5] == b"%PDF-"


def test_logs_without_evidence_are_told_in_a_sentence(tmp_path: Path) -> None:
    logs = tmp_path / "trail.json"
    logs.write_text(json.dumps({"Records": [_event(1, "ListUsers")]}))
    done = auditkeep(
        "demo", "--exit", "--data", str(tmp_path / "demo"), "--logs", str(logs), check=False
    )
    assert done.returncode == 1
    assert "No event in these files is evidence" in done.stderr


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    done = auditkeep("demo", "--exit", "--data", str(tmp_path), check=False)
    assert done.returncode == 1
    assert (tmp_path / "mine.txt").read_text() == "precious"
