"""Names of things: tenants, ARNs and UUIDs (AWS Audit Manager's identifiers, spec section 1.2)."""

import random
import re
import uuid
from dataclasses import dataclass

GLOBAL_REGION = "aws-global"
"""The origin region of services that have none (IAM, Organizations, …): every lens sees it."""

_NAMESPACE = uuid.UUID("6f1d2c9e-3b8a-5e47-9d10-0a4c7be2f385")


@dataclass(frozen=True, slots=True, order=True)
class Tenant:
    """Who owns: one account in one region, with a registration, settings and library of its own."""

    account: str
    region: str

    def arn(self, kind: str, resource_id: str) -> str:
        """`arn:aws:auditmanager:REGION:ACCOUNT:kind/id`."""
        return f"arn:aws:auditmanager:{self.region}:{self.account}:{kind}/{resource_id}"

    def standard_arn(self, kind: str, resource_id: str) -> str:
        """The ARN of a shipped framework or control: its account field is empty."""
        return f"arn:aws:auditmanager:{self.region}::{kind}/{resource_id}"


def is_account(text: str) -> bool:
    return len(text) == 12 and text.isascii() and text.isdecimal()


_VERSION_BITS = 0xF << 76 | 0x3 << 62
_VERSION_4 = 0x4 << 76 | 0x2 << 62
"""What RFC 9562 fixes of a UUID: its version and its variant."""


def new_id() -> str:
    """A random UUID in the only form the API accepts: lower case with hyphens."""
    return str(uuid.uuid4())


def quick_id() -> str:
    """The same for ids that are made in numbers: unique, but not secret.

    Its bits are pseudo-random: to ask the system for each lets all other threads in first.
    """
    bits = random.getrandbits(128) & ~_VERSION_BITS | _VERSION_4
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def named_id(*parts: str) -> str:
    """A UUID that follows from its parts (RFC 9562 version 5): same parts, same id, forever."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))


def uuid_text(value: bytes) -> str:
    """16 bytes as a UUID's text."""
    return str(uuid.UUID(bytes=value))


def uuid_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID's text; ValueError if it is none."""
    return uuid.UUID(text).bytes


_ASSUMED = re.compile(r"arn:([^:]*):sts::(\d*):assumed-role/([^/]+)(?:/.*)?")


def iam_arn(arn: str) -> str:
    """The IAM ARN of a principal: an assumed role's is that of the role (spec 12, point 17)."""
    assumed = _ASSUMED.fullmatch(arn)
    if assumed is None:
        return arn
    partition, account, name = assumed.groups()
    return f"arn:{partition}:iam::{account}:role/{name}"


def principal_of(arn: str) -> str:
    """The one form under which a principal is known, however its ARN was written.

    A role's path is not part of its sessions' ARNs, so it tells nobody apart.
    """
    head, mark, name = iam_arn(arn).partition(":role/")
    return f"{head}{mark}{name.rsplit('/', 1)[-1]}" if mark else head


def same_principal(left: str, right: str) -> bool:
    return left == right or principal_of(left) == principal_of(right)


def person_of(arn: str) -> str:
    """A principal's name as `createdBy` members show it: no `:` or `/`, at most 100 characters."""
    name = arn.rsplit("/", 1)[-1] if "/" in arn else arn.rsplit(":", 1)[-1]
    return re.sub(r"[^a-zA-Z0-9\s\-_()\[\]]", "-", name)[:100] or "unknown"
