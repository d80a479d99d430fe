"""Where any of several patterns matches a text: the question most records answer with "nowhere".

All patterns are looked for in one pass over the bytes, by Vectorscan (the library `hyperscan`),
which takes a tenth of the time of Python's own searches one after the other. It tells where a match
ends, never where it begins: that is a hint, which the rules behind the patterns follow.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import hyperscan


class Hints:
    """Ask which groups of patterns match a text: each group's number with where a match ends.

    Patterns are of the common part of the regular expressions of Python and of Hyperscan; letters
    match in either case. Many short ones are faster than one of many branches. They are compiled
    when the first text is looked at. Safe to share between threads.
    """

    def __init__(self, groups: Iterable[Iterable[bytes]]) -> None:
        self._patterns = [(p, number) for number, group in enumerate(groups) for p in group]
        self._spare: deque[hyperscan.Scratch] = deque()
        """Work space that no thread is using: a scan needs one for itself."""

    def __call__(self, text: bytes) -> Sequence[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        database = self._database
        try:
            scratch = self._spare.pop()
        except IndexError:
            scratch = hyperscan.Scratch(database)
        database.scan(text, _note, 0, found, scratch)
        self._spare.append(scratch)
        return found

    @cached_property
    def _database(self) -> hyperscan.Database:
        database = hyperscan.Database()
        patterns, numbers = zip(*self._patterns, strict=True)
        flag = hyperscan.HS_FLAG_CASELESS
        database.compile(expressions=patterns, ids=numbers, flags=[flag] * len(patterns))
        return database


def _note(number: int, _start: int, end: int, _flags: int, found: Any) -> None:
    """Called for each match, with the list that the scan was given."""
    found.append((number, end))
