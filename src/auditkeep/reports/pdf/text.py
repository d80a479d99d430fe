"""Foreign text made printable with the fonts that typst carries, whatever a source held.

The pages use embedded fonts only, so that they look the same everywhere; PDF/A forbids characters
that these cannot draw. Such characters, control characters and those that turn the direction of
text are shown as `[U+202E]`, which also keeps text from posing as other text. Long words get
places to break. The exact text is in the evidence files: pages are for reading.
"""

import re
import unicodedata

HYPHEN = "-"
"""What stands for a value the source did not give (spec section 5.4)."""

LONGEST = 4000
_UNBROKEN = 18
_MARKS = 3

_PRINTABLE = (
    "\u0020-\u007e\u00a0-\u00ac\u00ae-\u034e\u0350-\u0377\u0384-\u038a\u038c\u038e-\u03a1\u03a3-\u04ff"
    "\u0531-\u0556\u0559-\u058a\u05b0-\u05c7\u05d0-\u05ea\u060c\u061b\u061f\u0621-\u063a\u0640-\u0655"
    "\u0660-\u066d\u067e\u0686\u0698\u06a9\u06af\u06be\u06cc\u06f0-\u06f9\u10d0-\u10fb"
    "\u1e00-\u1eff\u2010-\u2027\u2030-\u203a\u20a0-\u20c0\u2116\u2122\u2126\u2190-\u21ff\u2200-\u22ff"
    "\u2500-\u25ff"
)
"""What Libertinus Serif or DejaVu Sans Mono draw (probed with typst 0.15 under PDF/A-2a)."""

_FOREIGN = re.compile(f"[^{_PRINTABLE}\n]")
_NOT_ASCII = re.compile(r"[^\u0020-\u007e\n]")
_SPACE = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES = re.compile(r"\s*\n\s*")
_STACKED = re.compile(rf"([\u0300-\u036f]{{{_MARKS}}})[\u0300-\u036f]+")
_LONG_WORD = re.compile(rf"[^\s\u200b]{{{_UNBROKEN + 1},}}")
_JOINT = re.compile(r"(?<=[/:._@=,;&?\-|)])(?=[^\s])")
BREAK = "\u200b"


def printable(text: str | None, longest: int = LONGEST, *, ascii_only: bool = False) -> str:
    """`text` for a page: normalised, bounded, drawable; a hyphen where there is nothing."""
    if text is None:
        return HYPHEN
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    shown = unicodedata.normalize("NFC", shown.replace("\r\n", "\n"))
    shown = _LINES.sub("\n", _SPACE.sub(" ", shown)).strip()
    shown = _STACKED.sub(r"\1", shown)
    shown = (_NOT_ASCII if ascii_only else _FOREIGN).sub(_named, shown)
    if shown and not ascii_only and unicodedata.combining(shown[0]):
        shown = f"\u25cc{shown}"  # a mark with nothing to stand on gets a dotted circle
    return _LONG_WORD.sub(_breakable, shown) or HYPHEN


def _named(match: re.Match[str]) -> str:
    return f"[U+{ord(match[0]):04X}]"


def _breakable(match: re.Match[str]) -> str:
    """Break places after separators, and inside what is still too long."""
    parts = _JOINT.split(match[0])
    pieces = (p[i : i + _UNBROKEN] for p in parts for i in range(0, len(p), _UNBROKEN))
    return BREAK.join(pieces)
