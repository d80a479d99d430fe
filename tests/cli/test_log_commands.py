"""`auditkeep log audit` and `recover` as an operator runs them."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests.cli.conftest import ACCOUNT, Run

from auditkeep.cli.progress import AuditProgress
from auditkeep.lake.audit.findings import Counts
from auditkeep.tlog.cosignature import WitnessKey

EVENT = {
    "eventVersion": "1.08",
    "eventTime": "2026-05-01T10:11:12Z",
    "eventSource": "iam.amazonaws.com",
    "eventName": "CreateUser",
    "awsRegion": "us-east-1",
    "recipientAccountId": ACCOUNT,
    "userIdentity": {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"},
    "readOnly": False,
}


def _ingest(run: Run, data: Path, number: int) -> int:
    file = data.parent / f"{number}.json"
    file.write_text(json.dumps({"Records": [{**EVENT, "eventID": f"event-{number}"}]}))
    words = ("ingest", "cloudtrail", str(file), "--data", str(data), "--account", ACCOUNT)
    return run(*words)[0]


def _copy(source: Path, target: Path) -> None:
    one, other = sqlite3.connect(source), sqlite3.connect(target)
    one.backup(other)
    one.close()
    other.close()


def test_an_audit_answers_by_its_exit_code_and_in_sentences(run: Run, data: Path) -> None:
    assert _ingest(run, data, 1) == 0
    _, checkpoint, _ = run("log", "checkpoint", "--data", str(data))
    held = data.parent / "held.txt"
    held.write_text(checkpoint)
    audit = ("log", "audit", "--data", str(data))
    code, told, errors = run(*audit, "--checkpoint", str(held), "--json")
    assert (code, errors) == (0, "")
    answer = json.loads(told)
    assert (answer["state"], answer["problems"]) == ("sound", [])
    assert answer["batches"] == answer["logEntries"] >= 2, "the file, and the run that read it"
    (tile,) = (data / "objects" / "log" / "tile" / "0").iterdir()
    (partial,) = tile.iterdir() if tile.is_dir() else [tile]
    partial.write_bytes(bytes(64))
    code, told, _ = run(*audit)
    assert code == 1
    assert "not sound" in told
    assert "does not hold the hashes of its entries" in told


def test_what_is_no_checkpoint_stops_an_audit_at_once(run: Run, data: Path) -> None:
    audit = ("log", "audit", "--data", str(data), "--checkpoint")
    code, _, errors = run(*audit, str(data.parent / "nowhere"))
    assert code == 1
    assert "cannot be read" in errors
    file = data.parent / "nonsense"
    file.write_text("nonsense")
    code, _, errors = run(*audit, str(file))
    assert code == 1
    assert "The checkpoint that was given cannot be used" in errors


def test_an_interrupted_audit_says_how_to_go_on(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _ingest(run, data, 1) == 0

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AuditProgress, "__call__", interrupt)
        code, _, errors = run("log", "audit", "--data", str(data))
    assert code == 130
    assert "the same command goes on with it" in errors
    AuditProgress(quiet=True)("the log", Counts())


def test_a_restored_database_is_recovered_and_goes_on(run: Run, data: Path) -> None:
    backup = data.parent / "backup.db"
    assert _ingest(run, data, 1) == 0
    _copy(data / "audit.db", backup)
    assert _ingest(run, data, 2) == 0
    for file in data.glob("audit.db*"):
        file.unlink()
    _copy(backup, data / "audit.db")
    assert _ingest(run, data, 3) == 1, "refused until the log is recovered"
    assert run("log", "audit", "--data", str(data))[0] == 1
    code, told, _ = run("log", "recover", "--data", str(data), "--json")
    assert code == 0
    answer = json.loads(told)
    assert answer["how"] == "replayed"
    assert len(answer["lost"]) == 1
    assert _ingest(run, data, 2) == 0, "what was lost is read again"
    code, told, _ = run("log", "audit", "--data", str(data), "--json")
    assert code == 0
    assert "as the operator (uid " in json.loads(told)["notices"][0]
    code, told, _ = run("log", "recover", "--data", str(data))
    assert code == 0
    assert "nothing to recover" in told


def test_an_invitation_holds_all_that_an_auditor_needs(run: Run, data: Path) -> None:
    file = data.parent / "invitation.txt"
    code, _, errors = run("log", "invite", str(file), "--data", str(data))
    assert (code, file.exists()) == (1, False), errors
    assert _ingest(run, data, 1) == 0
    assert run("log", "invite", str(file), "--data", str(data))[0] == 0
    text = file.read_text()
    _, key, _ = run("log", "key", "--data", str(data))
    assert key.strip() in text
    checkpoint = text.split("-" * 70)[1].strip("\n") + "\n"
    held = data.parent / "checkpoint.txt"
    held.write_text(checkpoint)
    words = ("--key", key.strip(), "--checkpoint", str(held))
    assert run("log", "audit", "--data", str(data), *words)[0] == 0
    assert run("log", "invite", str(file), "--data", str(data))[0] == 1, "it is left alone"
    assert file.read_text() == text


def test_nobody_who_was_never_asked_vouches(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("log", "anchors", "--data", str(data))[0] == 0
    key = WitnessKey("witness.example.org", bytes(32)).vkey
    monkeypatch.setenv("AUDITKEEP_WITNESSES", json.dumps({key: "https://witness.example.org/"}))
    code, told, _ = run("log", "anchors", "--data", str(data), "--json")
    assert code == 1
    assert json.loads(told)["authorities"] == [
        {"authority": "witness.example.org", "kind": "witness", "state": "not asked yet"}
    ]
