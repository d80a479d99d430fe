"""Where facts lie and what they are about, of one bucket: what a choice of single ones needs.

Purpose: to choose facts by what they are (docs/adr/0030) without reading what they say. Only the
light columns are unsealed, of segments only where they hold a match key that is asked for.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from auditkeep.clock import Instant
from auditkeep.db.pieces import in_pieces
from auditkeep.db.schema import batches, segments
from auditkeep.db.tx import Tx
from auditkeep.lake import parquet, read
from auditkeep.lake.lake import Lake
from auditkeep.lake.segments import opening_of

_SOME = 200
"""Batches of the tail looked for at a time."""


@dataclass(frozen=True, slots=True)
class Place:
    """One fact: its batch and index, and the origin by which it is seen."""

    batch_no: int
    index: int
    event_time: Instant
    source: str
    match_key: str
    account: str
    region: str


def places(
    tx: Tx, lake: Lake, bucket_id: str, match_keys: Collection[str], after_batch: int
) -> Iterator[Place]:
    """The facts of a bucket that have some match keys and came after a batch, in no order."""
    wanted = frozenset(match_keys)
    s, b = segments.c, batches.c
    sealed = tx.select(s.id, s.match_keys).where(
        s.bucket_id == bucket_id, s.max_batch > after_batch
    )
    for row in tx.all(sealed.order_by(s.id)):
        held = msgspec.json.decode(row.match_keys, type=frozenset[str])
        if held & wanted:
            opening = opening_of(lake, tx.tenant, bucket_id, row.id)
            for told in parquet.origins(opening, wanted, after_batch):
                yield Place(*told)
    waiting = tx.select(b.batch_no).where(
        b.bucket_id == bucket_id, b.segment_id.is_(None), b.batch_no > after_batch
    )
    numbers = [row.batch_no for row in tx.all(waiting.order_by(b.batch_no))]
    for some in in_pieces(numbers, _SOME):
        for columns in read.batch_columns(tx, lake, some):
            light = columns.light
            for index, key in enumerate(light.match_keys):
                if key in wanted:
                    yield Place(
                        columns.batch_no,
                        index,
                        Instant(light.event_times[index]),
                        light.sources[index],
                        key,
                        light.accounts[index],
                        light.regions[index],
                    )
