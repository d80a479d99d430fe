"""A stream of JSON text -> its values, one by one, for sources that look into nearly each of them.

What most texts hold is a value: a record, or an answer or an event of a bus that holds records. A
source says with its decoder how a value looks, and what of it are values again.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from auditkeep.sources.batch import Batch, Form, Limits, Single
from auditkeep.sources.holders import MAX_DEPTH
from auditkeep.sources.records import UNREADABLE, Rejected, Tally, unreadable
from auditkeep.sources.split import Splitter
from auditkeep.sources.window import Blocks

T = TypeVar("T")

Lists = Mapping[str, list[Raw] | UnsetType]
"""What a value holds, by the path of the member that it stands in."""

_RAWS = msgspec.json.Decoder(list[Raw]).decode


def values(blocks: Blocks, lists: frozenset[str], limits: Limits) -> Iterator[Single | Rejected]:
    """All values of a text, in order; `lists` as in `Form`."""
    form: Form[Raw, Raw] = Form(_RAWS, Raw, lambda raw, head: raw == head, lists, lambda _: b"")
    for item in Splitter(blocks, form, limits):
        if isinstance(item, Batch):
            for index, raw in enumerate(item.heads):
                yield Single(bytes(raw), item.position(index))
        else:
            yield item


class Record(NamedTuple, Generic[T]):
    """A value that holds no others: decoded, as it was written, and where it stands."""

    value: T
    raw: bytes
    position: str


def records(
    one: Single,
    decoder: msgspec.json.Decoder[T],
    held: Callable[[T], Lists],
    tally: Tally,
    depth: int = 0,
) -> Iterator[Record[T] | Rejected]:
    """A value's records, each counted: itself, or what it holds, a few levels deep."""
    raw, position = one.raw, one.position
    try:
        value = decoder.decode(raw)
        raw.decode()
    except UNREADABLE as error:
        tally.records += 1
        yield unreadable(position, error)
        return
    inner = _opened(held(value), position) if depth < MAX_DEPTH else []
    if inner:
        for each in inner:
            yield from records(each, decoder, held, tally, depth + 1)
        return
    tally.records += 1
    yield Record(value, raw, position)


def _opened(lists: Lists, position: str) -> list[Single]:
    return [
        Single(bytes(raw), f"{position}.{label}[{index}]")
        for label, raws in lists.items()
        if raws is not UNSET
        for index, raw in enumerate(raws)
    ]
