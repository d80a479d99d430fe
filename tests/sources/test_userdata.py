"""Start scripts that hold a secret are cut whole, in whatever way a source tells them."""

import base64
import gzip
import hmac
import json
from typing import Any

import pytest

from auditkeep.sources.secrets import MARK, Cutter

KEY = b"k" * 32
PLAIN = "#!/bin/bash\nyum -y install httpd\n"
SECRETS = [
    "export DB_PASSWORD=hunter2",
    "password: 'hunter2'",
    'AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI"',
    "aws configure set key AKIAIOSFODNN7EXAMPLE",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "curl -H 'Authorization: token ghp_" + "a" * 36 + "'",
]


def told(script: str, *, packed: bool = False) -> str:
    data = script.encode()
    return base64.b64encode(gzip.compress(data) if packed else data).decode()


def cut(value: Any) -> tuple[bytes, list[str]]:
    kept, cuts = Cutter(KEY).cut(json.dumps(value).encode())
    json.loads(kept)
    return kept, [c.rule for c in cuts]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_script_with_a_secret_is_cut(secret: str, packed: bool) -> None:
    script = told(PLAIN + secret, packed=packed)
    for record in (
        {"UserData": {"Value": script}},
        {"configuration": {"userData": script, "name": "web"}},
        {"LaunchTemplateData": {"UserData": script}},
    ):
        kept, rules = cut(record)
        assert rules == ["user-data"], record
        assert script.encode() not in kept
        assert MARK in kept
    kept, rules = cut({"configuration": json.dumps({"userData": script})})
    assert rules == ["user-data"]
    assert script.encode() not in kept


@pytest.mark.parametrize(
    "script", [PLAIN, "aws ssm get-parameter --name /db/password", "PASSWORD=$(get it)", ""]
)
def test_a_script_without_one_stays(script: str) -> None:
    record = {"UserData": {"Value": told(script)}, "userdata": "none", "userData": None}
    kept, rules = cut(record)
    assert rules == []
    assert json.loads(kept) == record


def test_a_script_that_is_told_as_it_is_is_cut_too() -> None:
    kept, rules = cut({"userData": PLAIN + SECRETS[0]})
    assert (json.loads(kept), rules) == ({"userData": "[cut]"}, ["user-data"])


def test_what_was_cut_can_be_shown_by_whoever_has_it() -> None:
    script = told(PLAIN + SECRETS[0])
    raw = json.dumps({"UserData": {"Value": script}}).encode()
    kept, (one,) = Cutter(KEY).cut(raw)
    assert (one.length, one.rule) == (len(script), "user-data")
    assert one.mac == hmac.digest(KEY, script.encode(), "sha256").hex()
    assert kept[: one.offset] + script.encode() + kept[one.offset + len(MARK) :] == raw


def test_a_session_token_is_cut_wherever_it_stands() -> None:
    token = "IQoJb3JpZ2luX2Vj" + "Ab/+9=" * 40
    for record in ({"note": f"use {token} now"}, {"environment": {"variables": {"X": token}}}):
        kept, rules = cut(record)
        assert rules == ["session-token"]
        assert token[20:].encode() not in kept


def test_environments_of_functions_are_cut_by_their_names() -> None:
    names = ("DB_PASSWORD", "CLIENT_SECRET", "AWS_SESSION_TOKEN", "privateKey", "STAGE")
    kept, rules = cut({"environment": {"variables": dict.fromkeys(names, "hunter2")}})
    assert rules == ["member"] * 4
    assert json.loads(kept)["environment"]["variables"]["STAGE"] == "hunter2"
