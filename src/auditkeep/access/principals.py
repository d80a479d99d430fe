"""Who is asking: an authenticated user or role session of one account, and what is known of it."""

from dataclasses import dataclass

from auditkeep.access.policy import Policy
from auditkeep.clock import Instant


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller; `policies` are names of managed or custom identity policies.

    A session of an assumed role has the ARN `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    """

    account: str
    user: str
    arn: str
    policies: tuple[str, ...]
    access_key_id: str
    user_id: str = ""
    """The unique id of the user, or `ROLE-ID:SESSION`; empty where there is none."""
    tags: tuple[tuple[str, str], ...] = ()
    """Tags of the user or of the session."""
    mfa_at: Instant | None = None
    """When a second factor was shown, if one was."""
    session: str | None = None
    """The session's name, for an assumed role."""
    role: str | None = None
    """The role's name, for an assumed role."""
    issued_at: Instant | None = None
    """When temporary credentials were issued; None for those that last."""
    limits: tuple[Policy, ...] = ()
    """Policies that the session was made with: what they do not allow too, it may not do."""
