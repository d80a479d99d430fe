"""A framework offered by one tenant to another, as values (spec sections 2.6 and 8.3).

Each side has a record of its own, which it may delete without the other noticing. What the
recipient would get is a *snapshot*, taken when the request is sent, so that neither an edit nor
a deletion at the sender's changes what was offered. It lies on the recipient's side for as long
as it can still be accepted.
"""

from typing import Literal

import msgspec

from auditkeep.clock import Instant
from auditkeep.frameworks.model import Control, Framework
from auditkeep.ids import Tenant

Side = Literal["SENT", "RECEIVED"]
ShareAction = Literal["ACCEPT", "DECLINE", "REVOKE"]
KeptStatus = Literal["ACTIVE", "SHARED", "FAILED", "DECLINED", "REVOKED"]
"""What is written down: the last thing that somebody did."""

ShareStatus = Literal[
    "ACTIVE", "REPLICATING", "SHARED", "EXPIRING", "FAILED", "EXPIRED", "DECLINED", "REVOKED"
]
"""What is shown: see `sharing_rules.status_at`."""


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request tells about its framework, to both sides."""

    name: str
    standard_controls: int
    custom_controls: int
    description: str | None = None
    compliance_type: str | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A framework and its custom controls as they were; shipped controls are referred to by id."""

    framework: Framework
    controls: tuple[Control, ...]


class ShareRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One side's record of a request."""

    id: str
    side: Side
    framework_id: str
    """The sender's; the copy that the recipient accepts has an id of its own."""
    source: Tenant
    destination: Tenant
    status: KeptStatus
    subject: Subject
    created_at: Instant
    updated_at: Instant
    expires_at: Instant
    comment: str | None = None
