"""Judgements of AWS Config that were brought, and wait until their account was asked about them.

An event has neither the rule's owner nor the resource's configuration item. Where the account is
asked by us anyway, both are had before anything is kept (`workflows.settling`): so what is brought
and what is asked for are one fact, under one match key, whichever comes first. A record that waits
is kept already, in the transaction that took it; the same record again waits once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from auditkeep.clock import Instant
from auditkeep.db.schema import config_pushed
from auditkeep.db.tx import Tx
from auditkeep.work.jobs import enqueue

JOB: Final = "config-pushed"
"""Jobs that settle what waits of one place; keys are ACCOUNT/REGION/WHEN."""

AT_ONCE = 100
"""Records that are settled together."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One record, who brought it and by which door."""

    id: str
    record: bytes
    caller: str
    collector: str


def park(
    tx: Tx, place: tuple[str, str], record: bytes, caller: str, collector: str, now: Instant
) -> None:
    """Have a record wait, and somebody ask its account."""
    account, region = place
    row = {
        "id": sha256(f"{account}/{region}/".encode() + record).hexdigest(),
        "origin_account": account,
        "origin_region": region,
        "record": record.decode(),
        "caller": caller,
        "collector": collector,
        "received_at": now,
    }
    tx.upsert(config_pushed, [row])
    enqueue(tx, JOB, f"{account}/{region}/{now}", now, lane=account)


def queue_again(tx: Tx, round_: Instant, now: Instant) -> int:
    """Have what waited before a round began settled in it, as nobody did; in how many places."""
    t = config_pushed.c
    query = tx.select(t.origin_account, t.origin_region).where(t.received_at < round_).distinct()
    rows = tx.all(query.order_by(t.origin_account, t.origin_region))
    for row in rows:
        key = f"{row.origin_account}/{row.origin_region}/{round_}"
        enqueue(tx, JOB, key, now, lane=row.origin_account)
    return len(rows)


def any_before(tx: Tx, round_: Instant) -> bool:
    """Whether anything waited before a round began."""
    t = config_pushed.c
    return tx.first(tx.select(t.id).where(t.received_at < round_).limit(1)) is not None


def place_of(key: str) -> tuple[str, str]:
    """The account and region that a job settles."""
    account, region, _ = key.split("/", 2)
    return account, region


def listed(tx: Tx, account: str, region: str) -> list[Waiting]:
    """What waits longest of one place."""
    t = config_pushed.c
    query = tx.select(t.id, t.record, t.caller, t.collector).where(
        t.origin_account == account, t.origin_region == region
    )
    rows = tx.all(query.order_by(t.received_at, t.id).limit(AT_ONCE))
    return [Waiting(r.id, r.record.encode(), r.caller, r.collector) for r in rows]


def still(tx: Tx, some: Sequence[Waiting]) -> set[str]:
    """The ids of those that still wait: nobody else settled them."""
    t = config_pushed.c
    rows = tx.all(tx.select(t.id).where(t.id.in_([one.id for one in some])))
    return {row.id for row in rows}


def drop(tx: Tx, settled: Sequence[Waiting]) -> None:
    t = config_pushed.c
    tx.run(tx.delete(config_pushed).where(t.id.in_([one.id for one in settled])))
