"""The keys that protect data, from the command line: shown, rotated, lost and had again."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest
from tests.cli.conftest import ACCOUNT, Run
from tests.softhsm import PIN, TOKEN, new_token

from auditkeep.app import escrow
from auditkeep.crypto.providers.hsm import uri_of
from auditkeep.settings import load


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Go = Callable[..., Done]


@pytest.fixture
def auditkeep(run: Run) -> Go:
    """Run a command, which succeeds unless it need not."""

    def go(*words: str, check: bool = True) -> Done:
        done = Done(*run(*words))
        assert done.returncode == 0 or not check, done
        return done

    return go


@pytest.fixture
def data(auditkeep: Go, tmp_path: Path) -> Path:
    done = auditkeep("init", "--data", str(tmp_path / "a"), "--account", ACCOUNT, "--json")
    assert json.loads(done.stdout)["account"] == ACCOUNT, "scripts read this and nothing else"
    assert "If that key is lost, everything is lost" in done.stderr
    assert "auditkeep keys escrow" in done.stderr
    return tmp_path / "a"


def test_a_master_key_is_rotated_escrowed_lost_and_had_again(
    auditkeep: Go, data: Path, tmp_path: Path
) -> None:
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
    copied = auditkeep("activity", "list", *at, "--event", "EscrowMasterKey").stdout
    assert json.loads(copied)["requestParameters"] == {
        "keyId": rotated["masterKey"], "how": "2 of 3 shares"
    }  # fmt: skip

    (data / "keys/master.key").unlink()
    gone = auditkeep("keys", "list", "--data", str(data), check=False)
    assert (gone.returncode, "is missing" in gone.stderr) == (1, True)
    found = json.loads(auditkeep("keys", "recover", *made["files"][1:], *at).stdout)
    assert found["masterKey"] == rotated["masterKey"]
    assert (data / "keys/master.key").stat().st_mode & 0o777 == 0o600
    assert auditkeep("keys", "list", "--data", str(data)).returncode == 0
    again = auditkeep("keys", "recover", *made["files"][:2], *at, check=False)
    assert "exists already" in again.stderr


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def test_setup_asks_for_a_place_for_shares_until_it_has_one_or_is_told_later(
    auditkeep: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    taken, shares = tmp_path / "taken", tmp_path / "shares"
    taken.write_text("a file")
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setattr("sys.stdin", Terminal(f"\n{taken}\n{shares}\n"))
    done = auditkeep("init", "--data", str(first), "--account", ACCOUNT)
    assert done.stderr.count("A folder for five shares") == 3
    assert "If that key is lost, everything is lost" in done.stderr
    assert escrow.missing(load(first)) is None
    assert len([*shares.iterdir()]) == 5
    monkeypatch.setattr("sys.stdin", Terminal("later\n"))
    done = auditkeep("init", "--data", str(second), "--account", ACCOUNT)
    assert done.stderr.count("A folder for five shares") == 1
    assert (key := escrow.missing(load(second))), "so the server reminds at each start"
    assert key in done.stderr
    auditkeep("keys", "rotate", "--data", str(first))
    assert escrow.missing(load(first)), "shares of the former key do not open what comes"


def test_a_deployment_under_an_hsm_from_the_first_start_on(
    auditkeep: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = new_token(tmp_path, monkeypatch)
    monkeypatch.setenv("AUDITKEEP_PKCS11_MODULE", str(library))
    monkeypatch.setenv("AUDITKEEP_PKCS11_PIN", PIN)
    uri, data = uri_of(TOKEN, "master"), str(tmp_path / "hsm")
    done = auditkeep("init", "--data", data, "--account", ACCOUNT, "--master-key", uri, "--json")
    assert "everything is lost" not in done.stderr, "an HSM has its own ways"
    assert Path(data, "keys/master.key").read_text().splitlines()[1] == uri
    assert json.loads(auditkeep("keys", "show", "--data", data, "--json").stdout)["current"] == uri
    uses = auditkeep("activity", "list", "--data", data, "--event", "Decrypt", "--json").stdout
    assert json.loads(uses.splitlines()[0])["requestParameters"]["keyId"] == uri

    pkcs11.unload(str(library))  # as a new process, which logs in anew
    monkeypatch.setenv("AUDITKEEP_PKCS11_PIN", "wrong")
    refused = auditkeep("keys", "list", "--data", data, check=False)
    assert (refused.returncode, "refuses the PIN" in refused.stderr) == (1, True)
    monkeypatch.setenv("AUDITKEEP_PKCS11_PIN", PIN)
    back = json.loads(auditkeep("keys", "rotate", "--data", data, "--to", "local", "--json").stdout)
    assert back["retired"] == [uri]
    monkeypatch.delenv("AUDITKEEP_PKCS11_MODULE")
    assert auditkeep("keys", "list", "--data", data).returncode == 0, "needed no more"


def test_a_master_key_from_the_environment(
    auditkeep: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(tmp_path / "given")
    first, second = (auditkeep("keys", "new").stdout.strip() for _ in range(2))
    monkeypatch.setenv("AUDITKEEP_MASTER_KEY", first)
    auditkeep("init", "--data", data, "--account", ACCOUNT, "--json")
    assert not Path(data, "keys/master.key").exists()
    refused = auditkeep("keys", "rotate", "--data", data, check=False)
    assert (refused.returncode, "which only you can change" in refused.stderr) == (1, True)
    monkeypatch.setenv("AUDITKEEP_MASTER_KEY", f"{first} {second}")
    done = json.loads(auditkeep("keys", "rotate", "--data", data, "--json").stdout)
    assert len(done["left"]) == 1, "for whoever gave it to take away"
    monkeypatch.setenv("AUDITKEEP_MASTER_KEY", second)
    assert auditkeep("keys", "list", "--data", data).returncode == 0
    monkeypatch.setenv("AUDITKEEP_MASTER_KEY", first)
    wrong = auditkeep("keys", "list", "--data", data, check=False)
    assert (wrong.returncode, "Put the right key in place" in wrong.stderr) == (1, True)
    assert first not in wrong.stderr


def test_where_only_approved_cryptography_is_admitted_no_copy_is_sealed(
    auditkeep: Go, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("correct horse battery staple\n")
    monkeypatch.setenv("AUDITKEEP_CRYPTO", "approved")
    done = auditkeep(
        *("keys", "escrow", "--data", str(data), "--out", str(tmp_path / "copy")),
        *("--passphrase-file", str(words)),
        check=False,
    )
    assert (done.returncode, "scrypt" in done.stderr) == (1, True)
    assert not (tmp_path / "copy").exists()
