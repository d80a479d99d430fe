"""The deployment's small secrets: random, wrapped by the key provider, kept in `meta`."""

import base64
import os

from auditkeep.crypto.providers import KeyProvider
from auditkeep.db.database import Database
from auditkeep.db.schema import meta
from auditkeep.errors import SetupError

NAMES = ("ids", "links")
"""`ids` makes folder and evidence ids, and page tokens; `links` signs presigned URLs. A third one,
`fields`, belongs to the lake (`lake.fields`)."""

_SIZE = 32


def sealed(provider: KeyProvider) -> dict[str, str]:
    """New secrets as rows of `meta`."""
    return {
        f"secret/{name}": base64.b64encode(
            provider.wrap(os.urandom(_SIZE), _context(name))
        ).decode()
        for name in NAMES
    }


def load(db: Database, provider: KeyProvider) -> dict[str, bytes]:
    """Each secret by name; KeyUnusable if the master key is not the one that sealed them."""
    with db.system_read() as tx:
        rows = {r.key: r.value for r in tx.all(tx.select(meta))}
    found: dict[str, bytes] = {}
    for name in NAMES:
        text = rows.get(f"secret/{name}")
        if text is None:
            raise SetupError("This database was not set up to its end; run 'auditkeep init' again.")
        found[name] = provider.unwrap(base64.b64decode(text), _context(name))
    return found


def _context(name: str) -> dict[str, str]:
    return {"purpose": f"auditkeep/{name}"}
