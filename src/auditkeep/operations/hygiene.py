"""Warnings about words that should not be where they are: in names, tags, comments and other text.

AWS's guidance for Audit Manager (spec section 9) asks that nobody puts personal or secret data into
free text, for it shows in logs, reports and lists. A request is never refused for it: whoever sent
it reads a header, `x-auditkeep-warning`, and the call's record in the activity log says the same.

What is looked for can be told with some certainty: e-mail addresses, access key ids of AWS, and
card numbers, whose last digit is a check of the others (ISO/IEC 7812-1, Luhn). "Looks like" is all
that is claimed. Invariant: a warning names the member, never what stands in it.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from auditkeep.wire.model import Shape

HEADER = b"x-auditkeep-warning"

FREE = frozenset(
    {
        "actionPlanInstructions",
        "actionPlanTitle",
        "assessmentDescription",
        "assessmentName",
        "comment",
        "commentBody",
        "complianceType",
        "description",
        "evidenceFileName",
        "fileName",
        "name",
        "reason",
        "sourceDescription",
        "sourceName",
        "tags",
        "testingInformation",
        "textResponse",
        "troubleshootingText",
    }
)
"""Members that hold what people write; all that stands below one is looked at."""
ASIDE = frozenset({"scope", "roles"})
"""Members whose names and addresses are asked for by the model itself."""

_MAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-])"
)
_ACCESS_KEY = re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])")
_CARD = re.compile(r"(?<![\d.-])(?:\d[ -]?){12,18}\d(?![\d.-])")
_FIRST = re.compile(r"3[0-9]|4|5[1-5]|2[2-7]|6")
"""How the numbers of the large card schemes begin."""

_HINT = re.compile(rb"@|AKIA|ASIA|\\u|(?:\d[ -]?){13}")
"""What any of the three needs, in the bytes of a body; most bodies have nothing of it."""


def warnings(ask: Shape, body: bytes) -> tuple[str, ...]:
    """What looks doubtful in a request: a sentence for each member and kind, in order."""
    if _HINT.search(body) is None:
        return ()
    found: dict[str, None] = {}
    for member, text in _texts(msgspec.to_builtins(ask), ""):
        for kind in kinds(text):
            found[f"{member} looks like it holds {kind}"] = None
    return tuple(found)


def kinds(text: str) -> Iterator[str]:
    """What a text looks like it holds."""
    if _MAIL.search(text):
        yield "an e-mail address"
    if _ACCESS_KEY.search(text):
        yield "an access key id"
    if any(_is_card(found[0]) for found in _CARD.finditer(text)):
        yield "a card number"


def _texts(value: Any, member: str) -> Iterator[tuple[str, str]]:
    """Texts below free members, each with the member's name."""
    if isinstance(value, str):
        if member:
            yield member, value
    elif isinstance(value, dict):
        for key, one in value.items():
            if member:  # keys of tags are people's words too
                yield member, key
                yield from _texts(one, member)
            elif key not in ASIDE:
                yield from _texts(one, key if key in FREE else "")
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one, member)


def _is_card(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    if len(set(digits)) == 1 or _FIRST.match("".join(map(str, digits))) is None:
        return False
    doubled = (d if n % 2 == 0 else d * 2 - 9 * (d > 4) for n, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0
