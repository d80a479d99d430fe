"""Long lists in pieces: as many values as one statement may name, or one step may take."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

NAMED: Final = 500
"""Values of one SQL IN list: far below what SQLite and PostgreSQL bound, and enough of them that a
statement's own cost is spread thin.
"""


def in_pieces(values: Sequence[T], size: int = NAMED) -> Iterator[Sequence[T]]:
    """All values in their order, `size` at a time, the last piece what is left; none of none."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
