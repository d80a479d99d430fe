"""`auditkeep access …`: policies are kept and attached, and decisions explained."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditkeep.access.policy import read
from auditkeep.cli import main as command_line

ACCOUNT = "111122223333"
HERE = ("--account", ACCOUNT)
Run = Callable[..., tuple[int, str, str]]
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "FromOffice",
            "Effect": "Allow",
            "Action": "auditmanager:*",
            "Resource": "*",
            "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
        },
        {"Sid": "NeverDelete", "Effect": "Deny", "Action": "auditmanager:Delete*", "Resource": "*"},
    ],
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command over a deployment of this test: exit code, output, errors."""

    def go(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["auditkeep", *words, "--data", str(tmp_path / "audit")])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        seen = capsys.readouterr()
        return int(ended.value.code or 0), seen.out, seen.err

    assert go("init", *HERE)[0] == 0
    assert go("keys", "create", *HERE, "--user", "jo", "--policy", "AuditkeepReadOnly")[0] == 0
    return go


@pytest.fixture
def office(tmp_path: Path) -> str:
    file = tmp_path / "office.json"
    file.write_text(json.dumps(DOCUMENT))
    return str(file)


def explained(run: Run, action: str, *more: str) -> tuple[int, Any]:
    code, out, err = run("access", "explain", "--user", "jo", "--action", action, "--json", *more)
    assert code in (0, 1), err
    return code, json.loads(out)


def test_a_policy_lives_from_put_to_delete(run: Run, office: str) -> None:
    policies = ("access", "policies")
    assert run(*policies, "put", "Office", office, *HERE)[0] == 0
    code, out, _ = run(*policies, "get", "Office", *HERE)
    assert (code, json.loads(out)) == (0, DOCUMENT)
    code, out, _ = run(*policies, "attach", "Office", *HERE, "--user", "jo", "--json")
    assert (code, json.loads(out)["keysChanged"]) == (0, 1)
    listed = json.loads(run(*policies, "list", "--json")[1])
    assert listed["own"] == [{"account": ACCOUNT, "name": "Office", "attachedTo": ["user jo"]}]
    assert len(listed["managed"]) == 7
    assert f"{ACCOUNT} Office user jo" in run(*policies, "list")[1]
    code, _, err = run(*policies, "delete", "Office", *HERE)
    assert code == 1
    assert "attached to user jo; detach it first" in err
    assert run(*policies, "detach", "Office", *HERE, "--user", "jo")[0] == 0
    assert run(*policies, "delete", "Office", *HERE)[0] == 0
    assert json.loads(run(*policies, "list", "--json", *HERE)[1])["own"] == []


def test_a_document_that_is_not_understood_changes_nothing(
    run: Run, office: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = ("access", "policies", "put", "Office")
    assert run(*put, office, *HERE)[0] == 0
    wrong = json.dumps(DOCUMENT).replace("IpAddress", "IpAdress")
    monkeypatch.setattr("sys.stdin", io.StringIO(wrong))
    code, _, err = run(*put, "-", *HERE)
    assert code == 1
    assert "in FromOffice uses the condition operator 'IpAdress', which is not known" in err
    assert json.loads(run("access", "policies", "get", "Office", *HERE)[1]) == DOCUMENT
    code, _, err = run(*put, office + ".missing", *HERE)
    assert (code, "cannot be read" in err) == (1, True)


def test_a_managed_policy_is_shown_and_reads_as_one(run: Run) -> None:
    code, out, _ = run("access", "policies", "get", "AuditkeepDelegate")
    assert code == 0
    assert read("Copy", out).statements
    code, _, err = run("access", "policies", "get", "Nothing")
    assert (code, "no managed policy" in err) == (1, True)
    assert run("access", "policies", "get", "Nothing", *HERE)[0] == 1


def test_allow_implicit_deny_and_explicit_deny_are_told_apart(run: Run, office: str) -> None:
    run("access", "policies", "put", "Office", office, *HERE)
    run("access", "policies", "attach", "Office", *HERE, "--user", "jo")
    code, allow = explained(run, "CreateControl", "--context", "aws:SourceIp=203.0.113.5")
    assert (code, allow["statement"], allow["policy"]) == (0, "FromOffice", "Office")
    code, implicit = explained(run, "CreateControl")
    assert (code, implicit["statement"]) == (1, None)
    assert implicit["decidedBy"] == "identity policies"
    assert implicit["notGiven"] == ["aws:SourceIp"]
    control = f"arn:aws:auditmanager:us-east-1:{ACCOUNT}:control/c"
    code, explicit = explained(run, "auditmanager:DeleteControl", "--resource", control)
    assert (code, explicit["statement"], explicit["allowed"]) == (1, "NeverDelete", False)
    assert explicit["principal"] == f"arn:aws:iam::{ACCOUNT}:user/jo"


def test_people_get_sentences(run: Run, office: str) -> None:
    run("access", "policies", "put", "Office", office, *HERE)
    run("access", "policies", "attach", "Office", *HERE, "--user", "jo")
    ask = ("access", "explain", "--user", f"arn:aws:iam::{ACCOUNT}:user/jo", *HERE)
    code, out, _ = run(*ask, "--action", "CreateControl", "--resource", "arn:aws:x:::y")
    assert code == 1
    assert "decided by identity policies: no identity-based policy allows it" in out
    assert (
        "Allow FromOffice of Office does not apply: it wants IpAddress aws:SourceIp "
        "'203.0.113.0/24', and the request has no such key" in out
    )
    assert "say it with --context aws:SourceIp=VALUE" in out
    assert "name another resource: *" in out


def test_a_role_is_explained_by_its_arn(run: Run) -> None:
    put = ("roles", "put", "Review", *HERE, "--policy", "AuditkeepAuditor")
    assert run(*put, "--principal", f"arn:aws:iam::{ACCOUNT}:user/jo")[0] == 0
    ask = ("access", "explain", "--action", "ListControls", "--json", "--user")
    code, out, _ = run(*ask, f"arn:aws:iam::{ACCOUNT}:role/Review")
    assert (code, json.loads(out)["policy"]) == (0, "AuditkeepAuditor")
    code, out, _ = run(*ask, f"arn:aws:sts::{ACCOUNT}:assumed-role/Review/jo")
    assert json.loads(out)["principal"].endswith(":assumed-role/Review/jo")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--user", "al", "--action", "GetControl"), "No user 'al' with a key in use"),
        (("--user", "jo", "--action", "GetControll"), "Did you mean auditmanager:GetControl"),
        (("--user", "jo", "--action", "GetControl", "--context", "x"), "is not understood"),
        (("--user", "jo", "--action", "GetControl", "--key", "AKIA"), "with the key AKIA"),
        (
            ("--user", "jo", "--action", "GetControl", "--resource", "arn:aws:auditmanager:us-east-1:999988887777:control/c"),
            "speak of account 111122223333 only",
        ),
        (
            ("--user", "jo", "--action", "GetAssessment", "--resource", f"arn:aws:auditmanager:us-east-1:{ACCOUNT}:assessment/3f0c9e56-0000-4000-8000-000000000000"),
            "No assessment with the id",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_told_exits_with_2(run: Run, words: tuple[str, ...], sentence: str) -> None:
    code, out, err = run("access", "explain", *words)
    assert (code, out) == (2, "")
    assert sentence in err


def test_users_of_one_name_and_keys_that_differ_must_be_told_apart(run: Run) -> None:
    create = ("keys", "create", "--user", "jo", "--policy", "AuditkeepAuditor", "--json")
    second = json.loads(run(*create, *HERE)[1])["accessKeyId"]
    ask = ("access", "explain", "--user", "jo", "--action", "ListControls")
    code, _, err = run(*ask)
    assert code == 2
    assert "carry different policies" in err
    assert second in err
    assert run(*ask, "--key", second)[0] == 0
    run(*create, "--account", "999988887777")
    code, _, err = run(*ask)
    assert code == 2
    assert "Accounts 111122223333, 999988887777 have a user 'jo'; name the --account." in err
