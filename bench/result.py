"""One figure: what was measured, the limit or baseline beside it in the same run, and the goal."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """`ratio` is value ÷ baseline; `target` is the ratio (or value) the design asks for.

    `unit` names value and baseline; `at_most` marks figures that must stay below their target.
    """

    name: str
    value: float
    baseline: float | None
    ratio: float | None
    target: str
    unit: str
    met: bool | None = None
    note: str = ""
