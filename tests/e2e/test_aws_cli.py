"""The AWS CLI from PyPI, unmodified, over the main flow of the README's quickstart."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import ACCOUNT, Running, auditkeep

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def aws(server: Running, tmp_path: Path) -> Any:
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_AUDITMANAGER": server.url,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
    }

    def run(*words: str, check: bool = True) -> Any:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "aws"), "auditmanager", *words, "--output", "json"],
            capture_output=True, text=True, env=environment, timeout=60, check=False,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout) if done.stdout.strip() else {}
        return done

    return run


def _trail(folder: Path) -> Path:
    """One delivered file with three events, two of them evidence."""
    event = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/amara"},
        "eventTime": "2026-05-01T09:30:00Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "awsRegion": "us-east-1",
        "readOnly": False,
        "managementEvent": True,
        "eventCategory": "Management",
        "recipientAccountId": ACCOUNT,
        "requestParameters": {"userName": "new-hire"},
    }
    records = [
        {**event, "eventID": "5f3c9d3e-2f62-4c0d-8f5f-0d5f6f1f0001"},
        {**event, "eventID": "5f3c9d3e-2f62-4c0d-8f5f-0d5f6f1f0002", "eventName": "DeleteUser"},
        {**event, "eventID": "5f3c9d3e-2f62-4c0d-8f5f-0d5f6f1f0003", "eventName": "ListUsers",
         "readOnly": True},
    ]  # fmt: skip
    path = folder / "trail.json"
    path.write_text(json.dumps({"Records": records}))
    return path


def test_from_framework_to_verified_report(aws: Any, server: Running, tmp_path: Path) -> None:
    frameworks = aws("list-assessment-frameworks", "--framework-type", "Standard",
                     "--query", "frameworkMetadataList[?contains(name, 'NIST')].[id,name]")  # fmt: skip
    assessment = aws(
        "create-assessment", "--name", "CLI review", "--framework-id", frameworks[0][0],
        "--scope", f"awsAccounts=[{{id={ACCOUNT}}}]", "--roles", "[]",
        "--assessment-reports-destination",
        "destinationType=S3,destination=s3://audit-reports/cli",
        "--query", "assessment.metadata.id",
    )  # fmt: skip
    counts = json.loads(
        auditkeep("ingest", "cloudtrail", str(_trail(tmp_path)), "--data", str(server.data),
                  "--account", ACCOUNT, "--json").stdout
    )  # fmt: skip
    assert (counts["records"], counts["unmatched"], counts["rejected"]) == (3, 1, 0)
    auditkeep("backfill", assessment, "--from", "2026-05-01", "--data", str(server.data),
              "--account", ACCOUNT)  # fmt: skip
    kept = tmp_path / "checkpoint.txt"
    kept.write_text(auditkeep("log", "checkpoint", "--data", str(server.data)).stdout)
    folders = aws("get-evidence-folders-by-assessment", "--assessment-id", assessment,
                  "--query", "evidenceFolders[?name=='2026-05-01']")  # fmt: skip
    assert folders, "events of that day make folders"
    assert all(f["evidenceByTypeUserActivityCount"] >= 1 for f in folders)
    folder = folders[0]
    aws("associate-assessment-report-evidence-folder", "--assessment-id", assessment,
        "--evidence-folder-id", folder["id"])  # fmt: skip
    report = aws("create-assessment-report", "--assessment-id", assessment, "--name", "cli-report",
                 "--query", "assessmentReport.id")  # fmt: skip
    state = "IN_PROGRESS"
    for _ in range(120):
        state = aws("list-assessment-reports", "--query",
                    f"assessmentReports[?id=='{report}'].status | [0]")  # fmt: skip
        if state != "IN_PROGRESS":
            break
        time.sleep(0.5)
    assert state == "COMPLETE"
    link = aws("get-assessment-report-url", "--assessment-id", assessment,
               "--assessment-report-id", report, "--query", "preSignedUrl.link")  # fmt: skip
    path = tmp_path / "report.zip"
    with urllib.request.urlopen(link) as answer:
        path.write_bytes(answer.read())
    home = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    assert auditkeep("verify", str(path), "--key", server.log_key, environment=home).returncode == 0
    assert auditkeep("verify", str(path), check=False, environment=home).returncode == 2
    assert (
        auditkeep(
            "verify", str(path), "--key", server.log_key, "--checkpoint", str(kept)
        ).returncode
        == 0
    ), "the report continues the log that the auditor's checkpoint fixed"
    auditkeep("pin", server.log_key, environment=home)
    assert auditkeep("verify", str(path), environment=home).returncode == 0
    broken = bytearray(path.read_bytes())
    broken[len(broken) // 2] ^= 1
    path.write_bytes(broken)
    assert auditkeep("verify", str(path), check=False, environment=home).returncode == 1


def test_pages_follow_each_other(aws: Any) -> None:
    seen: list[str] = []
    token: list[str] = []
    while True:
        page = aws("list-controls", "--control-type", "Standard", "--max-results", "50", *token)
        seen += [c["id"] for c in page["controlMetadataList"]]
        if "nextToken" not in page:
            break
        token = ["--next-token", page["nextToken"]]
    assert len(seen) == len(set(seen)) > 100


def test_bad_input_is_named_in_a_sentence(aws: Any) -> None:
    done = aws("get-control", "--control-id", "0" * 36, check=False)
    assert done.returncode != 0
    assert "ValidationException" in done.stderr
    assert "controlId" in done.stderr
