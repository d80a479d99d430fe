"""Verdict charts as SVG, drawn here: a ring for the whole, a bar for each control set.

The pictures hold no text: the template sets it beside them, in the page's own type, and the words
of `describe` go with the picture for those who cannot see it. Shapes differ as well as colours.
"""

import math

from auditkeep.reports.model import Totals

COMPLIANT = "#2f7d5d"
NON_COMPLIANT = "#b5382f"
INCONCLUSIVE = "#a3acb8"
_EMPTY = "#e6e9ed"

_RADIUS, _WIDTH, _SIZE = 40.0, 17.0, 100.0
_GAP = 0.6
"""Degrees left white on each side of an arc, so that neighbours part without colour too."""


def ring(totals: Totals) -> str:
    """A ring whose arcs are the shares of the three verdicts, clockwise from the top."""
    arcs: list[str] = []
    angle = 0.0
    shares = [s for s in _shares(totals) if s[0]]
    for count, colour in shares:
        sweep = 360.0 * count / totals.items
        if len(shares) == 1:
            arcs.append(_circle(colour))
        else:
            arcs.append(_arc(angle + _GAP, angle + max(sweep - _GAP, _GAP + 0.5), colour))
        angle += sweep
    return _svg(_SIZE, _SIZE, arcs or [_circle(_EMPTY)])


def bar(totals: Totals, most: int) -> str:
    """A bar as long as its items are many beside `most`, split into the three verdicts."""
    width, height = 200.0, 8.0
    parts = [f'<rect x="0" y="0" width="{width}" height="{height}" rx="1.5" fill="{_EMPTY}"/>']
    x = 0.0
    for count, colour in _shares(totals):
        part = width * count / most if most else 0.0
        if part:
            # what is there is seen, however small its share
            shown = min(max(part - 0.6, 1.0), width - x)
            parts.append(
                f'<rect x="{x:.2f}" y="0" width="{shown:.2f}" height="{height}" fill="{colour}"/>'
            )
        x += part
    return _svg(width, height, parts)


def describe(totals: Totals) -> str:
    """The chart in words."""
    if not totals.items:
        return "Verdict chart: no evidence items."
    return (
        f"Verdict chart of {totals.items:,} evidence items: {totals.compliant:,} compliant "
        f"({percent(totals.compliant, totals.items)}), {totals.non_compliant:,} non-compliant "
        f"({percent(totals.non_compliant, totals.items)}), {totals.inconclusive:,} inconclusive "
        f"({percent(totals.inconclusive, totals.items)})."
    )


def percent(part: int, whole: int) -> str:
    """A share for people: something is never shown as 0 %, nor less than all as 100 %."""
    if not whole or not part:
        return "0 %"
    share = 100 * part / whole
    if share < 1:
        return "< 1 %"
    return f"{min(round(share), 99)} %" if part < whole else "100 %"


def _shares(totals: Totals) -> list[tuple[int, str]]:
    return [
        (totals.compliant, COMPLIANT),
        (totals.non_compliant, NON_COMPLIANT),
        (totals.inconclusive, INCONCLUSIVE),
    ]


def _circle(colour: str) -> str:
    return (
        f'<circle cx="50" cy="50" r="{_RADIUS}" fill="none" stroke="{colour}" '
        f'stroke-width="{_WIDTH}"/>'
    )


def _arc(start: float, end: float, colour: str) -> str:
    (x0, y0), (x1, y1) = _point(start), _point(end)
    large = 1 if end - start > 180 else 0
    return (
        f'<path d="M {x0:.3f} {y0:.3f} A {_RADIUS} {_RADIUS} 0 {large} 1 {x1:.3f} {y1:.3f}" '
        f'fill="none" stroke="{colour}" stroke-width="{_WIDTH}"/>'
    )


def _point(degrees: float) -> tuple[float, float]:
    turn = math.radians(degrees - 90)
    return 50 + _RADIUS * math.cos(turn), 50 + _RADIUS * math.sin(turn)


def _svg(width: float, height: float, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">'
        + "".join(parts)
        + "</svg>"
    )
