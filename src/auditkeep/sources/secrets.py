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
from collections.abc import Iterator
from dataclasses import dataclass

from auditkeep.observations import Cut

MARK = b"[cut]"

SECRET_NAMES = (
    b"password",
    b"passwd",
    b"secretaccesskey",
    b"secretkey",
    b"secretstring",
    b"secretbinary",
    b"clientsecret",
    b"appsecret",
    b"apisecret",
    b"sessiontoken",
    b"accesstoken",
    b"refreshtoken",
    b"authtoken",
    b"securitytoken",
    b"signintoken",
    b"idtoken",
    b"privatekey",
)
"""A member whose name ends so, in lower case and without `_`, `-` and `.`, holds a secret."""

# from the quote that ends a member's name to its value, if that is a string
_VALUE = re.compile(rb'"\s{0,20}:\s{0,20}"((?:[^"\\]|\\.)++)"', re.DOTALL)
# the same in JSON that a record carries inside a string, where each backslash is doubled
_QUOTED_VALUE = re.compile(rb'\\"\s{0,20}:\s{0,20}\\"((?:[^"\\]|\\\\(?:\\.|[^"\\]))++)\\"')

# up to its end or, if it was cut off, to the end of its string; never half an escape
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
    rb'(?:[^"\\]|\\[^"])*?(?:-----END [A-Z0-9 ]{0,40}KEY-----|(?=\\?"))'
)
# what tells the kind of a token stays, the token goes; these patterns begin with the rarest letter,
# which is found much faster than a longer beginning
_GITHUB = re.compile(
    rb"_(?:(?<=gh[pousr]_)([A-Za-z0-9]{36,255})|(?<=github_pat_)([A-Za-z0-9_]{22,255}))"
)
_SLACK = re.compile(rb"x(?=ox[abeoprs]-)ox[a-z]-([A-Za-z0-9-]{10,250})")

_NAME_HINTS = (b"passw", b"secret", b"token", b"private")
"""In lower case: a member's name that means a secret contains one of them."""

_AFTER_NAME = (b":", b" ", b"\t", b"\r", b"\n")

_MASKED = re.compile(rb"\*+|HIDDEN[A-Z_]*|\*{3}REDACTED\*{3}|REDACTED|sensitiveDataRemoved|\[cut\]")

_Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts with one HMAC key; the key belongs to the run's own record, or to nobody."""

    key: bytes

    def cut(self, raw: bytes) -> tuple[bytes, tuple[Cut, ...]]:
        """The record as kept, and what was cut from it."""
        lower = raw.lower()
        found: list[_Span] = []
        for hint in _NAME_HINTS:
            at = lower.find(hint)
            if at >= 0:
                found += _members(raw, lower, hint, at)
                if hint == b"private":
                    found += [(*m.span(), "private-key") for m in _PRIVATE_KEY.finditer(raw)]
        if _GITHUB.search(raw):
            spans = (m.span(m.lastindex or 0) for m in _GITHUB.finditer(raw))
            found += [(*span, "github-token") for span in spans]
        if _SLACK.search(raw):
            found += [(*m.span(1), "slack-token") for m in _SLACK.finditer(raw)]
        if not found:
            return raw, ()
        kept = bytearray()
        cuts = []
        done = 0
        for start, end, rule in _in_order(raw, found):
            kept += raw[done:start]
            removed = raw[start:end]
            mac = hmac.digest(self.key, removed, "sha256").hex()
            cuts.append(Cut(length=len(removed), mac=mac, offset=len(kept), rule=rule))
            kept += MARK
            done = end
        kept += raw[done:]
        return bytes(kept), tuple(cuts)


def _in_order(raw: bytes, found: list[_Span]) -> Iterator[_Span]:
    """Spans without overlap; of two that overlap, the one begun first."""
    done = 0
    for start, end, rule in sorted(set(found)):
        if start >= done and not _MASKED.fullmatch(raw, start, end):
            yield start, end, rule
            done = end


def _members(raw: bytes, lower: bytes, hint: bytes, at: int) -> list[_Span]:
    """The values of members whose names contain the hint and mean a secret.

    Letters stand only in strings (`true` and its like hold no hint), so the first quote behind a
    hint ends the string that the hint is in; if a colon and a string follow, that was a name.
    """
    found: list[_Span] = []
    while at >= 0:
        quote = raw.find(b'"', at)
        if raw.startswith(_AFTER_NAME, quote + 1):
            nested = raw[quote - 1 : quote] == b"\\"
            end = quote - nested
            value = (_QUOTED_VALUE if nested else _VALUE).match(raw, end)
            name = lower[raw.rfind(b'"', 0, at) + 1 : end].translate(None, b"_-.")
            if value and name.endswith(SECRET_NAMES):
                found.append((*value.span(1), "quoted-member" if nested else "member"))
        at = lower.find(hint, max(quote, at + 1))
    return found
