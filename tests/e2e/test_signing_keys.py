"""The keys of log and reports in AWS KMS and in an HSM, with a real server: used, away, well again."""

import io
import json
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import ACCOUNT, Running, auditkeep, free_port, serving_at
from tests.e2e.over_users import assessment, trail
from tests.e2e.test_kms import _environment, _ingest, _manual
from tests.kms import KmsServer, running_kms, until
from tests.softhsm import PIN, TOKEN, new_token

from auditkeep.crypto.providers.hsm import uri_of

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def kms() -> Iterator[KmsServer]:
    with running_kms() as server:
        yield server


def _made(data: Path, environment: dict[str, str], *more: str) -> dict[str, Any]:
    words = ("init", "--data", str(data), "--account", ACCOUNT, "--json", *more)
    found: dict[str, Any] = json.loads(auditkeep(*words, environment=environment).stdout)
    return found


def _size(data: Path) -> int:
    """Entries that the newest published checkpoint covers."""
    note = data / "objects" / "log" / "checkpoint"
    return int(note.read_text().splitlines()[1]) if note.exists() else 0


def _report(client: Any, place: dict[str, Any], to: Path) -> Path:
    """A report of an assessment, as its reader downloads it."""
    at = {"assessmentId": place["assessmentId"]}
    folder = client.get_evidence_folders_by_assessment_control(**place)["evidenceFolders"][0]
    client.associate_assessment_report_evidence_folder(**at, evidenceFolderId=folder["id"])
    made = client.create_assessment_report(name="r", **at)["assessmentReport"]

    def done() -> bool:
        listed = client.list_assessment_reports()["assessmentReports"]
        state = {one["id"]: one["status"] for one in listed}[made["id"]]
        assert state != "FAILED"
        return bool(state == "COMPLETE")

    until(done, 60)
    named = {"assessmentReportId": made["id"], **at}
    link = client.get_assessment_report_url(**named)["preSignedUrl"]["link"]
    with urllib.request.urlopen(link, timeout=30) as answer:
        to.write_bytes(answer.read())
    return to


def test_log_and_reports_are_signed_in_aws_kms(kms: KmsServer, tmp_path: Path) -> None:
    data, environment = tmp_path / "audit", _environment(kms)
    log, report = kms.log_key(), kms.report_key()
    refused = auditkeep(
        *("init", "--data", str(data), "--account", ACCOUNT, "--log-key", report),
        check=False,
        environment=environment,
    )
    assert (refused.returncode, "an Ed25519 key for signing" in refused.stderr) == (1, True)
    made = _made(data, environment, "--log-key", log, "--report-key", report)
    shown = auditkeep("keys", "show", "--data", str(data), "--json", environment=environment)
    assert {n: json.loads(shown.stdout)[n] for n in ("log", "report")} == {
        "log": log, "report": report,
    }  # fmt: skip
    assert b"PRIVATE" not in b"".join(p.read_bytes() for p in (data / "keys").glob("*.key"))
    port = free_port()
    with serving_at(port, data, environment) as (url, process):
        keys = (made["accessKeyId"], made["secretAccessKey"])
        server = Running(data, url, *keys, made["logKey"], process, environment)
        client = server.client()
        place = assessment(client)
        _manual(client, place, "signed elsewhere")
        archive = _report(client, place, tmp_path / "r.zip")
        checked = auditkeep("verify", str(archive), "--key", made["logKey"])
        assert checked.returncode == 0, "anybody checks it as ever"
        assert {body["KeyId"] for body in kms.names("Sign")} == {log, report}

        kms.turn("disable_key", log)
        before = _size(data)
        assert json.loads(_ingest(server, trail(tmp_path, 1, 2)).stdout)["observations"] == 2
        _manual(client, place, "acknowledged meanwhile")
        time.sleep(2)
        assert _size(data) == before, "the log waits"
        kms.turn("enable_key", log)
        until(lambda: _size(data) > before, 20)
    told = auditkeep(
        *("activity", "list", "--data", str(data), "--event", "Sign", "--json"),
        environment=environment,
    ).stdout.splitlines()
    uses = [json.loads(line) for line in told]
    assert {u["requestParameters"]["keyId"] for u in uses} == {log, report}
    assert "KeyAway" in {u.get("errorCode") for u in uses}, "that it was refused is told"

    for turn, back in (("disable_key", "enable_key"),):
        kms.turn(turn, log)
        begun = subprocess.run(
            [sys.executable, "-m", "auditkeep.cli.main", "serve", "--data", str(data),
             "--port", str(port)],
            env=environment | {"PYTHONPATH": "src", "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (begun.returncode, f"{log} is disabled" in begun.stderr) == (1, True), begun.stderr
        kms.turn(back, log)
    audit = auditkeep(
        "log", "audit", "--data", str(data), "--key", made["logKey"], environment=environment
    )
    assert audit.returncode == 0, "nothing was lost, and nothing needs repair"

    # to a file of our own: the log's next epoch, which the former key vouches for
    at = ("--data", str(data), "--json")
    moved = json.loads(
        auditkeep("keys", "log", "--to", "local", *at, environment=environment).stdout
    )
    assert moved["logKey"].startswith(made["logKey"].partition("+")[0] + "/epoch-2+")
    with serving_at(port, data, environment):
        until(lambda: "/epoch-2" in (data / "objects/log/checkpoint").read_text(), 10)
    audit = auditkeep(
        "log", "audit", "--data", str(data), "--key", made["logKey"], environment=environment
    )
    assert audit.returncode == 0
    assert auditkeep("verify", str(archive), "--key", made["logKey"]).returncode == 0


def test_log_and_reports_are_signed_in_an_hsm_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = new_token(tmp_path, monkeypatch)
    monkeypatch.setenv("AUDITKEEP_PKCS11_MODULE", str(library))
    monkeypatch.setenv("AUDITKEEP_PKCS11_PIN", PIN)
    data = tmp_path / "audit"
    made = _made(data, {}, "--report-key", uri_of(TOKEN, "reports"))
    moved = json.loads(
        auditkeep("keys", "log", "--data", str(data), "--to", uri_of(TOKEN, "log"), "--json").stdout
    )
    assert (data / "keys/log.key").read_text().splitlines()[1] == uri_of(TOKEN, "log")
    with serving_at(free_port(), data, {}) as (url, process):
        keys = (made["accessKeyId"], made["secretAccessKey"])
        client = Running(data, url, *keys, moved["logKey"], process, {}).client()
        place = assessment(client)
        _manual(client, place, "signed in a token")
        archive = _report(client, place, tmp_path / "r.zip")
    for key in (moved["logKey"], made["logKey"]):
        assert auditkeep("verify", str(archive), "--key", key).returncode == 0, "old pins follow"
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        assert any(name.endswith("epochs.jsonl") for name in opened.namelist())
    monkeypatch.setenv("AUDITKEEP_PKCS11_PIN", "wrong")
    refused = auditkeep("serve", "--data", str(data), "--port", "0", check=False)
    assert (refused.returncode, "refuses the PIN" in refused.stderr) == (1, True)
    monkeypatch.setenv("AUDITKEEP_PKCS11_PIN", PIN)
    auditkeep("keys", "report", "--data", str(data), "--to", "local")
    auditkeep("keys", "log", "--data", str(data), "--to", "local")
    monkeypatch.delenv("AUDITKEEP_PKCS11_MODULE")
    assert auditkeep("log", "audit", "--data", str(data), "--key", made["logKey"]).returncode == 0
