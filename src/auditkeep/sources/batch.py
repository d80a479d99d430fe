"""Records on their way from a text to their parser: in batches of a list, or one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Generic, TypeVar

import msgspec

from auditkeep.sources.gzipped import BLOCK
from auditkeep.sources.records import UNREADABLE

T = TypeVar("T")
R = TypeVar("R")

MIN_ANCHOR = 16
"""Characters that make an anchor rare enough to look for."""

FEW = 10
"""One of so many records is cheaper to look for than to find by parsing all."""

SPREAD = 2 * 1024
"""How far before the place that records of mean size would give it one record is looked for first;
of n records together it is √n times as much."""

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True)
class Limits:
    """`record`: bytes of one record; `lost`: bytes passed over in search of a readable one;
    `window`: bytes the fast way looks at together.
    """

    record: int = 4 * 1024 * 1024
    lost: int = 64 * 1024 * 1024
    window: int = BLOCK


DEFAULT = Limits()


@dataclass(frozen=True)
class Form(Generic[T, R]):
    """How the records of a source look.

    `heads` decodes a list of records in their quick form and `record` one of them in full, or they
    raise msgspec's errors; `has_head` tells whether a record so decoded has a head. `lists` are the
    member names under which an object holds its records. `anchor` gives text that stands in a
    record with this head, as it is mostly written, by which a few are found without parsing all.
    """

    heads: Callable[[memoryview], list[T]]
    record: Callable[[bytes], R]
    has_head: Callable[[R, T], bool]
    lists: frozenset[str]
    anchor: Callable[[T], bytes]


class Batch(Generic[T, R]):
    """Consecutive records of one list: what the quick form shows of each, and their bytes.

    To be used before the next item is asked for.
    """

    __slots__ = ("_end", "_first", "_form", "_label", "_meeting", "_start", "_text", "heads")

    def __init__(
        self,
        form: Form[T, R],
        heads: list[T],
        text: bytearray,
        place: tuple[int, int],
        meeting: bytes | None,
        name: tuple[str, int],
    ) -> None:
        self.heads = heads
        self._form = form
        self._text = text
        self._start, self._end = place
        self._meeting = meeting
        self._label, self._first = name

    def position(self, index: int) -> str:
        return f"{self._label}[{self._first + index}]"

    def records(self, indexes: Sequence[int]) -> list[tuple[bytes, R | None]]:
        """The exact bytes of some of the records, in order; decoded where that was done already."""
        if self._meeting and len(indexes) * FEW < len(self.heads):
            picked = self._pick(indexes, self._meeting)
            if picked is not None:
                return picked
        view = memoryview(self._text)[self._start : self._end]
        every = _RAWS.decode(view)
        return [(bytes(every[index]), None) for index in indexes]

    def _pick(self, indexes: Sequence[int], meeting: bytes) -> list[tuple[bytes, R | None]] | None:
        """Records found by their anchors, in order, if that leaves no doubt; None if it does.

        What lies between two meetings around an anchor is taken for a record if it decodes as one
        whole value with the head that is looked for. Whoever wants a record wants all with an
        equal head: so if another were taken for one, in the end there would be one too few.
        """
        found: list[tuple[bytes, R | None]] = []
        form, text, end, heads = self._form, self._text, self._end, self.heads
        anchor_of, decode, has_head = form.anchor, form.record, form.has_head
        opening = meeting.index(b"{")
        begin = self._start + 1
        mean = (end - begin) / len(heads)
        passed = 0
        with memoryview(text) as view:
            for index in indexes:
                head = heads[index]
                anchor = anchor_of(head)
                if len(anchor) < MIN_ANCHOR:
                    return None
                ahead = index - passed
                near = begin + int(mean * ahead - SPREAD * sqrt(ahead))
                at = text.find(anchor, max(begin, near), end)
                if at < 0:
                    at = text.find(anchor, begin, end)
                while at >= 0:
                    # the record lies between the meeting before its anchor and the one behind it
                    before = text.rfind(meeting, begin, at)
                    behind = text.find(meeting, at, end) + 1 or end - 1
                    raw = bytes(view[begin if before < 0 else before + opening : behind])
                    try:
                        record = decode(raw)
                    except UNREADABLE:
                        return None
                    begin = behind - 1
                    if has_head(record, head):
                        found.append((raw, record))
                        passed = index + 1
                        break
                    at = text.find(anchor, begin, end)
                else:
                    return None
        return found


@dataclass(frozen=True, slots=True)
class Single:
    """One value by itself: a record, or something that holds records."""

    raw: bytes
    position: str
