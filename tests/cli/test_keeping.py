"""`auditkeep hold …`, `auditkeep retention …` and `auditkeep tenant …`, as an operator runs them."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import ACCOUNT, Run
from tests.cli.test_command_line import _json


def test_a_hold_is_placed_listed_and_released(run: Run, data: Path) -> None:
    where = ("--data", str(data), "--account", ACCOUNT)
    words = ("hold", "place", *where, "--from", "2026-01-01T00:00:00Z", "--why", "Case 7")
    placed = _json(run(*words, "--json"))
    assert (placed["from"], placed["until"], placed["releasedAt"]) == (
        "2026-01-01T00:00:00.000000Z",
        None,
        None,
    )
    assert placed["placedBy"] == f"arn:aws:iam::{ACCOUNT}:user/operator"
    _, text, _ = run("hold", "list", *where)
    assert f"{placed['id']}  in force  2026-01-01T00:00:00.000000Z to …" in text
    assert text.endswith(": Case 7\n")
    assert run("hold", "release", placed["id"], *where, "--why", "over")[0] == 0
    (listed,) = _json(run("hold", "list", *where, "--json"))["holds"]
    assert listed["releaseReason"] == "over"
    code, _, error = run("hold", "release", placed["id"], *where, "--why", "over")
    assert (code, "was released already" in error) == (1, True)
    _, acts, _ = run("activity", "list", "--data", str(data), "--json")
    names = {json.loads(line)["eventName"] for line in acts.splitlines()}
    assert names >= {"PlaceLegalHold", "ReleaseLegalHold"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--why", "x"), "about an assessment, or about a time"),
        (("--why", "x", "--from", "soon"), "--from must be a time such as"),
        (("--why", " ", "--until", "2026-01-01"), "reason must say why"),
        (("--why", "x", "--assessment", "0" * 36), "assessment"),
    ],
)
def test_a_hold_that_is_none_says_so(
    run: Run, data: Path, words: tuple[str, ...], sentence: str
) -> None:
    code, _, error = run("hold", "place", "--data", str(data), "--account", ACCOUNT, *words)
    assert code == 1
    assert sentence in error


def test_retention_is_shown_set_and_run(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITKEEP_RETENTION_DAYS", '{"activity": 400}')
    where = ("--data", str(data), "--account", ACCOUNT)

    def policies() -> dict[str, tuple[object, str]]:
        shown = _json(run("retention", "show", *where, "--json"))
        assert (shown["due"], shown["held"]) == ([], [])
        return {p["class"]: (p["days"], p["setBy"]) for p in shown["policies"]}

    assert policies() == {
        "facts": (731, "deployment"),
        "manual": (731, "deployment"),
        "activity": (400, "deployment"),
        "reports": (None, "deployment"),
    }
    assert run("retention", "set", "facts", "2555", *where)[0] == 0
    assert run("retention", "set", "activity", "forever", *where)[0] == 0
    found = policies()
    assert found["facts"] == (2555, "account")
    assert found["activity"] == (None, "account")
    assert run("retention", "set", "activity", "default", *where)[0] == 0
    assert policies()["activity"] == (400, "deployment")
    code, _, error = run("retention", "set", "facts", "some", *where)
    assert (code, "a number, 'forever', or 'default'" in error) == (1, True)
    done = _json(run("retention", "run", "--data", str(data), "--json"))
    assert done == {
        "destroyed": [],
        "held": [],
        "observations": 0,
        "files": 0,
        "shareSnapshots": 0,
    }


def test_nothing_is_kept_for_who_never_registered(run: Run, data: Path) -> None:
    nobody = ("--data", str(data), "--account", "999988887777")
    for words in (
        ("hold", "place", *nobody, "--why", "x", "--until", "2026-01-01"),
        ("retention", "set", "facts", "10", *nobody),
    ):
        code, _, error = run(*words)
        assert (code, "has nothing in us-east-1" in error) == (1, True)


def test_no_tenant_was_destroyed_yet(run: Run, data: Path) -> None:
    assert _json(run("tenant", "list", "--data", str(data), "--json")) == {"erasures": []}
    assert run("tenant", "list", "--data", str(data))[1] == ""
    words = ("tenant", "certificate", "--data", str(data), "--account", ACCOUNT)
    code, _, error = run(*words)
    assert (code, "was ever destroyed as a whole" in error) == (1, True)


def test_what_is_kept_is_shown_and_set(run: Run, data: Path) -> None:
    where = ("--data", str(data), "--account", ACCOUNT)
    shown = _json(run("keeping", "show", *where, "--json"))
    assert (shown["policy"], shown["since"]) == ("library", None)
    done = _json(run("keeping", "set", "matched", *where, "--json"))
    assert (done["policy"], done["observations"]) == ("matched", 0)
    _, text, _ = run("keeping", "show", *where)
    assert "policy        matched\n" in text
    assert run("keeping", "set", "some", *where)[0] == 2
    _, acts, _ = run("activity", "list", "--data", str(data), "--json")
    assert "PutKeepPolicy" in {json.loads(line)["eventName"] for line in acts.splitlines()}


def test_what_is_kept_for_ever_is_said_in_words(run: Run, data: Path) -> None:
    where = ("--data", str(data), "--account", ACCOUNT)
    _, text, _ = run("retention", "show", *where)
    assert "facts 731 days (the deployment's value)" in text
    assert "reports for ever (the deployment's value)" in text
    assert "what expired share requests offered 365 days (always)" in text
    assert _json(run("retention", "show", *where, "--json"))["shareSnapshotDays"] == 365
    assert "None" not in text
