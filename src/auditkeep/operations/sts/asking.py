"""What a request for a role's session says, read with STS's own limits.

Source: the AWS STS API reference, AssumeRole and AssumeRoleWithWebIdentity. What would narrow a
session and is not understood here is refused, never ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from auditkeep.access import policy, sessions
from auditkeep.access.roles import SHORTEST, USUAL, Role
from auditkeep.errors import InputError, PolicyMalformed, RefusedByRule

LONGEST_POLICY = 2048
MOST_TAGS = 50

_SESSION_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_TAG = re.compile(r"Tags\.member\.([1-9][0-9]{0,2})\.(Key|Value)")
_UNSUPPORTED = (
    "PolicyArns.",
    "TransitiveTagKeys.",
    "ProvidedContexts.",
    "SerialNumber",
    "TokenCode",
    "SourceIdentity",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A role, and how the session is to be."""

    role_arn: str
    name: str
    seconds: int | None
    policy: str | None
    tags: sessions.Tags


def read(form: Mapping[str, str]) -> Asked:
    """RefusedByRule or PolicyMalformed, in words, for what cannot be asked."""
    for name in form:
        if name.startswith(_UNSUPPORTED):
            raise RefusedByRule(f"{name} is not supported by this server; leave it out.")
    name = required(form, "RoleSessionName", 64)
    if not _SESSION_NAME.fullmatch(name):
        raise RefusedByRule(
            "RoleSessionName must be 2 to 64 letters, digits or any of _ + = , . @ -"
        )
    return Asked(required(form, "RoleArn", 2048), name, _seconds(form), _policy(form), _tags(form))


def required(form: Mapping[str, str], name: str, longest: int) -> str:
    value = form.get(name, "")
    if not value:
        raise RefusedByRule(f"The request must hold {name}.")
    if len(value) > longest:
        raise RefusedByRule(f"{name} has more than {longest} characters.")
    return value


def duration(asked: Asked, role: Role, *, chained: bool = False) -> int:
    """Seconds the session lasts; RefusedByRule beyond what the role allows."""
    most = min(role.longest, USUAL) if chained else role.longest
    if asked.seconds is None:
        return min(USUAL, most)
    if asked.seconds > most:
        why = " when one role takes another" if chained and most < role.longest else ""
        raise RefusedByRule(
            f"The requested DurationSeconds exceeds the {most} seconds that sessions of this role "
            f"may last{why}."
        )
    return asked.seconds


def allowed_tags(asked: Asked, role: Role) -> sessions.Tags:
    """The session's tags; RefusedByRule for a key that the role's trust does not leave open."""
    for key, _ in asked.tags:
        if key not in role.trust.tags:
            raise RefusedByRule(
                f"The role's trust does not let whoever takes it choose the session tag '{key}'."
            )
    return asked.tags


def _seconds(form: Mapping[str, str]) -> int | None:
    text = form.get("DurationSeconds")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < SHORTEST:
        raise RefusedByRule(f"DurationSeconds must be a number, at least {SHORTEST}.")
    return int(text)


def _policy(form: Mapping[str, str]) -> str | None:
    text = form.get("Policy")
    if text is None:
        return None
    if len(text) > LONGEST_POLICY:
        raise RefusedByRule(f"Policy has more than {LONGEST_POLICY} characters.")
    try:
        policy.read(sessions.POLICY_NAME, text)
    except InputError as error:
        raise PolicyMalformed(str(error)) from error
    return text


def _tags(form: Mapping[str, str]) -> sessions.Tags:
    found: dict[int, dict[str, str]] = {}
    for name, value in form.items():
        if not name.startswith("Tags."):
            continue
        named = _TAG.fullmatch(name)
        if named is None:
            raise RefusedByRule("Tags are written Tags.member.1.Key and Tags.member.1.Value.")
        found.setdefault(int(named[1]), {})[named[2]] = value
    pairs = []
    for _, tag in sorted(found.items()):
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise RefusedByRule("A tag has a key of 1 to 128 characters and a value of up to 256.")
        pairs.append((key, value))
    if len(pairs) > MOST_TAGS or len({k.lower() for k, _ in pairs}) != len(pairs):
        raise RefusedByRule(f"A session has at most {MOST_TAGS} tags, each key once.")
    return tuple(pairs)
