"""AWS's word on who somebody is: the form of a proof, whom it binds, and that it serves once."""

import base64
from collections.abc import Mapping
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from tests.operations.sts.signing_in import ACCOUNT, SERVER, SignIn

from auditkeep.access import sessions
from auditkeep.access.trust import Trust
from auditkeep.clock import MINUTE, SECOND, FixedClock, Instant, to_datetime
from auditkeep.db.database import Database
from auditkeep.errors import IssuerSilent, SetupError, TokenEnded, TokenRefused
from auditkeep.operations.call import Deps
from auditkeep.operations.sts.presigned import AGE, HEADER, PREFIX, AwsIdentities, server_name
from auditkeep.operations.sts.proving import aws_proof
from auditkeep.wire import sigv4
from auditkeep.wire.messages import Request

DEPLOY = "arn:aws:sts::444455556666:assumed-role/Deploy-prod/i-0123"
KEY = ReadOnlyCredentials("ASIA" + "B" * 16, "s" * 40, "token+/=")
TAKER = Trust(aws=("arn:aws:iam::444455556666:role/Deploy-*",))


class Aws:
    """STS as AWS has it: checks what it is sent with AWS's own rules, and tells who it was."""

    def __init__(self, clock: FixedClock, arn: str = DEPLOY) -> None:
        self.clock, self.arn = clock, arn
        self.asked: list[str] = []
        self.answer: tuple[int, bytes] | None = None

    def __call__(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self.asked.append(url)
        if self.answer is not None:
            return self.answer
        host, _, query = url.removeprefix("https://").partition("/?")
        sent = [(k.encode(), v.encode()) for k, v in headers.items()]
        request = Request("GET", b"/", query.encode(), ((b"host", host.encode()), *sent))
        try:
            signed = sigv4.parse(request)
            assert (signed.access_key_id, signed.token) == (KEY.access_key, KEY.token)
            sigv4.Verifier().verify(request, signed, KEY.secret_key, "sts", self.clock.now())
        except Exception:  # whatever it is, AWS says no
            return 403, b"<ErrorResponse/>"
        return 200, b"<R><GetCallerIdentityResult><Arn>%s</Arn></R>" % self.arn.encode()


@pytest.fixture
def aws(clock: FixedClock) -> Aws:
    return Aws(clock)


@pytest.fixture
def here(db: Database, deps: Deps, clock: FixedClock, aws: Aws) -> SignIn:
    return SignIn(db, deps, clock, fetch=aws)


def proof(clock: FixedClock, *, server: str = SERVER, region: str = "us-east-1", **how: Any) -> str:
    now = to_datetime(clock.now())
    with mock.patch("botocore.auth.get_current_datetime", return_value=now):
        return aws_proof(KEY, server=server, region=region, **how)


def url_of(token: str) -> str:
    text = token.removeprefix(PREFIX)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def token_of(url: str) -> str:
    return PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def take(here: SignIn, token: str, **ask: Any) -> Any:
    arn = f"arn:aws:iam::{ACCOUNT}:role/Deployer"
    return here.sts().assume_role_with_web_identity(
        **{"RoleArn": arn, "RoleSessionName": "ci", "WebIdentityToken": token, **ask}
    )


def refused(here: SignIn, token: str, code: str, **ask: Any) -> str:
    with pytest.raises(ClientError) as caught:
        take(here, token, **ask)
    assert caught.value.response["Error"]["Code"] == code
    with here.db.system_read() as tx:
        assert sessions.listed(tx, here.clock.now()) == []
    return str(caught.value.response["Error"]["Message"])


@pytest.mark.both_databases
def test_a_role_of_aws_takes_a_role_here(here: SignIn, clock: FixedClock, aws: Aws) -> None:
    here.role("Deployer", TAKER)
    answer = take(here, proof(clock))
    assert answer["AssumedRoleUser"]["Arn"].endswith("assumed-role/Deployer/ci")
    assert answer["SubjectFromWebIdentityToken"] == DEPLOY
    assert answer["Audience"] == SERVER
    me = here.call(here.sts(answer["Credentials"]).get_caller_identity)
    assert me["Arn"] == answer["AssumedRoleUser"]["Arn"]
    with here.db.system_read() as tx:
        assert [s.origin for s in sessions.listed(tx, clock.now())] == [DEPLOY]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"])
def test_every_partitions_sts_may_be_asked(
    here: SignIn, clock: FixedClock, aws: Aws, region: str
) -> None:
    here.role("Deployer", TAKER)
    assert take(here, proof(clock, region=region))["Credentials"]
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    assert aws.asked[0].startswith(f"https://sts.{region}.{domain}/?")


@pytest.mark.both_databases
def test_a_proof_serves_once(here: SignIn, clock: FixedClock) -> None:
    here.role("Deployer", TAKER)
    token = proof(clock)
    take(here, token)
    shuffled = "&".join(reversed(url_of(token).partition("?")[2].split("&")))
    again = token_of(url_of(token).partition("?")[0] + "?" + shuffled)
    for twice in (token, again):
        with pytest.raises(ClientError, match="used before"):
            take(here, twice)
    clock.advance(SECOND)
    assert take(here, proof(clock))["Credentials"]


def test_a_proof_made_for_another_server_is_refused_by_aws(here: SignIn, clock: FixedClock) -> None:
    here.role("Deployer", TAKER)
    said = refused(here, proof(clock, server="evil.example.com"), "InvalidIdentityToken")
    assert SERVER in said


def test_whom_the_role_does_not_trust_is_not_let_in(
    here: SignIn, clock: FixedClock, aws: Aws
) -> None:
    here.role("Deployer", TAKER)
    for other in (
        "arn:aws:sts::444455556666:assumed-role/Other/Deploy-1",
        "arn:aws:sts::444455550000:assumed-role/Deploy-prod/x",
        "arn:aws:iam::444455556666:user/Deploy-prod",
    ):
        aws.arn = other
        refused(here, proof(clock), "AccessDenied")
        clock.advance(SECOND)


def test_nobody_is_asked_for_a_role_that_trusts_no_aws_identity(
    here: SignIn, clock: FixedClock, aws: Aws
) -> None:
    here.role("Deployer", Trust(principals=(f"arn:aws:iam::{ACCOUNT}:user/alice",)))
    refused(here, proof(clock), "AccessDenied")
    refused(here, proof(clock), "AccessDenied", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/None")
    assert aws.asked == []


def test_a_proof_is_good_for_minutes(here: SignIn, clock: FixedClock) -> None:
    here.role("Deployer", TAKER)
    old = proof(clock)
    clock.advance(AGE + SECOND)
    refused(here, old, "ExpiredTokenException")
    ahead = proof(clock)
    clock.advance(-AGE - SECOND)
    refused(here, ahead, "InvalidIdentityToken")


def test_a_server_without_a_name_takes_no_proof(
    db: Database, deps: Deps, clock: FixedClock, aws: Aws
) -> None:
    here = SignIn(db, deps, clock, fetch=aws, external_url="")
    here.role("Deployer", TAKER)
    said = refused(here, proof(clock, server="127.0.0.1:8080"), "InvalidIdentityToken")
    assert "AUDITKEEP_EXTERNAL_URL" in said
    assert aws.asked == []


STRAYED = [
    ("https://sts.us-east-1.amazonaws.com/", "http://sts.us-east-1.amazonaws.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://evil.example.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://169.254.169.254/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com.evil.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://evil.com#sts.us-east-1.amazonaws.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com@evil.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://a:b@sts.us-east-1.amazonaws.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com:444/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com:/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://stsXus-east-1.amazonaws.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://iam.amazonaws.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com/x"),
    ("https://sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com//"),
    ("https://sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com\\@evil.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "//sts.us-east-1.amazonaws.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://[sts.us-east-1.amazonaws.com/"),
    ("https://sts.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com\r\nX: y/"),
    ("GetCallerIdentity", "GetSessionToken"),
    ("GetCallerIdentity", "GetCallerIdentity&Action=GetSessionToken"),
    ("Action=GetCallerIdentity", "Action%3DGetCallerIdentity"),
    ("Version=2011-06-15", "Version=2011-06-16"),
    ("Version=2011-06-15&", ""),
    ("Version=2011-06-15", "Version=2011-06-15&DurationSeconds=1"),
    ("host%3Bx-auditkeep-server", "host"),
    ("host%3Bx-auditkeep-server", "host%3Bx-auditkeep-server%3Bx-more"),
    ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
    ("%2Fsts%2F", "%2Fs3%2F"),
    ("X-Amz-Signature=", "X-Amz-Signature=A"),
    ("X-Amz-Date=2026", "X-Amz-Date=2026x"),
    ("X-Amz-Date=20260501", "X-Amz-Date=20269901"),
    ("?", "#"),
]


@pytest.mark.parametrize(("right", "wrong"), STRAYED)
def test_a_proof_that_leads_elsewhere_asks_nobody(
    here: SignIn, clock: FixedClock, aws: Aws, right: str, wrong: str
) -> None:
    here.role("Deployer", TAKER)
    url = url_of(proof(clock))
    assert right in url
    refused(here, token_of(url.replace(right, wrong, 1)), "InvalidIdentityToken")
    assert aws.asked == []


@pytest.mark.parametrize("text", ["", "!", "AAA", quote("é"), "A" * 12_001, "/w=="])
def test_what_is_no_proof_is_refused(clock: FixedClock, aws: Aws, text: str) -> None:
    with pytest.raises(TokenRefused):
        AwsIdentities(aws, SERVER).check(PREFIX + text, clock.now())


def test_the_url_that_is_asked_is_written_anew(clock: FixedClock, aws: Aws) -> None:
    identities = AwsIdentities(aws, SERVER)
    url = url_of(proof(clock))
    spelled = url.replace("Action=GetCallerIdentity", "%41ction=%47etCallerIdentity")
    assert identities.check(token_of(spelled), clock.now()).url == url


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((403, b""), TokenRefused),
        ((302, b""), IssuerSilent),
        ((429, b""), IssuerSilent),
        ((500, b""), IssuerSilent),
        ((200, b""), IssuerSilent),
        ((200, b"<Arn>arn:aws:iam::1:user/x</Arn>"), IssuerSilent),
        ((200, b"<Arn>arn:aws:iam::444455556666:user/x</Arn>" * 2), IssuerSilent),
        ((200, b"<Arn>arn:aws:iam::444455556666:user/x</Arn>" + b" " * 16384), IssuerSilent),
    ],
)
def test_only_a_clear_answer_counts(
    clock: FixedClock, aws: Aws, answer: tuple[int, bytes], error: type[Exception]
) -> None:
    identities = AwsIdentities(aws, SERVER)
    aws.answer = answer
    with pytest.raises(error):
        identities.ask(identities.check(proof(clock), clock.now()))


def test_one_endpoint_of_the_settings_replaces_all_others(clock: FixedClock, aws: Aws) -> None:
    own = "http://127.0.0.1:5000"
    identities = AwsIdentities(aws, SERVER, own)
    made = identities.check(proof(clock, endpoint=own), clock.now())
    assert made.url.startswith(own + "/?")
    for other in (None, "http://127.0.0.1:5001", "https://127.0.0.1:5000"):
        with pytest.raises(TokenRefused, match="STS at 127"):
            identities.check(proof(clock, endpoint=other), clock.now())
    with pytest.raises(SetupError, match="https"):
        AwsIdentities(aws, SERVER, "http://sts.example.com")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://Audit.example.com", "audit.example.com"),
        ("https://audit.example.com:443/", "audit.example.com"),
        ("https://audit.example.com:8443/audit", "audit.example.com:8443"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost:80", "localhost"),
        ("", ""),
        ("audit.example.com", ""),
    ],
)
def test_server_and_client_call_a_server_the_same(url: str, name: str) -> None:
    assert server_name(url) == name


def test_a_proof_does_not_show_itself(clock: FixedClock, aws: Aws) -> None:
    made = AwsIdentities(aws, SERVER).check(proof(clock), clock.now())
    assert "X-Amz-Signature" not in repr(made)
    assert made.forget_at > Instant(clock.now() + 15 * MINUTE)
    assert HEADER in url_of(proof(clock))


def test_a_proof_may_not_bring_tags(here: SignIn, clock: FixedClock) -> None:
    here.role("Deployer", TAKER)
    client = here.sts()
    client.meta.events.register(
        "before-call.sts", lambda params, **_: params["body"].update({"Tags.member.1.Key": "a"})
    )
    with pytest.raises(ClientError, match="leave them out"):
        client.assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/Deployer",
            RoleSessionName="ci",
            WebIdentityToken=proof(clock),
        )
    assert TokenEnded.code == "ExpiredTokenException"
