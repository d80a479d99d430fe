"""What is worth keeping for a tenant, by its policy (`lake.keeping`)."""

from auditkeep.db.tx import Tx
from auditkeep.frameworks import keys
from auditkeep.frameworks import store as frameworks
from auditkeep.lake import keeping
from auditkeep.library.library import Library
from auditkeep.mapping.interest import Interest

_ALL = 1_000_000


def interest_of(tx: Tx, library: Library) -> Interest:
    """What to read sources for: whatever a shipped or custom control could use, or everything."""
    choice = keeping.of(tx)
    if choice.policy == "all":
        return Interest.every_record()
    own = frameworks.list_controls(tx, library, "Custom", limit=_ALL)
    found = [keys.match_keys_of(c, library.group) for c in own]
    version = choice.wanted_version if choice.policy == "matched" else None
    return Interest.of(library.match_keys.union(*found), version)
