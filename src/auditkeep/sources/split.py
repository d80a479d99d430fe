"""A stream of JSON text -> its records, in bounded memory and at the speed of the decoder.

Three shapes: an object with a list of records (`{"Records": […]}`), a bare list, or values one
after the other, on lines or not. The exact way finds each record's end with `scanner`. The fast
way guesses that a list's records meet where the text looks as it did between two earlier ones,
and lets the decoder judge: if everything up to a guessed boundary, closed with `]`, decodes as a
list, then it is a boundary, because up to there the decoder saw what it would see in the whole.

Invariants: little more than `Limits.record` is held; records come in order, each once; what cannot
be read is `Rejected` with its position, and the next record is sought behind it.
"""

import re
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

from auditkeep.sources import scanner
from auditkeep.sources.batch import DEFAULT, Batch, Form, Limits, Single
from auditkeep.sources.records import UNREADABLE, Rejected
from auditkeep.sources.window import Blocks, Window

T = TypeVar("T")
R = TypeVar("R")

_MEETING = re.compile(rb'\}\s{0,200},\s{0,200}\{\s{0,200}"[^"\\]{1,100}"')
_LINE_OF_JSON = re.compile(rb"\n[{\[]")

OPEN_OBJECT, OPEN_LIST, CLOSE_LIST, COMMA = b"{[],"


class Splitter(Generic[T, R]):
    """Iterate once: batches, singles and rejections in the order of the text."""

    def __init__(self, blocks: Blocks, form: Form[T, R], limits: Limits = DEFAULT) -> None:
        self._window = Window(blocks)
        self._form = form
        self._limits = limits
        self._meeting: bytes | None = None
        self._slow = 0
        """Bytes after `at` in which the fast way has failed already."""
        self._stopped = False

    def __iter__(self) -> Iterator[Batch[T, R] | Single | Rejected]:
        window = self._window
        number = line = 0
        while not self._stopped and (character := window.next_character()) is not None:
            number += 1
            if number == 1:
                line = 1 + window.line_feeds
            if character == OPEN_LIST:
                yield from self._list("")
            elif character == OPEN_OBJECT:
                whole = yield from self._object(number)
                if number == 1 and whole and self._ends_its_line(whole):
                    yield from self._lines(line)
            else:
                yield self._no_json(number)
        if window.failure:
            yield Rejected("", window.failure)
        elif number == 0:
            yield Rejected("", "There is nothing in it.")

    # --- values one after the other -----------------------------------------------------------

    def _object(
        self, number: int
    ) -> Generator[Batch[T, R] | Single | Rejected, None, Single | None]:
        """An object on its own: a record, which is also returned, or a holder of records."""
        window = self._window
        depth, offset, holder = 0, 0, False
        while True:
            at = scanner.bracket(window.text, window.at + offset)
            if at == scanner.MORE:
                if window.size <= self._limits.record and window.more():
                    continue
                yield self._broken_value(f"record {number}")
                return None
            opening = window.text[at] in b"{["
            if opening and depth == 1:
                label = scanner.key_before(window.text, at)
                if window.text[at] == OPEN_LIST and label in self._form.lists:
                    window.at = at
                    yield from self._list(label)
                    if self._stopped:
                        return None
                    offset, holder = 0, True
                    continue
            depth += 1 if opening else -1
            offset = at + 1 - window.at
            if depth == 0:
                break
        if holder:
            window.at += offset
            return None
        single = self._single(offset, f"record {number}")
        yield single
        return single if isinstance(single, Single) else None

    def _single(self, length: int, position: str) -> Single | Rejected:
        """The next `length` bytes as a record, unless they are too many."""
        window = self._window
        start, window.at = window.at, window.at + length
        if length > self._limits.record:
            return Rejected(position, self._too_large())
        return Single(bytes(window.text[start : window.at]), position)

    def _broken_value(self, position: str) -> Rejected:
        """A value without an end: go on where the next line begins like JSON, or stop."""
        window = self._window
        reason = "it is not complete: the file ends inside it"
        if not window.ended:
            reason = self._too_large()
        following = _LINE_OF_JSON.search(window.text, window.at)
        if following:
            reason = "its brackets or quotes do not match"
            window.at = following.start() + 1
        elif window.ended:
            window.at = len(window.text)
        else:
            reason += "; the rest was not read"
            self._stopped = True
        return Rejected(position, reason)

    def _no_json(self, number: int) -> Rejected:
        window = self._window
        following = _LINE_OF_JSON.search(window.text, window.at) if number > 1 else None
        if following is None:
            self._stopped = True
            if number == 1:
                return Rejected("", "It is not JSON.")
            return Rejected(f"record {number}", "from here on it is not JSON")
        window.at = following.start() + 1
        return Rejected(f"record {number}", "it is not JSON")

    def _too_large(self) -> str:
        return f"it is larger than {self._limits.record:,} bytes"

    # --- lines ----------------------------------------------------------------------------------

    def _ends_its_line(self, first: Single) -> bool:
        """Whether the first value is a line of its own: then all are."""
        window = self._window
        while window.size < 2 and window.more():
            pass
        rest = bytes(window.text[window.at : window.at + 2]).removeprefix(b"\r")
        return rest.startswith(b"\n") and b"\n" not in first.raw

    def _lines(self, number: int) -> Iterator[Single | Rejected]:
        """The rest, line by line: a line that is no JSON cannot spoil the next one."""
        window = self._window
        while window.next_character() is not None:
            number += window.line_feeds
            length = self._line_length()
            if length == scanner.MORE:
                yield Rejected(f"line {number}", self._too_large())
                self._pass_line()
                continue
            line = bytes(window.text[window.at : window.at + length]).rstrip()
            window.at += length
            yield Single(line, f"line {number}")

    def _line_length(self) -> int:
        """Bytes up to the next line feed or the end of the text; `MORE` if they are too many."""
        window = self._window
        while True:
            end = window.text.find(b"\n", window.at)
            if end >= 0:
                return end - window.at
            if window.size > self._limits.record:
                return scanner.MORE
            if not window.more():
                return window.size

    def _pass_line(self) -> None:
        """Move to the next line feed, or give up when too much is lost on the way."""
        window = self._window
        lost = 0
        while (end := window.text.find(b"\n", window.at)) < 0:
            lost += window.size
            window.at = len(window.text)
            if lost > self._limits.lost:
                self._stopped = True
                window.fail(self._nothing_readable())
            if not window.more():
                return
        window.at = end

    def _nothing_readable(self) -> str:
        return f"In {self._limits.lost:,} bytes nothing was readable: the rest was not read."

    # --- lists ------------------------------------------------------------------------------------

    def _list(self, label: str) -> Iterator[Batch[T, R] | Single | Rejected]:
        """A list of records, from its opening bracket to behind its closing one."""
        window = self._window
        window.at += 1
        self._meeting, self._slow = None, 0
        index = 0
        while True:
            character = window.next_character()
            if character is None:
                yield from self._unclosed(label)
                return
            if character == CLOSE_LIST:
                window.at += 1
                return
            if character == COMMA:
                window.at += 1
                continue
            batch = self._batch(label, index)
            if batch is not None:
                yield batch[0]
                index += len(batch[0].heads)
                self._restore(batch[1])
                continue
            yield self._element(f"{label}[{index}]")
            index += 1
            if self._stopped:
                return

    def _unclosed(self, label: str) -> Iterator[Rejected]:
        if self._window.failure is None:
            yield Rejected(label, "the file ends before this list does")
        self._stopped = True

    def _batch(self, label: str, index: int) -> tuple[Batch[T, R], tuple[int, int]] | None:
        """The records from here to the last boundary in sight, if the decoder confirms it.

        The text is changed for the decoder's eyes (`[` before the first record, `]` after the
        last): what stood behind comes along, to be put back.
        """
        window = self._window
        if self._slow > 0:
            return None
        while window.size < self._limits.window and window.more():
            pass
        text, at = window.text, window.at
        most = at + 2 * self._limits.window  # of a text that is here as a whole
        if window.ended and most >= len(text):
            end = text.rfind(b"]", at)
        elif self._meeting:
            end = text.rfind(self._meeting, at, most) + 1
        else:
            return None
        if end <= at:
            return None
        behind, text[end] = text[end], CLOSE_LIST
        before, text[at - 1] = text[at - 1], OPEN_LIST
        place = (at - 1, end + 1)
        try:
            heads = self._form.heads(memoryview(text)[at - 1 : end + 1])
        except UNREADABLE:
            text[end], text[at - 1] = behind, before
            self._slow = end - at
            return None
        window.at = end
        batch = Batch(self._form, heads, text, place, self._meeting, (label, index))
        return batch, (end, behind)

    def _restore(self, changed: tuple[int, int]) -> None:
        self._window.text[changed[0]] = changed[1]

    def _element(self, position: str) -> Single | Rejected:
        """One record, found the exact way."""
        window = self._window
        while True:
            text, at = window.text, window.at
            end = scanner.value_end(text, at)
            if end != scanner.MORE or window.size > self._limits.record or not window.more():
                break
        if end in (scanner.MORE, window.at):
            return self._broken_element(position)
        meeting = _MEETING.match(window.text, end - 1)
        if meeting:
            self._meeting = meeting[0]
        self._slow -= end - window.at
        return self._single(end - window.at, position)

    def _broken_element(self, position: str) -> Rejected:
        """A record without an end: go on where it looks like the next one, pass over it, or stop.

        A record that ends before it is complete has either mixed up its quotes, and then the next
        meeting of two records is the place to go on, or is too large to hold.
        """
        window = self._window
        self._slow = 0
        following = None
        if self._meeting:
            following = window.text.find(self._meeting, window.at)
        elif match := _MEETING.search(window.text, window.at):
            following = match.start() if window.ended else None
        if following is not None and following >= 0:
            window.at = following + 1
            return Rejected(position, "its brackets or quotes do not match")
        if window.ended:
            window.at = len(window.text)
            return Rejected(position, "it is not complete: the file ends inside it")
        if not self._skip_value():
            self._stopped = True
            return Rejected(position, f"{self._too_large()}; the rest was not read")
        return Rejected(position, self._too_large())

    def _skip_value(self) -> bool:
        """Pass over a value too large to hold; False when too much is lost that way."""
        window = self._window
        skipper = scanner.Skipper()
        lost = 0
        while lost <= self._limits.lost:
            end = skipper.skip(window.text, window.at)
            if end != scanner.MORE:
                window.at = end
                return True
            lost += window.size
            window.at = len(window.text)
            if not window.more():
                return True
        return False
