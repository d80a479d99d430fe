"""What is worth keeping for a tenant: whatever a shipped or custom control could use."""

from auditkeep.db.tx import Tx
from auditkeep.frameworks import keys
from auditkeep.frameworks import store as frameworks
from auditkeep.library.library import Library
from auditkeep.mapping.interest import Interest

_ALL = 1_000_000


def interest_of(tx: Tx, library: Library) -> Interest:
    own = frameworks.list_controls(tx, library, "Custom", limit=_ALL)
    found = [keys.match_keys_of(c, library.group) for c in own]
    return Interest.of(library.match_keys.union(*found))
