"""Uses of master keys and signing keys, as records of the activity log.

A record has the form that AWS gives those of KMS: `Encrypt`, `Decrypt`, `Sign`, with the key and
the encryption context. It belongs to the tenant that the context names; what concerns no tenant
belongs to the deployment's home. Uses come many at a time: those of one owner and minute are kept
together, as calls that only read are.

The log's key signs a checkpoint for each batch, and a record of that signature would be the next
batch's reason to be: signatures of the log are written down together with whatever comes next,
never by themselves. What says in the meantime that the key was used is the checkpoint.
"""

from collections.abc import Sequence

from auditkeep.activity import pending, record
from auditkeep.activity.model import Noted, together
from auditkeep.clock import MINUTE, Instant
from auditkeep.crypto.signing import LOG
from auditkeep.crypto.uses import KeyUse, Uses
from auditkeep.db.pieces import in_pieces
from auditkeep.db.tx import SystemTx
from auditkeep.ids import Tenant
from auditkeep.lake.buckets import BucketKeys

FILE_USES = 500
"""Records that one observation may hold."""


def is_last_word(use: KeyUse) -> bool:
    """Whether this is a signature of the log, which waits for something else to be written.

    One that was refused does not: no checkpoint tells of it, and it is told of once.
    """
    return use.operation == "Sign" and use.context.get("purpose") == LOG and not use.error


def records(uses: Sequence[KeyUse], home: Tenant) -> list[tuple[Tenant, Noted]]:
    """What is written of uses: one observation for those of an owner, a minute and a kind."""
    found: dict[tuple[Tenant, int, str], list[Noted]] = {}
    for use in uses:
        owner = _owner(use, home)
        key = (owner, use.at // MINUTE, use.operation)
        found.setdefault(key, []).append(record.of_key_use(use, owner))
    return [
        (owner, together(piece))
        for (owner, _, _), some in found.items()
        for piece in in_pieces(some, FILE_USES)
    ]


def used(tx: SystemTx, keys: BucketKeys, uses: Uses, now: Instant) -> None:
    """Write down what a command used, in its own transaction."""
    home = pending.home_of(tx)
    if home is None:
        return
    for _ in range(2):  # writing may open the bucket that it writes to: that is a use too
        held, _lost = uses.take()
        for tenant, some in sorted(owned(records(held, home)).items()):
            pending.keep(pending.owner(tx.of(tenant)), keys, some, now)


def owned(found: Sequence[tuple[Tenant, Noted]]) -> dict[Tenant, list[Noted]]:
    """Records by who owns them."""
    each: dict[Tenant, list[Noted]] = {}
    for tenant, noted in found:
        each.setdefault(tenant, []).append(noted)
    return each


def _owner(use: KeyUse, home: Tenant) -> Tenant:
    account, region = use.context.get("account"), use.context.get("region")
    return Tenant(account, region) if account and region else home
