"""`auditkeep roles` and `auditkeep sessions`: what they keep, list, refuse and end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditkeep.access import roles, sessions
from auditkeep.access.sessions import Wanted
from auditkeep.app import opened
from auditkeep.cli import main as command_line
from auditkeep.clock import SystemClock
from auditkeep.settings import load

ACCOUNT = "111122223333"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Auditor"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command over one data directory: exit code, output, errors."""

    def go(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["auditkeep", *words, "--data", str(tmp_path / "data")])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        seen = capsys.readouterr()
        return int(ended.value.code or 0), seen.out, seen.err

    go("init", "--account", ACCOUNT)
    return go


def told(run: Run, *words: str) -> Any:
    code, out, err = run(*words, "--json")
    assert code == 0, err
    return json.loads(out)


def put(run: Run, *words: str) -> tuple[int, str, str]:
    return run(
        "roles", "put", "Auditor", "--account", ACCOUNT, "--policy", "AuditkeepAuditor", *words
    )


def test_a_role_is_kept_changed_listed_and_taken_away(run: Run, tmp_path: Path) -> None:
    assert put(run, "--principal", ALICE, "--tag", "team")[0] == 0
    trust = tmp_path / "trust.json"
    trust.write_text(
        '{"oidc":[{"issuer":"https://idp.example.com","audiences":["a"],"subjects":["s"],'
        '"claims":{"org":["acme"]}}]}'
    )
    [first] = told(run, "roles", "list")["roles"]
    assert (first["arn"], first["maxSeconds"]) == (ROLE, 3600)
    assert first["trust"]["principals"] == [ALICE]
    assert first["trust"]["tags"] == ["team"]
    assert put(run, "--trust", str(trust), "--max-seconds", "7200")[0] == 0
    [second] = told(run, "roles", "list")["roles"]
    assert (second["maxSeconds"], second["trust"]["principals"]) == (7200, [])
    assert second["trust"]["oidc"][0]["claims"] == {"org": ["acme"]}
    assert run("roles", "delete", "Auditor", "--account", ACCOUNT)[0] == 0
    assert told(run, "roles", "list") == {"roles": []}
    assert run("roles", "delete", "Auditor", "--account", ACCOUNT)[0] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "trusts nobody"),
        (("--subject", "s"), "name their --oidc issuer"),
        (("--oidc", "https://idp.example.com", "--subject", "s"), "audiences"),
        (("--oidc", "http://idp.example.com", "--audience", "a", "--subject", "s"), "https"),
        (("--principal", "alice"), "no ARN"),
        (("--trust", "/nowhere/trust.json"), "cannot be read"),
        (("--trust", "/nowhere/trust.json", "--tag", "x"), "whole trust"),
    ],
)
def test_a_role_that_says_too_little_is_refused(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    code, _, err = put(run, *words)
    assert code == 1
    assert said in err
    assert told(run, "roles", "list") == {"roles": []}


def test_sessions_are_listed_and_ended(run: Run, tmp_path: Path) -> None:
    put(run, "--principal", ALICE)

    def take(origin: str) -> str:
        clock = SystemClock()
        with opened(load(tmp_path / "data"), clock) as parts, parts.db.system_write() as tx:
            role = roles.find_arn(tx, ROLE)
            assert role is not None
            wanted = Wanted("jane", 900, origin)
            made = sessions.issue(tx, parts.lake.secrets, role, wanted, clock.now())
        return made.access_key_id

    one, two, three = take(ALICE), take(ALICE), take("https://idp.example.com ci")
    listed = {s["accessKeyId"]: s for s in told(run, "sessions", "list")["sessions"]}
    assert set(listed) == {one, two, three}
    assert listed[three]["takenBy"] == "https://idp.example.com ci"
    assert listed[one]["state"] == "active"
    assert told(run, "sessions", "revoke", one) == {"revoked": 1}
    assert told(run, "sessions", "revoke", "--taken-by", ALICE) == {"revoked": 1}
    assert told(run, "sessions", "revoke", "--role", ROLE) == {"revoked": 1}
    assert told(run, "sessions", "list") == {"sessions": []}
    ended = told(run, "sessions", "list", "--ended")["sessions"]
    assert {s["state"][:7] for s in ended} == {"revoked"}
    for words, said in (
        ((), "Say which sessions"),
        ((one,), "No session in use"),
        (("--role", ROLE + "x"), "no role"),
    ):
        code, _, err = run("sessions", "revoke", *words)
        assert code == 1
        assert said in err
