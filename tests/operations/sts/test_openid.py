"""Workload tokens: what an issuer signed well is believed, and nothing else."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tests.operations.sts.signing_in import ACCOUNT, SignIn

from auditkeep.access.trust import OpenId, Trust
from auditkeep.clock import MINUTE, SECOND, FixedClock, Instant
from auditkeep.db.database import Database
from auditkeep.errors import IssuerSilent, TokenEnded, TokenRefused
from auditkeep.operations.call import Deps
from auditkeep.operations.sts.openid import FRESH, LEEWAY, PAUSE, STALE, Issuers

ISSUER = "https://idp.example.com/realm"
KEYS = "https://keys.example.com/jwks?v=1"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC = ec.generate_private_key(ec.SECP256R1())
WIDE = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str | None, **members: Any) -> dict[str, Any]:
    kinds: Any = {
        rsa.RSAPrivateKey: RSAAlgorithm,
        ec.EllipticCurvePrivateKey: ECAlgorithm,
        ed25519.Ed25519PrivateKey: OKPAlgorithm,
    }
    algorithm = next(a for kind, a in kinds.items() if isinstance(key, kind))
    written = json.loads(algorithm.to_jwk(key.public_key()))
    written.pop("key_ops", None)
    return {**written, **({"kid": kid} if kid else {}), **members}


class Idp:
    """An issuer that can misbehave."""

    def __init__(self) -> None:
        self.keys = [jwk(RSA, "r"), jwk(EC, "e", use="sig", alg="ES256"), jwk(ED, "d")]
        self.discovery: dict[str, Any] = {"issuer": ISSUER, "jwks_uri": KEYS}
        self.asked: list[str] = []
        self.status = 200
        self.body: bytes | None = None

    def __call__(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self.asked.append(url)
        if self.status == 0:
            raise IssuerSilent("gone")
        if self.body is not None:
            return self.status, self.body
        if url == ISSUER + "/.well-known/openid-configuration":
            return self.status, json.dumps(self.discovery).encode()
        assert url == KEYS
        return self.status, json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def idp() -> Idp:
    return Idp()


@pytest.fixture
def issuers(idp: Idp) -> Issuers:
    return Issuers(idp)


def claims(now: Instant, **changes: Any) -> dict[str, Any]:
    seconds = now // SECOND
    told = {
        "iss": ISSUER,
        "sub": "repo:acme/app",
        "aud": "auditkeep",
        "iat": seconds,
        "exp": seconds + 300,
        **changes,
    }
    return {k: v for k, v in told.items() if v is not ...}


def token(
    now: Instant, key: Any = RSA, alg: str = "RS256", kid: str | None = "r", **changes: Any
) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(now, **changes), key, alg, headers)


def by_hand(header: dict[str, Any], told: dict[str, Any], signature: bytes = b"") -> str:
    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    return ".".join(
        (part(json.dumps(header).encode()), part(json.dumps(told).encode()), part(signature))
    )


@pytest.mark.parametrize(
    ("key", "alg", "kid"), [(RSA, "RS256", "r"), (EC, "ES256", "e"), (ED, "EdDSA", "d")]
)
@pytest.mark.parametrize("named", [True, False])
def test_three_algorithms_are_believed(
    issuers: Issuers, clock: FixedClock, key: Any, alg: str, kid: str, named: bool
) -> None:
    made = token(clock.now(), key, alg, kid if named else None)
    assert issuers.verify(made, {ISSUER}, clock.now())["sub"] == "repo:acme/app"


def test_a_public_key_does_not_serve_as_a_secret(issuers: Issuers, clock: FixedClock) -> None:
    import hashlib
    import hmac

    public = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    unsigned = by_hand({"alg": "HS256", "kid": "r"}, claims(clock.now())).rpartition(".")[0]
    mac = hmac.digest(public, unsigned.encode(), hashlib.sha256)
    made = f"{unsigned}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    with pytest.raises(TokenRefused, match="must be signed with"):
        issuers.verify(made, {ISSUER}, clock.now())


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS384", "PS256", "ES384", "", None, 1])
def test_other_algorithms_are_not(issuers: Issuers, clock: FixedClock, idp: Idp, alg: Any) -> None:
    with pytest.raises(TokenRefused):
        issuers.verify(by_hand({"alg": alg}, claims(clock.now())), {ISSUER}, clock.now())
    assert idp.asked == []


@pytest.mark.parametrize(
    "made",
    [
        lambda now: token(now, EC, "ES256", "r"),
        lambda now: token(now, RSA, "RS256", "e"),
        lambda now: token(now, rsa.generate_private_key(65537, 2048), "RS256", "r"),
        lambda now: token(now)[:-6] + "AAAAAA",
        lambda now: by_hand({"alg": "RS256", "kid": "r"}, claims(now)),
        lambda now: by_hand({"alg": "RS256", "kid": "r", "crit": ["x"], "x": 1}, claims(now)),
        lambda now: by_hand({"alg": "RS256", "kid": ["r"]}, claims(now)),
        lambda now: token(now, kid="unknown"),
        lambda now: "",
        lambda now: "a.b.c",
        lambda now: "a.b.c.d.e",
        lambda now: token(now) + ".x",
        lambda now: "é.é.é",
        lambda now: by_hand({"alg": "RS256"}, []),  # type: ignore[arg-type]
    ],
)
def test_a_forged_or_broken_token_is_refused(
    issuers: Issuers, clock: FixedClock, made: Any
) -> None:
    with pytest.raises(TokenRefused):
        issuers.verify(made(clock.now()), {ISSUER}, clock.now())


def test_a_header_may_not_bring_its_own_key(issuers: Issuers, clock: FixedClock) -> None:
    evil = rsa.generate_private_key(65537, 2048)
    for header in ({"jwk": jwk(evil, "r")}, {"jku": "https://evil.example.com/keys"}):
        made = jwt.encode(claims(clock.now()), evil, "RS256", {"kid": "r", **header})
        with pytest.raises(TokenRefused, match="does not hold"):
            issuers.verify(made, {ISSUER}, clock.now())


@pytest.mark.parametrize(
    ("key", "members", "alg"),
    [
        (RSA, {"use": "enc"}, "RS256"),
        (RSA, {"alg": "RS512"}, "RS256"),
        (RSA, {"key_ops": ["encrypt"]}, "RS256"),
        (SMALL, {}, "RS256"),
        (WIDE, {}, "ES256"),
    ],
)
def test_a_key_meant_for_something_else_does_not_serve(
    idp: Idp, issuers: Issuers, clock: FixedClock, key: Any, members: Any, alg: str
) -> None:
    idp.keys = [jwk(key, "k", **members)]
    signer = key if alg == "RS256" and key is not SMALL else RSA
    made = token(clock.now(), signer if alg == "RS256" else EC, alg, "k")
    with pytest.raises(TokenRefused):
        issuers.verify(made, {ISSUER}, clock.now())


def test_a_key_that_two_could_be_is_neither(idp: Idp, issuers: Issuers, clock: FixedClock) -> None:
    idp.keys = [jwk(RSA, "r"), jwk(rsa.generate_private_key(65537, 2048), "s"), {"kty": "oct"}]
    with pytest.raises(TokenRefused, match="no key that fits"):
        issuers.verify(token(clock.now(), kid=None), {ISSUER}, clock.now())
    assert issuers.verify(token(clock.now()), {ISSUER}, clock.now())


@pytest.mark.parametrize("issuer", ["https://evil.example.com", ISSUER + "/", "", None, [ISSUER]])
def test_an_issuer_nobody_named_is_not_asked(
    idp: Idp, issuers: Issuers, clock: FixedClock, issuer: Any
) -> None:
    made = by_hand({"alg": "RS256", "kid": "r"}, claims(clock.now(), iss=issuer))
    with pytest.raises(TokenRefused):
        issuers.verify(made, {ISSUER}, clock.now())
    assert idp.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": ...},
        {"iat": ...},
        {"sub": ...},
        {"aud": ...},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": 1e300},
        {"nbf": "0"},
        {"sub": ["a"]},
        {"sub": "s" * 1025},
        {"sub": ""},
        {"aud": 1},
        {"aud": []},
    ],
)
def test_claims_that_lack_or_are_of_another_kind_are_refused(
    issuers: Issuers, clock: FixedClock, changes: dict[str, Any]
) -> None:
    made = by_hand({"alg": "EdDSA", "kid": "d"}, claims(clock.now(), **changes)).rpartition(".")[0]
    signature = base64.urlsafe_b64encode(ED.sign(made.encode())).decode().rstrip("=")
    with pytest.raises(TokenRefused):
        issuers.verify(f"{made}.{signature}", {ISSUER}, clock.now())


def test_times_are_checked_with_a_minute_to_spare(issuers: Issuers, clock: FixedClock) -> None:
    now, seconds = clock.now(), clock.now() // SECOND
    made = token(now)
    end = Instant(now + 300 * SECOND + LEEWAY)
    issuers.verify(made, {ISSUER}, Instant(end - 1))
    with pytest.raises(TokenEnded):
        issuers.verify(made, {ISSUER}, end)
    issuers.verify(token(now, iat=seconds + 60, nbf=seconds + 60), {ISSUER}, now)
    for early in (token(now, iat=seconds + 61), token(now, nbf=seconds + 61)):
        with pytest.raises(TokenRefused, match="not good yet"):
            issuers.verify(early, {ISSUER}, now)


def test_keys_are_remembered_and_new_ones_found(
    idp: Idp, issuers: Issuers, clock: FixedClock
) -> None:
    issuers.verify(token(clock.now()), {ISSUER}, clock.now())
    issuers.verify(token(clock.now()), {ISSUER}, clock.now())
    assert len(idp.asked) == 2
    new = rsa.generate_private_key(65537, 2048)
    idp.keys.append(jwk(new, "new"))
    clock.advance(PAUSE)
    assert issuers.verify(token(clock.now(), new, kid="new"), {ISSUER}, clock.now())
    assert len(idp.asked) == 4
    idp.keys = idp.keys[1:]
    clock.advance(FRESH)
    with pytest.raises(TokenRefused, match="no key that fits"):
        issuers.verify(token(clock.now()), {ISSUER}, clock.now())


def test_keys_that_are_not_there_do_not_make_us_ask_and_ask(
    idp: Idp, issuers: Issuers, clock: FixedClock
) -> None:
    for number in range(50):
        with pytest.raises(TokenRefused):
            issuers.verify(token(clock.now(), kid=f"k{number}"), {ISSUER}, clock.now())
    assert len(idp.asked) == 2


def test_known_keys_serve_while_their_issuer_is_silent(
    idp: Idp, issuers: Issuers, clock: FixedClock
) -> None:
    issuers.verify(token(clock.now()), {ISSUER}, clock.now())
    idp.status = 0
    clock.advance(FRESH)
    issuers.verify(token(clock.now()), {ISSUER}, clock.now())
    clock.advance(STALE)
    with pytest.raises(IssuerSilent):
        issuers.verify(token(clock.now()), {ISSUER}, clock.now())
    with pytest.raises(IssuerSilent):  # also in the pause after the question
        issuers.verify(token(clock.now()), {ISSUER}, clock.now())


@pytest.mark.parametrize(
    ("discovery", "status", "body"),
    [
        ({"issuer": "https://evil.example.com", "jwks_uri": KEYS}, 200, None),
        ({"issuer": ISSUER, "jwks_uri": "http://keys.example.com/jwks"}, 200, None),
        ({"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}, 200, None),
        ({"issuer": ISSUER}, 200, None),
        ({}, 302, b""),
        ({}, 500, b""),
        ({}, 200, b"<html>"),
        ({}, 200, b"\xff"),
        ({}, 200, b"[" * 100_000),
    ],
)
def test_an_issuer_that_answers_strangely_is_not_believed(
    idp: Idp, issuers: Issuers, clock: FixedClock, discovery: Any, status: int, body: Any
) -> None:
    idp.discovery, idp.status, idp.body = discovery, status, body
    with pytest.raises(IssuerSilent):
        issuers.verify(token(clock.now()), {ISSUER}, clock.now())
    assert KEYS not in idp.asked


WORKLOAD = OpenId(ISSUER, ("auditkeep",), ("repo:acme/*",), {"ref": ("refs/heads/main",)})


@pytest.fixture
def here(db: Database, deps: Deps, clock: FixedClock, idp: Idp) -> SignIn:
    made = SignIn(db, deps, clock, fetch=idp)
    made.role("Ci", Trust(oidc=(WORKLOAD,)))
    return made


def take(here: SignIn, made: str) -> Any:
    return here.sts().assume_role_with_web_identity(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/Ci", RoleSessionName="run-1", WebIdentityToken=made
    )


def test_a_workload_takes_a_role(here: SignIn, clock: FixedClock) -> None:
    answer = take(here, token(clock.now(), ref="refs/heads/main"))
    assert answer["SubjectFromWebIdentityToken"] == "repo:acme/app"
    assert (answer["Provider"], answer["Audience"]) == (ISSUER, "auditkeep")
    me = here.call(here.sts(answer["Credentials"]).get_caller_identity)
    assert me["Arn"].endswith(":assumed-role/Ci/run-1")
    here.call(here.api(answer["Credentials"]).get_account_status)


@pytest.mark.parametrize(
    "changes",
    [{"sub": "repo:evil/app"}, {"aud": "other"}, {"ref": "refs/heads/x"}, {"ref": ...}],
)
def test_another_workload_of_the_same_issuer_does_not(
    here: SignIn, clock: FixedClock, changes: dict[str, Any]
) -> None:
    told = {"ref": "refs/heads/main", **changes}
    with pytest.raises(ClientError) as caught:
        take(here, token(clock.now(), **told))
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda now: token(Instant(now - 10 * MINUTE)), "ExpiredTokenException"),
        (lambda now: "x.y.z", "InvalidIdentityToken"),
        (lambda now: "x" * 20_001, "ValidationError"),
    ],
)
def test_clients_are_told_by_the_codes_they_know(
    here: SignIn, clock: FixedClock, made: Any, code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        take(here, made(clock.now()))
    assert caught.value.response["Error"]["Code"] == code


def test_a_silent_issuer_is_told_apart(here: SignIn, clock: FixedClock, idp: Idp) -> None:
    idp.status = 0
    with pytest.raises(ClientError) as caught:
        take(here, token(clock.now()))
    assert caught.value.response["Error"]["Code"] == "IDPCommunicationError"
