"""Tokens for the log and for events, made as an operator does, and shown to a real server."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.e2e.conftest import auditkeep, running


def test_a_token_is_shown_once_and_listed_by_name(run: Run, data: Path) -> None:
    made = json.loads(
        run("log", "token", "create", "KPMG", "--days", "30", "--data", str(data), "--json")[1]
    )
    assert made["token"].startswith("aklog_")
    assert made["expiresAt"]
    _, listed, _ = run("log", "token", "list", "--data", str(data), "--json")
    assert made["token"] not in listed
    assert not any(made["token"].encode() in p.read_bytes() for p in data.rglob("*") if p.is_file())
    assert run("log", "token", "revoke", made["id"], "--data", str(data))[0] == 0
    (token,) = json.loads(run("log", "token", "list", "--data", str(data), "--json")[1])["tokens"]
    assert (token["name"], token["state"]) == ("KPMG", "revoked")
    code, _, errors = run("log", "token", "create", "x", "--days", "0", "--data", str(data))
    assert (code, "3650" in errors) == (1, True)
    _, told, _ = run("activity", "list", "--data", str(data), "--event", "CreateLogToken", "--json")
    assert "KPMG" in told
    assert made["token"] not in told


@pytest.mark.server
@pytest.mark.slow
def test_a_server_hands_the_log_to_whoever_shows_one(tmp_path: Path) -> None:
    with running(tmp_path / "audit") as server:
        words = ("log", "token", "create", "auditor", "--data", str(server.data), "--json")
        token = json.loads(auditkeep(*words).stdout)["token"]
        asked = urllib.request.Request(f"{server.url}/log/checkpoint")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=10)
        assert refused.value.code == 401
        asked.add_header("Authorization", f"Bearer {token}")
        note = _within_seconds(asked)
        assert note.startswith(server.log_key.split("+")[0])
        head = urllib.request.Request(asked.full_url, headers=dict(asked.headers), method="HEAD")
        with urllib.request.urlopen(head, timeout=10) as answer:
            assert answer.read() == b""


def _within_seconds(asked: urllib.request.Request) -> str:
    """The answer; making the token is what the log's first entry stands for, a second later."""
    refused: Exception | None = None
    for _ in range(100):
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            refused = error
            time.sleep(0.2)
    raise AssertionError from refused


@pytest.mark.server
@pytest.mark.slow
def test_a_bus_brings_its_events_with_one(tmp_path: Path) -> None:
    with running(tmp_path / "audit") as server:
        words = ("events", "token", "create", "bus", "--account", "111122223333")
        made = json.loads(auditkeep(*words, "--data", str(server.data), "--json").stdout)
        event = {
            "source": "aws.iam",
            "detail-type": "AWS API Call via CloudTrail",
            "detail": {
                "eventID": "e-1",
                "eventSource": "iam.amazonaws.com",
                "eventName": "CreateUser",
                "eventTime": "2026-03-01T10:00:00Z",
                "readOnly": False,
            },
        }
        body = json.dumps(event).encode()
        asked = urllib.request.Request(f"{server.url}/events", data=body)
        asked.add_header("x-api-key", made["token"])
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert json.loads(answer.read())["observations"] == 1
        shown = auditkeep("events", "token", "list", "--data", str(server.data), "--json").stdout
        (token,) = json.loads(shown)["tokens"]
        assert (token["account"], token["state"]) == ("111122223333", "active")
