"""Notices to owners and delegates (spec section 8.1).

Exactly three events make one: a control set is delegated, handed back, and its review completed.
"""

import msgspec

from auditkeep.clock import Instant


class About(msgspec.Struct, frozen=True):
    """The control set a notice is about."""

    assessment_id: str
    assessment_name: str
    set_id: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One notice as its recipient reads it; `description` is never empty."""

    id: str
    about: About
    description: str
    source: str
    created_at: Instant
