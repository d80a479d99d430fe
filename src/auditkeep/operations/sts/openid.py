"""Workload tokens of OpenID issuers: fetched keys, checked signatures, checked claims.

Source: OpenID Connect Discovery 1.0; RFC 7517 (JWK), 7519 (JWT), 8725 (best practice).
Invariants: only issuers that a role names are asked, over https (or on this machine); the algorithm
is one of three and must be that of the key's kind, so neither `none` nor a public key taken for a
secret gets through; keys are asked for at most once in ten seconds, however many tokens name keys
that are not there.
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auditkeep.access.trust import is_safe_url
from auditkeep.clock import MINUTE, SECOND, Instant
from auditkeep.errors import IssuerSilent, TokenEnded, TokenRefused
from auditkeep.operations.sts.fetching import Fetch

LEEWAY = 60 * SECOND
"""How far an issuer's clock may be from ours."""
FRESH = 10 * MINUTE
STALE = 60 * MINUTE
"""How long known keys serve while their issuer does not answer."""
PAUSE = 10 * SECOND
"""Between two questions to one issuer."""
MOST_KEYS = 100
_MOST_ISSUERS = 200
_SMALLEST_RSA = 2048

_KINDS: Final = {"RS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
"""Algorithms admitted, and the kind and curve of the only keys that they may be used with."""
_CHECKS: Final[Any] = {
    f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}
"""Claims are checked here, with the server's own clock."""


class _Jwk(msgspec.Struct, frozen=True):
    kty: str
    kid: str | None = None
    use: str = "sig"
    alg: str | None = None
    crv: str | None = None
    key_ops: tuple[str, ...] = ("verify",)


class _Jwks(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


@dataclass(slots=True)
class _Known:
    """What is known of one issuer; its lock lets one question through at a time."""

    lock: threading.Lock
    keys: tuple[dict[str, Any], ...] = ()
    got_at: int = 0
    asked_at: int = 0


class Issuers:
    """Verifies tokens, remembering issuers' keys. Safe to share between threads."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def verify(self, token: str, trusted: Collection[str], now: Instant) -> Mapping[str, Any]:
        """The claims of a token that one of `trusted` signed and that is good now.

        TokenRefused, TokenEnded, or IssuerSilent when its issuer's keys cannot be had.
        """
        header, unproven = _unproven(token)
        issuer = unproven.get("iss")
        if not isinstance(issuer, str) or issuer not in trusted:
            raise TokenRefused("The token's issuer is not one that the role trusts.")
        algorithm = header.get("alg")
        if algorithm not in _KINDS:
            raise TokenRefused(f"The token must be signed with {', '.join(_KINDS)}.")
        if "crit" in header or "b64" in header:
            raise TokenRefused("The token's header demands what is not understood.")
        key = self._key(issuer, algorithm, header.get("kid"), now)
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm], options=_CHECKS)
        except jwt.exceptions.PyJWTError as error:
            raise TokenRefused("The token's signature does not hold.") from error
        if claims.get("iss") != issuer:
            raise TokenRefused("The token's issuer is not one that the role trusts.")
        _check_times(claims, now)
        for name in ("sub", "aud"):
            if not claims.get(name) or not isinstance(claims[name], (str, list)):
                raise TokenRefused(f"The token must hold {name}.")
        if not isinstance(claims["sub"], str) or len(claims["sub"]) > 1024:
            raise TokenRefused("The token's sub must be a text.")
        return dict(claims)

    def _key(self, issuer: str, algorithm: str, kid: Any, now: Instant) -> jwt.PyJWK:
        known = self._of(issuer)
        with known.lock:
            key = _fitting(known.keys, algorithm, kid) if now - known.got_at < FRESH else None
            if key is None:
                self._refresh(issuer, known, now)
                key = _fitting(known.keys, algorithm, kid)
        if key is None:
            raise TokenRefused(f"The issuer {issuer} has no key that fits the token.")
        return key

    def _refresh(self, issuer: str, known: _Known, now: Instant) -> None:
        """Ask for the keys anew, unless that was done just now; IssuerSilent when those that are
        known are too old to serve and no others are to be had.
        """
        if not 0 <= now - known.asked_at < PAUSE:
            known.asked_at = now
            try:
                known.keys, known.got_at = self._ask(issuer), now
            except IssuerSilent:
                if now - known.got_at >= STALE:
                    raise
        if now - known.got_at >= STALE:
            raise IssuerSilent(f"The keys of {issuer} cannot be had now; try again.")

    def _of(self, issuer: str) -> _Known:
        with self._lock:
            if issuer not in self._known and len(self._known) >= _MOST_ISSUERS:
                del self._known[next(iter(self._known))]
            return self._known.setdefault(issuer, _Known(threading.Lock()))

    def _ask(self, issuer: str) -> tuple[dict[str, Any], ...]:
        found = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration", _Discovery)
        if found.issuer != issuer:
            raise IssuerSilent(f"The discovery document of {issuer} is that of another issuer.")
        if not is_safe_url(found.jwks_uri.partition("?")[0]):
            raise IssuerSilent(f"The keys of {issuer} do not lie at an https address.")
        return tuple(self._get(found.jwks_uri, _Jwks).keys[:MOST_KEYS])

    def _get(self, url: str, kind: type[Any]) -> Any:
        status, body = self._fetch(url, {"accept": "application/json"})
        if status != 200:
            raise IssuerSilent(f"{url} answers with {status}.")
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise IssuerSilent(f"{url} does not answer as OpenID Connect has it.") from error


def _unproven(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims as they are written, before anything is proven."""
    try:
        whole = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.exceptions.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRefused("The token is not a signed JSON Web Token.") from error
    return whole["header"], whole["payload"]


def _fitting(keys: tuple[dict[str, Any], ...], algorithm: str, kid: Any) -> jwt.PyJWK | None:
    """The key a token names; without a name, the only one that could be meant."""
    kind, curve = _KINDS[algorithm]
    found = []
    for written in keys:
        try:
            jwk = msgspec.convert(written, _Jwk)
        except msgspec.ValidationError:
            continue  # of a kind that nothing here could use
        if (
            jwk.kty == kind
            and (curve is None or jwk.crv == curve)
            and jwk.use == "sig"
            and jwk.alg in (None, algorithm)
            and "verify" in jwk.key_ops
            and (kid is None or jwk.kid == kid)
        ):
            found.append(written)
    if len(found) != 1:
        return None
    try:
        key = jwt.PyJWK(found[0], algorithm=algorithm)
    except jwt.exceptions.PyJWTError as error:
        raise TokenRefused("The issuer's key cannot be read.") from error
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < _SMALLEST_RSA:
        raise TokenRefused(f"The issuer's key has less than {_SMALLEST_RSA} bits.")
    return key


def _check_times(claims: Mapping[str, Any], now: Instant) -> None:
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name)
        if value is None and name == "nbf":
            continue
        # far outside of all time a number is no date
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
            raise TokenRefused(f"The token must hold {name} as seconds since 1970.")
    if now >= claims["exp"] * SECOND + LEEWAY:
        raise TokenEnded("The token has ended; get a new one from its issuer.")
    if max(claims["iat"], claims.get("nbf") or 0) * SECOND > now + LEEWAY:
        raise TokenRefused("The token is not good yet; compare the clocks of issuer and server.")
