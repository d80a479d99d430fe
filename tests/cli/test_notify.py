"""`auditkeep notify`: what it keeps, shows and never shows."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import ACCOUNT, Run
from tests.receivers import web_server

from auditkeep.clock import SystemClock
from auditkeep.db.database import Database
from auditkeep.ids import Tenant
from auditkeep.notifications.model import SNS
from auditkeep.work.jobs import DatabaseJobs, Failure

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Expert"
URL = "https://hooks.example.com/in/s3cr3t-token"


@pytest.fixture
def notify(run: Run, data: Path) -> Any:
    def go(*words: str) -> tuple[int, Any, str]:
        tenant = [] if words[0] == "failures" else ["--account", ACCOUNT]
        plain = words[1:2] == ("delete",)
        ending = [] if plain else ["--json"]
        code, out, errors = run("notify", *words, "--data", str(data), *tenant, *ending)
        return code, json.loads(out) if out else None, errors

    return go


def test_an_address_is_put_listed_and_deleted(notify: Any) -> None:
    code, shown, errors = notify("address", "put", ROLE, "expert@example.com")
    assert (code, shown) == (0, {"principal": ROLE, "address": "expert@example.com"})
    assert "no mail is sent before AUDITKEEP_SMTP_HOST is set" in errors
    (entry,) = notify("address", "list")[1]["addresses"]
    assert (entry["principal"], entry["address"]) == (ROLE, "expert@example.com")
    assert notify("address", "delete", ROLE)[0] == 0
    assert notify("address", "list")[1] == {"addresses": []}
    code, _, errors = notify("address", "delete", ROLE)
    assert (code, "no entry for" in errors) == (1, True)
    assert notify("address", "put", "me", "expert@example.com")[0] == 1


def test_a_secret_is_shown_once_and_kept_sealed(notify: Any, data: Path) -> None:
    code, made, _ = notify("webhook", "put", "siem", URL, "--send", "events")
    assert code == 0
    assert made["sends"] == "events"
    assert made["secret"].startswith("whsec_")
    code, shown, _ = notify("webhook", "list")
    (listed,) = shown["webhooks"]
    assert (listed["name"], listed["origin"]) == ("siem", "https://hooks.example.com")
    assert "s3cr3t" not in json.dumps(shown)
    assert made["secret"] not in json.dumps(shown)
    for file in data.rglob("*"):
        if file.is_file():
            assert b"s3cr3t-token" not in file.read_bytes(), file
            assert made["secret"][6:].encode() not in file.read_bytes(), file
    assert notify("webhook", "delete", "siem")[0] == 0
    assert notify("webhook", "list")[1] == {"webhooks": []}


def test_url_and_secret_need_not_be_arguments(
    notify: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + "a2tr" * 10 + "\n")
    secret.chmod(stat.S_IRUSR)
    monkeypatch.setattr("sys.stdin.readline", lambda: URL + "\n", raising=False)
    code, made, _ = notify("webhook", "put", "siem", "--secret-file", str(secret))
    assert (code, made) == (0, {"name": "siem", "sends": "notices, events"})
    assert notify("webhook", "list")[1]["webhooks"][0]["origin"] == "https://hooks.example.com"
    code, _, errors = notify("webhook", "put", "x", URL, "--secret-file", str(tmp_path / "none"))
    assert (code, "cannot be read from" in errors) == (1, True)


@pytest.mark.server
def test_a_test_message_is_signed_and_its_fate_told(
    notify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_server() as web:
        notify("webhook", "put", "siem", web.url)
        code, _, errors = notify("webhook", "test", "siem")
        assert (code, "not a public address" in errors) == (1, True)
        monkeypatch.setenv("AUDITKEEP_WEBHOOK_NETWORKS", "127.0.0.0/8")
        web.answers = [201, 503]
        code, sent, _ = notify("webhook", "test", "siem")
        assert (code, sent["status"]) == (0, 201)
        assert web.posted[0].headers["webhook-id"] == sent["id"]
        assert json.loads(web.posted[0].body)["type"] == "TEST"
        code, _, errors = notify("webhook", "test", "siem")
        assert (code, errors) == (1, "auditkeep: The webhook answered 503.\n")
    assert notify("webhook", "test", "nobody")[0] == 1


def test_failures_are_shown_with_their_reason_and_tried_again(notify: Any, data: Path) -> None:
    assert notify("failures")[:2] == (0, {"failures": []})
    db = Database(f"sqlite:///{data / 'audit.db'}")
    jobs, now = DatabaseJobs(db), SystemClock().now()
    for key, again in [("m-1", None), ("m-2", 60_000_000)]:
        with db.write(Tenant(ACCOUNT, "us-east-1")) as tx:
            jobs.enqueue(tx, SNS, key, now)
        job = jobs.claim([SNS], now)
        assert job is not None
        jobs.finish(job, now, Failure("SNS answered NotFound.", again))
    db.close()
    code, shown, _ = notify("failures")
    assert code == 1
    first, second = shown["failures"]
    assert (first["message"], first["state"]) == ("m-1", "failed")
    assert (first["channel"], first["account"]) == ("notice-sns", ACCOUNT)
    assert (first["tries"], first["error"]) == (1, "SNS answered NotFound.")
    assert second["state"].startswith("again at ")
    code, shown, _ = notify("failures", "--retry")
    assert (code, len(shown["retried"])) == (0, 2)
    assert notify("failures")[:2] == (0, {"failures": []})


def test_an_account_that_never_registered_has_nowhere_to_put_it(run: Run, data: Path) -> None:
    words = ("notify", "address", "list", "--data", str(data), "--account", "999988887777")
    code, _, errors = run(*words)
    assert (code, "not registered" in errors) == (1, True)
