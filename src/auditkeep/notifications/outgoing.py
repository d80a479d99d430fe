"""Messages on their way out: written in the transaction of what they tell, by id in the outbox.

A message says everything itself, so that one about an assessment that is gone by now can still be
delivered. It outlives the jobs that carry it, which can be tried again for thirty days.
"""

import msgspec
from sqlalchemy import tuple_

from auditkeep.clock import DAY, Instant
from auditkeep.db.schema import outgoing
from auditkeep.db.tx import SystemTx, Tx
from auditkeep.notifications.model import Event, Message, Telling

KEPT = 45 * DAY
_AT_ONCE = 5000


def put(tx: Tx, message: Message) -> None:
    row = {
        "id": message.id,
        "document": msgspec.json.encode(message).decode(),
        "created_at": message.at,
    }
    tx.insert(outgoing, row)


def find(tx: Tx, message_id: str) -> Message | None:
    document = tx.scalar(tx.select(outgoing.c.document).where(outgoing.c.id == message_id))
    return None if document is None else msgspec.json.decode(document, type=Telling | Event)


def prune(tx: SystemTx, now: Instant) -> int:
    """Forget some messages, of all tenants, that nobody will send again; how many."""
    key = (outgoing.c.account, outgoing.c.region, outgoing.c.id)
    old = tx.select(*key).where(outgoing.c.created_at < now - KEPT).limit(_AT_ONCE)
    return tx.run(tx.delete(outgoing).where(tuple_(*key).in_(old)))
