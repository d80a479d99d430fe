"""The keys that protect data, from the command line: shown, rotated, lost and had again."""

import json
from pathlib import Path

import pytest
from tests.e2e.conftest import ACCOUNT, auditkeep


@pytest.fixture
def data(tmp_path: Path) -> Path:
    done = auditkeep("init", "--data", str(tmp_path / "a"), "--account", ACCOUNT, "--json")
    assert json.loads(done.stdout)["account"] == ACCOUNT, "scripts read this and nothing else"
    assert "If that key is lost, everything is lost" in done.stderr
    assert "auditkeep keys escrow" in done.stderr
    return tmp_path / "a"


def test_a_master_key_is_rotated_escrowed_lost_and_had_again(data: Path, tmp_path: Path) -> None:
    at = ("--data", str(data), "--json")
    first = json.loads(auditkeep("keys", "show", *at).stdout)["current"]
    rotated = json.loads(auditkeep("keys", "rotate", *at).stdout)
    assert rotated["retired"] == [first]
    assert rotated["wrapped"] >= 2
    made = json.loads(
        auditkeep("keys", "escrow", *at, "--shares", "3", "--threshold", "2",
                  "--out", str(tmp_path / "shares")).stdout
    )  # fmt: skip
    assert made["masterKey"] == rotated["masterKey"]
    assert len(made["files"]) == 3
    assert json.loads((data / "keys/escrow.json").read_text())["keys"] == [rotated["masterKey"]]
    assert "share" in auditkeep("keys", "escrow", *at, "--out", "x", check=False).stderr

    (data / "keys/master.key").unlink()
    gone = auditkeep("keys", "list", "--data", str(data), check=False)
    assert (gone.returncode, "is missing" in gone.stderr) == (1, True)
    found = json.loads(auditkeep("keys", "recover", *made["files"][1:], *at).stdout)
    assert found["masterKey"] == rotated["masterKey"]
    assert (data / "keys/master.key").stat().st_mode & 0o777 == 0o600
    assert auditkeep("keys", "list", "--data", str(data)).returncode == 0
    again = auditkeep("keys", "recover", *made["files"][:2], *at, check=False)
    assert "exists already" in again.stderr
