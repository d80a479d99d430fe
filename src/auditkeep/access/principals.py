"""Who is asking: an authenticated user of one account, and the policies attached to them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller; `policies` are names of managed or custom identity policies."""

    account: str
    user: str
    arn: str
    policies: tuple[str, ...]
    access_key_id: str
