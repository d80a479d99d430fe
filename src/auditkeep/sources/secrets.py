"""Cuts: secrets are taken out of a record before it is hashed, and never stored (design section 5).

What stands between the quotes is replaced by the five bytes `[cut]`, so that the record stays
JSON; each cut says where that mark begins in the record as kept, how many bytes were removed, by
which rule, and the HMAC-SHA256 of the removed bytes as they stood in the record. The HMAC's key is
random for each run: whoever has the original record and the key can prove what was there.

Access key ids are identifiers, not secrets, and stay. What a source masked itself stays too.
Invariant: a record that was JSON still is.
"""

import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from auditkeep.observations import Cut
from auditkeep.sources import userdata
from auditkeep.sources.hints import Hints

MARK = b"[cut]"

SECRET_NAMES = (
    (b"pass", b"word"),
    (b"pass", b"wd"),
    (b"secret", b"access", b"key"),
    (b"secret", b"key"),
    (b"secret", b"string"),
    (b"secret", b"binary"),
    (b"client", b"secret"),
    (b"app", b"secret"),
    (b"api", b"secret"),
    (b"session", b"token"),
    (b"access", b"token"),
    (b"refresh", b"token"),
    (b"auth", b"token"),
    (b"security", b"token"),
    (b"sign", b"in", b"token"),
    (b"id", b"token"),
    (b"private", b"key"),
)
"""A member whose name ends with such words holds a secret, in whatever case they are written and
with up to three `_`, `-` and `.` between and behind them."""

_BETWEEN = rb"[_.-]{0,3}"
_NAMES = tuple(_BETWEEN.join(words) + _BETWEEN + rb'\\?"[\s:]' for words in SECRET_NAMES)

# from the quote that ends a member's name to its value, if that is a string
_VALUE = re.compile(rb'"\s{0,20}:\s{0,20}"((?:[^"\\]|\\.)++)"', re.DOTALL)
# the same in JSON that a record carries inside a string, where each backslash is doubled
_QUOTED_VALUE = re.compile(rb'\\"\s{0,20}:\s{0,20}\\"((?:[^"\\]|\\\\(?:\\.|[^"\\]))++)\\"')

# up to its end or, if it was cut off, to the end of its string; never half an escape
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
    rb'(?:[^"\\]|\\[^"])*?(?:-----END [A-Z0-9 ]{0,40}KEY-----|(?=\\?"))'
)
# what tells the kind of a token stays, the token goes
_GITHUB = re.compile(rb"gh[pousr]_([A-Za-z0-9]{36,255})|github_pat_([A-Za-z0-9_]{22,255})")
_SLACK = re.compile(rb"xox[abeoprs]-([A-Za-z0-9-]{10,250})")

# of AWS STS: both kinds begin with what they are, in base64
_SESSION = re.compile(rb"(?:FwoGZXIvYXdz|IQoJb3JpZ2luX2Vj)((?:[A-Za-z0-9+=]|\\?/){100,4096})")

_MASKED = re.compile(rb"\*+|HIDDEN[A-Z_]*|\*{3}REDACTED\*{3}|REDACTED|sensitiveDataRemoved|\[cut\]")

Span = tuple[int, int, str]

_MEMBER = 0
_WHOLE = {
    1: ("private-key", _PRIVATE_KEY),
    2: ("github-token", _GITHUB),
    3: ("slack-token", _SLACK),
    4: ("session-token", _SESSION),
}
_SCRIPT = 5
_HINTS = Hints(
    (
        _NAMES,
        (b"PRIVATE KEY-----",),
        (b"gh[pousr]_", b"github_pat_"),
        (b"xox[abeoprs]-",),
        (b"FwoGZXIvYXdz", b"IQoJb3JpZ2luX2Vj"),
        (userdata.HINT,),
    )
)


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts with one HMAC key; the key belongs to the run's own record, or to nobody."""

    key: bytes

    def cut(self, raw: bytes, known: Sequence[Span] = ()) -> tuple[bytes, tuple[Cut, ...]]:
        """The record as kept, and what was cut from it.

        `known` are what a source's model says is secret: start, end and rule of each.
        """
        told = _HINTS(raw)
        if not told and not known:
            return raw, ()
        kept = bytearray()
        cuts = []
        done = 0
        for start, end, rule in _in_order(raw, chain(_found(raw, told), known)):
            kept += raw[done:start]
            removed = raw[start:end]
            mac = hmac.digest(self.key, removed, "sha256").hex()
            cuts.append(Cut(length=len(removed), mac=mac, offset=len(kept), rule=rule))
            kept += MARK
            done = end
        kept += raw[done:]
        return bytes(kept), tuple(cuts)


def _found(raw: bytes, told: Iterable[tuple[int, int]]) -> Iterator[Span]:
    """What the rules find where they were hinted at something."""
    numbers = {number for number, _ in told}
    if _SCRIPT in numbers:
        yield from userdata.spans(raw)
    for number in numbers & _WHOLE.keys():
        rule, pattern = _WHOLE[number]
        for match in pattern.finditer(raw):
            yield (*match.span(match.lastindex or 0), rule)
    for number, end in told:
        if number == _MEMBER:
            # the hint ends behind the quote that ends the name, and a character more
            quote = end - 2
            nested = raw[quote - 1 : quote] == b"\\"
            value = (_QUOTED_VALUE if nested else _VALUE).match(raw, quote - nested)
            if value:
                yield (*value.span(1), "quoted-member" if nested else "member")


def _in_order(raw: bytes, found: Iterable[Span]) -> Iterator[Span]:
    """Spans without overlap; of two that overlap, the one begun first."""
    done = 0
    for start, end, rule in sorted(set(found)):
        if start >= done and not _MASKED.fullmatch(raw, start, end):
            yield start, end, rule
            done = end
