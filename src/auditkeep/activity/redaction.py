"""What a record shows of a request and of an answer.

The service model marks members as sensitive, and AWS's own records show `***` for them; so do ours,
with two differences. Who was given access, and where evidence goes, is shown: a log that hides it
would not tell what it is for. Free text and secrets are hidden also where the model forgets them.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from auditkeep.wire.model import Encoded, Shape
from auditkeep.wire.models import auditkeep, auditmanager, controlcatalog

HIDDEN = "***"

SENSITIVE: Mapping[type[Shape], frozenset[str]] = {
    **auditkeep.SENSITIVE,
    **auditmanager.SENSITIVE,
    **controlcatalog.SENSITIVE,
}

SHOWN = frozenset(
    {
        "arn",
        "assessmentId",
        "assessmentReportsDestination",
        "awsAccounts",
        "controlSetId",
        "createDelegationRequests",
        "defaultAssessmentReportsDestination",
        "defaultProcessOwners",
        "delegations",
        "destination",
        "destinationType",
        "id",
        "roleArn",
        "roleType",
        "roles",
        "scope",
        "snsTopic",
        "status",
    }
)
"""Members shown although the model calls them, or what they stand in, sensitive."""

NEVER = frozenset(
    {
        "comment",
        "commentBody",
        "description",
        "password",
        "SecretAccessKey",
        "SessionToken",
        "secretAccessKey",
        "sessionToken",
        "textResponse",
        "token",
        "webIdentityToken",
    }
)
"""Free text and secrets, whatever the model says."""


def shown(value: Shape | Mapping[str, Any]) -> dict[str, Any]:
    """The members that are set, by their names on the wire."""
    if isinstance(value, Encoded):  # an answer to a read: records of reads hold none
        return {}
    shown_value: dict[str, Any] = _shown(value)
    return shown_value


def _shown(value: Any) -> Any:
    if isinstance(value, Shape):
        found = {}
        for attribute, name, hidden in _members(type(value)):
            member = getattr(value, attribute)
            if member is not None:
                found[name] = HIDDEN if hidden else _shown(member)
        return found
    if isinstance(value, Mapping):
        return {k: HIDDEN if k in NEVER else _shown(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return value


@cache
def _members(shape: type[Shape]) -> tuple[tuple[str, str, bool], ...]:
    """Attribute, name on the wire, and whether it is hidden, of each member."""
    sensitive = SENSITIVE.get(shape, frozenset()) - SHOWN | NEVER
    return tuple(
        (f.name, f.encode_name, f.encode_name in sensitive) for f in msgspec.structs.fields(shape)
    )
