"""`auditkeep activity …`, beside and after a real server; and what ending one leaves behind."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT

ACCOUNT = "111122223333"


def auditkeep(*words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "auditkeep.cli.main", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """A server that is told to end by SIGTERM, and does so in good order."""
    process = subprocess.Popen(
        [sys.executable, "-m", "auditkeep.cli.main", "serve", "--data", str(data), "--port", "0"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        found = None
        while found is None:
            found = re.search(r"serving on (http://\S+)", process.stderr.readline())
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    auditkeep("init", "--data", str(tmp_path / "audit"), "--account", ACCOUNT)
    return tmp_path / "audit"


def listed(data: Path, *words: str) -> list[dict[str, Any]]:
    """Records but those of master keys, which each command uses (tests/activity/test_used.py)."""
    lines = auditkeep("activity", "list", "--data", str(data), "--json", *words).splitlines()
    found = [json.loads(line) for line in lines]
    return [record for record in found if record["userIdentity"]["type"] != "AWSService"]


def test_what_the_operator_does_with_keys_is_recorded(data: Path) -> None:
    made = json.loads(
        auditkeep(
            "keys",
            "create",
            "--data",
            str(data),
            "--account",
            "999988887777",
            "--user",
            "bob",
            "--policy",
            "AuditkeepReadOnly",
            "--json",
        )
    )
    auditkeep("keys", "disable", made["accessKeyId"], "--data", str(data))
    disabled, created, first = listed(data)
    assert [r["eventName"] for r in (first, created, disabled)] == [
        "InitialiseDeployment",
        "CreateAccessKey",
        "DisableAccessKey",
    ]
    assert created["requestParameters"]["userName"] == "bob"
    assert created["requestParameters"]["policies"] == ["AuditkeepReadOnly"]
    assert created["userIdentity"]["type"] == "Operator"
    assert disabled["requestParameters"] == {"accessKeyId": made["accessKeyId"]}
    assert made["secretAccessKey"] not in json.dumps([first, created, disabled])


def test_filters_and_instants_are_checked(data: Path) -> None:
    assert len(listed(data, "--event", "InitialiseDeployment")) == 1
    assert listed(data, "--until", "2020-01-01") == []
    assert "no ISO 8601" in auditkeep(
        "activity", "list", "--data", str(data), "--since", "yesterday", code=1
    )


def test_an_export_is_a_cloudtrail_file_that_ingest_reads(data: Path, tmp_path: Path) -> None:
    for name, opened in (("calls.json", open), ("calls.json.gz", gzip.open)):
        file = tmp_path / name
        assert " records" in auditkeep("activity", "export", str(file), "--data", str(data))
        with opened(file, "rt") as text:
            found = [r["eventName"] for r in json.load(text)["Records"]]
        assert found.count("InitialiseDeployment") == 1
        uses = {"Encrypt", "Decrypt", "Sign"}
        assert set(found) <= {"InitialiseDeployment"} | uses
        read = auditkeep(
            "ingest", "cloudtrail", str(file), "--data", str(data), "--account", ACCOUNT, "--json"
        )
        assert json.loads(read)["records"] == len(found)
        assert json.loads(read)["rejected"] == 0
    again = auditkeep(
        "activity", "export", str(tmp_path / "calls.json"), "--data", str(data), code=1
    )
    assert "cannot be written" in again


@pytest.mark.server
def test_a_server_that_is_told_to_end_writes_what_it_heard(data: Path) -> None:
    with serving(data) as url:
        for _ in range(3):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(f"{url}/controls")
    (counted,) = listed(data, "--event", "UnauthenticatedRequests")
    assert counted["additionalEventData"]["requests"] == 3
    assert counted["additionalEventData"]["sourceIPAddresses"] == {"127.0.0.1": 3}
    assert "UnauthenticatedRequests" in auditkeep("activity", "list", "--data", str(data))
