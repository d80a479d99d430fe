"""What a continuation token says, as the kind of key that a store's list continues after."""

from auditkeep.clock import Instant
from auditkeep.wire.paging import Key


def time_key(key: Key | None) -> tuple[Instant, str] | None:
    """A list that runs newest first, by time and id."""
    return None if key is None else (Instant(int(key[0])), str(key[1]))
