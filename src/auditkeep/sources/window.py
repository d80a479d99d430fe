"""The part of a text that is held while it is read: a few blocks, and a place in them."""

from collections.abc import Iterator

from auditkeep.errors import InputError
from auditkeep.sources import scanner

Blocks = Iterator[bytes | bytearray]
"""A text, piece by piece; a piece that is a bytearray is its reader's to change."""


class Window:
    """`text[at:]` is what has not been read yet, as far as it is here.

    `more` makes a new bytearray and never changes the old one's length: whoever got a view of it
    may go on looking. One byte before `at` is always kept.
    """

    __slots__ = ("_blocks", "at", "ended", "failure", "line_feeds", "text")

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.text = bytearray()
        self.at = 0
        self.ended = False
        self.failure: str | None = None
        """Why the text ended before its time, if it did."""
        self.line_feeds = 0
        """How many the last `next_character` passed."""

    def more(self) -> bool:
        """Add a block; False when there is none left. Indexes shift by what was given up."""
        if self.ended:
            return False
        try:
            block = next(self._blocks, None)
        except InputError as error:
            self.fail(str(error))
            return False
        if block is None:
            self.ended = True
            return False
        if not self.text and isinstance(block, bytearray):
            self.text = block  # a whole text, given away by who unpacked it
            return True
        keep = max(0, self.at - 1)
        self.text = self.text[keep:] + block
        self.at -= keep
        return True

    @property
    def size(self) -> int:
        """How many bytes are here and unread."""
        return len(self.text) - self.at

    def next_character(self) -> int | None:
        """Move to the next character that is no white space; None at the end of the text."""
        self.line_feeds = 0
        while True:
            found = scanner.space(self.text, self.at)
            if found != self.at:
                self.line_feeds += self.text.count(b"\n", self.at, found)
                self.at = found
            if found < len(self.text):
                return self.text[found]
            if not self.more():
                return None

    def fail(self, reason: str) -> None:
        """End the text here, for this reason."""
        self.ended = True
        self.failure = self.failure or reason
