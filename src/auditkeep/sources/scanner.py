"""Where one JSON value ends (RFC 8259), without parsing it: brackets counted outside of strings.

Only boundaries are found here; whether what lies between them is JSON is decided by whoever
decodes it. A text that ends before its value does gives `MORE`.
"""

import re

MORE = -1
"""The value is not complete in the text at hand."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_QUIET = rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+'
_BRACKET = re.compile(_QUIET + rb"[{}\[\]]", re.DOTALL)
_UP_TO_STRING = re.compile(_QUIET, re.DOTALL)
_STRING_END = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb"(?:" + _STRING + rb'|[^",\[\]{}\s]++)', re.DOTALL)
_KEY_BEFORE = re.compile(rb'"([A-Za-z]{1,40})"\s{0,20}:\s{0,20}\Z')
_SPACE = re.compile(rb"[ \t\r\n]*+")

_OPENING = b"{["


def bracket(text: bytearray, start: int) -> int:
    """The index of the next bracket outside of strings; `start` lies outside of one itself."""
    match = _BRACKET.match(text, start)
    return match.end() - 1 if match else MORE


def space(text: bytearray, start: int) -> int:
    """The index of the first character that is no white space."""
    match = _SPACE.match(text, start)
    return match.end() if match else start


def value_end(text: bytearray, start: int) -> int:
    """The index after the value that begins at `start`, or `MORE`.

    A number or word that reaches the end of the text counts as unfinished.
    """
    if text[start] not in _OPENING:
        match = _SCALAR.match(text, start)
        return match.end() if match and match.end() < len(text) else MORE
    return closing(text, start + 1, 1)


def closing(text: bytearray, start: int, depth: int) -> int:
    """The index after the bracket that closes `depth` open ones, or `MORE`."""
    at = start
    while depth:
        match = _BRACKET.match(text, at)
        if match is None:
            return MORE
        at = match.end()
        depth += 1 if text[at - 1] in _OPENING else -1
    return at


def key_before(text: bytearray, at: int) -> str | None:
    """The member name in front of a value that begins at `at`."""
    match = _KEY_BEFORE.search(text, max(0, at - 90), at)
    return match[1].decode() if match else None


class Skipper:
    """Passes over one bracketed value too large to hold, keeping three small numbers."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def skip(self, text: bytearray, start: int) -> int:
        """The index after the value's end in this piece, or `MORE` if it goes on in the next."""
        at = start
        while True:
            if self._in_string:
                at = self._string(text, at)
                if at == MORE:
                    return MORE
            match = _BRACKET.match(text, at)
            if match is None:
                # _QUIET always matches, if only nothing: it stops at a string without an end
                at = _UP_TO_STRING.match(text, at).end()  # type: ignore[union-attr]
                if at == len(text):
                    return MORE
                self._in_string = True
                at += 1
                continue
            at = match.end()
            self._depth += 1 if text[at - 1] in _OPENING else -1
            if self._depth <= 0:
                return at

    def _string(self, text: bytearray, start: int) -> int:
        """The index after the string we are in, or `MORE`."""
        if self._escaped:
            if start == len(text):
                return MORE
            start += 1
            self._escaped = False
        match = _STRING_END.match(text, start)
        if match is None:
            body = text[start:]
            self._escaped = (len(body) - len(body.rstrip(b"\\"))) % 2 == 1
            return MORE
        self._in_string = False
        return match.end()
