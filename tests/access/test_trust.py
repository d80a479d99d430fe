"""Who may take a role: what is read, what is refused, and who matches."""

import msgspec
import pytest

from auditkeep.access.trust import OpenId, Trust, check, is_safe_url, read
from auditkeep.errors import SetupError

GITHUB = "https://token.actions.githubusercontent.com"
ALICE = "arn:aws:iam::111122223333:user/alice"


def test_a_whole_trust_is_read() -> None:
    document = {
        "principals": [ALICE],
        "aws": ["arn:aws:iam::444455556666:role/Deploy-*"],
        "oidc": [{"issuer": GITHUB, "audiences": ["auditkeep"], "subjects": ["repo:acme/*"]}],
        "tags": ["team"],
    }
    assert read(msgspec.json.encode(document)).of_issuer(GITHUB)[0].subjects == ("repo:acme/*",)


@pytest.mark.parametrize(
    ("arn", "trusted"),
    [
        (ALICE, True),
        ("arn:aws:iam::111122223333:user/alicea", False),
        ("arn:aws:iam::111122223333:role/Ops-1", True),
        ("arn:aws:sts::111122223333:assumed-role/Ops-1/jane", True),
        ("arn:aws:sts::999922223333:assumed-role/Ops-1/jane", False),
        ("arn:aws:sts::111122223333:assumed-role/Other/Ops-1", False),
    ],
)
def test_principals_match_themselves_or_by_their_role(arn: str, trusted: bool) -> None:
    patterns = (ALICE, "arn:aws:iam::111122223333:role/Ops-*")
    assert Trust(principals=patterns).names(arn) is trusted
    assert Trust(aws=patterns).names_aws(arn) is trusted
    assert not Trust(aws=patterns).names(arn)
    assert not Trust(principals=patterns).names_aws(arn)


def test_an_account_as_a_whole_is_named_by_its_root_only() -> None:
    trust = Trust(principals=("arn:aws:iam::111122223333:root",))
    assert trust.names_account("111122223333")
    assert not trust.names_account("444455556666")
    assert not trust.names(ALICE)
    assert not Trust(principals=(ALICE,)).names_account("111122223333")


CLAIMS = {"iss": GITHUB, "aud": "auditkeep", "sub": "repo:acme/app:ref:main", "org": "acme"}


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"aud": ["other", "auditkeep"]}, True),
        ({"aud": "other"}, False),
        ({"aud": None}, False),
        ({"sub": "repo:evil/app"}, False),
        ({"iss": GITHUB + "/"}, False),
        ({"org": "evil"}, False),
        ({"org": ["acme"]}, True),
        ({"org": None}, False),
    ],
)
def test_every_list_of_an_issuers_workloads_must_fit(
    changes: dict[str, object], fits: bool
) -> None:
    meant = OpenId(GITHUB, ("auditkeep",), ("repo:acme/*",), {"org": ("acme",)})
    assert meant.fits({**CLAIMS, **changes}) is fits


def test_audiences_are_compared_letter_by_letter() -> None:
    assert not OpenId(GITHUB, ("*",), ("repo:acme/*",)).fits(CLAIMS)


def test_truth_values_match_as_json_writes_them() -> None:
    meant = OpenId(GITHUB, ("auditkeep",), ("*",), {"protected": ("true",)})
    assert meant.fits({**CLAIMS, "protected": True})
    assert not meant.fits({**CLAIMS, "protected": False})


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{}", "trusts nobody"),
        ("[]", "not as docs"),
        ("{", "not as docs"),
        ('{"everyone": true}', "unknown field"),
        ('{"principals": ["*"]}', "write out the account"),
        ('{"principals": ["arn:aws:iam::*:user/alice"]}', "write out the account"),
        ('{"aws": ["arn:aws:iam::11112222333?:role/x"]}', "write out the account"),
        ('{"aws": ["arn:aws:iam::111122223333:root"]}', "as a whole"),
        ('{"tags": ["team"]}', "trusts nobody"),
    ],
)
def test_a_trust_that_says_too_little_is_refused(document: str, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        read(document)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (OpenId("http://idp.example.com", ("a",), ("s",)), "https"),
        (OpenId("https://u:p@idp.example.com", ("a",), ("s",)), "https"),
        (OpenId("https://idp.example.com?x=1", ("a",), ("s",)), "https"),
        (OpenId("file:///etc/passwd", ("a",), ("s",)), "https"),
        (OpenId(GITHUB, (), ("s",)), "audiences"),
        (OpenId(GITHUB, ("a",), ()), "subjects"),
        (OpenId(GITHUB, ("a",), ("*",)), "anybody"),
        (OpenId(GITHUB, ("a",), ("s", "**")), "anybody"),
        (OpenId(GITHUB, ("a",), ("*",), {"org": ("*",)}), "anybody"),
        (OpenId(GITHUB, ("a",), ("*",), {"org": ("acme", "*")}), "anybody"),
    ],
)
def test_an_issuer_that_would_let_anybody_in_is_refused(entry: OpenId, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        check(Trust(oidc=(entry,)))


def test_a_trust_has_bounds() -> None:
    with pytest.raises(SetupError, match="at most 50"):
        check(Trust(principals=(ALICE,) * 51))


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://idp.example.com", True),
        ("https://idp.example.com:8443/realms/x", True),
        ("http://127.0.0.1:9000", True),
        ("http://localhost", True),
        ("http://[::1]:9000", True),
        ("http://127.0.0.1.example.com", False),
        ("http://idp.example.com", False),
        ("https://", False),
        ("https://idp.example.com:99999", False),
        ("https://idp.example.com:0", False),
        ("https://idp example.com", False),
        ("https://idp.example.com/\n", False),
        ("https://idpé.example.com", False),
        ("ftp://idp.example.com", False),
    ],
)
def test_what_is_asked_stays_between_two(url: str, safe: bool) -> None:
    assert is_safe_url(url) is safe
