"""Records on their way from a text to their parser: in batches of a list, or one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from auditkeep.sources.files import BLOCK
from auditkeep.sources.records import UNREADABLE

T = TypeVar("T")

MIN_ANCHOR = 16
"""Characters that make an anchor rare enough to look for."""

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
class Form(Generic[T]):
    """How the records of a source look.

    `heads` decodes a list of records in their quick form, or raises msgspec's errors; `lists` are
    the member names under which an object holds its records. `anchor` gives text that stands in
    this record and hardly in another (its id), by which a few are found without parsing all.
    """

    heads: Callable[[bytes | bytearray | memoryview], list[T]]
    lists: frozenset[str]
    anchor: Callable[[T], str]


class Batch(Generic[T]):
    """Consecutive records of one list: what the quick form shows of each, and their bytes.

    To be used before the next item is asked for.
    """

    __slots__ = ("_end", "_first", "_form", "_label", "_meeting", "_start", "_text", "heads")

    def __init__(
        self,
        form: Form[T],
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

    def raws(self, indexes: Sequence[int]) -> list[bytes]:
        """The exact bytes of some of the records, in order."""
        if self._meeting and len(indexes) * 16 < len(self.heads):
            picked = self._pick(indexes, self._meeting)
            if picked is not None:
                return picked
        view = memoryview(self._text)[self._start : self._end]
        every = _RAWS.decode(view)
        return [bytes(every[index]) for index in indexes]

    def _pick(self, indexes: Sequence[int], meeting: bytes) -> list[bytes] | None:
        """Records found by their anchors, if each proves to be the one that was meant.

        What lies between two meetings around an anchor is taken for the record if it decodes as
        one whole value with that very head; if a single one does not, nothing is taken.
        """
        text = self._text
        found = []
        begin = self._start + 1
        for index in indexes:
            head = self.heads[index]
            anchor = self._form.anchor(head).encode()
            at = text.find(anchor, begin, self._end) if len(anchor) >= MIN_ANCHOR else -1
            if at < 0:
                return None
            before = text.rfind(meeting, begin, at)
            start = text.index(b"{", before + 1) if before >= 0 else begin
            after = text.find(meeting, at, self._end)
            end = after + 1 if after >= 0 else self._end - 1
            raw = bytes(text[start:end])
            try:
                if self._form.heads(b"[" + raw + b"]") != [head]:
                    return None
            except UNREADABLE:
                return None
            found.append(raw)
            begin = end - 1
        return found


@dataclass(frozen=True, slots=True)
class Single:
    """One value by itself: a record, or something that holds records."""

    raw: bytes
    position: str
