"""Cuts: secrets go, the record stays JSON, and whoever has the original can prove what went."""

import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkeep.observations import Cut
from auditkeep.sources.secrets import MARK, Cutter

KEY = b"k" * 32
CUTTER = Cutter(KEY)
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc==\n-----END RSA PRIVATE KEY-----"


def restored(kept: bytes, cuts: tuple[Cut, ...], original: bytes) -> bytes:
    """The original again, from what was kept and the removed bytes taken from the original."""
    text, shift = kept, 0
    for cut in cuts:
        at = cut.offset + shift
        assert text[at : at + len(MARK)] == MARK
        removed = original[at : at + cut.length]
        assert hmac.digest(KEY, removed, "sha256").hex() == cut.mac
        text = text[:at] + removed + text[at + len(MARK) :]
        shift += cut.length - len(MARK)
    return text


@pytest.mark.parametrize(
    ("record", "rules"),
    [
        ({"secretAccessKey": "wJalrXUtnFEMI/K7MDENG"}, ["member"]),
        ({"credentials": {"accessKeyId": "ASIAX", "sessionToken": "FwoG//"}}, ["member"]),
        ({"masterUserPassword": "hunter2"}, ["member"]),
        ({"Environment": {"Variables": {"DB_PASSWORD": 'x y"z\\'}}}, ["member"]),
        ({"body": json.dumps({"password": 'in"ner', "n": 1})}, ["quoted-member"]),
        ({"userData": f"cat <<E\n{PEM}\nE"}, ["private-key"]),
        ({"userData": json.dumps({"k": PEM})}, ["private-key"]),
        ({"userData": PEM[:60]}, ["private-key"]),
        ({"note": "use ghp_" + "a1B2" * 9}, ["github-token"]),
        ({"note": "use github_pat_" + "a1B2_" * 9}, ["github-token"]),
        ({"note": "xoxb-123456789012-abcdefXYZ"}, ["slack-token"]),
        ({"password": "a", "x": {"clientSecret": "b"}}, ["member", "member"]),
        ({"DB_PASS_WORD": "a", "secret--access.KEY_": "b"}, ["member", "member"]),
    ],
)
def test_a_secret_is_cut_and_its_hmac_kept(record: dict[str, Any], rules: list[str]) -> None:
    for text in (json.dumps(record), json.dumps(record, separators=(",", ":"))):
        original = text.encode()
        kept, cuts = CUTTER.cut(original)
        assert [cut.rule for cut in cuts] == rules
        json.loads(kept)
        assert restored(kept, cuts, original) == original
        assert len(kept) == len(original) - sum(c.length for c in cuts) + len(MARK) * len(cuts)


@pytest.mark.parametrize(
    "record",
    [
        {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
        {"password": "HIDDEN_DUE_TO_SECURITY_REASONS", "secretString": "****"},
        {"passwordResetRequired": "true", "PasswordLastUsed": "2026-01-01T00:00:00Z"},
        {"clientToken": "not-a-secret", "nextToken": "n", "secretId": "arn:aws:…"},
        {"password": None, "secret_access_key": 5, "sessionToken": {"a": "b"}},
        {"note": "the password: hunter2", "ghp_": "xox", "throughput": "token"},
        {"password": ""},
        {"pass____word": "four characters between are not one name", "to_ken": "nor half a word"},
    ],
)
def test_what_is_no_secret_stays(record: dict[str, Any]) -> None:
    original = json.dumps(record).encode()
    assert CUTTER.cut(original) == (original, ())


names = st.sampled_from(
    ["password", "sessionToken", "note", "userData", 'odd"password', "\\", ":", "secretKey"]
)
texts = st.text(st.sampled_from('ab"\\:{},\n '), max_size=8) | st.sampled_from(
    [PEM, PEM[:50], "ghp_" + "x" * 40, "xoxb-1234567890", json.dumps({"password": 'a"\\b'})]
)
values: st.SearchStrategy[Any] = st.recursive(
    texts | st.none() | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, values), st.booleans())
def test_a_record_stays_json_and_can_be_restored(record: dict[str, Any], twice: bool) -> None:
    text = json.dumps({"m": json.dumps(record)} if twice else record)
    original = text.encode()
    kept, cuts = CUTTER.cut(original)
    json.loads(kept)
    assert restored(kept, cuts, original) == original
    assert CUTTER.cut(kept)[1] == ()


@given(st.dictionaries(st.just("password"), st.text(min_size=1), min_size=1))
def test_a_password_never_stays(record: dict[str, str]) -> None:
    kept, cuts = CUTTER.cut(json.dumps(record).encode())
    assert json.loads(kept) == {"password": "[cut]"} or set(record["password"]) <= set("*[cut]")
    assert len(cuts) <= 1
