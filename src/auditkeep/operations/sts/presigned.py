"""AWS's own word on who somebody is: a GetCallerIdentity that they presigned and we send.

The proof is `auditkeep-aws-v1.` and the base64url of a presigned URL. Its signature covers a header
`x-auditkeep-server` with the name of the server it is meant for, which is sent with *our* name: a
proof made for another server is one that AWS refuses. Known from HashiCorp Vault's AWS login and
EKS's cluster tokens.

Invariants: only AWS's STS (or the one endpoint of the settings) is ever asked, over TLS, on an URL
that is built anew from checked parts; GetCallerIdentity is all that is asked; a proof is good for
five minutes and for one session.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlsplit

from auditkeep.access.trust import is_safe_url
from auditkeep.clock import MINUTE, Instant, parse
from auditkeep.errors import IssuerSilent, SetupError, TokenEnded, TokenRefused
from auditkeep.operations.sts.fetching import Fetch

PREFIX = "auditkeep-aws-v1."
HEADER = "x-auditkeep-server"
AGE = 5 * MINUTE
"""How old a proof may be, and how far ahead the clock of who made it."""
MEMORY = 30 * MINUTE
"""Longer than any proof can be good, here and at AWS (15 minutes)."""
LARGEST_ANSWER = 16 * 1024

_HOST = re.compile(
    r"sts(?:-fips)?(?:\.[a-z]{2}(?:-[a-z]{2,12}){1,3}-[0-9])?"
    r"\.(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws|api\.amazonwebservices\.com\.cn)"
)
_PARAMETERS = frozenset(
    {"Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
     "X-Amz-SignedHeaders", "X-Amz-Signature"}
)  # fmt: skip
_TOKEN = "X-Amz-Security-Token"  # noqa: S105  # the name of a parameter, not a secret
_FIXED = {
    "Action": "GetCallerIdentity",
    "Version": "2011-06-15",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-SignedHeaders": f"host;{HEADER}",
}
_CREDENTIAL = re.compile(r"[A-Z0-9]{16,128}/[0-9]{8}/[a-z0-9-]{1,32}/sts/aws4_request")
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_ARN = re.compile(rb"<Arn>\s*(arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:[\w+=,.@/:-]{1,700})\s*</Arn>")
_LONGEST = 12_000


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose form is right; what it is worth, AWS says."""

    url: str = field(repr=False)
    digest: bytes
    """Of its signature: what must not come twice, however the rest is written."""
    forget_at: Instant


def server_name(url: str) -> str:
    """The name that proofs for the server at `url` are bound to: host, and a port of its own."""
    parts = urlsplit(url)
    usual = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return parts.netloc.lower().removesuffix(usual) if usual else ""


def is_one(token: str) -> bool:
    return token.startswith(PREFIX)


class AwsIdentities:
    """Checks proofs and asks AWS. `server` is this server's name, empty where it has none."""

    def __init__(self, fetch: Fetch, server: str, endpoint: str = "") -> None:
        if endpoint and not is_safe_url(endpoint):
            raise SetupError("AUDITKEEP_AWS_STS_ENDPOINT must be an https URL.")
        self._fetch = fetch
        self.server = server
        self._endpoint = urlsplit(endpoint) if endpoint else None

    def check(self, token: str, now: Instant) -> Proof:
        """The proof of a token; TokenRefused unless all about its form is right, TokenEnded when
        it is too old. Asks nobody.
        """
        if not self.server:
            raise TokenRefused(
                "This server has no name that a proof could be bound to: its operator sets "
                "AUDITKEEP_EXTERNAL_URL."
            )
        origin, query = self._address(_url(token))
        members = _members(query)
        _check_age(members["X-Amz-Date"], now)
        if not _CREDENTIAL.fullmatch(members["X-Amz-Credential"]):
            raise TokenRefused("The proof is not signed for AWS STS.")
        if not _SIGNATURE.fullmatch(members["X-Amz-Signature"]):
            raise TokenRefused("The proof's signature must be 64 hexadecimal digits.")
        rebuilt = "&".join(f"{_encoded(k)}={_encoded(v)}" for k, v in members.items())
        digest = hashlib.sha256(members["X-Amz-Signature"].encode()).digest()
        return Proof(f"{origin}/?{rebuilt}", digest, Instant(now + MEMORY))

    def ask(self, proof: Proof) -> str:
        """The ARN that AWS tells; TokenRefused when it tells none, IssuerSilent when it is mute."""
        status, body = self._fetch(proof.url, {HEADER: self.server, "accept": "text/xml"})
        if 400 <= status < 500 and status != 429:
            raise TokenRefused(
                "AWS does not confirm the proof: its credentials ended, or it was made for a "
                f"server that is not called {self.server}."
            )
        if status != 200:
            raise IssuerSilent(f"AWS STS answers with {status}; try again.")
        found = _ARN.findall(body) if len(body) <= LARGEST_ANSWER else []
        if len(found) != 1:
            raise IssuerSilent("AWS STS answers with something that names nobody.")
        return str(found[0].decode())

    def _address(self, url: str) -> tuple[str, str]:
        """Scheme and host that may be asked, and the query; TokenRefused for any other."""
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.netloc
        except ValueError as error:
            raise TokenRefused("The proof holds no URL.") from error
        if parts.path not in ("", "/") or parts.fragment or parts.username is not None:
            raise TokenRefused("The proof must be a presigned GetCallerIdentity.")
        if self._endpoint is not None:
            if (parts.scheme, host) != (self._endpoint.scheme, self._endpoint.netloc):
                raise TokenRefused(
                    f"The proof must be made for the STS at {self._endpoint.netloc}."
                )
        elif parts.scheme != "https" or port is not None or not _HOST.fullmatch(host):
            raise TokenRefused("The proof must be made for AWS STS, over https.")
        return f"{parts.scheme}://{host}", parts.query


def _url(token: str) -> str:
    text = token.removeprefix(PREFIX)
    if len(text) > _LONGEST:
        raise TokenRefused("The proof is too long.")
    try:
        url = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        decoded = url.decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise TokenRefused("The proof is not base64url of an URL.") from error
    if not decoded.isprintable() or any(c in decoded for c in ' \\"<>'):
        raise TokenRefused("The proof holds no URL.")
    return decoded


def _members(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=True,
            encoding="ascii", errors="strict", max_num_fields=12,
        )  # fmt: skip
    except ValueError as error:
        raise TokenRefused("The proof's URL is not written as a signer writes it.") from error
    members = dict(pairs)
    if len(members) != len(pairs) or set(members) - {_TOKEN} != _PARAMETERS:
        raise TokenRefused(
            "The proof must be a presigned GetCallerIdentity with nothing missing, added or "
            "repeated."
        )
    for name, value in _FIXED.items():
        if members[name] != value:
            raise TokenRefused(f"The proof's {name} must be {value}.")
    return members


def _check_age(text: str, now: Instant) -> None:
    match = _DATE.fullmatch(text)
    try:
        made = parse("{}-{}-{}T{}:{}:{}Z".format(*match.groups())) if match else None
    except ValueError:
        made = None
    if made is None:
        raise TokenRefused("The proof's X-Amz-Date is not a date.")
    if made > now + AGE:
        raise TokenRefused("The proof is from the future; set the clock of who made it.")
    if now > made + AGE:
        raise TokenEnded("The proof is older than five minutes; make a new one.")


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
