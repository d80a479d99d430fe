"""Who may take a role: a small document of patterns, read strictly, matched without I/O.

    {"principals": ["arn:aws:iam::111122223333:user/alice"],
     "aws":        ["arn:aws:iam::444455556666:role/Deploy-*"],
     "oidc":       [{"issuer": "https://token.actions.githubusercontent.com",
                     "audiences": ["auditkeep"], "subjects": ["repo:acme/*"],
                     "claims": {"repository_owner": ["acme"]}}],
     "tags":       ["team"]}

`principals` are users and roles of this deployment, `aws` identities of real AWS accounts, `oidc`
workloads that an issuer vouches for, `tags` the keys of session tags that whoever takes the role
may choose. Invariants: an empty list trusts nobody; the account in a pattern and the issuer are
always written out, and an issuer's subjects are never just `*`, for a public issuer signs for
everybody.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from auditkeep.access.policy.patterns import Glob
from auditkeep.errors import SetupError
from auditkeep.ids import iam_arn

_PATTERN = re.compile(
    r"arn:aws(?:-cn|-us-gov)?:(?:iam|sts)::[0-9]{12}:"
    r"(?:root|(?:user|role|assumed-role|federated-user)/[\w+=,.@/*?-]{1,512})"
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST = 50
"""Entries of any one list."""


class OpenId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Workloads of one issuer: every list must have a match, every claim too."""

    issuer: str
    audiences: tuple[str, ...]
    subjects: tuple[str, ...]
    claims: dict[str, tuple[str, ...]] = {}

    def fits(self, claims: Mapping[str, Any]) -> bool:
        """Whether verified claims are those of a workload meant here."""
        return (
            claims.get("iss") == self.issuer
            and any(a in self.audiences for a in _texts(claims.get("aud")))
            and _any(self.subjects, claims.get("sub"))
            and all(_any(patterns, claims.get(name)) for name, patterns in self.claims.items())
        )


class Trust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may take a role."""

    principals: tuple[str, ...] = ()
    aws: tuple[str, ...] = ()
    oidc: tuple[OpenId, ...] = ()
    tags: tuple[str, ...] = ()

    def names(self, arn: str) -> bool:
        """Whether a principal of this deployment is named, itself or by its role."""
        return _any(self.principals, arn) or _any(self.principals, iam_arn(arn))

    def names_account(self, account: str) -> bool:
        """Whether a whole account is trusted to hand the role on by its own policies."""
        return f"arn:aws:iam::{account}:root" in self.principals

    def names_aws(self, arn: str) -> bool:
        """Whether an identity that AWS itself told is trusted, itself or by its role."""
        return _any(self.aws, arn) or _any(self.aws, iam_arn(arn))

    def of_issuer(self, issuer: str) -> tuple[OpenId, ...]:
        return tuple(entry for entry in self.oidc if entry.issuer == issuer)


def read(document: str | bytes) -> Trust:
    """The trust of a JSON document; SetupError says what in it cannot be honoured."""
    try:
        trust = msgspec.json.decode(document, type=Trust)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SetupError(f"The trust is not as docs/credentials.md has it: {error}.") from error
    check(trust)
    return trust


def check(trust: Trust) -> None:
    """SetupError unless every entry says whom it means."""
    if not (trust.principals or trust.aws or trust.oidc):
        raise SetupError("A role that trusts nobody cannot be taken: name somebody.")
    if max(len(trust.principals), len(trust.aws), len(trust.oidc), len(trust.tags)) > _MOST:
        raise SetupError(f"A trust has at most {_MOST} entries of a kind.")
    for pattern in (*trust.principals, *trust.aws):
        if not _PATTERN.fullmatch(pattern):
            raise SetupError(
                f"'{pattern}' is no ARN of users or roles: write out the account, as in "
                "arn:aws:iam::111122223333:role/Deploy-*."
            )
    if any(pattern.endswith(":root") for pattern in trust.aws):
        raise SetupError("An AWS account as a whole is not trusted: name its roles or users.")
    for entry in trust.oidc:
        _check_issuer(entry)


def _check_issuer(entry: OpenId) -> None:
    if not is_safe_url(entry.issuer):
        raise SetupError(
            f"The issuer '{entry.issuer}' must be an https URL without query, fragment or user."
        )
    if not entry.audiences or not all(entry.audiences):
        raise SetupError(f"Name the audiences of tokens of {entry.issuer}.")
    if not entry.subjects or not all(entry.subjects):
        raise SetupError(f"Name the subjects of tokens of {entry.issuer}.")
    open_to_all = any(not s.strip("*?") for s in entry.subjects)
    if open_to_all and not any(all(p.strip("*?") for p in ps) for ps in entry.claims.values()):
        raise SetupError(
            f"The subjects of {entry.issuer} may be anybody; narrow them, or name claims."
        )


def is_safe_url(url: str) -> bool:
    """Whether an URL keeps what is asked there from others: https, or http to this machine."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    return bool(
        (parts.scheme == "https" or plain)
        and parts.hostname
        and port != 0
        and parts.username is None
        and parts.password is None
        and not parts.query
        and not parts.fragment
        and url.isascii()
        and url.isprintable()
        and " " not in url
    )


def _any(patterns: tuple[str, ...], value: Any) -> bool:
    return any(Glob.of(pattern).matches(text) for text in _texts(value) for pattern in patterns)


def _texts(value: Any) -> list[str]:
    """A claim's texts: itself, or its members; a truth value as JSON writes it."""
    values = value if isinstance(value, list) else [value]
    return [
        str(v).lower() if isinstance(v, bool) else str(v)
        for v in values
        if isinstance(v, (str, bool, int))
    ]
