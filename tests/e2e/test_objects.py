"""The whole way from a trail to a verified report with objects in S3, PostgreSQL and two processes.

The bucket has Object Lock and is asked for SSE-KMS. What is there is counted from the files that went
in. S3 is moto behind a door that checks signatures (`tests.s3`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import ACCOUNT, Running, auditkeep, running
from tests.e2e.over_users import assessment, trail
from tests.kms import until
from tests.postgres import fresh_database
from tests.s3 import BUCKET, REGION, S3Server

from auditkeep.lake.crashpoints import EXIT_CODE

pytestmark = [pytest.mark.server, pytest.mark.postgres, pytest.mark.slow]

KMS_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11112222-3333-4444-5555-666677778888"
FILES, EACH = 2, 60


def test_from_a_trail_to_a_verified_report(tmp_path: Path, postgres_url: str, s3: S3Server) -> None:
    s3.bucket(locked=True)
    told = {
        "AUDITKEEP_DATABASE_URL": fresh_database(postgres_url),
        "AUDITKEEP_OBJECTS": f"s3://{BUCKET}/audit/one",
        "AUDITKEEP_OBJECTS_ENDPOINT_URL": s3.url,
        "AUDITKEEP_OBJECTS_REGION": REGION,
        "AUDITKEEP_OBJECTS_KMS_KEY": KMS_KEY,
        "AUDITKEEP_OBJECTS_TIMEOUT_SECONDS": "5",
    }
    with running(tmp_path / "audit", **told) as server, _worker(server) as worker:
        client = server.client()
        place = assessment(client)
        _upload(client, place)
        _ingest_and_seal(server, tmp_path)
        shown = _evidence(client, place)
        assert len(shown) == len(set(shown)) == FILES * EACH + 1
        archive = _report(client, place, tmp_path / "report.zip")
        verified = auditkeep("verify", str(archive), "--key", server.log_key)
        assert verified.returncode == 0
        _a_store_that_is_away_loses_nothing(server, s3, client, place)
        _destruction_waits_for_no_lock(server, client, place)
        assert worker.poll() is None
    assert not (tmp_path / "audit" / "objects").exists(), "an object went to the local disk"
    kept = [key.split("/")[2] for key in s3.shown()]
    assert {"segments", "log"} <= set(kept) <= {"segments", "log", "leaves", "blobs"}
    puts = [a for a in s3.puts() if "partNumber" not in a.query]
    assert all(a.headers["x-amz-server-side-encryption-aws-kms-key-id"] == KMS_KEY for a in puts)
    held = (tmp_path / "audit" / "copies").rglob("*.parquet")
    assert all(b"CreateUser" not in copy.read_bytes() for copy in held)


@contextmanager
def _worker(server: Running) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "auditkeep.cli.main", "worker", "--data", str(server.data)],
        env={**os.environ, **server.environment},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _command(server: Running, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return auditkeep(
        *words, "--data", str(server.data), check=False,
        environment={**server.environment, **environment},
    )  # fmt: skip


def _ingest_and_seal(server: Running, folder: Path) -> None:
    """Files from one process, while others seal; one of them is killed before it commits."""
    files = [trail(folder, *range(f * EACH, (f + 1) * EACH)) for f in range(FILES)]
    tenant = ("--account", ACCOUNT)

    def ingest(file: int) -> int:
        return _command(server, "ingest", "cloudtrail", str(files[file]), *tenant).returncode

    assert ingest(0) == 0
    with ThreadPoolExecutor(2) as pool:
        again = pool.submit(lambda: [ingest(file) for file in range(FILES)])
        killed = _command(server, "seal", *tenant, AUDITKEEP_CRASH_AT="seal.segment-kept:1")
        assert killed.returncode == EXIT_CODE
        assert again.result() == [0] * FILES
    assert _command(server, "seal", *tenant).returncode == 0


def _upload(client: Any, place: dict[str, str]) -> None:
    """A file by a presigned link, as evidence of the control."""
    asked = client.get_evidence_file_upload_url(fileName="policy.txt")
    request = urllib.request.Request(asked["uploadUrl"], data=b"a policy " * 1_000, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    name = asked["evidenceFileName"]
    done = client.batch_import_evidence_to_assessment_control(
        **place, manualEvidence=[{"evidenceFileName": name}]
    )
    assert done["errors"] == []


def _evidence(client: Any, place: dict[str, str]) -> list[str]:
    """The ids of all evidence of the control."""
    found: list[str] = []
    for folder in client.get_evidence_folders_by_assessment_control(**place)["evidenceFolders"]:
        ask = {k: place[k] for k in ("assessmentId", "controlSetId")}
        token: dict[str, str] = {}
        while True:
            answer = client.get_evidence_by_evidence_folder(
                **ask, evidenceFolderId=folder["id"], maxResults=100, **token
            )
            found += [one["id"] for one in answer["evidence"]]
            if not answer.get("nextToken"):
                break
            token = {"nextToken": answer["nextToken"]}
    return found


def _report(client: Any, place: dict[str, str], to: Path) -> Path:
    assessment = place["assessmentId"]
    for folder in client.get_evidence_folders_by_assessment_control(**place)["evidenceFolders"]:
        client.associate_assessment_report_evidence_folder(
            assessmentId=assessment, evidenceFolderId=folder["id"]
        )
    made = client.create_assessment_report(assessmentId=assessment, name="report")
    report = made["assessmentReport"]["id"]
    until(lambda: _status(client) != "IN_PROGRESS", 60)
    assert _status(client) == "COMPLETE"
    link = client.get_assessment_report_url(assessmentId=assessment, assessmentReportId=report)[
        "preSignedUrl"
    ]["link"]
    with urllib.request.urlopen(link) as answer:
        to.write_bytes(answer.read())
    return to


def _status(client: Any) -> str:
    (found,) = client.list_assessment_reports()["assessmentReports"]
    return str(found["status"])


def _a_store_that_is_away_loses_nothing(
    server: Running, s3: S3Server, client: Any, place: dict[str, str]
) -> None:
    before = _evidence(client, place)
    words = {"manualEvidence": [{"textResponse": "while the store is away"}]}
    s3.denied.add("s3:GetObject")
    with pytest.raises(ClientError) as refused:
        client.batch_import_evidence_to_assessment_control(**place, **words)
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]
    assert "object store is out of reach" in answer["Error"]["Message"]
    s3.denied.clear()
    assert _evidence(client, place) == before, "what was refused was kept"
    assert client.batch_import_evidence_to_assessment_control(**place, **words)["errors"] == []
    assert len(_evidence(client, place)) == len(before) + 1


def _destruction_waits_for_no_lock(server: Running, client: Any, place: dict[str, str]) -> None:
    """The assessment's own files are unreadable at once, and held until their lock ends."""
    client.delete_assessment(assessmentId=place["assessmentId"])
    told = json.loads(_command(server, "objects", "check", "--json").stdout)
    assert (told["objectLock"], told["versioned"]) == (True, True)
    (held,) = told["deletedButHeld"]
    assert held["account"] == ACCOUNT
    assert held["objects"] >= 1
    assert held["until"] > time.strftime("%Y-%m-%d", time.gmtime(time.time() + 700 * 86_400))
    audited = json.loads(_command(server, "log", "audit", "--json").stdout)
    assert audited["problems"] == []
    assert audited["segments"] >= 1
